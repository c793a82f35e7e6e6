"""The model beside other answers on the same cases: how much more often it is right, and whether chance could do that.

Both answer the same cases, so that only cases on which one is right and the other wrong tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from xai_audit.evidence.records import Value
from xai_audit.measures.measured import Estimate, Measured, Options, gather
from xai_audit.measures.performance import auroc_draws
from xai_audit.measures.predictions import OneAgainstRest, Predictions
from xai_audit.measures.ratios import independent_clusters
from xai_audit.measures.resampling import clusters_with, codes, resampled_sums


@dataclass(frozen=True, eq=False)
class Rival:
    """What the challenger says of the same cases."""

    answers: NDArray[Any]
    """(cases,): class indexes, or numbers of a regression."""
    question: OneAgainstRest | None = None
    """Of scores: the positive class as the challenger sees it."""
    origin: str = ""
    """Where its answers come from, in words."""


def challenger(predictions: Predictions, rival: Rival, positive: str | None, rng: np.random.Generator) -> Measured:
    """Share of cases that the model got right less that of the challenger; above 0 the model is better.

    Of a regression: the challenger's mean absolute error less the model's. Beside it both numbers, the cases on which
    they differ and the exact McNemar p (McNemar 1947; of clusters: the sign test over clusters); with scores of two
    classes also the difference of the areas under the curve, over the same resamples.
    """
    own, other = _points(predictions, rival)
    clusters = independent_clusters(predictions)
    found = [*_difference(own, other, clusters, rng, "share" if predictions.task != "regression" else "value")]
    if rival.question is not None:
        found.append(_areas(predictions, rival.question, positive, rng))
    counts = _counts(own, other, clusters)
    details = {"challenger": rival.origin, "positive": positive, "task": predictions.task, **counts}
    made = gather(found, details, predictions.clusters)
    p = Value("mcnemar_p", mcnemar(counts["better"], counts["worse"]), None, None, counts["better"] + counts["worse"],
              "score", interval="none", reason="A p-value has no interval.")  # fmt: skip
    return Measured((*made.values, p), made.arrays, made.details, made.rows)


def mcnemar(better: int, worse: int) -> float:
    """Two-sided exact p that as uneven a split of the cases that differ would come by chance: Binomial(b + c, 1/2).

    1 where nothing differs.
    """
    differing = better + worse
    return 1.0 if differing == 0 else min(1.0, 2.0 * float(binom.cdf(min(better, worse), differing, 0.5)))


def majority(predictions: Predictions) -> NDArray[Any]:
    """The commonest label for every case, (cases,); the first of equals. Of a regression the median label."""
    if predictions.task == "regression":
        return np.full(predictions.n, float(np.median(predictions.labels[:, 0])))
    counts = np.bincount(predictions.labels, minlength=len(predictions.classes))
    return np.full(predictions.n, int(counts.argmax()), dtype=np.int64)


def _points(predictions: Predictions, rival: Rival) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each case counts for the model and for the challenger: 1 where right; of a regression minus the error."""
    if predictions.task == "regression":
        label = predictions.labels[:, 0]
        return -np.abs(predictions.scores[:, 0] - label), -np.abs(rival.answers - label)
    own, other = (answers == predictions.labels for answers in (predictions.chosen, rival.answers))
    return own.astype(np.float64), other.astype(np.float64)


def _difference(
    own: NDArray[np.float64],
    other: NDArray[np.float64],
    clusters: NDArray[np.int64] | None,
    rng: np.random.Generator,
    unit: str,
) -> tuple[Estimate, ...]:
    """The paired difference, and both means beside it, over the same resamples."""
    n = len(own)
    columns = np.stack([own - other, own, other, np.ones(n)], axis=1)
    whole = columns.astype(np.int8) if unit == "share" else columns
    drawn = resampled_sums(whole, clusters, rng)
    independent = clusters_with(clusters, np.ones(n, dtype=bool))
    names = (("challenger", "difference" if unit == "share" else unit), ("model_mean", unit), ("challenger_mean", unit))
    signs = (1.0, 1.0, 1.0) if unit == "share" else (1.0, -1.0, -1.0)  # of a regression the means are errors
    return tuple(
        Estimate(name, sign * float(columns[:, k].mean()), n, kind, draws=sign * drawn[:, k] / drawn[:, 3],
                 independent=independent)
        for k, ((name, kind), sign) in enumerate(zip(names, signs, strict=True))
    )  # fmt: skip


def _areas(predictions: Predictions, rival: OneAgainstRest, positive: str | None, rng: np.random.Generator) -> Estimate:
    """Area under the curve of the model less that of the challenger."""
    own = predictions.questions(Options(positive=positive))[0]
    clusters = independent_clusters(predictions)
    numbers, draws = auroc_draws((own, rival), clusters, rng)
    rarer = min(clusters_with(clusters, own.truth), clusters_with(clusters, ~own.truth))
    return Estimate(
        "auroc_difference", float(numbers[0] - numbers[1]), predictions.n, "difference", own.label,
        "All cases have one label.", draws=draws[:, 0] - draws[:, 1], independent=rarer,
    )  # fmt: skip


def _counts(own: NDArray[np.float64], other: NDArray[np.float64], clusters: NDArray[np.int64] | None) -> dict[str, int]:
    """Units (clusters, or cases) on which the model does better, and worse."""
    of_case = codes(clusters, len(own))
    ahead = np.bincount(of_case, weights=own - other)
    return {"better": int((ahead > 0).sum()), "worse": int((ahead < 0).sum()), "units": len(ahead)}
