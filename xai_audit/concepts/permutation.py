"""Random counterparts of a concept, and the test that asks whether random sets in its place do as well (METHODS 4).

The null hypothesis is that the concept's images were drawn from the same images as its random counterparts. Then the
concept set is a random subset of size n of the U images that are the concept's or the pool's, and a null set is another
such subset. Each set, the concept's or a null one, gets counterparts of n images from what *it* leaves over: no set
shares an image with its own counterparts, and all sets are treated alike, whatever the sizes. The same counterparts for
all sets would need images that no set uses, which a small pool does not have, and null sets that overlap with their
counterparts would be separated less well than the concept, so that any concept would look special.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

LEAST = 30
"""Fewest images of a concept set."""
MOST = 100
"""Most images of a concept set; of a larger one so many are drawn."""
POOL = 1000
"""Most images that counterparts are drawn from."""
LEVEL = 0.05
"""A corrected p at most this is called significant."""
_TIE = 1e-9
"""Shares that differ by less are equal."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def set_size(concept: int, pool: int) -> int:
    """Images of a set: as many as the concept has, at most `MOST` and three quarters of the pool.

    So that random sets are as large as the concept set, and two of them are not the same images.
    """
    return min(concept, MOST, 3 * pool // 4)


def draw_sets(size: int, images: int, runs: int, null_sets: int, rng: np.random.Generator) -> Iterator[Integers]:
    """The concept set (the first `size` of the images) and then each null set, beside its random counterparts.

    Each is (runs, 2 * size): a set's images, in one order for all runs, then those of a counterpart.
    """
    for number in range(null_sets + 1):
        order = rng.permutation(images) if number else np.arange(images)
        of_set, others = order[:size], order[size:]
        drawn = np.argsort(rng.random((runs, len(others))), axis=1)[:, :size]
        yield np.concatenate([np.broadcast_to(of_set, (runs, size)), others[drawn]], axis=1)


@dataclass(frozen=True)
class Comparison:
    """How far a set's scores lie from one half."""

    balance: float
    """Mean over counterparts of (share of cases with S > 0 - share with S < 0) / 2, which is the mean score - 0.5
    where no S is exactly 0."""
    slope: float
    """Mean of S over counterparts and cases."""


def permutation_p(concept: Comparison, null_balances: Floats, null_slopes: Floats) -> float:
    """(1 + null sets at least as far from one half) / (null sets + 1), two-sided.

    Between sets equally far, the one with the larger |mean S| is farther: behind a linear head every score is 0 or 1,
    most sets tie, and the plain count could never call one significant.
    """
    distance, far = abs(concept.balance), np.abs(null_balances)
    is_tied = np.abs(far - distance) <= _TIE
    is_larger = np.abs(null_slopes) >= abs(concept.slope) * (1 - _TIE)
    beaten = int(np.count_nonzero((far > distance + _TIE) | (is_tied & is_larger)))
    return (1 + int(beaten)) / (len(far) + 1)


def bonferroni(p: float, comparisons: int) -> float:
    """The p times the number of comparisons that the audit makes in all, at most 1."""
    return min(1.0, p * comparisons)


def default_null_sets(comparisons: int) -> int:
    """Enough for the smallest p to reach half the level after correction, and never fewer than 199."""
    return max(199, 40 * comparisons - 1)


def welch_p(first: Floats, second: Floats) -> float | None:
    """Two-sided p of Welch's t-test; None where neither sample varies, so that there is no t."""
    a, b = first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)
    if a + b <= _TIE**2:
        return None
    t = (first.mean() - second.mean()) / math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return float(2 * stdtr(freedom, -abs(t)))
