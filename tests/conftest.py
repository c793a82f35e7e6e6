"""What tests of several folders need."""

import compileall
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

gc.set_threshold(50_000, 20, 20)  # a quarter of the time of whole reports went into searches for garbage


def pytest_configure(config: pytest.Config) -> None:
    """The package is compiled once: where PYTHONDONTWRITEBYTECODE is set, each process of a test would do it anew."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).resolve().parents[1] / "xai_audit", quiet=2)


@pytest.fixture(scope="session", autouse=True)
def charts_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every chart is drawn by the code that is tested, equal ones once; nothing is kept in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data beside the repository; missing, a test is skipped, but in CI it fails."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        message = "no ../shared/data beside the repository"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
