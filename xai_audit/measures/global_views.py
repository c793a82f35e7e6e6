"""How much each player matters over a slice: the mean absolute value of its explanations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums

NAME = "mean_absolute"


def by_player(maps: NDArray[np.floating], segments: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values (cases, players) of painted maps (cases, ...) whose pixels carry the number of their player."""
    flat, numbers = maps.reshape(len(maps), -1), segments.reshape(len(maps), -1).astype(np.int64)
    _, first = np.unique(numbers[0], return_index=True)
    assert (numbers == numbers[0]).all(), "the players differ between cases"
    return flat[:, first].astype(np.float64)


def mean_absolute(
    values: NDArray[np.float64], players: Sequence[str], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> Measured:
    """Mean over cases of |phi_i| for each player, with bootstrap intervals that resample whole clusters.

    values (cases, players). arrays: mean and mean_absolute, (players,). Undefined where there is no case.
    """
    n = len(values)
    if not n:
        why = "No explained case lies in this slice."
        nothing = [Estimate(NAME, np.nan, 0, "value", undefined_because=why, label=player) for player in players]
        return gather(nothing, {"players": list(players), "cases": 0}, clusters)
    if clusters is not None and len(np.unique(clusters)) == n:
        clusters = None
    columns = np.concatenate([np.abs(values), np.ones((n, 1))], axis=1)
    sums = resampled_sums(columns, clusters, rng)
    independent = clusters_with(clusters, np.ones(n, dtype=bool))
    means = np.abs(values).mean(0)
    estimates = [
        Estimate(
            NAME, float(means[k]), n, "value", draws=sums[:, k] / sums[:, -1], label=player, independent=independent
        )
        for k, player in enumerate(players)
    ]
    found = gather(estimates, {"players": list(players), "cases": n}, clusters)
    found.arrays.update({"mean": values.mean(0), NAME: means})
    return found
