"""A unit of which all needed facts are known: what follows in another world, and what tables leave open about it.

Where a mechanism can be abducted, the other value follows. A table fixes how often each level comes, not which units
would answer otherwise: the law of the other answer given the one that was seen is free between the two rows. The mean
is linear in each such law, so that its ends lie at corners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from itertools import product as combinations_of
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from xai_audit.causal.bounds import MOST_TYPES, Bounds
from xai_audit.causal.scm.abduction import abducted
from xai_audit.causal.scm.gumbel import gumbel_max
from xai_audit.causal.scm.laws import Facts
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names

Array = NDArray[np.float64]
Setting = tuple[str, tuple[float, ...]]
"""A variable, and values of its parents in another world."""
Monotone = Sequence[tuple[str, str, bool]]
"""(cause, outcome, whether increasing)."""


def reached(graph: Graph, do: Mapping[str, float], on: str) -> Names:
    """Variables whose values the change may move on its way to `on`, causes first."""
    moved = {name for start in do for name in graph.descendants((start,))} - set(do)
    leading = set(graph.cut_incoming(tuple(do)).ancestors((on,)))
    return tuple(name for name in graph.order if name in moved & leading)


def is_open(model: Model, name: str) -> bool:
    """Whether a mechanism fixes margins alone, so that its joint answers are open."""
    mechanism = model.mechanism(name)
    return not mechanism.can_abduct and hasattr(mechanism, "rows")


@dataclass(frozen=True, eq=False)
class KnownUnit:
    """A unit, with the facts of whatever a change can reach and of the parents of that."""

    model: Model
    facts: Facts
    monotone: Monotone = ()

    def noise(self, name: str) -> NDArray[Any]:
        """Abduction: the noise behind a fact, (1, ...). Raises Refusal where it cannot be found again."""
        columns = self._columns(name, self.facts)
        return abducted(self.model, name, {**columns, name: self.model.column(name, self.facts[name])})[0]

    def value(self, name: str, world: Facts) -> float:
        """Prediction: what a variable comes to with its own noise and the parents of another world."""
        mechanism = self.model.mechanism(name)
        return float(mechanism.sample(self._columns(name, world), self.noise(name))[0])

    def row(self, name: str, world: Facts) -> Array:
        """Probabilities of a variable's levels with the parents of a world."""
        mechanism: Any = self.model.mechanism(name)
        return np.asarray(mechanism.rows(self._columns(name, world))[0])

    def setting(self, name: str, world: Facts) -> Setting:
        """A variable with its parents' values in a world."""
        return name, tuple(float(world[parent]) for parent in self.model.graph.parents_of(name))

    def corners(self, setting: Setting) -> list[Array]:
        """Extreme laws of a variable's answer to other parents, given the answer that was seen."""
        name = setting[0]
        if self.setting(name, self.facts) == setting:
            return [np.eye(self.model.levels[name])[int(self.facts[name])]]
        before, after = self._two_rows(setting)
        return coupled(before, after, int(self.facts[name]), self._allowed(setting))

    def gumbel(self, setting: Setting) -> Array:
        """The law of that answer under the Gumbel-max model."""
        before, after = self._two_rows(setting)
        return gumbel_max(before, after, int(self.facts[setting[0]]))

    def _two_rows(self, setting: Setting) -> tuple[Array, Array]:
        name, values = setting
        other = dict(zip(self.model.graph.parents_of(name), values, strict=True))
        return self.row(name, self.facts), self.row(name, other)

    def _allowed(self, setting: Setting) -> NDArray[np.bool_]:
        """Pairs (level seen, level after) that the monotone assumptions leave: where each parent that differs acts one
        way, and all agree."""
        name, values = setting
        n = self.model.levels[name]
        signs = []
        for parent, value in zip(self.model.graph.parents_of(name), values, strict=True):
            if value != self.facts[parent]:
                known = {up for cause, outcome, up in self.monotone if (cause, outcome) == (parent, name)}
                signs.append({up == (value > self.facts[parent]) for up in known})
        before, after = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
        allowed = np.ones((n, n), dtype=np.bool_)
        for rises in (True, False):
            if signs and all(rises in sign for sign in signs):
                allowed &= (after >= before) if rises else (after <= before)
        return allowed

    def _columns(self, name: str, world: Facts) -> dict[str, NDArray[Any]]:
        return {parent: self.model.column(parent, world[parent]) for parent in self.model.graph.parents_of(name)}


@dataclass(frozen=True, eq=False)
class Leaf:
    """One way that the other world may come out, with the answers it rests on."""

    values: dict[str, float]
    answers: tuple[tuple[Setting, int], ...]


def leaves(unit: KnownUnit, do: Facts, on: str) -> list[Leaf]:
    """Every way in which the other world may come out. Raises Refusal where there are too many."""
    found = [Leaf({**unit.facts, **do}, ())]
    for name in reached(unit.model.graph, do, on):
        further = []
        for leaf in found:
            if not is_open(unit.model, name):
                further.append(Leaf({**leaf.values, name: unit.value(name, leaf.values)}, leaf.answers))
                continue
            setting = unit.setting(name, leaf.values)
            for level in range(unit.model.levels[name]):
                answers = (*leaf.answers, (setting, level))
                further.append(Leaf({**leaf.values, name: float(level)}, answers))
        found = further
        if len(found) > MOST_TYPES:
            raise Refusal(
                "given",
                "too many ways in which the unit could have answered",
                f"at most {MOST_TYPES:,}",
                "Give more facts, or coarsen levels.",
            )
    return found


Worth = Callable[[Mapping[str, float]], float]
"""What a world is worth: the number that is asked about in it."""


def bounds_of(unit: KnownUnit, signed: Sequence[tuple[float, Facts]], on: str, worth: Worth) -> Bounds:
    """Ends of a sum over worlds of sign * worth. Raises Refusal where an assumption contradicts the tables."""
    terms = [(sign * worth(leaf.values), leaf.answers) for sign, do in signed for leaf in leaves(unit, do, on)]
    settings = sorted({setting for _, answers in terms for setting, _ in answers})
    corners = [unit.corners(setting) for setting in settings]
    if prod(len(each) for each in corners) > MOST_TYPES:
        raise Refusal(
            "given",
            "too many ways in which the unit could have answered",
            f"at most {MOST_TYPES:,}",
            "Give more facts, or coarsen levels.",
        )
    sums = [_sum(terms, dict(zip(settings, chosen, strict=True))) for chosen in combinations_of(*corners)]
    return Bounds(min(sums), max(sums))


def by_gumbel(unit: KnownUnit, signed: Sequence[tuple[float, Facts]], on: str, worth: Worth) -> float:
    """The same sum, the open answers following the Gumbel-max model."""
    terms = [(sign * worth(leaf.values), leaf.answers) for sign, do in signed for leaf in leaves(unit, do, on)]
    settings = {setting for _, answers in terms for setting, _ in answers}
    return _sum(terms, {setting: unit.gumbel(setting) for setting in settings})


def _sum(terms: Sequence[tuple[float, tuple[tuple[Setting, int], ...]]], laws: Mapping[Setting, Array]) -> float:
    return float(
        sum(worth * prod(float(laws[setting][level]) for setting, level in answers) for worth, answers in terms)
    )


MOST_LEVELS = 6
"""Levels of one open variable: its corners are tried in every order of them."""


def coupled(before: Array, after: Array, level: int, allowed: NDArray[np.bool_]) -> list[Array]:
    """Corners of P(answer after | answer seen) over all joint laws with two margins and allowed pairs.

    Raises Refusal for too many levels, and where no law has the margins.
    """
    n = len(before)
    if n > MOST_LEVELS:
        found = f"a variable with {n} levels, {factorial(n):,} orders of them"
        raise Refusal("if_not_identified", found, f"at most {MOST_LEVELS} levels", "Coarsen its levels.")
    matrix = np.concatenate([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
    limits = [(0, None if is_allowed else 0) for is_allowed in allowed.ravel()]
    corners: list[Array] = []
    for order in permutations(range(n)):
        costs = np.zeros((n, n))
        costs[level, list(order)] = -np.array([float(n ** (n - k)) for k in range(n)])
        found = linprog(costs.ravel(), A_eq=matrix, b_eq=np.concatenate([before, after]), bounds=limits, method="highs")
        if found.status != 0:
            what = "an assumption that the given probabilities do not allow"
            raise Refusal("assume", what, "one that they allow", "Remove it, or correct the tables.")
        corner = found.x.reshape(n, n)[level] / before[level]
        if not any(np.allclose(corner, other, atol=1e-9) for other in corners):
            corners.append(corner)
    return corners
