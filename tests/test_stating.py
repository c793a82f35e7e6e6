"""Statements and actions reach a finished run: nothing is measured anew, nothing is taken away, all of it is sealed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from xai_audit.clauses.packs import load_pack
from xai_audit.cli import main
from xai_audit.engines.progress import Silent
from xai_audit.errors import AuditError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.events import last, read_events
from xai_audit.evidence.manifest import require_unchanged, verify
from xai_audit.evidence.store import locked, read_run
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec
from xai_audit.spec.people_file import read_people
from xai_audit.stating import add_people
from xai_audit.verdict.people import read_people as stored

SPEC = """version: 1
audit:
  id: scored
  title: Stored scores
  owner: {name: A. Tester, role: owner}
  frameworks: [us-credit]
  domain: finance
data:
  source: {kind: predictions, table: scores.csv, label: label, scores: [no, yes]}
measures: [accuracy]
criteria:
  - {id: C1, measure: accuracy, at_least: 0.5, because: agreed, minimum_cases: 10}
"""
CLAUSE = load_pack("us-credit").clauses[0].id
SAID = f"""statements:
  - {{clause: {CLAUSE}, author: A. Person, role: owner, date: 2026-03-02, text: Seen., attachment: {{file: note.txt}}}}
actions:
  - {{finding: C1, what: Look again., owner: {{name: A. Person, role: owner}}, due: 2026-04-02}}
"""


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The spec of a run that is finished."""
    folder = tmp_path_factory.mktemp("audit")
    rows = "".join(
        f"{'yes' if place % 3 else 'no'},{0.3 if place % 3 else 0.8},{0.7 if place % 3 else 0.2}\n"
        for place in range(30)
    )
    (folder / "scores.csv").write_text("label,no,yes\n" + rows)
    (folder / "audit.yaml").write_text(SPEC)
    (folder / "note.txt").write_text("As agreed.")
    (folder / "said.yaml").write_text(SAID)
    run_audit(load_spec(folder / "audit.yaml"), Options(out=folder / "reports"), Silent())
    return folder


@pytest.fixture
def folder(audit: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    found = next((audit / "reports" / "scored").iterdir())
    return Path(shutil.copytree(found, tmp_path / found.name))


def add(audit: Path, folder: Path, text: str = SAID) -> tuple[int, int]:
    (audit / "more.yaml").write_text(text)
    spec = load_spec(audit / "audit.yaml").spec
    with locked(folder):
        added = add_people(folder, read_people(audit / "more.yaml", spec))
    return added.statements, added.actions


def test_what_is_added_is_kept_logged_and_verified(audit: Path, folder: Path) -> None:
    assert add(audit, folder) == (1, 1)
    kept = stored(read_run(folder).statements)
    attached = kept.statements[0].attachment
    assert attached is not None
    assert (folder / attached.path).read_text() == "As agreed."
    assert attached.sha256 == sha256(b"As agreed.")
    stated = last(read_events(folder), "stated")
    assert stated is not None
    assert set(stated.data["files"]) == {"statements.json", attached.path}
    assert verify(folder) == ()


def test_the_same_file_again_adds_nothing_and_an_edit_appends(audit: Path, folder: Path) -> None:
    add(audit, folder)
    before = (folder / "statements.json").read_bytes()
    assert add(audit, folder) == (0, 0)
    assert (folder / "statements.json").read_bytes() == before
    assert add(audit, folder, SAID.replace("Seen.", "Seen twice.")) == (1, 0)
    assert [one.text for one in stored(read_run(folder).statements).statements] == ["Seen.", "Seen twice."]


def test_words_changed_by_hand_are_found_and_nothing_is_added_to_them(audit: Path, folder: Path) -> None:
    add(audit, folder)
    path = folder / "statements.json"
    path.write_bytes(path.read_bytes().replace(b"Seen.", b"Met in full."))
    assert [(fault.file, fault.problem) for fault in verify(folder)] == [("statements.json", "changed")]
    with pytest.raises(AuditError, match=r"statements\.json changed"):
        add(audit, folder, SAID.replace("Seen.", "Seen twice."))


@pytest.mark.parametrize("name", ["statements.json", "comparison.json", "attachments/note.txt"])
def test_what_nobody_logged_is_not_read(audit: Path, folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    with pytest.raises(AuditError, match=f"{re.escape(name)} added"):
        require_unchanged(folder)
    with pytest.raises(AuditError, match=f"{re.escape(name)} added"):
        add(audit, folder)
    path.unlink()
    require_unchanged(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{file: note.txt}", "{file: gone.txt}", "a file below"),
        ("{file: note.txt}", "{file: ../note.txt}", "a path below"),
        ("{file: note.txt}", "{file: /etc/hostname}", "a path below"),
        ("{file: note.txt}", f"{{file: note.txt, sha256: {'0' * 64}}}", "found sha256"),
        ("date: 2026-03-02", "date: 2999-03-02", "still to come"),
        (CLAUSE, "us-credit.none", "us-credit.none"),
        ("statements:", "statement:", "Did you mean"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    audit: Path, folder: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(AuditError, match=message):
        add(audit, folder, SAID.replace(old, new))
    assert not (folder / "statements.json").exists()
    assert verify(folder) == ()


def test_a_second_run_with_statements_makes_no_step_and_keeps_them(audit: Path, tmp_path: Path) -> None:
    reports = Path(shutil.copytree(audit / "reports", tmp_path / "reports"))
    spec = audit / "with-people.yaml"
    spec.write_text(SPEC + "statements: said.yaml\n")
    outcome = run_audit(load_spec(spec), Options(out=reports), Silent())
    assert outcome.steps_made == 0
    assert outcome.run.folder.name == next((audit / "reports" / "scored").iterdir()).name
    assert len(stored(outcome.run.statements).statements) == 1
    assert verify(outcome.run.folder) == ()


def test_the_manifest_names_the_packs_with_age_and_digest(folder: Path) -> None:
    pack = load_pack("us-credit")
    recorded = read_run(folder).manifest["clause_packs"]
    assert recorded == [{"id": "us-credit", "as_of": pack.as_of.isoformat(), "digest": pack.digest}]


def test_the_command_adds_and_names_a_finding_that_is_not_there(audit: Path, folder: Path) -> None:
    done = CliRunner().invoke(main, ["state", str(folder), str(audit / "said.yaml")], standalone_mode=False)
    assert done.exception is None, done.output
    assert "1 statement(s) and 1 action(s) added" in done.output
    (audit / "wrong.yaml").write_text(SAID.replace("finding: C1", "finding: C11"))
    refused = CliRunner().invoke(main, ["state", str(folder), str(audit / "wrong.yaml")])
    assert refused.exit_code == 2
    assert 'Did you mean "C1"?' in refused.output


ACTION = "actions:\n  - {finding: C1, what: Look again., owner: {name: A. Person, role: owner}, due: 2026-04-02"
CLOSED = ACTION + ",\n     closed: {by: B. Person, date: 2026-03-20, text: All of it was seen.}}\n"
AGAIN = ACTION + ",\n     reopened: {by: C. Person, date: 2026-03-28, text: One page was left out.}}\n"


def test_the_command_opens_an_action_again_and_the_report_shows_its_past(audit: Path, folder: Path) -> None:
    for text in (SAID, CLOSED, AGAIN):
        (audit / "turn.yaml").write_text(text)
        done = CliRunner().invoke(main, ["state", str(folder), str(audit / "turn.yaml")], standalone_mode=False)
        assert done.exception is None, done.output
        assert "1 action(s) added" in done.output
    kept = stored(read_run(folder).statements)
    assert [one.version for one in kept.actions] == [1, 2, 3]
    assert kept.open_and_closed[0].closed is None
    assert add(audit, folder, AGAIN) == (0, 0)
    assert verify(folder) == ()
    done = CliRunner().invoke(main, ["report", str(folder), "--format", "html"], standalone_mode=False)
    assert done.exception is None, done.output
    shown = re.sub(r"<[^>]*>", "", (folder / "report.html").read_text())
    assert re.search(
        r"Overdue\. Closed by B\. Person on 20 March 2026: All of it was seen\.\s+"
        r"Opened again by C\. Person on 28 March 2026: One page was left out\.",
        shown,
    )


@pytest.mark.parametrize(
    ("before", "text", "message"),
    [
        (SAID, AGAIN, r"actions\[0\]\.reopened:\sfound an action that was never closed"),
        (CLOSED, AGAIN.replace("Look again.", "Look once more."), "as they stand where it was closed"),
        (CLOSED, AGAIN.replace("03-28", "03-19"), "a day on or after 2026-03-20, when it was closed"),
        (CLOSED, AGAIN.replace("2026-03-28", "2999-03-28"), "still to come"),
        (CLOSED, ACTION.replace("2026-04-02", "2026-05-02") + "}\n", "was closed on 2026-03-20; expected `reopened`"),
        (CLOSED, AGAIN[:-2] + CLOSED[len(ACTION) :], "both `closed` and `reopened`"),
        (CLOSED, AGAIN.replace("owner}", "owner, date: 2026-03-29}"), "when the action was taken on"),
        (CLOSED + AGAIN[len("actions:\n") :], CLOSED.replace("03-20", "03-21"), "when it was opened again"),
    ],
)
def test_an_action_is_opened_again_only_once_closed_and_by_somebody(
    audit: Path, folder: Path, before: str, text: str, message: str
) -> None:
    add(audit, folder, before)
    kept = (folder / "statements.json").read_bytes()
    with pytest.raises(AuditError, match=message):
        add(audit, folder, text)
    assert (folder / "statements.json").read_bytes() == kept


def test_a_spec_that_opens_what_was_never_closed_is_refused_before_any_work(audit: Path, tmp_path: Path) -> None:
    spec = audit / "opened.yaml"
    spec.write_text(SPEC + AGAIN)
    with pytest.raises(AuditError, match="never closed"):
        run_audit(load_spec(spec), Options(out=tmp_path / "reports"), Silent())
    assert not list(tmp_path.rglob("*.jsonl"))


def test_packs_and_their_clauses_are_listed() -> None:
    packs = json.loads(CliRunner().invoke(main, ["clauses", "--domain", "finance", "--json"]).output)
    assert {"us-credit", "us-mrm"} <= {pack["id"] for pack in packs}
    assert all("finance" in pack["domains"] for pack in packs)
    clauses = json.loads(CliRunner().invoke(main, ["clauses", "us-credit", "--json"]).output)
    assert [clause["id"] for clause in clauses] == [clause.id for clause in load_pack("us-credit").clauses]
    wrong = CliRunner().invoke(main, ["clauses", "us-kredit"])
    assert wrong.exit_code == 2
    assert 'Did you mean "us-credit"?' in wrong.output
