"""Memory above the loaded model while one method explains 64 images, on a CPU each method in a process of its own.

`python -m benchmarks.memory --method saliency` prints one entry as JSON. Methods that ask many rows an image ask fewer
here (`FEWER`): a batch, which is what takes memory, is as large as ever.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.ours import explain, maps, prepared
from benchmarks.results import Memory
from benchmarks.subject import audited_model, model_spec, pictures
from benchmarks.works import Kind
from xai_audit import registry
from xai_audit.explain.explained import MEBIBYTE

IMAGES = 64
FEWER: Mapping[str, Mapping[str, Any]] = {
    "score_cam": {"top_k": 16},
    "integrated_gradients": {"n_steps": 8, "max_steps": 8},
    "smooth_grad": {"samples": 8},
    "occlusion": {"window": 64, "stride": 32},
}


def measure_all(device: Kind) -> tuple[Memory, ...]:
    """One entry a method, in the registry's order; a GPU counts its own allocations, so that one process will do."""
    names = [entry.name for entry in registry.METHODS]
    return tuple(measure(name, device) if device == "cuda" else _in_a_process(name, device) for name in names)


def _in_a_process(method: str, device: Kind) -> Memory:
    command = [sys.executable, "-m", "benchmarks.memory", "--method", method, "--device", device]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def measure(method: str, device: Kind) -> Memory:
    """The peak of one method above what is there after loading the model and one small run."""
    pixels = pictures(IMAGES)
    ours = prepared(audited_model(device), model_spec(), [{"use": method, **FEWER.get(method, {})}])
    explain(ours, pixels[:1])  # libraries take their own memory at first use
    gc.collect()
    before = _resident(device)
    _reset_peak(device)
    found = maps(explain(ours, pixels))
    peak = _peak(device) - before
    kept = sum(values.nbytes for values in found.values())
    return Memory(method, round(peak / MEBIBYTE, 1), round(kept / MEBIBYTE, 1), ours.limits.memory_mb)


def _status(key: str) -> int:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _resident(device: Kind) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else _status("VmRSS")


def _reset_peak(device: Kind) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: Kind) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def main() -> None:
    """Measure one method and print its entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, choices=[entry.name for entry in registry.METHODS])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    given = parser.parse_args()
    print(json.dumps(asdict(measure(given.method, given.device))))


if __name__ == "__main__":
    main()
