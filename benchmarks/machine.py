"""What kind of machine the numbers come from."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from benchmarks.results import Machine
from benchmarks.works import Kind


def this_machine(device: Kind, repeats: int) -> Machine:
    """The processor's or the GPU's name, cores and threads, and what else changes seconds."""
    kind = torch.cuda.get_device_name() if device == "cuda" else processor()
    return Machine(kind, _cores(), torch.get_num_threads(), torch.__version__, repeats, _note(device))


def processor() -> str:
    """Name of the processor as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _note(device: Kind) -> str:
    if device == "cpu":
        return f"vector instructions {torch.backends.cpu.get_cpu_capability()}"
    tf32 = "in TF32, torch's default, for all three alike" if torch.backends.cudnn.allow_tf32 else "in full float32"
    return f"float32 convolutions {tf32}"
