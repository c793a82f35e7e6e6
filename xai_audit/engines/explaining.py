"""Explanation steps: pass readers share one forward and backward a case, query askers one queue of masked images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from xai_audit import registry
from xai_audit.engines.filling import fill_sources
from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import PassRecord, explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import GATE_CASES
from xai_audit.explain.explained import Batch, Explained, Layers, Outcome
from xai_audit.explain.precision import agreement
from xai_audit.model.audited import AuditedModel
from xai_audit.plan import Step
from xai_audit.spec.methods import Method

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
        ids = tuple(context.dataset.ids[int(i)] for i in indexes)
        yield Batch(tuple(int(i) for i in indexes), ids, pixels)


def _by_pass(context: Context, shared: Step, steps: Sequence[Step]) -> list[StepResult]:
    methods = [_method(context, step) for step in steps]
    made: list[PassRecord] = []

    layers = fitting(context, methods, _chosen(context, shared))

    def run(model: AuditedModel, some: Sequence[Method], batches: Iterable[Batch]) -> dict[str, Outcome]:
        found = explain_by_pass(model, some, batches, layers, fills(context, some), context.limits, context.count)
        made.append(found.record)
        return found.outcomes

    outcomes, precisions = _in_precision(context, methods, _chosen(context, shared), run)
    record = result_of(shared, _pass_details(made), passes=sum((part.passes for part in made), NO_PASSES))
    return [record, *(_explanation(context, step, outcomes, precisions) for step in steps)]


def _pass_details(made: Sequence[PassRecord]) -> dict[str, object]:
    """The shared pass; without readers every one was refused before any pass was made."""
    last = made[-1]
    return {
        "targets": list(last.targets),
        "rules": list(last.rules),
        "layers": list(last.layers),
        "input_gradient": last.input_gradient,
        "readers": list(dict.fromkeys(label for part in made for label in part.readers)),
    }


def _by_queries(context: Context, steps: Sequence[Step]) -> list[StepResult]:
    prepared = context.prepared()
    methods = [_method(context, step) for step in steps]
    passes: dict[str, Passes] = {}
    layers = fitting(context, methods, _chosen(context, steps[0]))

    def run(model: AuditedModel, some: Sequence[Method], batches: Iterable[Batch]) -> dict[str, Outcome]:
        is_full = model.autocast is None
        found = explain_by_queries(
            model, some, batches, layers, fills(context, some), context.spec.audit.seed, context.limits,
            context.count, tails=prepared.tails if is_full else {},
            incremental=prepared.incremental if is_full else None,
        )  # fmt: skip
        for label, made in found.passes.items():
            passes[label] = passes.get(label, NO_PASSES) + made
        return found.outcomes

    outcomes, precisions = _in_precision(context, methods, _chosen(context, steps[0]), run)
    return [_explanation(context, step, outcomes, precisions, passes[step.subject]) for step in steps]


Run = Callable[[AuditedModel, Sequence[Method], Iterable[Batch]], dict[str, Outcome]]


def _in_precision(
    context: Context, methods: Sequence[Method], cases: Sequence[dict[str, object]], run: Run
) -> tuple[dict[str, Outcome], dict[str, dict[str, object]]]:
    """Every method's outcome, in bfloat16 where the spec allows and the gate opens; what the gate found, by label."""
    model = context.model
    assert model is not None
    if context.spec.compute.precision == "float32":
        return run(model, methods, _batches(context, cases)), {}
    half = replace(model, autocast=torch.bfloat16)
    gate = cases[:GATE_CASES]
    in_full, in_half = (run(which, methods, _batches(context, gate)) for which in (model, half))
    found = {method.label: agreement(in_full[method.label], in_half[method.label]) for method in methods}
    outcomes: dict[str, Outcome] = {}
    for which, passed in ((model, False), (half, True)):
        some = [method for method in methods if found[method.label].passed == passed]
        if some:
            outcomes |= run(which, some, _batches(context, cases))
    return outcomes, {label: entry.record() for label, entry in found.items()}


def fills(context: Context, methods: Sequence[Method]) -> FillSources:
    """What stands for "absent" in the methods."""
    return fill_sources(context, [getattr(method, "baseline", None) for method in methods])


def fitting(context: Context, methods: Sequence[Method], cases: Sequence[dict[str, object]]) -> Layers:
    """What the methods read, or why one cannot run: as prepared, and gradients where chosen rows lack values."""
    layers = context.prepared().layers
    if not context.is_table:
        return layers
    gone = np.isnan(context.features[[int(str(case["index"])) for case in cases]]).any(axis=1)
    if not gone.any():
        return layers
    found = f"{int(gone.sum())} of {len(gone)} chosen rows without a value in some feature"
    fix = "A missing value has no gradient: use lime or shap."
    refusals = {
        method.label: Refusal(f"methods.{method.label}", found, "rows with every value", fix)
        for method in methods
        if "input_gradient" in registry.method(method.use).needs
    }
    return {**refusals, **layers}


def _explanation(
    context: Context,
    step: Step,
    outcomes: Mapping[str, Outcome],
    precisions: Mapping[str, Mapping[str, object]],
    passes: Passes = NO_PASSES,
) -> StepResult:
    outcome = outcomes[step.subject]
    if not isinstance(outcome, Explained):
        if not isinstance(outcome, Refusal):
            context.report(step, outcome)
        return failed(step, outcome, passes)
    method = _method(context, step)
    details = {
        "use": method.use,
        "case_ids": list(outcome.ids),
        "parameters": outcome.parameters,
        "target": outcome.target,
        "explained": list(outcome.explained),
        "warnings": list(outcome.warnings),
        "precision": dict(precisions.get(step.subject, {"used": context.precision})),
        "whole_net": context.prepared().whole_net.get(step.subject, ""),
    }
    extras = {name: np.asarray(array, np.float32) for name, array in outcome.extras.items()}
    return result_of(step, details, arrays={"raw": outcome.raw, **extras}, passes=passes)
