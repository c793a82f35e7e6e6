"""Structural models given as tables: exact laws, and what they leave open about single units (CAUSAL.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product as combinations_of
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from xai_audit.causal.bounds import MOST_TYPES, Bounds, Response, Types
from xai_audit.causal.factors import Factor, multiplied
from xai_audit.causal.joint_answers import Seen, Term, joint_bounds
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names, sorted_names

Array = NDArray[np.float64]
Point = Mapping[str, int]
"""Level of each of some variables."""
Keeps = Callable[[str, Response], bool]
"""Whether an assumption leaves a variable's answer possible."""
CERTAIN = 1e-12
"""A probability this close to 0 or 1 is one."""


def keep_all(name: str, response: Response) -> bool:
    """Nothing is assumed."""
    return True


def monotone_answers(graph: Graph, edges: Sequence[tuple[str, str, bool]]) -> Keeps:
    """Only answers of each outcome that never fall with a cause, or never rise, of (cause, outcome, whether rising)."""
    if not edges:
        return keep_all

    def keeps(name: str, response: Response) -> bool:
        for cause, outcome, rises in edges:
            if outcome == name:
                steps = np.diff(response, axis=graph.parents_of(name).index(cause))
                if (steps < 0).any() if rises else (steps > 0).any():
                    return False
        return True

    return keeps


@dataclass(frozen=True, eq=False)
class DiscreteModel:
    """Every variable of a graph without `<->` with its table P(variable | parents); noises are independent."""

    graph: Graph
    tables: Mapping[str, Factor]
    """By variable: a factor over it and its parents."""

    @cached_property
    def levels(self) -> dict[str, int]:
        """Number of levels of each variable."""
        return {name: dict(zip(t.names, t.values.shape, strict=True))[name] for name, t in self.tables.items()}

    def law(self, names: Sequence[str], do: Point | None = None) -> Factor:
        """The joint law of some variables, under do(variable = level) where asked."""
        do = do or {}
        cut = self.graph.cut_incoming(tuple(do))
        needed = cut.ancestors(names)
        factors = [self._point(name, do[name]) if name in do else self.tables[name] for name in needed]
        for name in reversed([name for name in self.graph.order if name in needed and name not in names]):
            holding = [factor for factor in factors if name in factor.names]
            factors = [factor for factor in factors if name not in factor.names]
            factors.append(multiplied(holding).total((name,)))
        return multiplied(factors)

    def probability(self, facts: Point) -> float:
        """How probable some facts are together."""
        return float(self.law(sorted_names(facts)).at(facts).values)

    def _point(self, name: str, level: int) -> Factor:
        values = np.zeros(self.levels[name])
        values[level] = 1
        return Factor((name,), values)

    def row(self, name: str, parents: Point) -> Array:
        """P(variable | its parents' levels)."""
        return np.asarray(self.tables[name].at({p: parents[p] for p in self.graph.parents_of(name)}).values)

    def is_certain(self, name: str) -> bool:
        """Whether the parents' levels settle the variable's."""
        values = self.tables[name].values
        return bool(np.all((values < CERTAIN) | (values > 1 - CERTAIN)))


def counterfactual(
    model: DiscreteModel, facts: Point, do: Point, on: str, weights: Sequence[float], keeps: Keeps = keep_all
) -> Bounds:
    """What is left open about the mean of `weights` over the levels that `on` would have had in a unit with some facts.

    Tables fix how often each level follows its causes, not which units would answer otherwise. Variables that the
    change does not reach keep their values. Where it reaches one variable that its causes do not settle, the bounds are
    those of a linear program over its response types; where it reaches several, those of all their joint answers.
    Raises Refusal for facts of probability 0, and where there are too many answers.
    """
    if model.probability(facts) <= CERTAIN:
        shown = ", ".join(f"{name} {level}" for name, level in facts.items())
        raise Refusal(
            "given", f"facts that the mechanisms never produce ({shown})", "facts that can occur", "Correct them."
        )
    reached = _reached(model.graph, do, on)
    open_ = [name for name in reached if not model.is_certain(name)]
    if len(open_) <= 1:
        return _one_open(model, facts, do, on, weights, open_, keeps)
    if set(facts) >= set(model.graph.ancestors((on,))):
        return _all_known(model, facts, do, on, weights, reached, keeps)
    graph = model.graph

    def row(name: str, setting: tuple[int, ...]) -> Array:
        return model.row(name, dict(zip(graph.parents_of(name), setting, strict=True)))

    def kept(name: str) -> list[Response] | None:
        if keeps is keep_all:
            return None
        every = Types(graph, model.levels, (name,)).responses(name)
        found = [one for one in every if keeps(name, one)]
        return None if len(found) == len(every) else found

    found = joint_bounds(_terms(model, facts, do, on, weights, open_), row, kept)
    chance = model.probability(facts)
    return Bounds(max(found.low / chance, min(weights)), min(found.high / chance, max(weights)))


def _terms(
    model: DiscreteModel, facts: Point, do: Point, on: str, weights: Sequence[float], open_: Sequence[str]
) -> list[Term]:
    """The mean of `weights` times the chance of the facts, as a sum over what both worlds may come to."""
    graph = model.graph
    found: list[Term] = []
    reached = _reached(graph, do, on)
    names = graph.ancestors((*facts, on, *do))
    for unit in _completions(model, facts, names):
        rest = prod(float(model.row(name, unit)[unit[name]]) for name in names if name not in open_)
        stack: list[tuple[int, dict[str, int], dict[str, Seen]]] = [(0, {**unit, **do}, {})] if rest > 0 else []
        while stack:
            place, world, seen = stack.pop()
            if place == len(reached):
                if weights[world[on]] != 0:
                    found.append((rest * weights[world[on]], seen))
                continue
            name = reached[place]
            before, after = _of_parents(graph, name, unit), _of_parents(graph, name, world)
            if name not in open_:
                stack.append((place + 1, {**world, name: int(np.argmax(model.row(name, world)))}, seen))
            elif before == after:
                one = {**seen, name: ((before, unit[name]),)}
                stack.append((place + 1, {**world, name: unit[name]}, one))
            else:
                for level in range(model.levels[name]):
                    pair = tuple(sorted(((before, unit[name]), (after, level))))
                    stack.append((place + 1, {**world, name: level}, {**seen, name: pair}))
            if len(found) > MOST_TYPES:
                raise Refusal(
                    "given",
                    "too many ways in which both worlds may come out",
                    f"at most {MOST_TYPES:,}",
                    "Give more facts.",
                )
    return found


def _reached(graph: Graph, do: Point, on: str) -> Names:
    """Variables whose values the change may move on its way to `on`, causes first."""
    moved = {name for start in do for name in graph.descendants((start,))} - set(do)
    leading = set(graph.cut_incoming(tuple(do)).ancestors((on,)))
    return tuple(name for name in graph.order if name in moved & leading)


def _completions(model: DiscreteModel, facts: Point, names: Sequence[str]) -> Iterator[dict[str, int]]:
    left = [name for name in names if name not in facts]
    if prod(model.levels[name] for name in left) > MOST_TYPES:
        raise Refusal(
            "given", f"{len(left)} variables without a fact", "fewer combinations of levels", "Give more facts."
        )
    for values in combinations_of(*(range(model.levels[name]) for name in left)):
        yield {**{name: facts[name] for name in names if name in facts}, **dict(zip(left, values, strict=True))}


def _one_open(
    model: DiscreteModel, facts: Point, do: Point, on: str, weights: Sequence[float], open_: Sequence[str], keeps: Keeps
) -> Bounds:
    """A linear program over the response types of the one variable that is open; a point where there is none."""
    graph = model.graph
    names = graph.ancestors((*facts, on, *do))
    types = Types(graph, model.levels, tuple(open_)).allowed(keeps)
    costs = np.zeros(len(types))
    for unit in _completions(model, facts, names):
        rest = prod(float(model.row(name, unit)[unit[name]]) for name in names if name not in open_)
        if rest == 0:
            continue
        for place, type_ in enumerate(types):
            is_fact = all(int(type_[name][_of_parents(graph, name, unit)]) == unit[name] for name in open_)
            if is_fact:
                costs[place] += rest * weights[_after(model, unit, do, on, type_)]
    costs /= model.probability(facts)
    if not open_:
        return Bounds(float(costs[0]), float(costs[0]))
    matrix, wanted = _margins(model, open_[0], types)
    ends = [linprog(sign * costs, A_eq=matrix, b_eq=wanted, bounds=(0, None), method="highs") for sign in (1, -1)]
    if any(end.status != 0 for end in ends):
        found = "an assumption that no model with these tables fulfils"
        raise Refusal("assume", found, "one that the tables allow", "Remove it, or correct the tables.")
    return Bounds(float(ends[0].fun), -float(ends[1].fun))


def _of_parents(graph: Graph, name: str, unit: Point) -> tuple[int, ...]:
    return tuple(unit[parent] for parent in graph.parents_of(name))


def _after(model: DiscreteModel, unit: Point, do: Point, on: str, type_: Mapping[str, Response]) -> int:
    """The level that `on` would have had in a unit with one response type."""
    found = {**unit, **do}
    for name in _reached(model.graph, do, on):
        where = _of_parents(model.graph, name, found)
        found[name] = int(type_[name][where]) if name in type_ else int(np.argmax(model.row(name, found)))
    return found[on]


def _margins(model: DiscreteModel, name: str, types: Sequence[Mapping[str, Response]]) -> tuple[Array, Array]:
    """Each row of the table: the types that give a level have its probability."""
    parents = model.graph.parents_of(name)
    rows, wanted = [], []
    for setting in combinations_of(*(range(model.levels[parent]) for parent in parents)):
        shares = model.row(name, dict(zip(parents, setting, strict=True)))
        for level, share in enumerate(shares):
            rows.append([float(type_[name][setting] == level) for type_ in types])
            wanted.append(float(share))
    return np.array(rows), np.array(wanted)


def _all_known(
    model: DiscreteModel, facts: Point, do: Point, on: str, weights: Sequence[float], reached: Names, keeps: Keeps
) -> Bounds:
    """The best and worst choice of how each reached variable would have answered, one choice a setting of its parents.

    With all facts known, the answer to other parents is free within the two rows of the table; the mean is linear in
    each choice, so that its ends lie at corners.
    """
    settings = _settings(model, facts, do, reached)
    corners = [_corners(model, name, facts, setting, keeps) for name, setting in settings]
    if prod(len(each) for each in corners) > MOST_TYPES:
        raise Refusal(
            "given",
            "too many ways in which the unit could have answered",
            f"at most {MOST_TYPES:,}",
            "Give more facts.",
        )
    found = []
    for chosen in combinations_of(*corners):
        rows = dict(zip(settings, chosen, strict=True))
        found.append(_mean(model, facts, do, on, weights, reached, rows))
    return Bounds(min(found), max(found))


Setting = tuple[str, tuple[int, ...]]


def _settings(model: DiscreteModel, facts: Point, do: Point, reached: Names) -> list[Setting]:
    """Each reached variable with each setting that its parents could come to."""
    possible = {name: {level} for name, level in {**facts, **do}.items()}
    found = []
    for name in reached:
        parents = model.graph.parents_of(name)
        mine = sorted(combinations_of(*(sorted(possible[parent]) for parent in parents)))
        found += [(name, setting) for setting in mine]
        possible[name] = set(range(model.levels[name]))
    return found


def _corners(model: DiscreteModel, name: str, facts: Point, setting: tuple[int, ...], keeps: Keeps) -> list[Array]:
    """Extreme laws of a variable's other answer, given the answer that was seen."""
    parents = model.graph.parents_of(name)
    seen = _of_parents(model.graph, name, facts)
    level = facts[name]
    if seen == setting:
        return [np.eye(model.levels[name])[level]]
    before = model.row(name, facts)
    after = model.row(name, dict(zip(parents, setting, strict=True)))
    allowed = _allowed(model, name, seen, setting, keeps)
    return _coupled(before, after, level, allowed)


def _allowed(
    model: DiscreteModel, name: str, seen: tuple[int, ...], setting: tuple[int, ...], keeps: Keeps
) -> NDArray[np.bool_]:
    """Which pairs of answers to the two settings some kept response gives, (level seen, level after)."""
    pairs = np.zeros((model.levels[name], model.levels[name]), dtype=bool)
    for response in Types(model.graph, model.levels, (name,)).responses(name):
        if keeps(name, response):
            pairs[response[seen], response[setting]] = True
    return pairs


def _coupled(before: Array, after: Array, level: int, allowed: NDArray[np.bool_]) -> list[Array]:
    """Corners of P(answer after | answer seen) over all joint laws with these margins and allowed pairs."""
    n = len(before)
    matrix = np.concatenate([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
    limits = [(0, None if is_allowed else 0) for is_allowed in allowed.ravel()]
    corners: list[Array] = []
    for order in _orders(n):
        costs = np.zeros((n, n))
        costs[level, list(order)] = -np.array([float(n ** (n - k)) for k in range(n)])
        found = linprog(costs.ravel(), A_eq=matrix, b_eq=np.concatenate([before, after]), bounds=limits, method="highs")
        if found.status != 0:
            raise Refusal("assume", "an assumption that the tables do not allow", "one that they allow", "Remove it.")
        corner = found.x.reshape(n, n)[level] / before[level]
        if not any(np.allclose(corner, other, atol=1e-9) for other in corners):
            corners.append(corner)
    return corners


def _orders(n: int) -> list[tuple[int, ...]]:
    from itertools import permutations

    return list(permutations(range(n)))


def _mean(
    model: DiscreteModel,
    facts: Point,
    do: Point,
    on: str,
    weights: Sequence[float],
    reached: Names,
    rows: Mapping[Setting, Array],
) -> float:
    total = 0.0
    start = {**facts, **do}
    stack: list[tuple[int, dict[str, int], float]] = [(0, start, 1.0)]
    while stack:
        place, unit, weight = stack.pop()
        if place == len(reached):
            total += weight * weights[unit[on]]
            continue
        name = reached[place]
        for level, share in enumerate(rows[name, _of_parents(model.graph, name, unit)]):
            if share > 0:
                stack.append((place + 1, {**unit, name: level}, weight * float(share)))
    return total
