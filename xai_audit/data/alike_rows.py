"""Rows of a table that are the same but for rounding, among themselves and between two tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ROUNDING = 0.01
"""Standard deviations by which two numbers may differ and still count as one."""
APART = 1e6
"""Distance, in standard deviations, between two categories, and between a value and a missing one."""
BUDGET = 5_000_000
"""Pairs of rows at most; with more, the rounding says nothing of these data."""


def spread_of(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of each feature over the rows that have it, (features,); 1 where it does not vary."""
    present = ~np.isnan(features)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, features, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(present, features - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.where(spread > 0, spread, 1.0)


def placed(features: NDArray[np.float64], spread: NDArray[np.float64], codes: Sequence[bool]) -> NDArray[np.float64]:
    """Rows as points whose largest distance along an axis says how far apart they are, (rows, 2 * features).

    Numbers in standard deviations; categories (`codes`) and missing values so far apart that no rounding joins them.
    """
    is_code = np.asarray(codes, dtype=bool)
    scaled = np.where(is_code, features * APART, features / spread)
    missing = np.isnan(features)
    return np.concatenate([np.where(missing, 0.0, scaled), missing * APART], axis=1)


def alike_rows(points: NDArray[np.float64], rounding: float) -> NDArray[np.bool_] | None:
    """Which rows have another, not the same one, within the rounding, (rows,); None where there are too many pairs."""
    distinct, place = np.unique(points, axis=0, return_inverse=True)
    tree = cKDTree(distinct)
    if tree.count_neighbors(tree, rounding, p=np.inf) > BUDGET + len(distinct):
        return None
    pairs = tree.query_pairs(rounding, p=np.inf, output_type="ndarray")
    has_other = np.zeros(len(distinct), dtype=bool)
    has_other[pairs.ravel()] = True
    found: NDArray[np.bool_] = has_other[place.ravel()]
    return found


def alike_between(points: NDArray[np.float64], others: NDArray[np.float64], rounding: float) -> NDArray[np.bool_]:
    """Which rows have one within the rounding among the others, but none that is the same, (rows,)."""
    distance, _ = cKDTree(np.unique(others, axis=0)).query(points, p=np.inf)
    found: NDArray[np.bool_] = (distance <= rounding) & (distance > 0)
    return found
