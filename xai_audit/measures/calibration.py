"""Whether stated probabilities come true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from xai_audit.measures.intervals import percentile, wilson
from xai_audit.measures.measured import UNDEFINED_DRAWS_ALLOWED, Estimate, Measured, Options, gather
from xai_audit.measures.performance import PROBABILITIES_MISSING, describe
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.ratios import all_clusters, independent_clusters, mean_of_defined
from xai_audit.measures.resampling import resampled_sums

BINS = 15
SMALLEST = float(np.finfo(np.float64).eps)
"""A probability of 0 counts as this much in log_loss."""


def brier(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Mean squared distance of probabilities from what happened (Brier 1950).

    Two classes: mean of (p - y)^2 for one of them, 0 to 1. More classes: summed over the classes, 0 to 2. multi_label:
    the form for two classes, label by label, and their mean. The same as scikit-learn's brier_score_loss.
    """
    forms = {
        "multi_label": "each label, (p - y)^2",
        "two": "(p - y)^2 of one class",
        "more": "sum over classes of (p - y)^2",
    }
    form = "multi_label" if predictions.task == "multi_label" else "two" if len(predictions.classes) == 2 else "more"
    details = {**describe(predictions, Options()), "form": forms[form]}
    if predictions.probabilities is None:
        return _no_probabilities("brier", "score", details, predictions)
    squares = (predictions.probabilities - _happened(predictions)) ** 2
    if form == "multi_label":
        return _means("brier", squares, predictions.classes, details, predictions, rng)
    per_case = squares[:, 1] if form == "two" else squares.sum(axis=1)
    return _means("brier", per_case[:, None], ("",), details, predictions, rng, {"brier": per_case})


def log_loss(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Mean of -log of the probability given to what happened; a probability of 0 counts as 2.2e-16."""
    details = {**describe(predictions, Options()), "smallest_probability": SMALLEST}
    if predictions.probabilities is None:
        return _no_probabilities("log_loss", "score", details, predictions)
    probabilities, happened = np.clip(predictions.probabilities, SMALLEST, 1 - SMALLEST), _happened(predictions)
    if predictions.task == "multi_label":
        losses = -np.where(happened, np.log(probabilities), np.log1p(-probabilities))
        return _means("log_loss", losses, predictions.classes, details, predictions, rng)
    per_case = -np.log(probabilities[happened])
    return _means("log_loss", per_case[:, None], ("",), details, predictions, rng, {"log_loss": per_case})


def ece(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Expected calibration error, sum over bins of (n_b / n) |share right - mean confidence| (Guo et al. 2017, eq. 3).

    Bins are equal in width, open below and closed above. Confidence is the probability of the class chosen; where a
    positive class is declared, and for each label of multi_label, it is that class's probability against how often it
    was there. ECE is never below 0, so that chance raises it, and resampling raises it again: the interval is widened
    to hold the estimate.
    """
    bins = options.bins or BINS
    details = {**describe(predictions, Options(positive=options.positive)), "bin_count": bins}
    if predictions.probabilities is None:
        return _no_probabilities("ece", "share", details, predictions)
    edges = np.linspace(0.0, 1.0, bins + 1)
    curves = [_Reliability(*each, edges) for each in _confidences(predictions, options)]
    clusters = independent_clusters(predictions)
    every = csr_array(hstack([curve.contributions() for curve in curves]))
    sums = np.asarray(every.sum(axis=0))
    draws = resampled_sums(every, clusters, rng)
    numbers = _gaps(sums, len(curves))
    draws_of = _gaps(draws, len(curves))
    found = [_calibration_error(numbers[k], curve.label, draws_of[:, k], predictions) for k, curve in enumerate(curves)]
    if len(found) > 1:
        found.append(_calibration_error(numbers.mean(), "", draws_of.mean(axis=1), predictions))
    tables = [
        curve.table(cells, drawn, clusters is None)
        for curve, cells, drawn in zip(
            curves, np.split(sums, len(curves)), np.split(draws, len(curves), axis=1), strict=True
        )
    ]
    details["confidence_is"] = "probability of the class" if found[0].label else "probability of the class chosen"
    details |= (
        {"bins": tables[0]}
        if len(tables) == 1
        else {"bins_by_label": [list(pair) for pair in zip([c.label for c in curves], tables, strict=True)]}
    )
    return gather(found, details, predictions.clusters)


def _happened(predictions: Predictions) -> NDArray[np.bool_]:
    """What happened as (cases, classes)."""
    is_multi = predictions.task == "multi_label"
    happened: NDArray[np.bool_] = (
        predictions.labels == 1 if is_multi else predictions.labels[:, None] == np.arange(len(predictions.classes))
    )
    return happened


def _confidences(
    predictions: Predictions, options: Options
) -> list[tuple[str, NDArray[np.float64], NDArray[np.bool_]]]:
    probabilities = predictions.probabilities
    assert probabilities is not None
    if options.positive is None and predictions.task != "multi_label":
        chosen = predictions.chosen.astype(np.int64)
        return [("", probabilities[np.arange(predictions.n), chosen], chosen == predictions.labels)]
    questions = predictions.questions(Options(positive=options.positive))
    return [(q.label, q.probability, q.truth) for q in questions if q.probability is not None]


class _Reliability:
    """Cases in bins of confidence: count, sum of confidence, sum of cases right."""

    def __init__(
        self, label: str, confidence: NDArray[np.float64], is_right: NDArray[np.bool_], edges: NDArray[np.float64]
    ) -> None:
        self.label, self.confidence, self.is_right, self.edges = label, confidence, is_right, edges

    def contributions(self) -> csr_array:
        """(cases, 3 x bins): each case in the columns of its bin."""
        bins, n = len(self.edges) - 1, len(self.confidence)
        bin_of = np.searchsorted(self.edges[1:-1], self.confidence, side="left")
        numbers = np.concatenate([np.ones(n), self.confidence, self.is_right])
        columns = np.concatenate([bin_of, bins + bin_of, 2 * bins + bin_of])
        return csr_array((numbers, (np.tile(np.arange(n), 3), columns)), shape=(n, 3 * bins))

    def table(
        self, sums: NDArray[np.float64], draws: NDArray[np.float64], is_independent: bool
    ) -> list[dict[str, Any]]:
        """One entry a bin for the reliability diagram; an empty bin has no numbers."""
        counts, confidences, rights = sums.reshape(3, -1)
        drawn = draws.reshape(len(draws), 3, -1)
        return [
            {
                "low": float(self.edges[b]),
                "high": float(self.edges[b + 1]),
                "n": int(counts[b]),
                "confidence": float(confidences[b] / counts[b]) if counts[b] else None,
                "accuracy": float(rights[b] / counts[b]) if counts[b] else None,
                **_bin_interval(int(rights[b]), int(counts[b]), drawn[:, :, b], is_independent),
            }
            for b in range(len(counts))
        ]


def _bin_interval(rights: int, count: int, drawn: NDArray[np.float64], is_independent: bool) -> dict[str, float | None]:
    nothing: dict[str, float | None] = {"accuracy_low": None, "accuracy_high": None}
    if count == 0:
        return nothing
    if is_independent:
        ends = wilson(rights, count)
        return {"accuracy_low": ends.low, "accuracy_high": ends.high}
    held = drawn[:, 0] > 0
    if (~held).mean() > UNDEFINED_DRAWS_ALLOWED:
        return nothing
    interval = percentile(drawn[held, 2] / drawn[held, 0], rights / count)
    return nothing if interval is None else {"accuracy_low": interval.low, "accuracy_high": interval.high}


def _gaps(sums: NDArray[np.float64], curves: int) -> NDArray[np.float64]:
    """ECE of each curve from its sums, (..., curves)."""
    cells = sums.reshape(*sums.shape[:-1], curves, 3, -1)
    gaps: NDArray[np.float64] = np.abs(cells[..., 2, :] - cells[..., 1, :]).sum(axis=-1) / cells[..., 0, :].sum(axis=-1)
    return gaps


def _calibration_error(number: float, label: str, draws: NDArray[np.float64], predictions: Predictions) -> Estimate:
    independent = all_clusters(predictions)
    return Estimate("ece", float(number), predictions.n, "share", label, draws=draws, independent=independent)


def _means(
    name: str,
    per_case: NDArray[np.float64],
    labels: tuple[str, ...],
    details: dict[str, Any],
    predictions: Predictions,
    rng: np.random.Generator,
    rows: dict[str, NDArray[Any]] | None = None,
) -> Measured:
    """Means over cases of each column, then the mean of the columns if there are several."""
    ones = np.ones((predictions.n, 1))
    sums = resampled_sums(np.concatenate([per_case, ones], axis=1), independent_clusters(predictions), rng)
    draws = sums[:, :-1] / sums[:, -1:]
    numbers, units = per_case.mean(axis=0), all_clusters(predictions)
    found = [
        Estimate(name, float(numbers[k]), predictions.n, "score", label, draws=draws[:, k], independent=units)
        for k, label in enumerate(labels)
    ]
    if len(labels) > 1:
        mean = float(mean_of_defined(numbers))
        found.append(Estimate(name, mean, predictions.n, "score", draws=mean_of_defined(draws), independent=units))
    return gather(found, details, predictions.clusters, rows)


def _no_probabilities(name: str, unit: str, details: dict[str, Any], predictions: Predictions) -> Measured:
    missing = Estimate(name, np.nan, predictions.n, unit, undefined_because=PROBABILITIES_MISSING)
    return gather((missing,), details, predictions.clusters)
