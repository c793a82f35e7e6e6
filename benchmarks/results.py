"""What `benchmarks/results/<device>.json` holds: rows of the table, and what is needed to read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """Ours and one peer on one work. Seconds are medians: CPU seconds of the process, or GPU time between events."""

    work: str
    device: str
    """cpu or cuda."""
    precision: str
    ours_seconds: float
    raw_seconds: float
    """Of as many raw passes of the same net in the same precision, in full batches."""
    ours_ratio: float
    """Ours by raw."""
    target_ratio: float | None
    """Most that `ours_ratio` should be."""
    peer: str | None
    peer_version: str | None
    peer_seconds: float | None
    peer_ratio: float | None
    """The peer by raw."""
    agreement: float | None
    """Smallest correlation of ours with the peer's map, over methods and images."""


@dataclass(frozen=True)
class Wall:
    """Wall seconds of a row, which depend on what else the machine did."""

    work: str
    peer: str | None
    ours_seconds: float
    raw_seconds: float
    peer_seconds: float | None


@dataclass(frozen=True)
class Agreement:
    """Ours and a peer on one method."""

    work: str
    peer: str
    method: str
    correlation: float
    """Smallest over the images, of the maps as the peer gives them."""


@dataclass(frozen=True)
class Setup:
    """What a work needs once an audit, which `ours_seconds` has not: recording the net's graph."""

    work: str
    seconds: float


@dataclass(frozen=True)
class Memory:
    """Memory above the loaded model and the given images while a method explains 64 images."""

    method: str
    peak_mb: float
    """MiB: of resident memory on a CPU, of allocated memory on a GPU."""
    maps_mb: float
    """MiB of that which are the maps that the method gives."""
    budget_mb: int
    """MiB that batches may take."""


@dataclass(frozen=True)
class Machine:
    """Where and with what the numbers were taken."""

    kind: str
    cores: int
    threads: int
    torch: str
    repeats: int
    note: str
    """What else must be known, such as TF32."""


@dataclass(frozen=True)
class Results:
    """One device's file."""

    machine: Machine
    rows: tuple[Row, ...]
    wall: tuple[Wall, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    setup: tuple[Setup, ...] = ()
    memory: tuple[Memory, ...] = ()


PARTS = {"rows": Row, "wall": Wall, "agreement": Agreement, "setup": Setup, "memory": Memory}


def write(results: Results, path: Path) -> None:
    """The file, one entry a line."""
    kept = asdict(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = ["  " + json.dumps("machine") + ": " + json.dumps(kept["machine"])]
    parts += [f"  {json.dumps(name)}: {_lines(kept[name])}" for name in PARTS]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def _lines(entries: list[dict[str, object]]) -> str:
    return "[\n" + ",\n".join("    " + json.dumps(entry) for entry in entries) + "\n  ]" if entries else "[]"


def read(path: Path) -> Results:
    """The file of one device. Raises TypeError where a key is missing or unknown."""
    kept = json.loads(path.read_text())
    parts = {name: tuple(make(**entry) for entry in kept.pop(name)) for name, make in PARTS.items()}
    return Results(machine=Machine(**kept.pop("machine")), **kept, **parts)


def with_newer(stored: Results, newer: Results, order: Sequence[str]) -> Results:
    """The stored results with those of some works measured anew, in the order of the works' names.

    Raises ValueError where they come from machines that differ in more than the number of rounds.
    """
    if replace(stored.machine, repeats=0) != replace(newer.machine, repeats=0):
        raise ValueError(f"stored on {stored.machine}, measured on {newer.machine}: measure all works together")
    anew = {row.work for row in newer.rows}

    def both(name: str) -> tuple[Any, ...]:
        kept = [entry for entry in getattr(stored, name) if entry.work not in anew]
        return tuple(sorted([*kept, *getattr(newer, name)], key=lambda entry: order.index(entry.work)))

    return replace(stored, **{name: both(name) for name in ("rows", "wall", "agreement", "setup")})


def row_keys() -> tuple[str, ...]:
    """Keys of a row, in order."""
    return tuple(field.name for field in fields(Row))
