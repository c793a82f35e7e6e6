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

from xai_audit.causal.factors import Factor
from xai_audit.causal.graph import Graph, Names, sorted_names
from xai_audit.errors import Refusal

MOST_TYPES = 50_000
"""Joint response types of one district; with more the bounds are refused."""
SLACK = 1e-9

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
    levels = dict(zip(law.names, law.values.shape, strict=True))
    (outcome,) = {target.outcome for target in targets}
    types = Types(graph, levels, graph.district_of(outcome))
    kept = types.allowed(keeps)
    known = _KnownParts(graph, law, types.district)
    costs = np.sum([_costs(types, kept, known, target) for target in targets], axis=0)
    matrix, wanted = _constraints(types, kept, law)
    return Bounds(_solve(costs, matrix, wanted), -_solve(-costs, matrix, wanted))


def _solve(costs: Array, matrix: csr_matrix, wanted: Array) -> float:
    found = linprog(costs, A_eq=matrix, b_eq=wanted, bounds=(0, None), method="highs")
    if found.status == 2:
        raise Refuted
    if found.status != 0:
        raise Refusal("if_not_identified", f"a linear program that ended with: {found.message}", "an optimum", "")
    return float(found.fun)


def _constraints(types: Types, kept: Sequence[Mapping[str, Response]], law: Factor) -> tuple[csr_matrix, Array]:
    """For each setting of the district's parents: the types that answer with a combination have its probability."""
    q = district_law(types.graph, law, types.district)
    rows, columns, wanted = [], [], []
    settings = list(combinations_of(*(range(types.levels[name]) for name in types.outside)))
    places: dict[tuple[int, ...], int] = {}
    for setting in settings:
        given = dict(zip(types.outside, setting, strict=True))
        part = q.at(given)
        if np.isnan(part.values).any():
            continue  # a setting that never occurs says nothing
        for column, type_ in enumerate(kept):
            found = answers(type_, types.graph, given)
            cell = (*setting, *(found[name] for name in part.names))
            rows.append(places.setdefault(cell, len(places)))
            columns.append(column)
        for cell, probability in np.ndenumerate(part.values):
            places.setdefault((*setting, *cell), len(places))
            wanted.append(((*setting, *cell), float(probability)))
    b = np.zeros(len(places))
    for cell, share in wanted:
        b[places[cell]] = share
    shape = (len(places), len(kept))
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape), b


def district_law(graph: Graph, law: Factor, district: Names) -> Factor:
    """Q[district]: the product of P(v | what its law depends on before it) (Tian and Pearl, 2002)."""
    from xai_audit.causal.factors import evaluate
    from xai_audit.causal.identify import before
    from xai_audit.causal.terms import Probability, product

    found = evaluate(product(Probability((name,), before(graph, name)) for name in district), law)
    beyond = [name for name in found.names if name not in {*district, *graph.parents(district)}]
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
    costs = np.zeros(len(kept))
    settings = known.settings(target.do)
    for place, type_ in enumerate(kept):
        for given, factors in settings:
            found = answers(type_, types.graph, given)
            weight = float(np.prod([f.at({name: found[name] for name in f.names}).values for f in factors]))
            costs[place] += weight * target.weights[found[target.outcome]]
    return costs
