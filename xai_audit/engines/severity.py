"""An operator at rising strength: accuracy, score and likeness of explanations by slice, with bands over all levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.bands import simultaneous_band
from xai_audit.causal.paired import TOO_FEW, cluster_means
from xai_audit.causal.sample import Sample
from xai_audit.engines.causal import whole_graph
from xai_audit.engines.causal_data import sample_of
from xai_audit.engines.operating import Settings, tools_of, unit_of
from xai_audit.engines.operator_contract import Contract, Record, tried
from xai_audit.engines.operator_questions import class_targets, scores_of, target_of
from xai_audit.engines.recording import result_of
from xai_audit.engines.severity_maps import likeness
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal, FromModel, Severity

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]


@dataclass(eq=False)
class Curves:
    """Numbers of every case at every level."""

    sample: Sample
    levels: tuple[float, ...]
    record: Record
    score: Floats | None
    """(n, levels); None where the graph has no score."""
    right: Floats | None
    """(n, levels) 1 where the answer is the label; None where cases have more than one label, or a number."""
    maps: dict[str, Floats]
    """By method: (n, levels) rank correlation with the map of the picture as it is, NaN where there is none."""


def severity_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The record of one operator at rising strength. Raises Refusal where there is no model of pictures."""
    (step,) = unit
    causal = context.spec.causal
    assert causal is not None
    entry = next(one for one in causal.severity if one.via == step.subject and _is_of(one, step))
    sample = sample_of(context, step, None)
    if context.model is None or sample is None:
        found, fix = "an audit without a model", "Remove it, or declare the model."
        raise Refusal("causal.severity", found, "a model whose score can be asked for", fix)
    tools = tools_of(context, causal, [entry.via])
    target = causal.operators[entry.via].sets
    contract = Contract.of(context, causal, whole_graph(causal), {target: tools[entry.via]})
    settings: list[Settings] = [{target: level} for level in entry.levels]
    curves, passes = _asked(context, step, causal, contract, settings, sample)
    curves.maps, more = likeness(context, step, causal, contract, settings, sample)
    details = {
        "via": entry.via, "sets": target, "levels": list(entry.levels), "grade": contract.grade,
        "slices": [_slice(context, step, name, curves) for name in _slices(context, entry)],
        "contract": curves.record.details(),
        "warnings": _warnings(curves.record),
    }  # fmt: skip
    arrays = {"rows": sample.rows.astype(np.float64)}
    arrays |= {name: array for name, array in (("score", curves.score), ("right", curves.right)) if array is not None}
    return [result_of(step, details, arrays=arrays, passes=passes + more)]


def _is_of(entry: Severity, step: Step) -> bool:
    return list(entry.levels) == list(step.parameters["levels"])


def _slices(context: Context, entry: Severity) -> Sequence[str]:
    return entry.slices if entry.slices is not None else [part.name for part in context.spec.slices]


def _asked(
    context: Context, step: Step, causal: Causal, contract: Contract, settings: Sequence[Settings], sample: Sample
) -> tuple[Curves, Passes]:
    """Every case at every level, with one question for the score and all classes together."""
    score_target = next(
        (target_of(context, one.source) for one in causal.variables.values() if isinstance(one.source, FromModel)), None
    )
    classes = class_targets(context)
    targets = [*classes, *([score_target] if score_target is not None else [])]
    record = Record(contract, settings)

    def pictures() -> Iterator[tuple[int, list[Floats]]]:
        for place in range(sample.n):
            unit = unit_of(context, causal, sample, place)
            trial = tried(contract, unit, settings, with_placebo=False)
            made = list(trial.pictures)
            record.add(trial)
            yield place, made

    found = np.zeros((sample.n, len(targets), len(settings)))
    passes = Passes()
    for place, scores, made in scores_of(context, step.id, targets, pictures()) if targets else ():
        found[place] = scores
        passes += made
    score = None if score_target is None else found[:, -1]
    right = _right(context, sample, found[:, : len(classes)]) if classes else None
    levels = tuple(float(next(iter(setting.values()))) for setting in settings)
    return Curves(sample, levels, record, score, right, {}), passes


def _right(context: Context, sample: Sample, probabilities: Floats) -> Floats:
    """(n, levels): 1 where the most probable class is the label."""
    labels = context.dataset.labels[sample.rows]
    return np.asarray(probabilities.argmax(1) == labels[:, None], np.float64)


def _slice(context: Context, step: Step, name: str, curves: Curves) -> dict[str, Any]:
    inside = np.flatnonzero(np.isin(curves.sample.rows, context.slices[name]))
    entry: dict[str, Any] = {"name": name, "n": len(inside)}
    for key, numbers in (("accuracy", curves.right), ("score", curves.score)):
        if numbers is not None:
            entry[key] = _curve(context, step, f"{name}:{key}", curves, numbers, inside)
    explained = {
        method: _curve(context, step, f"{name}:{method}", curves, likes, inside[~np.isnan(likes[inside]).any(1)])
        for method, likes in curves.maps.items()
    }
    return {**entry, **({"explanation": explained} if explained else {})}


def _curve(
    context: Context, step: Step, label: str, curves: Curves, numbers: Floats, rows: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The mean at every level, with a band that holds all of them at once; nothing below five clusters."""
    clusters = curves.sample.clusters[rows]
    if len(np.unique(clusters)) < TOO_FEW:
        return []
    rng = generator(context.spec.audit.seed, f"{step.id}:{label}")
    means = cluster_means(numbers[rows], curves.sample.weights[rows], clusters, rng)
    low, high = simultaneous_band(means.estimates, means.draws)
    ends = zip(curves.levels, means.estimates.tolist(), low.tolist(), high.tolist(), strict=True)
    return [
        {"level": level, "estimate": one, "low": below, "high": above, "n": len(rows), "clusters": means.n_clusters}
        for level, one, below, above in ends
    ]


def _warnings(record: Record) -> list[str]:
    """Where the operator does not do what its level says, the curve is one of something else too."""
    made = []
    if record.is_broken:
        said = ", ".join(f"{part} in {count} of {len(record.trials)} units" for part, count in record.failed.items())
        made.append(f"The operator does not keep its contract ({said}): the curve is not one of its variable alone.")
    for name in record.contract.setting_only:
        made.append(f"{name} exists only as a setting: whether it was reached cannot be measured on the picture.")
    return made
