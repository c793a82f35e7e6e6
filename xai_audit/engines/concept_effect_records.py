"""What silencing the units of concepts came to, as the record of a step of concept effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.engines.recording import result_of
from xai_audit.engines.silencing import Integers, Numbers, Silencing, Work, is_rectified
from xai_audit.evidence.records import Value
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.explained import layer_record
from xai_audit.measures.concept_effects import CONTROLS, MOST_CASES, Effect, as_record, effect, leaning
from xai_audit.measures.measured import gather
from xai_audit.measures.predictions import Predictions


def effect_result(work: Work) -> StepResult:
    """The record of one step: the effect of each concept on each class that has cases."""
    context, step = work.context, work.step
    predictions = _predictions(work)
    found = [
        (one, name, _effect(work, predictions, one, name))
        for one in work.silencings
        for name, indexes in work.cases.items()
        if len(indexes)
    ]
    kept = context.parent(step, "dissection")
    details = {
        "use": "concept_effect",
        "parameters": {
            **layer_record(work.layer), "controls": CONTROLS, "most_cases": MOST_CASES,
            "silenced_to": "0" if is_rectified(kept) else "mean",
        },
        "case_sample": {name: len(indexes) for name, indexes in work.cases.items()},
        "not_detected": [
            {"concept": concept["name"], "spurious": bool(concept["spurious"])}
            for concept in kept.record.details["concepts"]
            if concept["name"] not in {one.concept for one in work.silencings}
        ],
        "how": "tail" if work.layer.path in context.prepared().tails else "whole net",
        "why": context.prepared().whole_net.get(step.subject, ""),
        "warnings": [f"{name} has no case in {step.slice}." for name, cases in work.cases.items() if not len(cases)],
    }  # fmt: skip
    estimates = [estimate for _, _, measured in found for estimate in measured.estimates]
    measured = gather(estimates, details, _fewest_clusters(work, predictions))
    values = {(value.name, value.label): value for value in measured.values}
    effects = [_entry(work, predictions, one, name, measured_, values) for one, name, measured_ in found]
    whole = {**measured.details, "effects": effects}
    controls = {f"controls:{one.concept}": one.controls for one in work.silencings}
    return result_of(step, whole, values=measured.values, arrays={**measured.arrays, **controls}, passes=work.passes)


def _predictions(work: Work) -> Predictions:
    from xai_audit.engines.steps import predictions_of

    return predictions_of(work.context, work.context.parent(work.step, "predictions"))


def _fewest_clusters(work: Work, predictions: Predictions) -> NDArray[np.integer] | None:
    """Clusters of the class that has fewest of them; None where each case is its own."""
    if predictions.clusters is None:
        return None
    of_class = [predictions.clusters[cases] for cases in work.cases.values() if len(cases)]
    return min(of_class, key=lambda clusters: len(np.unique(clusters)), default=None)


def _scores(work: Work, name: str) -> Numbers:
    """(cases, 1 + rows) of one class."""
    ids = work.context.dataset.ids
    return np.stack([work.values[name, ids[int(index)]] for index in work.cases[name]])


def _effect(work: Work, predictions: Predictions, one: Silencing, name: str) -> Effect:
    scores, indexes = _scores(work, name), work.cases[name]
    losses = scores[:, :1] - scores[:, 1 + one.first : 1 + one.first + len(one.rows)]
    clusters = None if predictions.clusters is None else predictions.clusters[indexes]
    rng = generator(work.context.spec.audit.seed, f"{work.step.id}:effect:{one.concept}:{name}")
    label = f"{one.concept} on {name}"
    return effect(losses[:, 0], losses[:, 1:], clusters, rng, label=label, are_all=one.are_all)


def _entry(
    work: Work,
    predictions: Predictions,
    one: Silencing,
    name: str,
    found: Effect,
    values: Mapping[tuple[str, str], Value],
) -> dict[str, Any]:
    drop, difference = values["concept_effect", found.drop.label], values.get(("difference", found.drop.label))
    either_way = predictions.task == "regression"
    told = leaning(drop, difference, found.ranks, float(np.abs(_scores(work, name)).max()), either_way=either_way)
    control = values.get(("control", found.drop.label))
    return {
        "concept": one.concept,
        "class": name,
        "spurious": one.spurious,
        "units": one.units.tolist(),
        "cases": len(work.cases[name]),
        "drop": as_record(drop),
        "margin": _margin(predictions, work.cases[name], name),
        "control": None if control is None else {**as_record(control), "draws": len(one.controls)},
        "difference": None if difference is None else as_record(difference),
        "draws_above": found.ranks.above,
        "draws_below": found.ranks.below,
        "beats_control": told.beats_control,
        "leans": told.leans,
        "reason": told.reason,
    }


def _margin(predictions: Predictions, indexes: Integers, name: str) -> float | None:
    """How far the class's own score lies above the best other one, in the mean; None where classes do not compete."""
    scores = predictions.scores[indexes]
    if predictions.task == "binary_logit":
        return float(scores[:, 0].mean() * (1 if predictions.classes.index(name) else -1))
    if predictions.task != "single_label":
        return None
    place = predictions.classes.index(name)
    return float((scores[:, place] - np.delete(scores, place, axis=1).max(axis=1)).mean())
