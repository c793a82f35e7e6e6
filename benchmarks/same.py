"""Whether a GPU gives the CPU's maps: every method on small nets, `python -m benchmarks.same --device cuda`.

Exit code 1 where a map differs by more than the tolerance. TF32 is off: this compares arithmetic, not its precision.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ours import explain, prepared
from benchmarks.subject import SEED, model_spec, pictures
from xai_audit import registry
from xai_audit.explain.explained import Explained, Outcome
from xai_audit.model.load import load_model

SIDE, IMAGES = 64, 3
TOLERANCE = 2e-3
"""Largest relative distance |cuda - cpu| / |cpu| of a method's maps: float32 sums in another order."""
FEWER: Mapping[str, Mapping[str, Any]] = {
    "score_cam": {"top_k": 64},
    "integrated_gradients": {"n_steps": 16, "max_steps": 16},
    "smooth_grad": {"samples": 8, "noise": 1e-6},  # each kind of device draws noise of its own: next to none is drawn
    "occlusion": {"window": 16, "stride": 8},
}
NETS = ("torchvision.models:resnet18", "torchvision.models:vgg11", "torchvision.models:efficientnet_b0")


@dataclass(frozen=True)
class Compared:
    """One method on one net, on both devices."""

    net: str
    method: str
    verdict: str
    """`same`, `refused by both`, or what is wrong."""
    distance: float | None

    @property
    def is_fine(self) -> bool:
        """Whether both devices gave the same maps, or the same refusal."""
        return self.verdict in ("same", "refused by both")


def compare(device: str, net: str) -> Iterator[Compared]:
    """Every method of the registry on one net, all of them in one audit a device."""
    one, other = _outcomes(net, "cpu"), _outcomes(net, device)
    for entry in registry.METHODS:
        yield _compared(net, entry.name, one[entry.name], other[entry.name])


def _outcomes(net: str, device: str) -> Mapping[str, Outcome | Exception]:
    spec = model_spec(net, SIDE)
    methods = [{"use": entry.name, **FEWER.get(entry.name, {})} for entry in registry.METHODS]
    try:
        ours = prepared(load_model(spec, Path(), device, SEED), spec, methods)
        return explain(ours, pictures(IMAGES, SIDE))
    except Exception as error:  # told in the table: the other nets go on
        return {entry.name: error for entry in registry.METHODS}


def _compared(net: str, method: str, one: Outcome | Exception, other: Outcome | Exception) -> Compared:
    if isinstance(one, Explained) and isinstance(other, Explained):
        distance = float(np.linalg.norm(one.raw - other.raw) / max(float(np.linalg.norm(one.raw)), 1e-12))
        return Compared(net, method, "same" if distance <= TOLERANCE else "differs", distance)
    if not isinstance(one, Explained) and str(one) == str(other):
        return Compared(net, method, "refused by both", None)
    told = [outcome for outcome in (one, other) if not isinstance(outcome, Explained)]
    return Compared(net, method, "; ".join(f"{type(error).__name__}: {error}" for error in told), None)


def main() -> None:
    """Print one line a method and net; exit with 1 if any is not fine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    found = []
    for entry in (entry for net in NETS for entry in compare(given.device, net)):
        found.append(entry)
        distance = "" if entry.distance is None else f"{entry.distance:.2e}"
        print(f"{entry.net.partition(':')[2]:16} {entry.method:22} {distance:9} {entry.verdict}", flush=True)
    sys.exit(0 if all(entry.is_fine for entry in found) else 1)


if __name__ == "__main__":
    main()
