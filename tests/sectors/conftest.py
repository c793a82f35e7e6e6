"""Runs of the small sector audits, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from sector_audits import write_loans

from xai_audit.engines.progress import Silent
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The loans as a medical audit."""
    folder = tmp_path_factory.mktemp("loans")
    return run_audit(load_spec(write_loans(folder)), Options(out=folder / "reports"), Silent())
