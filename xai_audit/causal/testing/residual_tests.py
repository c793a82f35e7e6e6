"""Independence where some variable is a number: products of what least squares leaves of the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm, rankdata

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.quadratic import (
    Array,
    Tested,
    Untestable,
    between,
    cluster_codes,
    eigenvalues,
    has_clusters,
    independent,
    products_of,
    quadratic,
)

ROWS_A_TERM = 20
"""Rows that a square or product among the regressors needs."""
SETTLED = 1e-9
"""Residuals of a standardised variable no larger than this are none."""


def design(sample: Sample, given: Sequence[str]) -> Array:
    """Regressors of the residuals: one, levels as indicators, numbers with their squares and products where there are
    20 rows for each, (n, columns)."""
    plain = [np.ones((sample.n, 1))]
    numbers = []
    for name in given:
        if sample.is_discrete(name):
            plain.append(np.eye(len(sample.levels[name]))[sample.columns[name]][:, 1:])
        else:
            numbers.append(_standard(sample.values(name), sample.weights))
    base = np.column_stack([*plain, *numbers])
    curved = [one * other for place, one in enumerate(numbers) for other in numbers[place:]]
    if curved and sample.n >= ROWS_A_TERM * (base.shape[1] + len(curved)):
        base = np.column_stack([base, *curved])
    return np.asarray(base)


def residuals(columns: Array, regressors: Array, weights: Array) -> Array:
    """What least squares leaves of some columns, (n, columns)."""
    root = np.sqrt(weights)[:, None]
    fitted = np.linalg.lstsq(regressors * root, columns * root, rcond=None)[0]
    return np.asarray(columns - regressors @ fitted)


def _standard(column: Array, weights: Array) -> Array:
    mean = np.average(column, weights=weights)
    sd = np.sqrt(np.average((column - mean) ** 2, weights=weights))
    return np.asarray((column - mean) / (sd or 1.0))


def of_numbers(sample: Sample, a: str, b: str, given: Sequence[str], alpha: float) -> Tested:
    """Partial correlation, and the rank correlation of the residuals; p is twice the smaller of the two.

    Raises Untestable where what is given settles one of the two, or rows are too few.
    """
    regressors = design(sample, given)
    columns = np.stack([_standard(sample.values(name), sample.weights) for name in (a, b)], axis=1)
    one, two = residuals(columns, regressors, sample.weights).T
    if min(np.abs(one).max(), np.abs(two).max()) <= SETTLED:
        raise Untestable("what is given settles one of the two")
    free = sample.units - np.linalg.matrix_rank(regressors) - 2
    if free < 4:
        raise Untestable("too few rows")
    by_value = _correlation(one, two, sample, free, alpha)
    by_rank = _correlation(rankdata(one), rankdata(two), sample, free, alpha, spread=1.06)
    r, low, high, p, slope = by_value
    p = min(1.0, 2 * min(p, by_rank[3]))
    clusters = sample.n_clusters
    return Tested("partial correlation", r, low, high, p, sample.units, clusters, slope, 1, *by_rank[:3])


def _correlation(
    one: Array, two: Array, sample: Sample, free: float, alpha: float, spread: float = 1.0
) -> tuple[float, float, float, float, float]:
    """(r, low, high, p, non-centrality of r^2 = 1) by Fisher's z; its error from clusters where there are any.

    `spread`: variance of z over 1 / (n - 3); 1.06 for ranks (Fieller, Hartley and Pearson, Biometrika 1957).
    """
    weights = sample.weights
    u, v = _standard(one, weights), _standard(two, weights)
    r = float(np.clip(np.average(u * v, weights=weights), -1 + 1e-15, 1 - 1e-15))
    variance = spread / (free - 1)
    if has_clusters(sample):
        influence = weights * (u * v - r * (u**2 + v**2) / 2)
        sums = np.bincount(cluster_codes(sample), influence)
        G = len(sums)
        variance = max(float(G / max(G - 1, 1) * (sums**2).sum() / weights.sum() ** 2 / (1 - r**2) ** 2), 1e-300)
    z, half = np.arctanh(r), norm.isf(alpha / 2) * np.sqrt(variance)
    p = float(2 * norm.sf(abs(z) / np.sqrt(variance)))
    return r, float(np.tanh(z - half)), float(np.tanh(z + half)), p, float(1 / variance)


def of_mixed(sample: Sample, a: str, b: str, given: Sequence[str], alpha: float) -> Tested:
    """Residual products of a variable with levels and another; an analysis of variance that allows unequal spread
    (the generalised covariance measure, Shah and Peters, Annals of Statistics 2020).

    Raises Untestable where what is given settles one of the two, or rows are too few.
    """
    regressors = design(sample, given)
    A, B = (residuals(_columns(sample, name), regressors, sample.weights) for name in (a, b))
    if not (np.abs(A).max() > SETTLED and np.abs(B).max() > SETTLED):
        raise Untestable("what is given settles one of the two")
    products = products_of(A, B)
    if sample.n_clusters <= products.shape[1] + 2:
        raise Untestable("too few rows")
    U = sample.weights @ products
    alone = independent(A, B, sample.weights)
    statistic = float(U @ np.linalg.pinv(alone, hermitian=True) @ U)
    spread = eigenvalues(alone, between(products, sample))
    least = min(np.linalg.matrix_rank(A), np.linalg.matrix_rank(B))
    found = quadratic(statistic, spread, len(spread), float(sample.units * least), alpha)
    kind = "residual covariance" if given else "analysis of variance"
    return replace(found, test=kind, n=sample.units, clusters=sample.n_clusters)


def _columns(sample: Sample, name: str) -> Array:
    """A number as it is, levels as indicators of all but the last, (n, columns)."""
    if sample.is_discrete(name):
        return np.asarray(np.eye(len(sample.levels[name]))[sample.columns[name]][:, :-1])
    return _standard(sample.values(name), sample.weights)[:, None]
