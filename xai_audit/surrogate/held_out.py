"""Which cases a tree is tested on and never grown from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def held_out(
    labels: NDArray[np.int64] | None, clusters: NDArray[np.int64] | None, n: int, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which of n cases are held out, (cases,): a share of each stratum, whole clusters together.

    A stratum is the cases of one net label (all of them for a regression); a cluster belongs to the label that most of
    its cases have, the lowest of equals. Clusters of a stratum are shuffled and taken while less than its share, or
    while taking one more comes nearer to it.
    """
    units = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(units)
    stratum = _strata(labels, units, len(sizes))
    is_out = np.zeros(len(sizes), dtype=np.bool_)
    for each in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == each))
        wanted, taken = share * sizes[members].sum(), 0
        for unit in members:
            if abs(taken + sizes[unit] - wanted) < abs(taken - wanted):
                is_out[unit] = True
                taken += int(sizes[unit])
    return np.asarray(is_out[units])


def together(clusters: NDArray[np.int64] | None, rows: NDArray[np.float64] | None, n: int) -> NDArray[np.int64]:
    """Codes (cases,) of cases that must not be parted: those of one cluster, and those whose rows are the same.

    `rows` (cases, features of the model), NaN where missing; else a tree would be tested on what it was grown from.
    """
    own = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    if rows is None:
        return np.asarray(own, np.int64)
    known = np.concatenate([np.nan_to_num(rows), np.isnan(rows)], axis=1)  # numpy takes no NaN for another
    same = np.unique(known, axis=0, return_inverse=True)[1].ravel()
    first = int(own.max(initial=-1)) + 1
    links = coo_array((np.ones(n, np.int8), (own, first + same)), shape=(first + n, first + n))
    return np.asarray(connected_components(links, directed=False)[1][own], np.int64)


def _strata(labels: NDArray[np.int64] | None, units: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if labels is None:
        return np.zeros(count, dtype=np.int64)
    known, codes = np.unique(labels, return_inverse=True)
    table = np.zeros((count, len(known)), dtype=np.int64)
    np.add.at(table, (units, codes), 1)
    return np.asarray(table.argmax(axis=1))
