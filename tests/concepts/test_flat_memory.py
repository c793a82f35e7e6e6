"""Memory does not follow the number of pictures: ten thousand through one scan of units and concepts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CASES = 10_000
NET = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
    )
"""
SPEC = """version: 1
audit: {id: many, title: Many pictures, owner: {name: A. Tester, role: owner}}
model: {factory: net.py:build, task: single_label, classes: [a, b], input: {size: [16, 16]}}
data:
  source: {kind: arrays, file: cases.npz, image: images, label: labels}
  masks: {spot: spot}
concepts: [spot]
slices: [{name: all}, {name: part, where: {number: {below: COUNT}}}]
methods:
  - {use: activation_maps, layer: "3", slice: part}
  - {use: network_dissection, layer: "3", slice: part, shuffles: 19}
"""
CHILD = """
import json, sys, threading, time
from pathlib import Path
from xai_audit.engines import scanning
from xai_audit.engines.progress import Silent
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

folder, peak, going = Path(sys.argv[1]), [0], [True]
scan = scanning.scan_unit


def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def watched(context, unit):
    before = held()

    def watch():
        while going[0]:
            peak[0] = max(peak[0], held() - before)
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        return scan(context, unit)
    finally:
        going[0] = False
        thread.join()


scanning.scan_unit = watched
outcome = run_audit(load_spec(folder / sys.argv[2]), Options(out=folder / "out"), Silent())
status = {record.kind: record.status for record in outcome.run.records}
print(json.dumps({"peak": peak[0], "units": status["units"], "dissection": status["dissection"]}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng, at = np.random.default_rng(0), tmp_path_factory.mktemp("many")
    images = rng.integers(0, 256, (CASES, 16, 16, 3), dtype=np.uint8)
    spot = np.zeros((CASES, 16, 16), np.uint8)
    spot[::2, 4:8, 4:8] = 1
    numbers = np.arange(CASES)
    np.savez(at / "cases.npz", images=images, labels=numbers % 2, spot=spot, number=numbers)
    (at / "net.py").write_text(NET)
    return at


def grown(folder: Path, cases: int) -> int:
    """Bytes by which a scan of so many cases makes the process grow at its highest, in a process of its own.

    Pages of the mapped file of pictures are not counted: the system drops them when it likes.
    """
    name = f"{cases}.yaml"
    (folder / name).write_text(SPEC.replace("COUNT", str(cases)))
    done = subprocess.run([sys.executable, "-c", CHILD, str(folder), name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["units"] == found["dissection"] == "measured"
    return int(found["peak"])


@pytest.mark.slow
def test_memory_is_flat_in_the_number_of_pictures(folder: Path) -> None:
    """A twentieth of the pictures first. What may grow with them is said: marks on the coarse grid (2 bytes a cell and
    concept), each case's largest activations read back in parts, and rows of the table; together under 1 KiB a case.

    The activations alone, 8 x 8 x 8 numbers of 4 bytes, would be 2 KiB a case, the pictures at float32 another 3 KiB.
    """
    few, many = grown(folder, CASES // 20), grown(folder, CASES)
    assert many - few < 1024 * CASES, f"{few / 2**20:.1f} MiB for {CASES // 20}, {many / 2**20:.1f} MiB for {CASES}"
