"""How far maps of several methods agree: rank correlation, overlap of their highest places, and Kendall's W."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from xai_audit.measures.curves import order_of

TOP = 0.1


def standard_ranks(relevance: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Ranks of a map's places (ties get their mean), centred and of length 1, (places,); None for a constant map."""
    ranks = rankdata(relevance, axis=None)
    ranks = ranks - ranks.mean()
    length = float(np.linalg.norm(ranks))
    return ranks / length if length > 0 else None


def rank_correlations(ranks: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """Spearman's correlation of each pair of maps, (maps, maps); NaN where a map is constant."""
    found = np.full((len(ranks), len(ranks)), np.nan)
    there = [place for place, entry in enumerate(ranks) if entry is not None]
    if there:
        stacked = np.stack([entry for entry in ranks if entry is not None])
        found[np.ix_(there, there)] = np.clip(stacked @ stacked.T, -1, 1)
    return found


def top_places(relevance: NDArray[np.floating], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(places,): the highest places, at least one; equal ones are chosen among at random."""
    count = max(1, int(share * relevance.size + 0.5))
    found = np.zeros(relevance.size, bool)
    found[order_of(relevance, rng)[:count]] = True
    return found


def overlaps(tops: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Intersection over union of each pair, (maps, maps)."""
    stacked = np.stack(tops).astype(np.float64)
    both, sizes = stacked @ stacked.T, stacked.sum(1)
    return np.asarray(both / (sizes[:, None] + sizes[None, :] - both))


def kendall_w(scores: NDArray[np.floating]) -> float | None:
    """Kendall's coefficient of concordance of m judges over k methods, from scores (judges, methods), ties corrected.

    W = 12 sum_i (R_i - Rbar)^2 / (m^2 (k^3 - k) - m sum_j sum_t (t^3 - t)); None where every judge ties all methods, or
    with fewer than two judges or methods.
    """
    judges, methods = scores.shape
    if judges < 2 or methods < 2:
        return None
    ranks = rankdata(scores, axis=1)
    sums = ranks.sum(0)
    counts = [np.unique(row, return_counts=True)[1].astype(np.float64) for row in ranks]
    ties = sum(float((count**3 - count).sum()) for count in counts)
    most = judges**2 * (methods**3 - methods) - judges * ties
    return float(12 * ((sums - sums.mean()) ** 2).sum() / most) if most > 0 else None
