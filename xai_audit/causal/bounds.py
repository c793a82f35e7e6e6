"""Bounds by linear programs over response types (Balke and Pearl, JASA 1997; CAUSAL.md section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as combinations_of
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from xai_audit.causal.factors import DRAW, Factor, multiplied
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names, sorted_names

MOST_TYPES = 50_000
"""Joint response types of one district; with more the bounds are refused."""

Array = NDArray[np.float64]
Levels = Mapping[str, int]
Response = NDArray[np.int64]
"""Level of a variable for each combination of its parents' levels; one axis a parent, in order of names."""


@dataclass(frozen=True)
class Bounds:
    """The smallest and largest value that the law leaves open; equal up to rounding where it is a point."""

    low: float
    high: float


class Refuted(Exception):
    """No model of the graph has this law: the data contradict the graph."""


@dataclass(frozen=True, eq=False)
class Types:
    """Every way in which the variables of one district can answer to their parents, jointly."""

    graph: Graph
    levels: Levels
    """Number of levels of each variable of the graph."""
    district: Names

    def __post_init__(self) -> None:
        count = prod(float(self.levels[name]) ** prod(self._shape(name)) for name in self.district)
        if count > MOST_TYPES:
            named = ", ".join(self.district)
            found, expected = f"{count:,.0f} response types for {named}", f"at most {MOST_TYPES:,}"
            raise Refusal("if_not_identified", found, expected, "Coarsen levels, or drop the bounds.")

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.levels[parent] for parent in self.graph.parents_of(name))

    def responses(self, name: str) -> list[Response]:
        """All answers of one variable."""
        shape = self._shape(name)
        every = combinations_of(range(self.levels[name]), repeat=prod(shape))
        return [np.array(answers, dtype=np.int64).reshape(shape) for answers in every]

    def allowed(self, keeps: Callable[[str, Response], bool]) -> list[dict[str, Response]]:
        """Joint types of which each answer is kept."""
        each = [[one for one in self.responses(name) if keeps(name, one)] for name in self.district]
        return [dict(zip(self.district, joint, strict=True)) for joint in combinations_of(*each)]

    @property
    def outside(self) -> Names:
        """Parents of the district that are not in it."""
        return self.graph.parents(self.district)


def answers(type_: Mapping[str, Response], graph: Graph, given: Levels) -> dict[str, int]:
    """What the district's variables come to where others have given levels; a level that is given is not answered."""
    found = dict(given)
    for name in graph.order:
        if name in type_ and name not in given:
            found[name] = int(type_[name][tuple(found[parent] for parent in graph.parents_of(name))])
    return found


@dataclass(frozen=True)
class Target:
    """A weighted sum of P(outcome levels | do): what is bounded."""

    do: Levels
    outcome: str
    weights: tuple[float, ...]
    """One for each level of the outcome."""


def bounds(
    graph: Graph,
    law: Factor,
    targets: Sequence[Target],
    keeps: Callable[[str, Response], bool] = lambda name, response: True,
) -> Bounds:
    """Bounds of the targets' sum over all models of the graph that have this law.

    The outcome's district must hold whatever the law does not fix; other districts enter as the law has them. `keeps`
    says which answers an assumption (such as monotone) leaves possible. Raises Refuted where no model has the law, and
    Refusal where there are too many types or another district is not fixed by the law.
    """
    found = program(graph, law, targets, keeps)
    costs, wanted = found.costs[0], found.wanted[0]
    return Bounds(_solve(costs, found.matrix, wanted), -_solve(-costs, found.matrix, wanted))


@dataclass(frozen=True, eq=False)
class Program:
    """The least and the largest costs @ p with matrix @ p = wanted, p >= 0: one program a law."""

    costs: Array
    """(laws, types)"""
    matrix: csr_matrix
    """(constraints, types); the same for every law."""
    wanted: Array
    """(laws, constraints)"""


def program(
    graph: Graph,
    law: Factor,
    targets: Sequence[Target],
    keeps: Callable[[str, Response], bool] = lambda name, response: True,
) -> Program:
    """The linear program of `bounds`, for one law or for each draw of a factor over laws; the first says which
    settings occur."""
    levels = {name: n for name, n in zip(law.names, law.values.shape, strict=True) if name != DRAW}
    laws = law if DRAW in law.names else Factor((DRAW, *law.names), law.values[None])
    (outcome,) = {target.outcome for target in targets}
    types = Types(graph, levels, graph.district_of(outcome))
    kept = types.allowed(keeps)
    if not kept:
        raise Refuted
    known = _KnownParts(graph, laws, types.district)
    costs = np.sum([_costs(types, kept, known, target) for target in targets], axis=0)
    return Program(costs, *_constraints(types, kept, laws))


def _solve(costs: Array, matrix: csr_matrix, wanted: Array) -> float:
    found = linprog(costs, A_eq=matrix, b_eq=wanted, bounds=(0, None), method="highs")
    if found.status == 2:
        raise Refuted
    if found.status != 0:
        raise Refusal(
            "if_not_identified", f"a linear program that ended with: {found.message}", "an optimum", "Coarsen levels."
        )
    return float(found.fun)


def _constraints(types: Types, kept: Sequence[Mapping[str, Response]], laws: Factor) -> tuple[csr_matrix, Array]:
    """For each setting of the district's parents: the types that answer with a combination have its probability."""
    q = district_law(types.graph, laws, types.district)
    rows, columns, wanted = [], [], []
    settings = list(combinations_of(*(range(types.levels[name]) for name in types.outside)))
    places: dict[tuple[int, ...], int] = {}
    for setting in settings:
        given = dict(zip(types.outside, setting, strict=True))
        part = q.at(given)
        if np.isnan(part.values[0]).any():
            continue  # a setting that never occurs says nothing
        values = np.where(np.isnan(part.values), part.values[0], part.values)
        for column, type_ in enumerate(kept):
            found = answers(type_, types.graph, given)
            cell = (*setting, *(found[name] for name in part.names if name != DRAW))
            rows.append(places.setdefault(cell, len(places)))
            columns.append(column)
        for where in np.ndindex(values.shape[1:]):
            places.setdefault((*setting, *where), len(places))
            wanted.append(((*setting, *where), values[(slice(None), *where)]))
    b = np.zeros((len(q.values), len(places)))
    for cell, shares in wanted:
        b[:, places[cell]] = shares
    shape = (len(places), len(kept))
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape), b


def district_law(graph: Graph, law: Factor, district: Names) -> Factor:
    """Q[district]: the product of P(v | what its law depends on before it) (Tian and Pearl, 2002)."""
    from xai_audit.causal.factors import evaluate
    from xai_audit.graphs.identify import before
    from xai_audit.graphs.terms import Probability, product

    found = evaluate(product(Probability((name,), before(graph, name)) for name in district), law)
    beyond = [name for name in found.names if name not in {DRAW, *district, *graph.parents(district)}]
    return found.at(dict.fromkeys(beyond, 0)) if beyond else found


@dataclass(frozen=True, eq=False)
class _KnownParts:
    """The other districts, as the law has them."""

    graph: Graph
    law: Factor
    district: Names

    def settings(self, do: Levels) -> list[tuple[dict[str, int], list[Factor]]]:
        """Every combination of levels outside the district, with the factors that weigh it."""
        lengths = dict(zip(self.law.names, self.law.values.shape, strict=True))
        others = [name for name in self.graph.order if name not in self.district and name not in do]
        factors = [self._factor(part, do) for part in self.graph.districts if part != self.district]
        made = []
        for setting in combinations_of(*(range(lengths[name]) for name in others)):
            made.append((dict(zip(others, setting, strict=True)) | dict(do), [f for f in factors if f is not None]))
        return made

    def _factor(self, part: Names, do: Levels) -> Factor | None:
        left = sorted_names(set(part) - set(do))
        if not left:
            return None
        if len(left) < len(part) and len(part) > 1:
            named = ", ".join(part)
            found = f"an intervention inside a second district that the law does not fix ({named})"
            raise Refusal("if_not_identified", found, "one district", "Bounds over several are not supported.")
        return district_law(self.graph, self.law, part)


def _costs(types: Types, kept: Sequence[Mapping[str, Response]], known: _KnownParts, target: Target) -> Array:
    """(laws, types): how much of the target each type gives."""
    costs = np.zeros((len(known.law.values), len(kept)))
    for given, factors in known.settings(target.do):
        seen: dict[tuple[int, ...], Array] = {}
        for place, type_ in enumerate(kept):
            found = answers(type_, types.graph, given)
            key = tuple(found[name] for name in types.graph.variables)
            if key not in seen:
                parts = [f.at({name: found[name] for name in f.names if name != DRAW}) for f in factors]
                seen[key] = np.asarray(multiplied(parts).values) * target.weights[found[target.outcome]]
            costs[:, place] += seen[key]
    return costs
