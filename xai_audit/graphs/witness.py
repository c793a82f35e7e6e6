"""Two models of one graph that agree in all that is observed and differ in an effect (CAUSAL.md section 4).

They show to a reader, and to a test, that a refusal is right: no method can read the effect off such data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xai_audit.graphs.graph import Graph, Names, sorted_names

MOST_VARIABLES = 6
HIDDEN_LEVELS = 3
"""Levels of each unmeasured cause."""
MOST_CELLS = 2**16
EQUAL = 1e-9
"""The observed laws agree to this."""
UNEQUAL = 1e-3
"""The answers differ by more than this."""
_TRIES = 5
_CORRECTIONS = 30

Array = NDArray[np.float64]
Node = str | tuple[str, str]
Tables = Mapping[str, Array]
"""By variable: P(1 | its parents, then its unmeasured causes), one axis each, in order."""


@dataclass(frozen=True, eq=False)
class Witness:
    """Two models with two-level variables; unmeasured causes take three levels, each with probability one third."""

    graph: Graph
    treatments: Names
    outcome: str
    given: Names
    tables: tuple[Tables, Tables]
    answers: tuple[float, float]
    """P(outcome = 1 | do(every treatment = 1), given = 1) in each."""
    gap: float
    """Largest difference between the two observed laws."""


def witness(graph: Graph, outcome: str, treatments: Collection[str], given: Collection[str] = ()) -> Witness | None:
    """Two models for an effect that is not identified; None where none was found, or the graph is too large for them.

    A model is moved along directions that leave the observed law as it is (the null space of its derivative) and
    change the answer, and put back onto the law by Gauss-Newton steps. Where the effect is identified there is no such
    direction.
    """
    above = graph.induced(graph.ancestors((outcome, *treatments, *given)))
    cells = 2.0 ** len(above.variables) * float(HIDDEN_LEVELS) ** len(above.bidirected)
    if len(above.variables) > MOST_VARIABLES or cells > MOST_CELLS:
        return None
    family = _Family(above, outcome, sorted_names(treatments), sorted_names(given))
    for number in range(_TRIES):
        found = family.moved(np.random.default_rng(number))
        if found is not None:
            return found
    return None


@dataclass(frozen=True)
class _Family:
    """All models of a graph; a model is one vector of probabilities, (parameters,)."""

    graph: Graph
    outcome: str
    treatments: Names
    given: Names

    def causes(self, name: str) -> list[Node]:
        arcs = [arc for arc in self.graph.bidirected if name in arc]
        return [*self.graph.parents_of(name), *arcs]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(2 if isinstance(cause, str) else HIDDEN_LEVELS for cause in self.causes(name))

    def slices(self) -> Iterator[tuple[str, slice]]:
        start = 0
        for name in self.graph.variables:
            size = int(np.prod(self.shape(name)))
            yield name, slice(start, start + size)
            start += size

    def tables(self, model: Array) -> Tables:
        return {name: model[part].reshape(self.shape(name)) for name, part in self.slices()}

    @property
    def nodes(self) -> list[Node]:
        return [*self.graph.variables, *self.graph.bidirected]

    def factor(self, name: str, table: Array) -> Array:
        """P(name | causes) with one axis a node."""
        order: list[Node] = [*self.causes(name), name]
        stacked = np.stack([1 - table, table], axis=-1)
        places = [order.index(node) for node in self.nodes if node in order]
        sizes = [stacked.shape[order.index(node)] if node in order else 1 for node in self.nodes]
        return np.transpose(stacked, places).reshape(sizes)

    def joint(self, model: Array, do: bool) -> Array:
        """Law of the variables, unmeasured causes summed out; under do, the treatments' own tables left out."""
        kept = [name for name in self.graph.variables if not (do and name in self.treatments)]
        tables = self.tables(model)
        made = np.full([1] * len(self.nodes), float(HIDDEN_LEVELS) ** -len(self.graph.bidirected))
        for name in kept:
            made = made * self.factor(name, tables[name])
        return np.asarray(self._summed(made))

    def _summed(self, made: Array) -> Array:
        sizes = [2] * len(self.graph.variables) + [HIDDEN_LEVELS] * len(self.graph.bidirected)
        hidden = tuple(range(len(self.graph.variables), len(self.nodes)))
        return np.asarray(np.broadcast_to(made, sizes).sum(hidden))

    def law(self, model: Array) -> Array:
        return self.joint(model, False).reshape(-1)

    def answer(self, model: Array) -> float:
        """P(outcome = 1 | do(treatments = 1), given = 1)."""
        fixed = {*self.treatments, *self.given}
        at = tuple(1 if name in fixed else slice(None) for name in self.graph.variables)
        made = self.joint(model, True)[at]
        left = [name for name in self.graph.variables if name not in fixed]
        axis = left.index(self.outcome)
        rates = made.sum(tuple(place for place in range(made.ndim) if place != axis))
        return float(rates[1] / rates.sum())

    def law_slopes(self, model: Array) -> Array:
        """Derivative of the law, (cells, parameters); exact, for the law is linear in each table."""
        tables, columns = self.tables(model), []
        for name in self.graph.variables:
            others = np.full([1] * len(self.nodes), float(HIDDEN_LEVELS) ** -len(self.graph.bidirected))
            for other in self.graph.variables:
                others = others * self.factor(other, tables[other]) if other != name else others
            columns += [self._column(others, name, levels) for levels in product(*map(range, self.shape(name)))]
        return np.stack(columns, axis=1)

    def _column(self, others: Array, name: str, levels: tuple[int, ...]) -> Array:
        """What one probability more adds to the law: a part of the other factors' product, with both signs."""
        fixed = dict(zip(self.causes(name), levels, strict=True))
        sizes = [2] * len(self.graph.variables) + [HIDDEN_LEVELS] * len(self.graph.bidirected)
        at = tuple(slice(fixed[node], fixed[node] + 1) if node in fixed else slice(None) for node in self.nodes)
        part = np.broadcast_to(others, sizes)[at].sum(tuple(range(len(self.graph.variables), len(sizes))))
        sign = np.asarray([-1.0, 1.0]).reshape([2 if node == name else 1 for node in self.graph.variables])
        made = np.zeros(sizes[: len(self.graph.variables)])
        made[at[: len(self.graph.variables)]] = part * sign
        return made.reshape(-1)

    def answer_slopes(self, model: Array) -> Array:
        """Derivative of the answer, (parameters,), by central differences."""
        found = []
        for place in range(len(model)):
            up, down = model.copy(), model.copy()
            up[place], down[place] = model[place] + 1e-5, model[place] - 1e-5
            found.append((self.answer(up) - self.answer(down)) / 2e-5)
        return np.asarray(found)

    def moved(self, rng: np.random.Generator) -> Witness | None:
        size = [part.stop for _, part in self.slices()][-1]
        start = rng.uniform(0.3, 0.7, size)
        law, answer = self.law_slopes(start), self.answer_slopes(start)
        free = answer - np.linalg.pinv(law, rcond=1e-9) @ (law @ answer)
        if np.abs(free).max() < 1e-7:
            return None
        step = free / np.abs(free).max()
        for length in (0.25, 0.15, 0.08, 0.04):
            one, two = (self._put_back(start + sign * length * step, start) for sign in (-1, 1))
            if one is not None and two is not None and abs(self.answer(one) - self.answer(two)) > UNEQUAL:
                return self._witness(one, two)
        return None

    def _put_back(self, model: Array, start: Array) -> Array | None:
        """The model on the law of `start` that Gauss-Newton steps reach from another; None where they leave [0, 1]."""
        wanted = self.law(start)
        for _ in range(_CORRECTIONS):
            missed = wanted - self.law(model)
            if np.abs(missed).max() < EQUAL / 100:
                break
            model = model + np.linalg.lstsq(self.law_slopes(model), missed, rcond=1e-9)[0]
            if model.min() < 0 or model.max() > 1:
                return None
        return model if np.abs(wanted - self.law(model)).max() < EQUAL / 4 else None

    def _witness(self, one: Array, two: Array) -> Witness:
        gap = float(np.abs(self.law(one) - self.law(two)).max())
        answers = self.answer(one), self.answer(two)
        tables = self.tables(one), self.tables(two)
        return Witness(self.graph, self.treatments, self.outcome, self.given, tables, answers, gap)
