"""How the share of right answers changes as the cases of which a model is least sure are set aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.intervals import LEAST_CLUSTERS, Interval, percentile, wilson
from xai_audit.measures.resampling import resampled_sums

STEPS = 10
"""Points of the curve: all cases kept, nine tenths, and so on to one tenth."""


@dataclass(frozen=True)
class Kept:
    """The cases at or above one stated confidence."""

    threshold: float
    """Lowest confidence among them."""
    n: int
    share: float
    """Of all cases, 0 to 1."""
    right: int
    accuracy: float
    interval: Interval | None
    """None where there are too few independent units to resample."""


def set_aside_curve(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    clusters: NDArray[np.integer] | None,
    least: int,
    rng: np.random.Generator,
) -> tuple[Kept, ...]:
    """Accuracy of the answers that are kept, all of them first (risk and coverage: El-Yaniv and Wiener, JMLR 2010).

    `confidence`, `right`, `clusters`: (cases,). Cases of equal confidence are kept or set aside together. Points that
    would keep, or set aside anew, fewer than `least` cases are left out. The interval is Wilson's, or the percentile
    interval over resampled clusters where there are any. ValueError without a case.
    """
    if not len(confidence):
        raise ValueError("no case to set aside")
    ordered = np.sort(confidence)[::-1]
    found: list[Kept] = []
    for step in range(STEPS, 0, -1):
        threshold = float(ordered[-(-len(ordered) * step // STEPS) - 1])
        is_kept = confidence >= threshold
        n = int(is_kept.sum())
        if found and (n < least or found[-1].n - n < max(least, 1)):
            continue
        count = int((is_kept & right).sum())
        interval = _interval(is_kept, right, clusters, rng)
        found.append(Kept(threshold, n, n / len(ordered), count, count / n, interval))
    return tuple(found)


def _interval(
    is_kept: NDArray[np.bool_],
    right: NDArray[np.bool_],
    clusters: NDArray[np.integer] | None,
    rng: np.random.Generator,
) -> Interval | None:
    kept, count = int(is_kept.sum()), int((is_kept & right).sum())
    if clusters is None:
        return wilson(count, kept)
    if len(np.unique(clusters[is_kept])) < LEAST_CLUSTERS:
        return None
    sums = resampled_sums(np.column_stack([is_kept & right, is_kept]).astype(np.int64), clusters, rng)
    held = sums[:, 1] > 0
    return percentile(sums[held, 0] / sums[held, 1], count / kept)
