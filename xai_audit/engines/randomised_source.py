"""Accuracy with a source drawn anew while what the picture is meant to show stays at its facts (CAUSAL.md section 9).

A source that reaches the picture by a shortcut goes with the label in the data; drawn anew it no longer does. A drop in
accuracy that no path of the graph explains is a finding: the source reaches the picture by a way that is not declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount
from xai_audit.causal.asked import Asked
from xai_audit.causal.paired import cluster_means
from xai_audit.engines.operator_runs import Run

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context
    from xai_audit.plan import Step

AS_IT_IS, RANDOMISED, DROP = "accuracy_as_it_is", "accuracy_randomised", "accuracy_drop"
CLEAR = 0.05
"""A drop, or a path, below five points is none that is told."""
EXPLAINS = 0.5
"""Share of the change through the pixels that a path has to make up, to explain a drop."""


def randomised(context: Context, asked: Asked, made: Run, natural: NDArray[np.int64]) -> dict[str, Amount]:
    """Accuracy as it is, with the source drawn anew among the settings, and how much lower that is, in the same units.

    `made`: units under each setting of the source, with what is meant held; `natural` (n,): the answer to each picture
    as it is. The source is drawn with the shares that the settings have among the units. Empty below five clusters.
    """
    if made.answers is None or not made.held.any():
        return {}
    labels = context.dataset.labels[made.sample.rows]
    right = np.asarray(made.answers == labels[:, None], np.float64)
    again = right @ _shares(asked, made)
    now = np.asarray(natural == labels, np.float64)
    numbers, held = np.column_stack([now, again, now - again]), made.held
    sample = made.sample
    try:
        means = cluster_means(numbers[held], sample.weights[held], sample.clusters[held], asked.rng("randomised"))
    except ValueError:
        return {}
    return {name: means.amount(k, name, asked.query.alpha) for k, name in enumerate((AS_IT_IS, RANDOMISED, DROP))}


def _shares(asked: Asked, made: Run) -> NDArray[np.float64]:
    """How often each setting of the source is drawn; alike where none of the units has any."""
    (source,) = asked.treatments
    column = made.sample.columns.get(source)
    settings = [asked.number(source, setting[source]) for setting in made.settings]
    counts = np.zeros(len(settings))
    if column is not None:
        counts = np.asarray([made.sample.weights[column == value].sum() for value in settings], np.float64)
    total = counts.sum()
    return counts / total if total else np.full(len(settings), 1 / len(settings))


def told_of(amounts: Mapping[str, Amount], paths: Mapping[str, Amount], through: Amount | None) -> dict[str, Any]:
    """The drop as JSON values, with the paths that explain it; `unexplained` where it is clear and none does."""
    if DROP not in amounts:
        return {}
    drop = amounts[DROP]
    least = max(CLEAR, EXPLAINS * abs(through.estimate or 0.0)) if through is not None else CLEAR
    explained = [name for name, one in sorted(paths.items()) if abs(one.estimate or 0.0) >= least]
    is_clear = drop.low > 0 and (drop.estimate or 0.0) >= CLEAR
    return {
        **{name: {"estimate": one.estimate, "low": one.low, "high": one.high} for name, one in amounts.items()},
        "explained_by": [name.removeprefix("path:") for name in explained],
        "is_drop": bool(is_clear),
        "unexplained": bool(is_clear and not explained),
    }


def sentences_of(source: str, told: Mapping[str, Any]) -> list[str]:
    """What is said beside the answer of a clear drop."""
    if not told.get("is_drop"):
        return []
    before, after = told[AS_IT_IS]["estimate"], told[RANDOMISED]["estimate"]
    how = (
        f"Accuracy falls from {before:.3g} to {after:.3g} when {source} is drawn anew and what the picture is meant to "
        "show stays as it is"
    )
    if not told["unexplained"]:
        return [f"{how}; what explains it: {', '.join(told['explained_by'])}."]
    return [f"{how}, and no declared path explains it: {source} reaches the picture by a way that is not in the graph."]


def answers_as_they_are(context: Context, step: Step, made: Run) -> NDArray[np.int64]:
    """(n,): place of the class that the model gives each picture as it is, from the record of predictions."""
    kept = context.parent(step, "predictions").rows
    found = dict(zip(kept.ids, kept.columns["predicted"], strict=True))
    classes = list(context.model.classes) if context.model is not None else []
    said = [found[context.dataset.ids[int(row)]] for row in made.sample.rows]
    return np.asarray([one if isinstance(one, int) else classes.index(str(one)) for one in said], np.int64)
