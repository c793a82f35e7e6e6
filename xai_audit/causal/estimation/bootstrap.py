"""How often each sampling group is drawn in each bootstrap draw (CAUSAL.md section 5: intervals).

Units without clusters that have the same levels are exchangeable: only how many of each kind are drawn is random. Whole
clusters are resampled otherwise, in an order of their contents, so that the order of rows changes no number. Many
clusters are dealt at random into 4,096 groups first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from xai_audit.causal.estimation.cells import Cells, Ints, codes_of, has_counts, is_clustered, size_of
from xai_audit.causal.factors import Array
from xai_audit.causal.sample import Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import sorted_names
from xai_audit.measures.intervals import LEAST_CLUSTERS, few_clusters
from xai_audit.measures.resampling import multiplicities

DRAWS = 1_000
MOST_DRAWS = 100_000
MOST_KINDS = 8_192
MOST_GROUPS = 4_096
MOST_UNITS = 5_000_000
"""Units behind counted rows that are dealt into groups one by one."""
MOST_DENSE = 5_000_000
"""Pairs of group and kind that are counted in one array."""
_IN_TAIL = 10
"""Draws that each end of an interval rests on, at least."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """The data in groups, as they were seen and as they were drawn."""

    cells: Cells
    times: Array
    """(1 + draws, groups); the first row is the data themselves. One row alone for an exact law."""
    n: int
    n_clusters: int
    warnings: tuple[str, ...] = ()

    @property
    def is_law(self) -> bool:
        """Whether there is no sampling error."""
        return len(self.times) == 1


def draws_for(alpha: float) -> int:
    """1,000, or as many as the ends of a higher confidence need. Raises Refusal above 100,000."""
    draws = max(DRAWS, math.ceil(2 * _IN_TAIL / alpha))
    if draws > MOST_DRAWS:
        raise Refusal("alpha", f"{alpha:g}", f"at least {2 * _IN_TAIL / MOST_DRAWS:g}", "Ask for less confidence.")
    return draws


def resampled(
    sample: Sample, names: Iterable[str], rng: np.random.Generator, alpha: float, range_: tuple[str, float, float]
    | None = None,
) -> Resampled:  # fmt: skip
    """The groups of some variables with levels. `range_`: (outcome, lowest, highest) enters as two levels.

    An outcome of a range counts with its share of the way at the highest level and with the rest at the lowest: each
    mean in a cell stays what it is. Raises Refusal for fewer than five sampling units.
    """
    n, n_clusters = size_of(sample)
    if not sample.is_law and n_clusters < LEAST_CLUSTERS:
        few = f"{n_clusters} sampling units"
        raise Refusal("data", few, f"{LEAST_CLUSTERS} or more", "Without them no interval can be given.")
    kept = sample.where(sample.weights > 0)
    levels = {name: len(sample.levels[name]) for name in sorted_names(names) if range_ is None or name != range_[0]}
    codes, places = codes_of(kept.columns, levels, kept.n)
    up = None if range_ is None else (kept.values(range_[0]) - range_[1]) / (range_[2] - range_[1])
    cells, times = _drawn(kept, codes, up, rng, 0 if sample.is_law else draws_for(alpha))
    entries = cells.places[_CODE]
    found = {name: place[entries] for name, place in places.items()}
    if range_ is not None:
        found[range_[0]], levels[range_[0]] = cells.places[_UP], 2
    warnings = () if sample.is_law else few_clusters(n_clusters)
    return Resampled(replace(cells, places=found, lengths=levels), times, n, n_clusters, warnings)


_CODE, _UP = "code", "up"


def _drawn(sample: Sample, codes: Ints, up: Array | None, rng: np.random.Generator, draws: int) -> tuple[Cells, Array]:
    kinds = int(codes.max()) + 1 if len(codes) else 0
    is_single = not is_clustered(sample) and has_counts(sample) and up is None and kinds <= MOST_KINDS
    if (sample.is_law and up is None) or is_single:
        counts = _sums(codes, sample.weights, kinds)
        times = counts[None]
        if not sample.is_law:
            units = round(float(counts.sum()))
            drawn = rng.multinomial(units, counts / counts.sum(), size=draws)
            times = np.concatenate([times, drawn.astype(np.float64)])
        return Cells({}, {_CODE: np.arange(kinds)}, np.arange(kinds), np.ones(kinds), kinds), times
    whole = _units(sample, codes, up) if not is_clustered(sample) else (codes, up, sample.weights, sample.clusters)
    return _of_clusters(*whole, rng, draws)


def _sums(codes: Ints, weights: Array, kinds: int) -> Array:
    """Weights by kind, added in order of size, so that the order of rows changes no bit."""
    order = np.lexsort((weights, codes))
    return np.bincount(codes[order], weights[order], minlength=kinds).astype(np.float64)


def _units(sample: Sample, codes: Ints, up: Array | None) -> tuple[Ints, Array | None, Array, Ints]:
    """One row a unit, where rows are counted and each unit is its own."""
    times = np.ones(sample.n, np.int64)
    weights = sample.weights
    if has_counts(sample) and not sample.is_law:
        times, weights = sample.weights.astype(np.int64), np.ones(sample.n)
    total = int(times.sum())
    if total > MOST_UNITS:
        fix = "Give the variables fewer levels, or name the sampling unit as data.cluster."
        raise Refusal("data.source.weight", f"{total:,} units of many kinds", f"at most {MOST_UNITS:,}", fix)
    rows = np.repeat(np.arange(sample.n), times)
    return codes[rows], None if up is None else up[rows], weights[rows], np.arange(total)


def _of_clusters(
    codes: Ints, up: Array | None, weights: Array, clusters: Ints, rng: np.random.Generator, draws: int
) -> tuple[Cells, Array]:
    order, cluster = _in_order(codes, np.zeros(len(codes)) if up is None else up, weights, clusters)
    codes, weights, up = codes[order], weights[order], None if up is None else up[order]
    count = int(cluster.max()) + 1
    groups = min(count, MOST_GROUPS)
    if count > groups:
        cluster = rng.permutation(np.arange(count) % groups)[cluster]
    if up is None:
        cells = _entries(codes, np.zeros(len(codes), np.int64), weights, cluster, groups)
    else:
        both = np.concatenate([np.zeros(len(codes), np.int64), np.ones(len(codes), np.int64)])
        halves = np.concatenate([weights * (1 - up), weights * up])
        cells = _entries(np.tile(codes, 2), both, halves, np.tile(cluster, 2), groups)
    times = np.ones((1, groups))
    if draws:
        times = np.concatenate([times, *multiplicities(groups, rng, draws)])
    return cells, times


def _in_order(codes: Ints, up: Array, weights: Array, clusters: Ints) -> tuple[Ints, Ints]:
    """Rows by cluster and content, clusters by their contents: (order of rows, cluster of each row so ordered)."""
    if not np.any(np.diff(np.sort(clusters)) == 0):
        return np.lexsort((weights, up, codes)), np.arange(len(codes))
    order = np.lexsort((weights, up, codes, clusters))
    starts = np.flatnonzero(np.diff(clusters[order], prepend=clusters[order[0]] - 1))
    content = np.column_stack([codes[order], up[order], weights[order]])
    keys = [part.tobytes() for part in np.split(content, starts[1:])]
    ranked = sorted(range(len(keys)), key=keys.__getitem__)
    rank = np.empty(len(keys), np.int64)
    rank[ranked] = np.arange(len(keys))
    lengths = np.diff(np.append(starts, len(order)))
    cluster = np.repeat(rank, lengths)
    again = np.argsort(cluster, kind="stable")
    return order[again], cluster[again]


def _entries(codes: Ints, half: Ints, weights: Array, groups: Ints, count: int) -> Cells:
    """Rows of one group and kind added up, in the order that they have."""
    kinds = int(codes.max()) + 1
    key = (groups * kinds + codes) * 2 + half
    if count * kinds * 2 <= MOST_DENSE:
        kept = np.flatnonzero(np.bincount(key))
        summed = np.bincount(key, weights)[kept].astype(np.float64)
    else:
        kept, where = np.unique(key, return_inverse=True)
        summed = np.bincount(where, weights).astype(np.float64)
    group, code = kept // 2 // kinds, kept // 2 % kinds
    return Cells({}, {_CODE: code, _UP: kept % 2}, group, summed, count)
