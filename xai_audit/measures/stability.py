"""Whether a method with chance in it says the same again (Alvarez-Melis and Jaakkola 2018; Visani et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.randomisation import centred_ranks

CONSTANT = "maps are the same everywhere for some seed: they have no order of places"
LEAST_SELECTED, SELECTED_SHARE = 3, 0.1
Z = 1.96
Values = NDArray[np.float64]


def mean_pairwise_rank_correlation(runs: Sequence[Values]) -> float:
    """Mean Spearman correlation over pairs of runs, each (places,) or any other shape; NaN where a run is constant."""
    ranks = np.stack([centred_ranks(run) for run in runs])
    lengths = np.linalg.norm(ranks, axis=1)
    if not lengths.all():
        return np.nan
    unit = ranks / lengths[:, None]
    correlations = np.clip(unit @ unit.T, -1, 1)
    return float(correlations[np.triu_indices(len(runs), 1)].mean())


def selected(values: Values) -> frozenset[int]:
    """The players that a linear explanation selects: the tenth with the largest weights, three at least."""
    count = min(len(values), max(LEAST_SELECTED, round(SELECTED_SHARE * len(values))))
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return frozenset(order.tolist())


def variables_stability(runs: Sequence[Values]) -> float:
    """VSI: mean over pairs of runs of the share of selected players that both select (Visani et al. 2020)."""
    sets = [selected(run) for run in runs]
    return float(np.mean([len(a & b) / len(a) for a, b in combinations(sets, 2)]))


def coefficients_stability(runs: Sequence[Values], errors: Sequence[Values]) -> float:
    """CSI: share of pairs of runs, over all players, whose 95 % intervals of the coefficient overlap (same paper)."""
    shares = [
        np.mean(np.abs(a - b) <= Z * (one + other))
        for (a, one), (b, other) in combinations(list(zip(runs, errors, strict=True)), 2)
    ]
    return float(np.mean(shares))
