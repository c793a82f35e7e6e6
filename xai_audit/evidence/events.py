"""The log of a run folder: one JSON line an event, each bound to the one before by its hash."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.files import write_atomically

NAME = "events.jsonl"
_START = "0" * 64


@dataclass(frozen=True)
class Event:
    """Something that happened to a run folder."""

    time: str
    event: str
    data: dict[str, Any]
    previous: str
    hash: str


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _line(time: str, event: str, data: dict[str, Any], previous: str) -> tuple[str, str]:
    body = {"time": time, "event": event, "data": data, "previous": previous}
    digest = sha256(canonical(body).encode())
    return canonical({**body, "hash": digest}), digest


def _parse(line: str, previous: str, number: int) -> Event:
    try:
        entry = json.loads(line)
        event = Event(entry["time"], entry["event"], entry["data"], entry["previous"], entry["hash"])
        expected, _ = _line(event.time, event.event, event.data, previous)
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(number) from error
    if line != expected:
        raise _broken(number)
    return event


def _broken(number: int) -> EvidenceError:
    return EvidenceError(
        f"{NAME}:{number}", "a line that does not follow from the one before", "an unbroken chain of hashes",
        "The log was edited or cut; what it says about this folder cannot be relied on.",
    )  # fmt: skip


def read_events(folder: Path) -> tuple[Event, ...]:
    """Every event of a folder, in order; EvidenceError at the first line that breaks the chain."""
    path = folder / NAME
    if not path.exists():
        raise EvidenceError(NAME, "no such file", "the log of the run folder", "Run the audit again.")
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _broken(1) from error
    if not text.endswith("\n"):
        raise _broken(text.count("\n") + 1)
    events: list[Event] = []
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        events.append(_parse(line, events[-1].hash if events else _START, number))
    return tuple(events)


def append_event(folder: Path, event: str, data: dict[str, Any]) -> None:
    """Add one event and flush it to disk."""
    path = folder / NAME
    previous = read_events(folder)[-1].hash if path.exists() else _START
    line, _ = _line(now(), event, data, previous)
    with path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def drop_torn_line(folder: Path) -> None:
    """Remove a last line that a killed process wrote only in part."""
    path = folder / NAME
    if path.exists():
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        if torn:
            write_atomically(path, whole + b"\n" if whole else b"")
        if path.stat().st_size == 0:
            path.unlink()


def last(events: tuple[Event, ...], name: str) -> Event | None:
    """The latest event of a name."""
    return next((event for event in reversed(events) if event.event == name), None)
