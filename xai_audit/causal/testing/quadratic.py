"""What a test of independence says, and the quadratic forms of U and its covariance that the tests share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chndtr
from scipy.stats import chi2, ncx2, norm

from xai_audit.causal.sample import Sample

Array = NDArray[np.float64]
MOST_BY_NCX2 = 10_000.0
"""A larger statistic is taken as normal: the non-central chi-squared is slow there, and no different."""


@dataclass(frozen=True)
class Tested:
    """What the data say to an independence. `effect` and its interval are on the scale of a correlation, 0 to 1; they
    have a sign where both variables are numbers."""

    test: str
    effect: float
    low: float
    high: float
    p: float | None
    """None for an exact law."""
    n: float
    """Units."""
    clusters: int
    power_slope: float
    """Non-centrality that a squared effect of 1 would have."""
    dof: int
    rank: float | None = None
    """Rank correlation of the residuals, where both variables are numbers."""
    rank_low: float | None = None
    rank_high: float | None = None

    def power(self, effect: float, level: float) -> float:
        """Probability that the test would find an effect of this size at a level."""
        return float(ncx2.sf(chi2.isf(level, self.dof), self.dof, self.power_slope * effect**2))


class Untestable(Exception):
    """Why an independence cannot be tested on these data."""


def has_clusters(sample: Sample) -> bool:
    """Whether several rows make one sampling unit."""
    return sample.is_clustered or sample.n_clusters < sample.n


def products_of(A: Array, B: Array) -> Array:
    """Every product of a column of A and one of B, (n, columns of A times columns of B)."""
    return np.asarray((A[:, :, None] * B[:, None, :]).reshape(len(A), -1))


def independent(A: Array, B: Array, weights: Array) -> Array:
    """Covariance of U where A and B are independent, units too, and of one spread."""
    total = max(float(weights.sum()), 1e-300)
    return np.asarray(np.kron((A * weights[:, None]).T @ A, (B * weights[:, None]).T @ B) / total)


def between(products: Array, sample: Sample) -> Array:
    """Covariance of U from its sums by cluster; without clusters every unit is one."""
    if not has_clusters(sample):
        return np.asarray((products * sample.weights[:, None]).T @ products)
    codes = cluster_codes(sample)
    sums = np.zeros((int(codes.max()) + 1, products.shape[1]))
    np.add.at(sums, codes, products * sample.weights[:, None])
    G = len(sums)
    return np.asarray(G / (G - 1) * sums.T @ sums)


def cluster_codes(sample: Sample) -> NDArray[np.int64]:
    """Cluster of each row as 0 to G - 1, (n,)."""
    return np.asarray(np.unique(sample.clusters, return_inverse=True)[1], np.int64)


def eigenvalues(alone: Array, between: Array) -> Array:
    """Spread of U over what it would be for independent units, one number a direction that there is."""
    values, vectors = np.linalg.eigh(alone)
    kept = values > values.max() * 1e-10
    root = vectors[:, kept] / np.sqrt(values[kept])
    return np.maximum(np.linalg.eigvalsh(root.T @ between @ root), 1e-12)


def scaled(statistic: float, spread: Array, dof: int) -> tuple[float, float]:
    """Statistic and degrees of freedom of the chi-squared with the same mean and variance (Satterthwaite)."""
    mean, square = float(spread.mean()), float((spread**2).mean())
    return statistic * mean / square, dof * mean**2 / square


def quadratic(statistic: float, spread: Array, dof: int, units: float, alpha: float) -> Tested:
    """Effect sqrt(lambda / units) with its interval from the non-central chi-squared (Steiger 2004).

    The estimate takes off what chance alone adds, `dof` times the mean spread.
    """
    smaller, used = scaled(statistic, spread, dof)
    unit = statistic / smaller if smaller else 1.0

    def effect(noncentrality: float) -> float:
        return float(min(1.0, np.sqrt(max(noncentrality, 0.0) * unit / units)))

    low, high = (noncentral_end(smaller, used, tail) for tail in (alpha / 2, 1 - alpha / 2))
    p = float(chi2.sf(smaller, used))
    return Tested("", effect(smaller - used), effect(low), effect(high), p, units, 0, units / unit, dof)


def noncentral_end(statistic: float, dof: float, tail: float) -> float:
    """Non-centrality under which a statistic so large or larger has probability `tail`; 0 where none has so little."""
    if chi2.sf(statistic, dof) >= tail:
        return 0.0
    if statistic > MOST_BY_NCX2:
        z = norm.isf(tail)
        root = np.sqrt(2 * z**2 + 2 * statistic - dof) - np.sqrt(2) * z
        return float(max((root**2 - dof) / 2, 0.0))
    top = statistic + dof + 10.0
    while chndtr(statistic, dof, top) > 1 - tail:
        top *= 2
    return float(brentq(lambda value: 1 - tail - chndtr(statistic, dof, value), 0.0, top, xtol=1e-10))
