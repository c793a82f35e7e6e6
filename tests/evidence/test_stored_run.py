"""The run under reports/example was made by an earlier state of the tool: it must still verify, read and be judged.

The run under reports/sample shows what the tool writes: it must be whole, small and closed in itself.
"""

import html
import json
import re
import shutil
from pathlib import Path

from xai_audit.evidence.manifest import verify
from xai_audit.evidence.store import read_run
from xai_audit.judging import judge_folder
from xai_audit.spec.load import load_text

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "reports" / "example"
SAMPLE = ROOT / "reports" / "sample"
LARGEST_FILE, LARGEST_FOLDER = 2_000_000, 8_000_000
FETCHED = re.compile(
    r"""(?:src|srcset|data|poster|action)\s*=\s*["']?(?:[a-z]+:)?//|<link\b|@import|url\(\s*["']?(?!data:|#)""", re.I
)
"""What makes a browser ask for something outside the page; links that a reader follows do not."""


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


def test_the_sample_verifies_and_holds_every_file_that_its_spec_asks_for() -> None:
    assert verify(SAMPLE) == ()
    spec = load_text((SAMPLE / "audit.yaml").read_bytes(), SAMPLE / "audit.yaml").spec
    assert spec.report is not None
    others = spec.audit.languages[1:]
    languages = ["", *(f".{language}" for language in others)]
    views = ["" if view == "engineer" else f".{view}" for view in spec.report.audience]
    asked = {f"report{view}{tongue}.{kind}" for view in views for tongue in languages for kind in spec.report.formats}
    assert {path.name for path in SAMPLE.glob("report*")} == asked
    files = {str(path.relative_to(SAMPLE)) for path in SAMPLE.rglob("*") if path.is_file()}
    assert set(json.loads((SAMPLE / "manifest.json").read_text(encoding="utf-8"))["files"]) <= files


def test_the_sample_is_small() -> None:
    sizes = [path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()]
    assert max(sizes) <= LARGEST_FILE
    assert sum(sizes) <= LARGEST_FOLDER


def test_the_sample_asks_for_nothing_outside_itself() -> None:
    pages = sorted(SAMPLE.glob("report*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert FETCHED.search(text) is None, page.name
        assert "default-src 'none'" in html.unescape(text)
