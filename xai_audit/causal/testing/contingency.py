"""Independence of variables with levels, within the strata of what is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, random_table

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.quadratic import (
    Array,
    Tested,
    Untestable,
    between,
    eigenvalues,
    has_clusters,
    independent,
    products_of,
    quadratic,
    scaled,
)

LEAST_EXPECTED = 5.0
"""A table with a smaller expected count is tested by tables of the same margins, not by chi-squared."""
TABLES = 4_999
"""Tables that are drawn for such a test."""
FIRST = 999
"""Tables after which a test stops whose p is above STOP: more of them would not make it small."""
STOP = 0.1
MOST_TESTED_BY_TABLES = 200
"""Strata above which no tables are drawn."""


def strata(sample: Sample, given: Sequence[str]) -> NDArray[np.int64]:
    """Number of the combination of levels that each row has, (n,)."""
    if not given:
        return np.zeros(sample.n, np.int64)
    where = np.zeros(sample.n, np.int64)
    for name in given:  # numbered anew after each, so that many variables do not make too large a number
        where = np.unique(where * len(sample.levels[name]) + sample.columns[name], return_inverse=True)[1].reshape(-1)
    return np.asarray(where, np.int64)


def tables(sample: Sample, a: str, b: str, given: Sequence[str]) -> Array:
    """Units by stratum, level of a and level of b, (strata, A, B)."""
    where = strata(sample, given)
    shape = int(where.max()) + 1, len(sample.levels[a]), len(sample.levels[b])
    made = np.zeros(shape)
    np.add.at(made, (where, sample.columns[a], sample.columns[b]), sample.weights)
    return made


def expected_counts(observed: Array) -> Array:
    """Counts under independence within each stratum."""
    rows, columns = observed.sum(2, keepdims=True), observed.sum(1, keepdims=True)
    n = observed.sum((1, 2), keepdims=True)
    return np.asarray(np.divide(rows * columns, n, out=np.zeros(observed.shape), where=n > 0))


def pearson(observed: Array) -> float:
    """Pearson's chi-squared, summed over strata."""
    expected = expected_counts(observed)
    terms = np.divide((observed - expected) ** 2, expected, out=np.zeros(expected.shape), where=expected > 0)
    return float(terms.sum())


def likelihood_ratio(observed: Array) -> Array:
    """G = 2 sum O log(O / E), over the last three axes."""
    rows, columns = observed.sum(-1, keepdims=True), observed.sum(-2, keepdims=True)
    n = observed.sum((-1, -2), keepdims=True)
    is_seen = observed > 0
    ratio = np.where(is_seen, observed * n, 1.0) / np.where(is_seen, rows * columns, 1.0)
    return np.asarray(2 * (observed * np.log(ratio)).sum((-1, -2, -3)))


def degrees(observed: Array) -> int:
    """Degrees of freedom: levels that a stratum does not hold do not count."""
    rows, columns = (observed.sum(2) > 0).sum(1), (observed.sum(1) > 0).sum(1)
    return int((np.maximum(rows - 1, 0) * np.maximum(columns - 1, 0)).sum())


def of_levels(sample: Sample, a: str, b: str, given: Sequence[str], rng: np.random.Generator, alpha: float) -> Tested:
    """The G test within strata; effect is Cramer's V over all strata, less what chance adds; of an exact law its V.

    Raises Untestable where no stratum holds two values of both.
    """
    observed = tables(sample, a, b, given)
    dof, units = degrees(observed), observed.sum()
    least = min((observed.sum((0, 2)) > 0).sum(), (observed.sum((0, 1)) > 0).sum()) - 1
    if sample.is_law:
        effect = float(np.sqrt(pearson(observed) / (units * max(least, 1))))
        return Tested("exact law", effect, effect, effect, None, 1.0, sample.n_clusters, np.inf, max(dof, 1))
    if dof == 0:
        raise Untestable("no group holds two values of both")
    spread = _design_effects(sample, a, b, given) if has_clusters(sample) else np.ones(dof)
    found = quadratic(pearson(observed), spread, dof, float(units * least), alpha)
    p, name = _p_of_levels(observed, spread, dof, rng, not has_clusters(sample))
    return replace(found, test=name, p=p, n=float(units), clusters=sample.n_clusters)


def _p_of_levels(
    observed: Array, spread: Array, dof: int, rng: np.random.Generator, may_draw: bool
) -> tuple[float, str]:
    """G test; where expected counts are small, by tables with the same margins (Agresti 2013, section 16.5)."""
    kept = observed[(observed.sum((1, 2)) > 0)]
    expected = expected_counts(kept)
    G = float(likelihood_ratio(kept))
    whole = bool(np.all(kept == np.round(kept))) and len(kept) <= MOST_TESTED_BY_TABLES
    if may_draw and whole and expected[expected > 0].min() < LEAST_EXPECTED:
        return _p_of_tables(kept, rng), "exact test"
    statistic, used = scaled(G, spread, dof)
    return float(chi2.sf(statistic, used)), "G test" if may_draw else "G test, clusters"


def _p_of_tables(observed: Array, rng: np.random.Generator) -> float:
    """Share of tables with the same margins of which G is as large, the observed one among them."""
    # With one table alone of its margins there is nothing to draw, and scipy draws nonsense.
    open_ = [table for table in observed if min((table.sum(1) > 0).sum(), (table.sum(0) > 0).sum()) > 1]
    counts = np.arange(int(observed.sum((1, 2)).max()) + 1, dtype=np.float64)
    parts = counts * np.log(np.maximum(counts, 1))  # of G only sum O log O differs between tables of the same margins
    seen = sum(float(parts[table.astype(int)].sum()) for table in open_)
    larger, made = 0, 0
    for tables in (FIRST, TABLES - FIRST):
        drawn = np.sum([_drawn(table, parts, tables, rng) for table in open_], axis=0)
        larger += int(np.count_nonzero(drawn >= seen - 1e-9 * max(1.0, seen)))
        made += tables
        if (1 + larger) / (made + 1) > STOP:
            break
    return (1 + larger) / (made + 1)


def _drawn(table: Array, parts: Array, tables: int, rng: np.random.Generator) -> Array:
    """Sum of O log O of tables with the margins of one, (tables,)."""
    rows, columns = table.sum(1).astype(int), table.sum(0).astype(int)
    drawn = random_table(rows[rows > 0], columns[columns > 0]).rvs(tables, random_state=rng)
    return np.asarray(parts[np.asarray(drawn, np.int64)].sum((1, 2)))


def _design_effects(sample: Sample, a: str, b: str, given: Sequence[str]) -> Array:
    """How much clusters widen the law of each direction of U (Rao and Scott, Annals of Statistics 1984), (dof,)."""
    where = strata(sample, given)
    A, B = _deviations(sample, a, where), _deviations(sample, b, where)
    blocks = [np.flatnonzero(where == stratum) for stratum in range(int(where.max()) + 1)]
    columns = [products_of(A[rows], B[rows]) for rows in blocks]
    width = max(part.shape[1] for part in columns)
    whole = np.zeros((sample.n, width * len(blocks)))
    for place, (rows, part) in enumerate(zip(blocks, columns, strict=True)):
        whole[rows, place * width : place * width + part.shape[1]] = part
    alone = np.zeros((whole.shape[1], whole.shape[1]))
    for place, rows in enumerate(blocks):
        at = slice(place * width, (place + 1) * width)
        alone[at, at] = independent(A[rows], B[rows], sample.weights[rows])
    return eigenvalues(alone, between(whole, sample))


def _deviations(sample: Sample, name: str, where: NDArray[np.int64]) -> Array:
    """Indicators of all levels but the last, less their mean in the stratum, (n, levels - 1)."""
    ones = np.eye(len(sample.levels[name]))[sample.columns[name]][:, :-1]
    totals = np.zeros((int(where.max()) + 1, ones.shape[1] + 1))
    np.add.at(totals, where, sample.weights[:, None] * np.column_stack([ones, np.ones(len(ones))]))
    return np.asarray(ones - (totals[:, :-1] / np.maximum(totals[:, -1:], 1e-300))[where])
