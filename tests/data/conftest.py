"""The makers of tests/data/made.py on the path, and the real data where it is at hand."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture
def shared() -> Path:
    """The folder of shared data beside the repository; missing, a test is skipped, but in CI it fails."""
    folder = HERE.parents[2] / "shared" / "data"
    if not folder.is_dir():
        message = "no ../shared/data beside the repository"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder
