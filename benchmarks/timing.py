"""Seconds of several pieces of work in one process, taken in turn so that a slow minute meets all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

from benchmarks.works import Kind

Run = Callable[[], object]


@dataclass(frozen=True)
class Spent:
    """Seconds of one run."""

    seconds: float
    """On a CPU the process's CPU seconds over all its threads; on a GPU the time between two CUDA events."""
    wall: float


def timed(run: Run, device: Kind) -> Spent:
    """One run; garbage of earlier ones is collected before."""
    gc.collect()
    return _timed_on_cuda(run) if device == "cuda" else _timed_on_cpu(run)


def _timed_on_cpu(run: Run) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def _timed_on_cuda(run: Run) -> Spent:
    begin, end = _event(), _event()
    torch.cuda.synchronize()
    wall = time.perf_counter()
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return Spent(begin.elapsed_time(end) / 1000, time.perf_counter() - wall)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def in_turn(runs: Mapping[str, Run], device: Kind, repeats: int) -> dict[str, Spent]:
    """The median of each run over `repeats` rounds of all of them, in another order each round."""
    spent: dict[str, list[Spent]] = {name: [] for name in runs}
    for round_ in range(repeats):
        names = list(runs)
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            spent[name].append(timed(runs[name], device))
    return {name: _median(entries) for name, entries in spent.items()}


def _median(entries: list[Spent]) -> Spent:
    return Spent(median(entry.seconds for entry in entries), median(entry.wall for entry in entries))
