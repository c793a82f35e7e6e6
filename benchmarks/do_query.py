"""A do-query on 500 pictures beside the raw forwards that it makes, through the step that an audit runs.

`python -m benchmarks.do_query` prints one entry as JSON: ResNet-18 with random weights, 500 pictures of 224 x 224 from
an .npz file, brightness set to two values (three pictures a case: as it is and under both settings), read, changed,
checked against the operator's contract and asked; the median of some rounds, ours and raw in turn. `--store` keeps it
for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.dissection import raise_again
from benchmarks.machine import this_machine
from benchmarks.raw import Raw
from benchmarks.results import RESULTS
from benchmarks.subject import CLASSES, audited_model, model_spec, pictures, subject
from benchmarks.timing import in_turn
from benchmarks.works import ROWS
from xai_audit.data.slices import members
from xai_audit.data.sources import open_dataset
from xai_audit.engines.causal import asked_of
from xai_audit.engines.operated import by_operator
from xai_audit.engines.preparing import prepare
from xai_audit.engines.progress import Silent
from xai_audit.engines.recording import result_of
from xai_audit.engines.steps import Context
from xai_audit.evidence.records import Passes
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.explain.explained import Limits
from xai_audit.model.audited import AuditedModel
from xai_audit.plan import Counts, Step, make_plan
from xai_audit.spec.schema import AuditSpec

STORED = RESULTS / "do_query" / "cpu.json"
TARGET = 1.1
_FEW = 16
_AT_ONCE = 50


@dataclass(frozen=True)
class Entry:
    """What a do-query costs."""

    pictures: int
    settings: int
    kind: str
    threads: int
    torch: str
    repeats: int
    forwards: int
    """Forwards that the query made, as its record counts them."""
    ours_seconds: float
    """CPU seconds: pictures read, changed and measured again, and every forward."""
    raw_seconds: float
    """CPU seconds of as many forwards in full batches, nothing read and nothing changed."""
    ratio: float
    target: float


def measure(count: int, repeats: int) -> Entry:
    """Ours and raw in turn, each run once on a few pictures before the clock starts."""
    model, found = audited_model("cpu"), []
    raw = Raw.of(subject(model, pictures(ROWS["cpu"])), Passes(1), ROWS["cpu"])
    with tempfile.TemporaryDirectory() as folder:
        few, whole = (question(model, Path(folder) / f"{number}.npz", number) for number in (_FEW, count))
        few()
        raw.run()
        forwards = whole().rows
        raw = replace(raw, passes=Passes(forwards))
        spent = in_turn({"ours": lambda: found.append(whole()), "raw": raw.run}, "cpu", repeats)
    machine = this_machine("cpu", repeats)
    ours, plain = spent["ours"].seconds, spent["raw"].seconds
    return Entry(
        count, 2, machine.kind, machine.threads, machine.torch, repeats, forwards, round(ours, 1), round(plain, 1),
        round(ours / plain, 3), TARGET,
    )  # fmt: skip


def question(model: AuditedModel, file: Path, count: int) -> Callable[[], Passes]:
    """A query that is ready to be asked: its pictures are on the disk, its model is checked."""
    _write(file, count)
    audit = AuditSpec.model_validate(
        {
            "version": 1,
            "audit": {"id": "benchmark", "title": "Benchmark", "owner": {"name": "Nobody", "role": "none"}},
            "model": model_spec().model_dump(by_alias=True),
            "data": {"source": {"kind": "arrays", "file": str(file)}},
            "causal": {
                "variables": {
                    "light": {"role": "shortcut", "domain": {"range": (-1.0, 1.0)}, "source": {"operator": "shine"},
                              "neutral": 0.0},
                    "image": {"role": "medium"},
                    "score": {"role": "model_output", "source": {"model": {"output": "probability"}}},
                },
                "edges": ("light -> image", "image -> score"),
                "operators": {"shine": {"call": "brightness", "sets": "light", "range": (-1.0, 1.0)}},
                "queries": ({"id": "light", "ask": "ate", "do": {"light": (0.1, -0.1)}, "on": "score"},),
            },
        }
    )  # fmt: skip
    dataset = open_dataset(audit, file.parent)
    slices = {part.name: members(dataset, part) for part in audit.slices}
    prepared = prepare(model, audit)
    steps = make_plan(audit, Counts(count, {name: len(cases) for name, cases in slices.items()})).steps
    step = next(one for one in steps if one.kind == "causal_query")
    kept = {one.id: _kept(one, dataset.ids, audit) for one in steps if one.id in step.parents}
    context = Context(
        spec=audit, spec_folder=file.parent, dataset=dataset, digests=(), slices=slices, model=model,
        limits=Limits.of(model.device), precision="float32", prepared=lambda: prepared, progress=Silent(), profile={},
        read=kept.__getitem__, report=raise_again,
    )  # fmt: skip
    return lambda: by_operator(context, step, asked_of(context, step))[1]


def _kept(step: Step, ids: tuple[str, ...], audit: AuditSpec) -> StepResult:
    """What the query reads of the steps before it: scores that stand still, since the clock is not on them."""
    classes = list(audit.classes)
    columns = {f"probability:{name}": [1 / len(classes)] * len(ids) for name in classes}
    return result_of(step, {"classes": classes}, rows=Rows(ids, columns))


def _write(file: Path, count: int) -> None:
    parts = [pictures(min(_AT_ONCE, count - start), seed=start) for start in range(0, count, _AT_ONCE)]
    images = np.rint(np.concatenate(parts).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    np.savez(file, images=images, labels=np.arange(count) % CLASSES)


def main() -> None:
    """Print one entry, and keep it where asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    entry = json.dumps(asdict(measure(given.pictures, given.repeats)), indent=2)
    print(entry)
    if given.store:
        STORED.parent.mkdir(parents=True, exist_ok=True)
        STORED.write_text(entry + "\n")


if __name__ == "__main__":
    main()
