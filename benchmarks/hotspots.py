"""Where our time goes on one work: `python -m benchmarks.hotspots --work occlusion` prints it and stores nothing."""

from __future__ import annotations

import argparse
import cProfile
import pstats

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.ours import Ours, Pixels, explain, maps, prepared
from benchmarks.subject import audited_model, model_spec, pictures
from benchmarks.works import WORKS, Kind


def by_function(ours: Ours, pixels: Pixels, lines: int) -> None:
    """Python functions by the time spent in them alone."""
    watch = cProfile.Profile()
    watch.runcall(explain, ours, pixels)
    pstats.Stats(watch).strip_dirs().sort_stats("tottime").print_stats(lines)


def by_operation(ours: Ours, pixels: Pixels, lines: int, device: Kind) -> None:
    """Torch's operations by the time spent in them alone, on the device if it is a GPU."""
    gpu = [ProfilerActivity.CUDA] if device == "cuda" else []
    with profile(activities=[ProfilerActivity.CPU, *gpu]) as watch:
        explain(ours, pixels)
        if gpu:
            torch.cuda.synchronize()
    order = "self_cuda_time_total" if gpu else "self_cpu_time_total"
    print(watch.key_averages().table(sort_by=order, row_limit=lines, max_name_column_width=48))


def main() -> None:
    """Profile the first work whose name has the text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=list(WORKS))
    parser.add_argument("--work", default="6 CAMs")
    parser.add_argument("--lines", type=int, default=25)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    work = next(work for work in WORKS[given.device] if given.work in work.name)
    pixels = pictures(work.images)
    ours = prepared(audited_model(given.device), model_spec(), work.methods, work.precision)
    maps(explain(ours, pixels))
    print(work.name)
    by_function(ours, pixels, given.lines)
    by_operation(ours, pixels, given.lines, given.device)


if __name__ == "__main__":
    main()
