"""Explanation steps: pass readers share one forward and backward a case, query askers one queue of masked images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_audit.data.preprocess import prepare
from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explain import (
    Batch,
    Explained,
    Outcome,
    PassGroup,
    explain_by_pass,
    explain_by_queries,
    method_layers,
)
from xai_audit.plan import Step
from xai_audit.spec.schema import Method, Occlusion, Sample

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def explain_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Results of the explanation steps of one unit, and of the pass that they share if there is one."""
    shared = [step for step in unit if step.kind == "pass"]
    steps = [step for step in unit if step.kind == "explanation"]
    return _by_pass(context, shared[0], steps) if shared else _by_queries(context, steps)


def _method(context: Context, step: Step) -> Method:
    return next(method for method in context.spec.methods if method.label == step.subject)


def _chosen(context: Context, step: Step) -> list[dict[str, object]]:
    cases: list[dict[str, object]] = context.read(_cases_of(context, step)).record.details["cases"]
    return cases


def _cases_of(context: Context, step: Step) -> str:
    return next(parent for parent in step.parents if context.read(parent).record.kind == "cases")


def _batches(context: Context, cases: Sequence[dict[str, object]]) -> Iterator[Batch]:
    for indexes, pixels in context.pixels([int(str(case["index"])) for case in cases]):
        yield Batch(tuple(int(i) for i in indexes), pixels)


def _by_pass(context: Context, shared: Step, steps: Sequence[Step]) -> list[StepResult]:
    model = context.model
    assert model is not None and context.spec.model is not None
    methods, cases = [_method(context, step) for step in steps], _chosen(context, shared)
    layers = method_layers(methods, model, context.spec.model)
    found = explain_by_pass(model, methods, _batches(context, cases), layers, context.count)
    record = _pass_record(shared, found.groups)
    return [record, *(_explanation(context, step, found.outcomes[step.subject], cases) for step in steps)]


def _pass_record(step: Step, groups: Sequence[PassGroup]) -> StepResult:
    """The shared pass; without a group every reader was refused before any pass was made."""
    details = {
        "target": step.parameters["target"],
        "layers": [layer for group in groups for layer in group.layers],
        "input_gradient": any(group.input_gradient for group in groups),
        "readers": [label for group in groups for label in group.readers],
    }
    return result_of(step, details, passes=sum((group.passes for group in groups), NO_PASSES))


def _by_queries(context: Context, steps: Sequence[Step]) -> list[StepResult]:
    model = context.model
    assert model is not None
    methods, cases = [_method(context, step) for step in steps], _chosen(context, steps[0])
    found = explain_by_queries(
        model, methods, _batches(context, cases), _fills(context, methods), context.count, batch_size=context.batch_size
    )
    return [_explanation(context, step, found.outcomes[step.subject], cases, found.passes) for step in steps]


def _fills(context: Context, methods: Sequence[Method]) -> FillSources:
    """What covers a window: the mean colour that the data profile measured, or cases that the methods name."""
    places = {identifier: index for index, identifier in enumerate(context.dataset.ids)}
    named = {m.baseline.sample for m in methods if isinstance(m, Occlusion) and isinstance(m.baseline, Sample)}
    samples = {
        case: prepare(context.dataset.image(places[case]), context.input) for case in sorted(named & set(places))
    }
    return FillSources(mean_colour=context.mean_colour, samples=samples)


def _explanation(
    context: Context, step: Step, outcome: Outcome, cases: Sequence[dict[str, object]], passes: Passes | None = None
) -> StepResult:
    if not isinstance(outcome, Explained):
        if not isinstance(outcome, Refusal):
            context.report(step, outcome)
        return failed(step, outcome, passes or NO_PASSES)
    details = {
        "use": _method(context, step).use,
        "case_ids": [case["id"] for case in cases],
        "parameters": outcome.parameters,
        "target": outcome.target,
        "explained": list(outcome.explained),
        "warnings": list(outcome.warnings),
    }
    extras = {name: np.asarray(array, np.float32) for name, array in outcome.extras.items()}
    return result_of(step, details, arrays={"raw": outcome.raw, **extras}, passes=passes or NO_PASSES)
