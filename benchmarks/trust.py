"""The trust gate's dearest check for one method: parameter randomisation on some images, in passes and in time.

`python -m benchmarks.trust --images 64` prints one entry as JSON: passes counted beside those of the definition,
(stages + 1) x method, with the original maps known; and seconds with the untouched part reused beside whole forwards.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import numpy as np
from pydantic import TypeAdapter

from benchmarks.subject import audited_model, model_spec, pictures
from benchmarks.works import Kind
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.explain.method_layers import method_layers
from xai_audit.explain.randomised import Randomising, randomised_maps
from xai_audit.explain.untouched import UntouchedPart
from xai_audit.model.audited import AuditedModel
from xai_audit.model.randomising import random_network
from xai_audit.spec.methods import Method

Made = TypeVar("Made")


@dataclass(frozen=True)
class Entry:
    """One method's parameter randomisation."""

    method: str
    images: int
    stages: int
    rows_made: int
    """Forwards and parts of forwards, one an image."""
    rows_of_definition: int
    """(stages + 1) x images."""
    backwards_made: int
    backwards_of_definition: int
    draw_seconds: float
    """To draw every tensor anew, once."""
    record_seconds: float
    """To record the net and to check every stage, once."""
    seconds: float
    whole_seconds: float
    """The same with a whole forward at every stage."""
    largest_difference: float
    """Of the two ways' maps, as a share of the largest value."""


def measure(
    method: str, images: int, device: Kind = "cpu", stages: int = 8, model: AuditedModel | None = None
) -> Entry:
    """Both ways, one after the other."""
    model = model or audited_model(device)
    one: Method = TypeAdapter(Method).validate_python({"use": method})
    layers = method_layers([one], model, model_spec())
    drawn, network = _timed(lambda: random_network(model, 0, stages=stages))
    paths = tuple(layer.path for layer in layers.values() if not isinstance(layer, Refusal))
    recorded, untouched = _timed(lambda: UntouchedPart.of(network, paths))
    pixels = pictures(images)
    batch = Batch(tuple(range(images)), tuple(map(str, range(images))), pixels, (0,) * images)
    whole = Randomising(network, layers, FillSources(mean_colour=(0.5, 0.5, 0.5)), 0, Limits.of(model.device))
    reusing = replace(whole, untouched=untouched)
    seconds, (maps, passes) = _timed(lambda: _all([one], batch, reusing))
    whole_seconds, (others, _) = _timed(lambda: _all([one], batch, whole))
    differences = [float(np.abs(maps[key] - raw).max() / max(np.abs(raw).max(), 1e-30)) for key, raw in others.items()]
    count = len(network.stages)
    return Entry(
        method, images, count, passes.rows, (count + 1) * images, passes.backwards, count * images, drawn, recorded,
        seconds, whole_seconds, max(differences),
    )  # fmt: skip


def _all(methods: Sequence[Method], batch: Batch, how: Randomising) -> tuple[dict[tuple[int, str], np.ndarray], Passes]:
    maps: dict[tuple[int, str], np.ndarray] = {}
    passes = NO_PASSES
    for item in randomised_maps(methods, lambda: [batch], how):
        passes = sum(item.passes.values(), passes)
        for outcome in item.outcomes.values():
            assert isinstance(outcome, Explained), outcome
            maps |= {(item.stage, name): raw for name, raw in zip(outcome.ids, outcome.raw, strict=True)}
    return maps, passes


def _timed(work: Callable[[], Made]) -> tuple[float, Made]:
    start = time.perf_counter()
    made = work()
    return round(time.perf_counter() - start, 3), made


def main() -> None:
    """Print one entry a method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--method", action="append", default=None)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    for method in given.method or ["saliency", "grad_cam"]:
        print(json.dumps(asdict(measure(method, given.images, given.device))))


if __name__ == "__main__":
    main()
