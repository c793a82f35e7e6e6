"""Resampling whole clusters with replacement (Davison and Hinkley 1997, section 3.8), by counts instead of copies.

A resample of G clusters is a vector of G multiplicities. A statistic of sums over cases needs only each cluster's sum,
so no case is ever copied. Where no clusters are declared every case is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xai_audit.measures.intervals import RESAMPLES

_CELLS = 2**19
"""Most multiplicities held at a time: about what a processor's cache holds."""


def codes(clusters: NDArray[np.integer] | None, n: int) -> NDArray[np.int64]:
    """Cluster of each case as 0 to G - 1, (cases,)."""
    if clusters is None:
        return np.arange(n)
    inverse: NDArray[np.int64] = np.unique(clusters, return_inverse=True)[1]
    return inverse


def clusters_with(clusters: NDArray[np.integer] | None, cases: NDArray[np.bool_]) -> int:
    """Number of clusters that hold at least one of the cases."""
    return int(np.count_nonzero(cases)) if clusters is None else len(np.unique(clusters[cases]))


def resampled_sums(
    contributions: NDArray[Any] | csr_array,
    clusters: NDArray[np.integer] | None,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> NDArray[np.float64]:
    """Sums of the contributions (cases, d) over each resample of clusters, (resamples, d).

    Whole numbers come exact: clusters of equal sums are exchangeable, so that only how many of each kind were drawn
    needs a draw.
    """
    totals = _cluster_totals(contributions, clusters)
    if isinstance(totals, np.ndarray) and totals.dtype.kind in "bui":
        kinds, counts = np.unique(totals, axis=0, return_counts=True)
        if 4 * len(kinds) <= len(totals):
            drawn = rng.multinomial(len(totals), counts / len(totals), size=resamples)
            return drawn.astype(np.float64) @ kinds.astype(np.float64)
    columns = csr_array(totals.T, dtype=np.float64)  # sparse times dense runs on one thread, in one order
    return np.concatenate([(columns @ chunk.T).T for chunk in multiplicities(totals.shape[0], rng, resamples)])


def multiplicities(groups: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Iterator[NDArray[np.float64]]:
    """How often each group is drawn in each resample, (some resamples, groups); each row adds up to `groups`."""
    step = max(1, _CELLS // groups)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, groups, size=(rows, groups), dtype=np.int32)
        yield np.stack([np.bincount(one, minlength=groups) for one in drawn]).astype(np.float64)


def _cluster_totals(
    contributions: NDArray[Any] | csr_array, clusters: NDArray[np.integer] | None
) -> NDArray[Any] | csr_array:
    if clusters is None:
        return contributions
    of_case = codes(clusters, len(clusters))
    ones = np.ones(len(of_case), dtype=np.int64)
    membership = csr_array((ones, (of_case, np.arange(len(of_case)))), dtype=np.int64)
    return membership @ contributions
