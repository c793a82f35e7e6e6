"""How a cause of the image comes about when another variable is set, from the data: the world part of a mixed query.

Where the cause follows directly from what is set, its law is read in the cells of its other direct causes, each unit in
its own: nothing else of the unit changes. Elsewhere it is the identified law over all units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.factors import Factor, evaluate
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.identify import Hedge, Identified, identify
from xai_audit.graphs.terms import Product, Ratio, Sum, Term
from xai_audit.spec.causal import Level

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sides = tuple[float, float]
"""What the source is set to: reference and alternative."""
Both = tuple[Floats, Floats]
"""Probabilities of the values of each unit under reference and alternative, (units, values) each."""
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Places of its law at which a variable with a range is set: each stands for a fifth of it."""


@dataclass(frozen=True, eq=False)
class ChildLaw:
    """The law of one variable in each unit under two settings of another, as weights of values."""

    name: str
    values: tuple[tuple[Level, ...], ...]
    """(units) the values that a unit is set to, as many for every unit."""
    under: Callable[[Floats], Both]
    """The law by weights of the rows, (n,): a resample has its own law of the same values."""
    how: str
    """How it was found, as a sentence."""


def child_law(asked: Asked, source: str, name: str, sides: Sides) -> ChildLaw | str:
    """The law of `name` where `source` is set to each of two values; or the reason why it is not known."""
    sample = asked.sample
    assert sample is not None
    missing = [one for one in (source, name) if one not in sample.columns]
    if missing:
        return f"{', '.join(missing)} is not measured"
    if source not in sample.levels:
        return f"{source} has a range: its effect on {name} would need a model of it"
    graph = asked.graph.project([one for one in asked.graph.variables if one in sample.columns])
    if _is_direct(graph, sample, source, name):
        return _in_cells(sample, graph, source, name, sides)
    if name not in sample.levels:
        return f"{name} has a range and does not follow directly from measured variables with levels"
    return _identified(sample, graph, source, name, sides)


def _is_direct(graph: Graph, sample: Sample, source: str, name: str) -> bool:
    parents = graph.parents_of(name)
    has_arc = any(name in pair for pair in graph.bidirected)
    return source in parents and not has_arc and all(one in sample.levels for one in parents)


def _in_cells(sample: Sample, graph: Graph, source: str, name: str, sides: Sides) -> ChildLaw | str:
    others = tuple(one for one in graph.parents_of(name) if one != source)
    cells = _cells(sample, others)
    seen = [sample.columns[source] == value for value in sides]
    for value, rows in zip(sides, seen, strict=True):
        there = np.bincount(cells[rows], sample.weights[rows], cells.max() + 1)
        empty = [cell for cell in np.unique(cells).tolist() if there[cell] <= 0]
        if empty:
            row = int(np.flatnonzero(cells == empty[0])[0])
            also = "".join(f" and {one} is {_level(sample, one, sample.columns[one][row])}" for one in others)
            return f"no case shows {name} where {source} is {_level(sample, source, value)}{also}"
    given = f", given {', '.join(others)}" if others else ""
    how = f"The law of {name} is that of the cases with each value of {source}{given}."
    if name in sample.levels:
        places, values = _places_of_levels(sample, name), (sample.levels[name],) * sample.n
    else:
        places, values = _places_of_range(sample, name, cells, seen)
        how += f" It is stood for by {len(QUANTILES)} quantiles."
    count = len(values[0])

    def table(weights: Floats, rows: NDArray[np.bool_]) -> Floats:
        shape = (int(cells.max()) + 1, count)
        sums = np.bincount(cells[rows] * count + places[rows], weights[rows], shape[0] * count).reshape(shape)
        made = np.full(shape, np.nan)
        return np.asarray(np.divide(sums, sums.sum(1, keepdims=True), out=made, where=sums.any(1, keepdims=True)))

    whole = [table(sample.weights, rows) for rows in seen]

    def under(weights: Floats) -> Both:
        drawn = [table(weights, rows) for rows in seen]  # a cell that a resample leaves empty keeps its own law
        low, high = (np.where(np.isnan(one), full, one) for one, full in zip(drawn, whole, strict=True))
        return low[cells], high[cells]

    return ChildLaw(name, values, under, how)


def _places_of_levels(sample: Sample, name: str) -> Integers:
    return np.asarray(sample.columns[name], np.int64)


def _places_of_range(
    sample: Sample, name: str, cells: Integers, seen: list[NDArray[np.bool_]]
) -> tuple[Integers, tuple[tuple[Level, ...], ...]]:
    """Which quantile of its own cell each row belongs to, reference first; and the quantiles of each unit's cell."""
    column, count = sample.values(name), len(QUANTILES)
    places = np.zeros(sample.n, np.int64)
    at = np.zeros((int(cells.max()) + 1, 2 * count))
    for side, rows in enumerate(seen):
        for cell in np.unique(cells):
            own = np.flatnonzero(rows & (cells == cell))
            order = own[np.argsort(column[own], kind="stable")]
            share = sample.weights[order] / sample.weights[order].sum()
            middle = np.cumsum(share) - share / 2
            part = slice(side * count, (side + 1) * count)
            at[cell, part] = np.interp(QUANTILES, middle, column[order])
            places[order] = side * count + np.minimum((middle * count).astype(np.int64), count - 1)
    return places, tuple(tuple(float(one) for one in at[cell]) for cell in cells)


def _identified(sample: Sample, graph: Graph, source: str, name: str, sides: Sides) -> ChildLaw | str:
    found = identify(graph, (name,), (source,))
    if isinstance(found, Hedge):
        return f"the effect of {source} on {name} cannot be told from these data"
    needed = _variables(found.term)
    unlevelled = [one for one in needed if one not in sample.levels]
    if unlevelled:
        return f"the effect of {source} on {name} rests on {', '.join(unlevelled)}, which has a range"
    whole = _laws(sample, found, needed, source, name, sides, sample.weights)
    for value, law in zip(sides, whole, strict=True):
        if not np.isfinite(law).all():
            return f"no case shows what {name} would be where {source} is {_level(sample, source, value)}"

    def under(weights: Floats) -> Both:
        drawn = _laws(sample, found, needed, source, name, sides, weights)
        low, high = (one if np.isfinite(one).all() else full for one, full in zip(drawn, whole, strict=True))
        return np.tile(low, (sample.n, 1)), np.tile(high, (sample.n, 1))

    how = f"The law of {name} where {source} is set follows from the graph, over all cases."
    return ChildLaw(name, (sample.levels[name],) * sample.n, under, how)


def _laws(
    sample: Sample, found: Identified, needed: Names, source: str, name: str, sides: Sides, weights: Floats
) -> list[Floats]:
    law = evaluate(found.term, _table(sample, needed, weights))
    return [(law.at({source: int(v)}) if source in law.names else law).along((name,)) for v in sides]


def _cells(sample: Sample, names: Names) -> Integers:
    """(n,) number of the combination of levels that a row has."""
    codes = np.zeros(sample.n, np.int64)
    for name in names:
        codes = codes * len(sample.levels[name]) + sample.columns[name]
    return codes


def _level(sample: Sample, name: str, value: float) -> Level:
    return sample.levels[name][int(value)] if name in sample.levels else float(value)


def _variables(term: Term) -> Names:
    """Every variable that a term mentions."""
    if isinstance(term, Product):
        inner = {name for one in term.terms for name in _variables(one)}
    elif isinstance(term, Sum):
        inner = {*term.over, *_variables(term.term)}
    elif isinstance(term, Ratio):
        inner = {*_variables(term.numerator), *_variables(term.denominator)}
    else:
        inner = set(term.free)
    return tuple(sorted(inner))


def _table(sample: Sample, names: Names, weights: Floats) -> Factor:
    """The observed law of some variables with levels."""
    counts = np.zeros([len(sample.levels[name]) for name in names])
    np.add.at(counts, tuple(sample.columns[name] for name in names), weights)
    return Factor(names, counts / counts.sum())
