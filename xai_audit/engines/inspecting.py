"""Steps of inspection and monitoring: each reads the kept predictions, and what it needs of the cases beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit import registry
from xai_audit.data.appraisers import Ratings, read_ratings
from xai_audit.data.preprocess import prepare
from xai_audit.engines.recording import result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Value
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.measures.drift_baseline import (
    ALPHA,
    WINDOW,
    Monitored,
    Reference,
    distance,
    psi_trigger_of_part,
    reference_of,
)
from xai_audit.measures.measured import Measured
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.sorting import Rule, margins, passed
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

STATISTICS = ("brightness", "contrast", "detail")
"""Of each picture as the model sees it: mean, standard deviation, and mean difference of neighbouring pixels."""


def sorting_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """What each measure of sorting finds on its slice."""
    return [_sorting(context, step) for step in unit]


def _sorting(context: Context, step: Step) -> StepResult:
    part = _kept(context, step).of(context.slices[str(step.slice)])
    found = _function(step.subject)(part, _rule(step), generator(context.spec.audit.seed, step.id))
    context.progress.advance(step.cases)
    return _result(step, found)


def appraisers_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """How far people who rated the cases of a slice agree."""
    return [_appraisers(context, step) for step in unit]


def _appraisers(context: Context, step: Step) -> StepResult:
    inside = context.slices[str(step.slice)]
    ratings, kept = _ratings(context, step).of(inside), _kept(context, step).of(inside)
    found = _function(step.subject)(ratings, kept, generator(context.spec.audit.seed, step.id))
    context.progress.advance(step.cases)
    return _result(step, found)


def _ratings(context: Context, step: Step) -> Ratings:
    """Every rating; people are numbered unless their names may be shown."""
    declared = context.spec.data.appraisers
    assert declared is not None
    bad = [case.id for case in context.dataset.bad]
    read = read_ratings(declared, context.spec_folder, context.dataset.ids, context.spec.classes, bad)
    if declared.show_names:
        return read
    width = len(str(len(read.names)))
    return replace(read, names=tuple(f"A{place + 1:0{width}d}" for place in range(len(read.names))))


def baseline_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The distributions of scores and inputs on all cases, and how far each slice lies from them."""
    return [_baseline(context, step) for step in unit]


def _baseline(context: Context, step: Step) -> StepResult:
    window = int(step.parameters["window"] or WINDOW)
    alpha = float(step.parameters["alpha"] or ALPHA)
    variables = [*_scores(_kept(context, step)), *_inputs(context)]
    found = _function(step.subject)(variables, window, alpha)
    references = [(variable, reference_of(variable, window, alpha)) for variable in variables]
    slices = [
        entry
        for name, cases in context.slices.items()
        if len(cases) < len(context.dataset.ids)
        for entry in _distances(references, name, cases, alpha)
    ]
    context.progress.advance(step.cases)
    return _result(step, replace(found, details={**found.details, "slices": slices}))


def _distances(
    references: Sequence[tuple[Monitored, Reference]], name: str, cases: NDArray[np.int64], alpha: float
) -> list[dict[str, Any]]:
    """How far the cases of a slice lie from the baseline that they are a part of, variable by variable."""
    made = []
    for variable, reference in references:
        bins = sum(share > 0 for share in reference.shares)
        made.append(
            {
                "slice": name,
                "variable": variable.name,
                "cases": len(cases),
                "psi": distance(reference, replace(variable, values=variable.values[cases])),
                "trigger": psi_trigger_of_part(bins, reference.n, len(cases), alpha),
            }
        )
    return made


def _scores(kept: Predictions) -> list[Monitored]:
    if kept.task == "regression":
        return [Monitored(name, kept.scores[:, k], kind="score") for k, name in enumerate(kept.classes)]
    stated = kept.probabilities if kept.probabilities is not None else kept.scores
    columns = [Monitored(name, stated[:, k], kind="score") for k, name in enumerate(kept.classes)]
    if kept.task == "multi_label":
        return columns
    chosen = kept.chosen.astype(np.float64)
    return [*columns, Monitored("predicted", chosen, kept.classes, kind="answer")]


def _inputs(context: Context) -> list[Monitored]:
    """Features of a table; statistics of pictures; nothing of stored predictions."""
    table = context.table_input
    if table is not None:
        return [
            Monitored(feature.column, context.features[:, k], feature.categories or ())
            for k, feature in enumerate(table.features)
        ]
    if context.model is None or not context.dataset.has_images:
        return []
    numbers = np.asarray(
        [_statistics(prepare(context.dataset.image(k), context.input)) for k in range(len(context.dataset.ids))]
    )
    return [Monitored(name, numbers[:, k], kind="statistic") for k, name in enumerate(STATISTICS)]


def _statistics(pixels: NDArray[Any]) -> tuple[float, float, float]:
    """Of pixels (channels, height, width) in [0, 1]."""
    grey = np.asarray(pixels, dtype=np.float64).mean(axis=0)
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    return float(grey.mean()), float(grey.std()), float(np.concatenate([across.ravel(), down.ravel()]).mean())


def boundary_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The cases whose decision was the narrowest, and their pictures where these may be shown."""
    return [_boundary(context, step) for step in unit]


def _boundary(context: Context, step: Step) -> StepResult:
    predictions, rule, ids = _kept(context, step), _rule(step), context.dataset.ids
    through, apart = passed(predictions, rule), margins(predictions, rule)
    order = sorted(range(len(ids)), key=lambda case: (abs(float(apart[case])), ids[case]))
    chosen = order[: step.parameters["count"]]
    answers = context.parent(step, "predictions").rows.columns
    good = predictions.index_of(rule.good)
    assert predictions.probabilities is not None
    cases = [
        {
            "id": ids[case],
            "label": answers["label"][case],
            "predicted": answers["predicted"][case],
            "probability": float(predictions.probabilities[case, good]),
            "margin": float(apart[case]),
            "passed": bool(through[case]),
            "right": bool(through[case] == (predictions.labels[case] == good)),
        }
        for case in chosen
    ]
    arrays = {}
    if step.parameters["images"] and context.model is not None and context.dataset.has_images:
        images = [prepare(context.dataset.image(case), context.input) for case in chosen]
        arrays["images"] = np.stack([np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0) for image in images])
    context.progress.advance(step.cases)
    details = {"cases": cases, "from": len(ids), "good": rule.good, "threshold": rule.threshold}
    widest = Value("margin", abs(cases[-1]["margin"]), None, None, len(cases), "score", reason="Of the cases shown.")
    return result_of(step, details, values=(widest,), arrays=arrays)


def _kept(context: Context, step: Step) -> Predictions:
    from xai_audit.engines.steps import predictions_of

    made = predictions_of(context, context.parent(step, "predictions"))
    if step.kind in ("sorting", "boundary", "appraisers") and made.task not in ("single_label", "binary_logit"):
        fix = "Remove the measure."
        raise Refusal(step.subject, f"task {made.task}", "one class a case", fix)
    return made


def _rule(step: Step) -> Rule:
    return Rule(step.parameters["good"], step.parameters["passed_at"])


def _function(measure: str) -> Callable[..., Measured]:
    module, _, name = registry.measure(measure).call.partition(":")
    function: Callable[..., Measured] = getattr(importlib.import_module(module), name)
    return function


def _result(step: Step, found: Measured) -> StepResult:
    return result_of(step, found.details, values=found.values, arrays=found.arrays)
