"""The scan: whole slices go through the net once, for every method that reads units and concepts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from xai_audit.concepts.reading import Seen, SliceReader
from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import AuditError, Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import StepResult
from xai_audit.explain.explained import as_failure
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import Needs, PassCounter, Passed, PassResult, Request, in_parts, run_pass
from xai_audit.explain.transfer import on_device
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer
from xai_audit.plan import Step
from xai_audit.spec.methods import Method, TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

HELD = 3
"""Tensors of a layer's size that are held at once: the output, the copy kept, and what a reader makes of it."""
_BEGIN = {
    "units": "xai_audit.engines.unit_activity:begin",
    "dissection": "xai_audit.engines.dissecting:begin",
    "tcav": "xai_audit.engines.concept_vectors:begin",
}
"""Kind of step: function (context, step, method, layer, cases) that gives its SliceReader."""


@dataclass(eq=False)
class Work:
    """One method at work in a scan."""

    step: Step
    layer: SpatialLayer | None = None
    reader: SliceReader | None = None
    cases: frozenset[int] = frozenset()
    failure: Exception | None = None

    def reads(self, look: int) -> bool:
        """Whether it wants this look."""
        return self.failure is None and self.reader is not None and look < self.reader.looks


def scan_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Results of the methods that read whole slices, and of the scan that they share."""
    shared = next(step for step in unit if step.kind == "scan")
    works = [_begun(context, step) for step in unit if step.kind != "scan"]
    counter = PassCounter(context.count)
    model = context.model
    assert model is not None
    gradient = any(work.reader is not None and bool(work.reader.targets) for work in works)
    rows = partial(rows_that_fit, model, context.limits, gradient=gradient, beside=_beside(model, works))
    with left_as_found(model.module):
        looks = 0
        while any(work.reads(looks) for work in works):
            _look(context, [work for work in works if work.reads(looks)], looks, counter, rows)
            looks += 1
            _between(works, looks)
    layers = list(dict.fromkeys(work.layer.path for work in works if work.layer is not None))
    details = {"layers": layers, "looks": looks, "readers": [work.step.subject for work in works]}
    return [result_of(shared, details, passes=counter.made), *(_result(context, work) for work in works)]


def _begun(context: Context, step: Step) -> Work:
    method = method_of(context, step)
    layer = context.prepared().layers.get(method.label)
    cases = context.slices[str(step.slice)]
    work = Work(step, layer if isinstance(layer, SpatialLayer) else None, cases=frozenset(cases.tolist()))
    try:
        if isinstance(layer, Refusal):
            raise layer
        if not len(cases):
            raise Refusal(f"methods.{method.label}.slice", "no case", "at least one", "Name another slice.")
        module, _, name = _BEGIN[step.kind].partition(":")
        work.reader = getattr(importlib.import_module(module), name)(context, step, method, layer, cases)
    except Exception as error:
        work.failure = as_failure(error, method.label)
    return work


def method_of(context: Context, step: Step) -> Method:
    """The method of a step whose subject is its label."""
    return next(method for method in context.spec.methods if method.label == step.subject)


def _look(
    context: Context, works: Sequence[Work], look: int, counter: PassCounter, most_rows: Callable[[], int]
) -> None:
    """One pass over every case that a reader wants, in order.

    `most_rows`: cases of a pass, the same in both looks, lest the second see other last digits than the first.
    """
    wanted = sorted(set().union(*(work.cases for work in works)))
    requests = _requests(works, look)
    for indexes, pixels in context.pixels(wanted):
        try:
            rows = most_rows()
            for start in range(0, len(indexes), rows):
                part = slice(start, start + rows)
                _read_part(context, works, look, requests, indexes[part], pixels[part], counter)
        except Exception as error:  # the pass itself failed: no reader of it has an answer
            for work in works:
                work.failure = work.failure or as_failure(error, work.step.subject)
        if all(work.failure is not None for work in works):
            return


def _requests(works: Sequence[Work], look: int) -> list[Request]:
    """The layers as they are, and each target's gradient at the layers of those who want it."""
    layers = tuple(dict.fromkeys(work.layer.path for work in works if work.layer is not None))
    plain = Request(None, needs=Needs(layers))
    at: dict[TargetSpec, list[str]] = {}
    for work in works:
        if look == 0 and work.reader is not None and work.layer is not None:
            for target in work.reader.targets:
                at.setdefault(target, []).append(work.layer.path)
    return [plain, *(Request(t, needs=Needs((), tuple(dict.fromkeys(paths)))) for t, paths in at.items())]


def _beside(model: AuditedModel, works: Sequence[Work]) -> int:
    layers = {work.layer.path: work.layer for work in works if work.layer is not None}
    width = torch.promote_types(model.dtype or torch.float32, torch.float32).itemsize
    return HELD * width * sum(one.channels * one.grid[0] * one.grid[1] for one in layers.values())


def _read_part(
    context: Context,
    works: Sequence[Work],
    look: int,
    requests: Sequence[Request],
    indexes: np.ndarray,
    pixels: np.ndarray,
    counter: PassCounter,
) -> None:
    model = context.model
    assert model is not None
    done = 0

    def run(part: Tensor) -> list[Passed]:
        some = indexes[done : done + len(part)]
        ids = [context.dataset.ids[int(index)] for index in some]
        return run_pass(model, part, requests, counter, ids, _labels(context, some))

    for results in in_parts(on_device(pixels, model.device), run):
        plain = results[0]
        if isinstance(plain, AuditError):
            raise plain
        count = len(plain.pixels)
        for work in works:
            if work.failure is None:
                _hand_on(work, look, indexes[done : done + count], requests, results)
        done += count


def _labels(context: Context, indexes: np.ndarray) -> list[int] | None:
    """Class of each case's label, whose score a gradient is of; None where a case has no one class."""
    if context.spec.task not in ("single_label", "binary_logit"):
        return None
    return [int(label) for label in context.dataset.labels[indexes]]


def _hand_on(
    work: Work, look: int, indexes: np.ndarray, requests: Sequence[Request], results: Sequence[Passed]
) -> None:
    """Hand a reader its own cases of a batch; what it raises is its own failure."""
    mine = np.flatnonzero([int(index) in work.cases for index in indexes])
    if not len(mine):
        return
    reader, layer = work.reader, work.layer
    assert reader is not None and layer is not None
    try:
        plain = _passed(results[0])
        where = torch.from_numpy(mine).to(plain.pixels.device)
        by_target = {request.target: result for request, result in zip(requests, results, strict=True)}
        targets = reader.targets if look == 0 else ()
        gradients = tuple(_passed(by_target[target]).gradient(layer)[where] for target in targets)
        reader.take(Seen(look, indexes[mine], plain.activation(layer)[where], gradients))
    except Exception as error:
        work.failure = as_failure(error, work.step.subject)


def _passed(result: Passed) -> PassResult:
    if isinstance(result, AuditError):
        raise result
    return result


def _between(works: Sequence[Work], looks: int) -> None:
    for work in works:
        if looks == 1 and work.failure is None and work.reader is not None:
            try:
                work.reader.between()
            except Exception as error:
                work.failure = as_failure(error, work.step.subject)


def _result(context: Context, work: Work) -> StepResult:
    try:
        if work.failure is not None:
            raise work.failure
        assert work.reader is not None
        read = work.reader.finish()
    except Exception as error:
        failure = as_failure(error, work.step.subject)
        if not isinstance(failure, Refusal):
            context.report(work.step, failure)
        return failed(work.step, failure, _own_passes(context, work))
    passes = _own_passes(context, work)
    return result_of(work.step, read.details, values=read.values, arrays=read.arrays, rows=read.rows, passes=passes)


def _own_passes(context: Context, work: Work) -> Passes:
    """Passes that a method made beside the scan, also where nothing came of them."""
    passes = NO_PASSES if work.reader is None else work.reader.passes
    context.count(passes)
    return passes
