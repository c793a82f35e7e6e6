"""Shares and means over units, for all of them and by group of the protected variables, with intervals by cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, bounded, drawn, share
from xai_audit.causal.asked import Asked
from xai_audit.measures.intervals import RESAMPLES
from xai_audit.measures.resampling import resampled_sums

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = Sequence[tuple[str, Mask]]
"""(label, which units); the first is everybody, without a label."""


def protected_groups(asked: Asked) -> list[tuple[str, Mask]]:
    """Everybody, and each level of each protected variable that is measured."""
    sample = asked.sample
    assert sample is not None
    found: list[tuple[str, Mask]] = [("", np.ones(sample.n, np.bool_))]
    for name in sorted(asked.causal.variables):
        if asked.causal.variables[name].role == "protected" and name in sample.levels:
            for place, level in enumerate(sample.levels[name]):
                found.append((f"{name} {level}", np.asarray(sample.columns[name] == place)))
    return found


def share_by_group(asked: Asked, name: str, groups: Groups, has: Mask, among: Mask) -> list[Amount]:
    """Share of units that have something, of those it is about; groups without a unit are left out.

    Wilson's interval where units are their own clusters, or all of a group agree (its trials are then the clusters);
    else a bootstrap of clusters.
    """
    sample = asked.sample
    assert sample is not None
    is_plain = sample.n_clusters == sample.n and bool((sample.weights == 1).all())
    found: list[Amount] = []
    for label, inside in groups:
        here = inside & among
        trials = len(np.unique(sample.clusters[here]))
        if trials and (is_plain or has[here].all() or not has[here].any()):
            successes = int(has[here].sum()) if is_plain else trials * int(has[here].all())
            found.append(replace(share(name, successes, trials, asked.query.alpha), label=label))
        else:
            found += mean_by_group(asked, name, [(label, inside)], has.astype(np.float64), among)
    return found


def mean_by_group(asked: Asked, name: str, groups: Groups, values: Array, among: Mask) -> list[Amount]:
    """Weighted mean of the units it is about, with cluster bootstrap; groups without a unit are left out."""
    return [
        drawn(name, value, draws, asked.query.alpha, label)
        for label, value, draws in _means(asked, name, groups, [values], among)
    ]


def bounds_by_group(asked: Asked, name: str, groups: Groups, low: Array, high: Array) -> list[Amount]:
    """Weighted means of the lower and of the upper ends, with cluster bootstrap."""
    everybody = np.ones(len(low), np.bool_)
    lows, highs = (list(_means(asked, name, groups, [one], everybody)) for one in (low, high))
    return [
        bounded(name, a[1], b[1], asked.query.alpha, np.stack([a[2], b[2]]), a[0])
        for a, b in zip(lows, highs, strict=True)
    ]


def _means(
    asked: Asked, name: str, groups: Groups, values: Sequence[Array], among: Mask
) -> list[tuple[str, float, Array]]:
    sample = asked.sample
    assert sample is not None
    found = []
    for label, inside in groups:
        here = inside & among
        weights = np.where(here, sample.weights, 0.0)
        if weights.sum() <= 0:
            continue
        worth = np.where(here, values[0], 0.0) * weights
        sums = resampled_sums(np.stack([worth, weights], 1), sample.clusters, asked.rng(f"{name}:{label}"), RESAMPLES)
        kept = sums[:, 1] > 0
        draws = np.where(kept, sums[:, 0] / np.where(kept, sums[:, 1], 1.0), np.nan)
        draws[~kept] = worth.sum() / weights.sum()
        found.append((label, float(worth.sum() / weights.sum()), draws))
    return found
