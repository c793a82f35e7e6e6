"""The manifest of a run and the check that nothing in its folder has changed since."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical, file_sha256
from xai_audit.evidence.events import NAME as EVENTS
from xai_audit.evidence.events import Event, append_event, last, read_events
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.store import MANIFEST

MADE_LATER = ("judged", "compared", "stated", "rendered")
"""Events that log files added to a finished run: findings, what an earlier run said, what people say, and reports."""


@dataclass(frozen=True)
class Fault:
    """A file of a run folder that is not as it was left."""

    file: str
    problem: str


def digests(folder: Path, files: Iterable[str]) -> dict[str, dict[str, Any]]:
    """sha256 and size of files, by path relative to the folder."""
    return {
        name: {"sha256": file_sha256(folder / name), "size": (folder / name).stat().st_size} for name in sorted(files)
    }


def files_under(folder: Path) -> tuple[str, ...]:
    """Every file of a folder, by relative path; a link counts as a file and is not followed."""
    return tuple(
        sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
        )
    )


def seal(folder: Path, manifest: dict[str, Any], files: Iterable[str]) -> None:
    """Write the manifest over the evidence files and log its digest: from here on the run is finished."""
    text = canonical({**manifest, "files": digests(folder, files)})
    write_atomically(folder / MANIFEST, f"{text}\n".encode())
    append_event(folder, "sealed", {"files": digests(folder, [MANIFEST])})


def record_outputs(folder: Path, event: str, files: Iterable[str]) -> None:
    """Log the digests of files made from evidence (`judged`: findings, `rendered`: the report) or by people."""
    append_event(folder, event, {"files": digests(folder, files)})


def _check(folder: Path, expected: dict[str, dict[str, Any]]) -> tuple[Fault, ...]:
    faults = []
    for name, entry in expected.items():
        path = folder / name
        if path.is_symlink():
            faults.append(Fault(name, "replaced by a link"))
        elif not path.is_file():
            faults.append(Fault(name, "missing"))
        elif path.stat().st_size != entry["size"] or file_sha256(path) != entry["sha256"]:
            faults.append(Fault(name, "changed"))
    return tuple(faults)


def _logged(events: tuple[Event, ...], name: str) -> dict[str, dict[str, Any]]:
    """Digests of the files that events of a name log, of each file the latest: a rendering may write one of them."""
    return {file: entry for event in events if event.event == name for file, entry in event.data["files"].items()}


def is_sealed(folder: Path) -> bool:
    """The run is finished: its manifest is there and logged. A run killed between the two is not."""
    is_written = (folder / MANIFEST).exists() and (folder / EVENTS).exists()
    return is_written and last(read_events(folder), "sealed") is not None


def require_unchanged(folder: Path, *made_again: str) -> None:
    """Raise EvidenceError when a file of a finished run is not as it was left, so that nothing is made from it.

    Files that the events `made_again` log may differ, for they are about to be written anew; so may files that were
    added, but none that would be read: an array, what people said, or what an earlier run said.
    """
    faults = verify(folder)
    if not faults:
        return
    events = read_events(folder)
    may_differ = {name for event in made_again for name in _logged(events, event)}
    faults = tuple(
        fault
        for fault in faults
        if fault.file not in may_differ and (fault.problem != "added" or _is_read(fault.file, made_again))
    )
    if faults:
        named = ", ".join(f"{fault.file} {fault.problem}" for fault in faults[:5])
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise EvidenceError(
            str(folder), f"{named}{more}", "a run folder as it was left",
            "Bring back the files as they were, remove what was added, or delete the folder and run the audit again.",
        )  # fmt: skip


def _is_read(file: str, made_again: tuple[str, ...]) -> bool:
    """Whether a file that nobody logged would be read as a part of the run; not if it is about to be made again."""
    if file == "comparison.json":
        return "compared" not in made_again
    return file == "statements.json" or file.startswith(("arrays/", "attachments/"))


def verify(folder: Path) -> tuple[Fault, ...]:
    """Every file of a finished run that was changed, is missing or was added; empty when all is as it was left.

    Evidence is checked against manifest.json, manifest.json and everything made from evidence against events.jsonl,
    and events.jsonl against its own chain of hashes. EvidenceError when the folder holds no finished run.
    """
    if not folder.is_dir():
        raise EvidenceError(
            str(folder), "no such folder", "a run folder", "Name a folder that `xai-audit run` has written."
        )
    try:
        events = read_events(folder)
    except EvidenceError as error:
        return (Fault(EVENTS, error.problem.found),)
    sealed = _logged(events, "sealed")
    if not sealed:
        raise EvidenceError(str(folder), "an unfinished run", "a finished run folder", "Run the audit again.")
    faults = _check(folder, sealed)
    if faults:
        return faults
    evidence = json.loads((folder / MANIFEST).read_bytes())["files"]
    outputs = {file: entry for event in MADE_LATER for file, entry in _logged(events, event).items()}
    known = {EVENTS, MANIFEST, *evidence, *outputs}
    added = tuple(Fault(name, "added") for name in files_under(folder) if name not in known)
    return (*_check(folder, evidence), *_check(folder, outputs), *added)
