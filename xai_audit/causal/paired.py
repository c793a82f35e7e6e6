"""Means of numbers that each unit gives, with intervals that resample whole clusters (Davison and Hinkley 1997)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, drawn
from xai_audit.measures.intervals import LEAST_CLUSTERS, few_clusters
from xai_audit.measures.resampling import codes, multiplicities, resampled_sums

Floats = NDArray[np.float64]
DRAWS = 1000
"""Resamples where each works a law out again."""
TOO_FEW = LEAST_CLUSTERS
"""With fewer clusters there is no interval, and so no answer."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means of several numbers of the same units, with their draws from the same resamples."""

    estimates: Floats
    """(numbers,)"""
    draws: Floats
    """(resamples, numbers)"""
    n: int
    n_clusters: int

    def amount(self, place: int, name: str, alpha: float, label: str = "") -> Amount:
        """One of them with its interval."""
        return drawn(name, float(self.estimates[place]), self.draws[:, place], alpha, label)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of so few clusters."""
        return few_clusters(self.n_clusters)


def cluster_means(numbers: Floats, weights: Floats, clusters: NDArray[np.int64], rng: np.random.Generator) -> Means:
    """Weighted means over units of `numbers` (n, k), their units resampled by cluster.

    Raises ValueError below five clusters.
    """
    count = len(np.unique(clusters))
    if count < TOO_FEW:
        raise ValueError(f"{count} clusters are too few for an interval")
    weighted = np.column_stack([numbers * weights[:, None], weights])
    sums = resampled_sums(weighted, clusters, rng)
    estimates = (numbers * weights[:, None]).sum(0) / weights.sum()
    draws = sums[:, :-1] / np.maximum(sums[:, -1:], np.finfo(np.float64).tiny)
    return Means(estimates, draws, len(numbers), count)


def resampled_mean(
    estimate: Callable[[Floats], float],
    weights: Floats,
    clusters: NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Means:
    """One number that depends on the weights of all rows, (rows,), worked out again in each resample of clusters.

    A resample in which it does not exist is left out. Raises ValueError below five clusters.
    """
    of_case = codes(clusters, len(clusters))
    count = int(of_case.max()) + 1
    if count < TOO_FEW:
        raise ValueError(f"{count} clusters are too few for an interval")
    whole = estimate(weights)
    drawn = np.asarray([estimate(weights * row[of_case]) for part in multiplicities(count, rng, draws) for row in part])
    return Means(np.asarray([whole]), drawn[np.isfinite(drawn)][:, None], n, count)
