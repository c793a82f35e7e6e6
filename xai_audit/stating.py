"""Adding to a run folder what people say of it: nothing is measured anew, and nothing said before is taken away."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from xai_audit.errors import DataError, EvidenceError, Problem, SpecErrors
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import record_outputs, require_unchanged
from xai_audit.spec.messages import did_you_mean, one_of
from xai_audit.spec.people import AttachedFile, StatementEntry
from xai_audit.spec.people_file import Declared
from xai_audit.spec.yaml_nodes import quoted
from xai_audit.verdict import Finding
from xai_audit.verdict.people import (
    NAME,
    Action,
    Attached,
    People,
    Statement,
    action_of,
    people_text,
    read_people,
    statement_of,
)

MOST_BYTES = 32 * 2**20
"""Largest file that a statement may bring along."""


@dataclass(frozen=True)
class Added:
    """What a file added to a run folder; zeros where all of it was there already."""

    people: People
    statements: int
    actions: int


def add_people(folder: Path, declared: Declared) -> Added:
    """Add statements and actions to a finished run, with the files that belong to them; the caller holds the folder.

    What is there word for word is not added again, and an edit is the next version. Raises DataError for a file that
    is missing or has another digest, SpecErrors for a date to come or an action that cannot be opened again,
    EvidenceError where the folder was changed.
    """
    require_unchanged(folder, "judged", "rendered")
    path, before = folder / NAME, people_in(folder)
    _refuse_future(declared, datetime.datetime.now(datetime.UTC).date())
    files: dict[str, bytes] = {}
    said = [_with_file(entry, declared.folder, files) for entry in declared.statements]
    refuse_out_of_order(before, declared)
    after = before.with_more(said, [action_of(entry) for entry in declared.actions])
    if after != before:
        kept = {one.attachment.path for one in after.statements if one.attachment is not None}
        for name, data in files.items():
            write_atomically(folder / name, data)
        write_atomically(path, people_text(after).encode())
        record_outputs(folder, "stated", [NAME, *sorted(kept)])
    return Added(after, len(after.statements) - len(before.statements), len(after.actions) - len(before.actions))


def _refuse_future(declared: Declared, today: datetime.date) -> None:
    """Nobody has said tomorrow's words; a day is let pass for zones that are ahead."""
    latest = today + datetime.timedelta(days=1)
    dates = [(f"statements[{place}].date", one.date) for place, one in enumerate(declared.statements)]
    dates += [
        (f"actions[{place}].{key}.date", turn.date)
        for place, one in enumerate(declared.actions)
        for key, turn in (("closed", one.closed), ("reopened", one.reopened))
        if turn is not None
    ]
    problems = tuple(
        Problem(where, f"{date}, which is still to come", f"a day up to {today}", "Correct the date.")
        for where, date in dates
        if date > latest
    )
    if problems:
        raise SpecErrors(problems)


def people_in(folder: Path) -> People:
    """What people said of a run so far; nobody where the folder is new."""
    path = folder / NAME
    return read_people(path.read_bytes() if path.exists() else b"")


def refuse_out_of_order(before: People, declared: Declared) -> None:
    """Raise SpecErrors for an action that is opened again without having been closed, or without a word of it."""
    problems = []
    for place, entry in enumerate(declared.actions):
        action = action_of(entry)
        problem = None if before.has(action) else _out_of_order(action, before, f"actions[{place}]")
        problems += [problem] if problem is not None else []
        before = before.with_more((), [action])
    if problems:
        raise SpecErrors(tuple(problems))


def _out_of_order(action: Action, before: People, where: str) -> Problem | None:
    last = next(reversed(before.versions(action)), None)
    turns = before.turns(action)
    turn = action.closed or action.reopened
    if action.reopened is not None and not turns:
        fix = "Write `finding` and `what` as they stand where it was closed."
        return Problem(f"{where}.reopened", "an action that was never closed", "one that was closed before", fix)
    if turn is None and last is not None and last.closed is not None:
        fix = "Add `reopened: {by: ..., date: ..., text: ...}`, or keep `closed`."
        return Problem(where, f"an action that was closed on {last.closed.date}", "`reopened` or `closed`", fix)
    if turn is not None and turns and type(turns[-1]) is not type(turn) and turn.date < turns[-1].date:
        key = "closed" if action.closed is not None else "reopened"
        expected = f"a day on or after {turns[-1].date}, when it was {'opened again' if key == 'closed' else 'closed'}"
        return Problem(f"{where}.{key}.date", str(turn.date), expected, "Correct one of the two dates.")
    return None


def _with_file(entry: StatementEntry, folder: Path, files: dict[str, bytes]) -> Statement:
    if entry.attachment is None:
        return statement_of(entry)
    where = f"statement about {entry.subject}: attachment"
    data = _read(entry.attachment, folder, where)
    attached = Attached(PurePosixPath(entry.attachment.file).name, sha256(data))
    files[attached.path] = data
    return statement_of(entry, attached)


def _read(attachment: AttachedFile, folder: Path, where: str) -> bytes:
    """The bytes of a file beside the statements, as digested. DataError for any other."""
    name = attachment.file
    pure, found = PurePosixPath(name), f"the path {quoted(name)}"
    if pure.is_absolute() or PureWindowsPath(name).drive or "\\" in name or ".." in pure.parts or not pure.name:
        raise DataError(where, found, "a path below the file that names it", "Put the file beside the statements.")
    path = folder / name
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(where, found, "a file below the file that names it", "Put the file beside the statements.")
    if path.stat().st_size > MOST_BYTES:
        size = f"{path.stat().st_size:,} bytes"
        raise DataError(where, size, f"at most {MOST_BYTES:,} bytes", "Attach a smaller file.")
    data = path.read_bytes()
    if attachment.sha256 is not None and sha256(data) != attachment.sha256:
        expected = f"the file with sha256 {attachment.sha256}"
        raise DataError(where, f"sha256 {sha256(data)}", expected, "Bring the file back, or correct the digest.")
    return data


def require_findings(declared: Declared, findings: tuple[Finding, ...], file: str) -> None:
    """Raise EvidenceError for an action on a finding that the run does not have."""
    known = [finding.id for finding in findings]
    for place, action in enumerate(declared.actions):
        if action.finding not in known:
            near = did_you_mean(action.finding, known)
            fix = f"Did you mean {quoted(near)}?" if near else "findings.json names every finding."
            where = f"{file}: actions[{place}].finding"
            raise EvidenceError(where, quoted(action.finding), one_of(known), fix)
