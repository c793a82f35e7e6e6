"""Nested groups of players, for Owen values: which players join first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import linkage

from xai_audit.explain.shapley.games import Array


def nearest_first(labels: npt.NDArray[np.int64]) -> Array:
    """A linkage (players - 1, 4) of superpixels by the distances of their centres, mean over pairs (UPGMA)."""
    count = np.bincount(labels.ravel())
    rows, columns = np.indices(labels.shape)
    centres = np.stack([np.bincount(labels.ravel(), axis.ravel()) / count for axis in (rows, columns)], axis=1)
    return np.asarray(linkage(centres, "average"))


def declared(members: Sequence[Sequence[int]], players: int) -> Array:
    """A linkage in which the members of each group join first, halving as they go; then the groups and the rest."""
    rows: list[list[float]] = []
    sizes = [1] * players

    def joined(nodes: list[int]) -> int:
        if len(nodes) == 1:
            return nodes[0]
        half = len(nodes) // 2
        left, right = joined(nodes[:half]), joined(nodes[half:])
        sizes.append(sizes[left] + sizes[right])
        rows.append([left, right, 1.0, sizes[-1]])
        return players + len(rows) - 1

    inside = {player for group in members for player in group}
    tops = [joined(list(group)) for group in members]
    joined([*tops, *(player for player in range(players) if player not in inside)])
    return np.array(rows, np.float64)
