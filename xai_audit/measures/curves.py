"""Curves of what the net says while places are taken away or put back in the order of a map.

Petsiuk, Das, Saenko (RISE), BMVC 2018, section 4.1 (deletion, insertion); Rong et al., ICML 2022 (ROAD).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def order_of(relevance: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of a map in descending order of relevance, (places,); equal ones in random order."""
    flat = relevance.astype(np.float64).ravel()
    return np.lexsort((rng.random(len(flat)), -flat))


def buckets(relevance: NDArray[np.floating], steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Step in which each place goes, 0 to steps - 1, in the map's shape: the last step takes the rest."""
    order = order_of(relevance, rng)
    step = np.minimum(np.arange(len(order)) // (len(order) // steps), steps - 1)
    found = np.empty(len(order), np.int64)
    found[order] = step
    return found.reshape(relevance.shape)


def removed(relevance: NDArray[np.floating], fractions: Sequence[float], rng: np.random.Generator) -> NDArray[np.bool_]:
    """(2, fractions, *map): places taken away, most relevant first and, in the same order, least relevant first."""
    order = order_of(relevance, rng)
    masks = np.zeros((2, len(fractions), len(order)), bool)
    for row, fraction in enumerate(fractions):
        count = int(fraction * len(order) + 0.5)
        masks[0, row, order[:count]] = True
        masks[1, row, order[len(order) - count :]] = True
    return masks.reshape(2, len(fractions), *relevance.shape)


def deletion(curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """Area under curves (..., T + 1): sum over t < T of (p_t + p_{t+1}) / (2 T). Lower is better."""
    pairs = np.asarray(curve[..., :-1] + curve[..., 1:], np.float64)
    return np.asarray(pairs.sum(-1) / (2 * (curve.shape[-1] - 1)))


def insertion(curve: NDArray[np.floating]) -> NDArray[np.float64]:
    """As `deletion`, of what the net says while places are put back; higher is better."""
    return deletion(curve)


def road(most_first: NDArray[np.floating], least_first: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean over fractions of the accuracy with least relevant places gone, less that with most relevant ones gone.

    Both (..., fractions) with 1 where the answer is still the frozen class; from -1 to 1, higher is better.
    """
    return np.asarray(least_first.mean(-1, dtype=np.float64) - most_first.mean(-1, dtype=np.float64))
