"""The run under reports/example was made by an earlier state of the tool: it must still verify, read and be judged."""

import shutil
from pathlib import Path

from xai_audit.evidence.manifest import verify
from xai_audit.evidence.store import read_run
from xai_audit.judging import judge_folder
from xai_audit.spec.load import load_text

STORED = Path(__file__).resolve().parents[2] / "reports" / "example"


def test_a_stored_run_still_verifies_and_reads() -> None:
    assert verify(STORED) == ()
    run = read_run(STORED)
    assert len(run.records) == 40
    assert all(run.arrays(record.id) for record in run.records if record.arrays)
    assert len(run.rows()) == 48


def test_a_stored_run_is_judged_as_it_was(tmp_path: Path) -> None:
    folder = shutil.copytree(STORED, tmp_path / "run")
    spec = load_text((folder / "audit.yaml").read_bytes(), folder / "audit.yaml").spec
    verdicts = {finding.id: finding.verdict for finding in judge_folder(folder, spec) if finding.kind == "criterion"}
    assert verdicts == {"C1": "pass", "C2": "fail", "C3": "pass", "C4": "pass"}
    assert verify(folder) == ()
