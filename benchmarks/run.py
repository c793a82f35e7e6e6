"""Time every work: ours, raw passes and peers in one process, back to back (`make bench`).

`python -m benchmarks.run` measures the CPU, `--device cuda` a GPU; each writes `<device>.json` and prints the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import memory
from benchmarks.agreement import correlation
from benchmarks.machine import this_machine
from benchmarks.ours import explain, maps, prepared
from benchmarks.peers import PEERS
from benchmarks.raw import Raw, precise
from benchmarks.results import RESULTS, Agreement, Results, Row, Setup, Wall, read, with_newer, write
from benchmarks.subject import Subject, audited_model, model_spec, pictures, subject
from benchmarks.timing import Run, Spent, in_turn
from benchmarks.works import LONG, ROWS, WORKS, Kind, Work
from xai_audit import registry
from xai_audit.model.audited import AuditedModel

OURS, RAW = "ours", "raw"


@dataclass(frozen=True)
class Measured:
    """All that one work gave."""

    rows: tuple[Row, ...]
    wall: tuple[Wall, ...]
    agreement: tuple[Agreement, ...]
    setup: Setup


def measure(work: Work, model: AuditedModel, device: Kind, repeats: int) -> Measured:
    """Rows of one work, one a peer; without peers one row of ours alone. The first run of each is not timed."""
    pixels = pictures(work.images)
    begin = time.perf_counter()
    ours = prepared(model, model_spec(), work.methods, work.precision)
    setup = Setup(work.name, _rounded(time.perf_counter() - begin))
    given = subject(model, pixels)
    runs: dict[str, Run] = {
        OURS: partial(explain, ours, pixels),
        RAW: Raw.of(given, work.raw, ROWS[device], work.precision).run,
    }
    runs |= {key: partial(_peer, key, work, given) for key in work.peers}
    first = maps(explain(ours, pixels))
    agreement = tuple(entry for key in work.peers for entry in _agreement(work, key, first, _peer(key, work, given)))
    runs[RAW]()
    spent = in_turn(runs, device, work.rounds(repeats))
    peers: tuple[str | None, ...] = work.peers or (None,)
    rows = tuple(_row(work, device, key, spent, agreement) for key in peers)
    return Measured(rows, tuple(_wall(work, key, spent) for key in peers), agreement, setup)


def _peer(key: str, work: Work, given: Subject) -> Mapping[str, np.ndarray]:
    with precise(work.precision, given.inputs.device):
        return PEERS[key].run(given, work.arguments)


def _agreement(
    work: Work, key: str, ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> list[Agreement]:
    return [
        Agreement(work.name, PEERS[key].label, label, round(_correlation(label, ours[label], theirs[label]), 6))
        for label in ours
    ]


def _correlation(method: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    return correlation(ours, theirs, is_picture=registry.method(method).map_kind == "layer")


def _row(work: Work, device: Kind, key: str | None, spent: Mapping[str, Spent], agreement: Sequence[Agreement]) -> Row:
    ours, raw = spent[OURS].seconds, spent[RAW].seconds
    peer = spent[key].seconds if key else None
    label = PEERS[key].label if key else None
    return Row(
        work=work.name,
        device=device,
        precision=work.precision,
        ours_seconds=_rounded(ours),
        raw_seconds=_rounded(raw),
        ours_ratio=_rounded(ours / raw),
        target_ratio=work.target,
        peer=label,
        peer_version=PEERS[key].version if key else None,
        peer_seconds=None if peer is None else _rounded(peer),
        peer_ratio=None if peer is None else _rounded(peer / raw),
        agreement=min((entry.correlation for entry in agreement if entry.peer == label), default=None),
    )


def _wall(work: Work, key: str | None, spent: Mapping[str, Spent]) -> Wall:
    peer = _rounded(spent[key].wall) if key else None
    label = PEERS[key].label if key else None
    return Wall(work.name, label, _rounded(spent[OURS].wall), _rounded(spent[RAW].wall), peer)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def told(row: Row) -> str:
    """The row as one line of the terminal."""
    target = "" if row.target_ratio is None else f" (at most {row.target_ratio:g})"
    ours = f"{row.work}, {row.precision}: ours {row.ours_seconds:.3g} s, {row.ours_ratio:.3g} of raw{target}"
    if row.peer is None or row.peer_seconds is None:
        return ours
    times = row.peer_seconds / row.ours_seconds
    return f"{ours}; {row.peer} {row.peer_version}: {row.peer_ratio:.3g} of raw, {times:.3g} times ours"


def _chosen(device: Kind, name: str) -> list[Work]:
    """All works whose times are stored; with a name those that have it, the long ones too."""
    return [work for work in (*WORKS[device], *LONG[device]) if name in work.name] if name else list(WORKS[device])


def main() -> None:
    """Measure the works of one device and write its file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=list(WORKS))
    parser.add_argument(
        "--repeats", type=int, default=5, help="rounds of which the median is taken; 3 at most for long works"
    )
    parser.add_argument("--threads", type=int, help="torch's threads on the CPU; default: torch's own choice")
    parser.add_argument(
        "--work",
        default="",
        help="only works whose name has this text, long ones too, whose times are printed and not stored",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory of each method")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the file")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    model = audited_model(given.device)
    measured: list[Measured] = []
    for work in _chosen(given.device, given.work):
        measured.append(measure(work, model, given.device, given.repeats))
        print(*map(told, measured[-1].rows), sep="\n", flush=True)
    stored = [work.name for work in WORKS[given.device]]
    if any(entry.setup.work not in stored for entry in measured):
        return
    results = Results(
        machine=this_machine(given.device, given.repeats),
        rows=tuple(row for entry in measured for row in entry.rows),
        wall=tuple(wall for entry in measured for wall in entry.wall),
        agreement=tuple(found for entry in measured for found in entry.agreement),
        setup=tuple(entry.setup for entry in measured),
    )
    path = given.out / f"{given.device}.json"
    if given.work:
        results = with_newer(read(path), results, stored)
    write(results, path)
    if not (given.no_memory or given.work):
        write(replace(results, memory=memory.measure_all(given.device)), path)


if __name__ == "__main__":
    main()
