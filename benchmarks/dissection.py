"""Network dissection of a slice beside the raw forwards of the same pictures, through the scan that an audit runs.

`python -m benchmarks.dissection` prints one entry as JSON: ResNet-18 with random weights, layer4, 2,000 pictures of
224 x 224 with three masks each, read from an .npz file; the median of some rounds, ours and raw in turn. `--store`
keeps it for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from benchmarks.machine import this_machine
from benchmarks.raw import Raw
from benchmarks.results import RESULTS
from benchmarks.subject import CLASSES, SIDE, audited_model, model_spec, pictures, subject
from benchmarks.timing import in_turn
from benchmarks.works import ROWS
from xai_audit.data.slices import members
from xai_audit.data.sources import open_dataset
from xai_audit.engines.preparing import prepare
from xai_audit.engines.progress import Silent
from xai_audit.engines.scanning import scan_unit
from xai_audit.engines.steps import Context
from xai_audit.evidence.records import Passes
from xai_audit.explain.explained import Limits
from xai_audit.model.audited import AuditedModel
from xai_audit.plan import Counts, Step, make_plan
from xai_audit.spec.schema import AuditSpec

STORED = RESULTS / "dissection" / "cpu.json"
TARGET = 2.2
CONCEPTS = ("large", "middle", "small")
SIDES = (140, 70, 35)
"""Of the square that each concept marks, in pixels."""
_AT_ONCE = 50
_FEW = 32

Dissect = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """What dissecting one layer costs."""

    layer: str
    pictures: int
    concepts: int
    shuffles: int
    kind: str
    threads: int
    torch: str
    repeats: int
    ours_seconds: float
    """CPU seconds of the whole scan: pictures and masks read, forwards, overlaps, shuffles, and random directions."""
    raw_seconds: float
    """CPU seconds of one forward a picture in full batches, nothing read and nothing kept."""
    ratio: float
    target: float
    looks: int
    tried_further: int
    """Units that more shuffles than asked for were made for."""


def measure(count: int, repeats: int, layer: str = "layer4") -> Entry:
    """Ours and raw in turn, each run once on a few pictures before the clock starts."""
    model, found = audited_model("cpu"), []
    raw = Raw.of(subject(model, pictures(ROWS["cpu"])), Passes(1), ROWS["cpu"])
    with tempfile.TemporaryDirectory() as folder:
        few, whole = (dissect(model, Path(folder) / f"{number}.npz", number, layer) for number in (_FEW, count))
        few()
        raw.run()
        raw = replace(raw, passes=Passes(count))
        spent = in_turn({"ours": lambda: found.append(whole()), "raw": raw.run}, "cpu", repeats)
    details, machine = found[-1], this_machine("cpu", repeats)
    ours, plain, shuffles = spent["ours"].seconds, spent["raw"].seconds, details["parameters"]["shuffles"]
    further = sum(unit["shuffles"] > shuffles for unit in details["units"])
    return Entry(
        layer, count, len(CONCEPTS), shuffles, machine.kind, machine.threads, machine.torch, repeats,
        round(ours, 1), round(plain, 1), round(ours / plain, 3), TARGET, details["looks"], further,
    )  # fmt: skip


def dissect(model: AuditedModel, file: Path, count: int, layer: str) -> Dissect:
    """A dissection that is ready to run: its pictures are on the disk and its model is checked."""
    _write(file, count)
    audit = AuditSpec.model_validate(
        {
            "version": 1,
            "audit": {"id": "benchmark", "title": "Benchmark", "owner": {"name": "Nobody", "role": "none"}},
            "model": model_spec().model_dump(by_alias=True),
            "data": {
                "source": {"kind": "arrays", "file": str(file)},
                "masks": dict(zip(CONCEPTS, CONCEPTS, strict=True)),
            },
            "concepts": CONCEPTS,
            "methods": ({"use": "network_dissection", "layer": layer},),
        }
    )
    dataset = open_dataset(audit, file.parent)
    slices = {part.name: members(dataset, part) for part in audit.slices}
    prepared = prepare(model, audit)
    context = Context(
        spec=audit, spec_folder=file.parent, dataset=dataset, digests=(), slices=slices, model=model,
        limits=Limits.of(model.device), precision="float32", prepared=lambda: prepared, progress=Silent(), profile={},
        read=_never, report=raise_again,
    )  # fmt: skip
    steps = make_plan(audit, Counts(count, {name: len(cases) for name, cases in slices.items()})).steps
    unit = [step for step in steps if step.kind in ("scan", "dissection")]
    return lambda: scan_unit(context, unit)[1].record.details


def _write(file: Path, count: int) -> None:
    """Smooth noise with three brighter squares, each in another colour."""
    images, rng = np.zeros((count, SIDE, SIDE, 3), np.uint8), np.random.default_rng(0)
    masks: dict[str, Any] = {name: np.zeros((count, SIDE, SIDE), np.bool_) for name in CONCEPTS}
    for start in range(0, count, _AT_ONCE):
        part = pictures(min(_AT_ONCE, count - start), seed=start).transpose(0, 2, 3, 1)
        images[start : start + len(part)] = part * 155
    for case in range(count):
        for channel, (name, side) in enumerate(zip(CONCEPTS, SIDES, strict=True)):
            top, left = rng.integers(0, SIDE - side, 2)
            masks[name][case, top : top + side, left : left + side] = True
            images[case, :, :, channel][masks[name][case]] += 100
    np.savez(file, images=images, labels=np.arange(count) % CLASSES, **masks)


def _never(step: str) -> NoReturn:
    raise AssertionError(step)


def raise_again(step: Step, error: Exception) -> NoReturn:
    """Nothing may fail here."""
    raise error


def main() -> None:
    """Print one entry, and keep it where asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--layer", default="layer4")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    entry = json.dumps(asdict(measure(given.pictures, given.repeats, given.layer)), indent=2)
    print(entry)
    if given.store:
        STORED.parent.mkdir(parents=True, exist_ok=True)
        STORED.write_text(entry + "\n")


if __name__ == "__main__":
    main()
