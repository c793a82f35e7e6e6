"""Whether a model has learnt anything on some cases: agreement of its answers with the labels beyond chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.intervals import LEAST_CLUSTERS, percentile
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.resampling import clusters_with, resampled_sums


def skill(part: Predictions, rng: np.random.Generator) -> dict[str, Any]:
    """Cohen's kappa of answers and labels (Cohen 1960), of a regression R2, with the 95 % bootstrap interval.

    Keys: measure, estimate (None where it does not exist: one label only), low, high (None where there is no interval),
    n. Of several labels a case: over all pairs of case and label.
    """
    table: NDArray[Any] = _errors(part) if part.task == "regression" else _counts(part)
    of_sums = _r2 if part.task == "regression" else kappas
    found: dict[str, Any] = {"measure": "r2" if part.task == "regression" else "kappa", "n": len(part.labels)}
    estimate = float(of_sums(table.sum(0, dtype=np.float64)[None])[0]) if len(table) else np.nan
    if np.isnan(estimate):
        return {**found, "estimate": None, "low": None, "high": None}
    draws = of_sums(resampled_sums(table, part.clusters, rng))
    draws = draws[~np.isnan(draws)]
    units = clusters_with(part.clusters, np.ones(len(table), dtype=bool))
    interval = percentile(draws, estimate) if units >= LEAST_CLUSTERS and len(draws) else None
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return {**found, "estimate": estimate, "low": ends[0], "high": ends[1]}


def _counts(part: Predictions) -> NDArray[np.int64]:
    """Each case's cell in the table of labels by answers, (cases, classes * classes)."""
    if part.labels.ndim == 2:
        pairs = part.labels.astype(np.int64) * 2 + part.chosen.astype(np.int64)
        return np.stack([(pairs == cell).sum(1) for cell in range(4)], axis=1)
    classes = len(part.classes)
    cells = np.asarray(part.labels, np.int64) * classes + np.asarray(part.chosen, np.int64)
    table = np.zeros((len(cells), classes * classes), dtype=np.int64)
    table[np.arange(len(cells)), cells] = 1
    return table


def kappas(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(po - pe) / (1 - pe) of tables (draws, classes * classes); NaN where all labels, or all answers, are one."""
    classes = round(np.sqrt(sums.shape[1]))
    table = sums.reshape(-1, classes, classes)
    total = table.sum((1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        agreed = np.trace(table, axis1=1, axis2=2) / total
        expected = (table.sum(2) * table.sum(1)).sum(1) / total**2
        kappa: NDArray[np.float64] = np.where(expected < 1, (agreed - expected) / (1 - expected), np.nan)
    one_label = (table.sum(2) > 0).sum(1) < 2
    return np.where(one_label, np.nan, kappa)


def _errors(part: Predictions) -> NDArray[np.float64]:
    """1, y, y^2 and the squared error of each case."""
    y, predicted = part.labels[:, 0].astype(np.float64), part.scores[:, 0].astype(np.float64)
    return np.stack([np.ones(len(y)), y, y**2, (y - predicted) ** 2], axis=1)


def _r2(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    count, first, second, error = sums.T
    spread = second - first**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 1e-12 * np.abs(second), 1 - error / spread, np.nan)
