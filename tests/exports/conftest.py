"""One judged run for every export."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
sys.path.insert(0, str(Path(__file__).parent))

from fixture_exports import EXPORTED
from fixture_past import make_past
from fixture_run import Made


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_past(tmp_path_factory.mktemp("exported"), EXPORTED)
