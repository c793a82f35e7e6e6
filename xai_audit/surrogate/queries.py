"""Membership queries: rows made up within a node's tests, of which the net is asked (TREPAN)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xai_audit.surrogate.samples import Answers, Column, Sample, Values
from xai_audit.surrogate.splits import Test

LEAST_SAMPLES = 1000
"""Members that a node has before its label and its test are found: its cases, and made-up rows for the rest."""

Way: TypeAlias = tuple[tuple[Test, bool], ...]
"""Tests from the root to a node, each with the outcome that leads there."""
Rows = NDArray[np.float64]
"""(rows, features of the model): as the model's table holds them, NaN where missing."""


@dataclass(frozen=True, eq=False)
class MadeUp:
    """Made-up rows with the net's answers; none where a node has cases enough."""

    sample: Sample | None = None
    rows: Rows | None = None


@dataclass(frozen=True, eq=False)
class Queries:
    """Makes rows up from the values of cases, and asks the net about them."""

    columns: tuple[Column, ...]
    """Each is read from one feature of the model (`place`)."""
    rows: Rows
    """Of the cases that the tree is grown from."""
    values: Values
    """The same as the tree sees them."""
    read: Callable[[Rows], Values]
    """From rows to what the tree sees."""
    ask: Callable[[Rows], Answers]
    least: int = LEAST_SAMPLES

    def take(self, places: NDArray[np.int64]) -> Queries:
        """The same from some of the cases."""
        return Queries(self.columns, self.rows[places], self.values[places], self.read, self.ask, self.least)

    def draw(self, pool: NDArray[np.int64], way: Way, there: int, rng: np.random.Generator) -> MadeUp:
        """So many rows that a node with `there` cases has `least` members.

        Each feature of the model is drawn by itself from the values that the cases of `pool` have and the node's tests
        allow. A row that does not pass every test is left out; tests of single features leave none out.
        """
        missing = self.least - there
        if missing <= 0:
            return MadeUp()
        rows = np.empty((missing, self.rows.shape[1]))
        for feature in range(self.rows.shape[1]):
            allowed = pool[self._allowed(pool, way, feature)]
            rows[:, feature] = self.rows[rng.choice(allowed, missing), feature]
        values = self.read(rows)
        inside = passes(values, way)
        rows, values = rows[inside], values[inside]
        return MadeUp(Sample(self.columns, values, self.ask(rows)), rows)

    def _allowed(self, pool: NDArray[np.int64], way: Way, feature: int) -> NDArray[np.bool_]:
        own = tuple((test, outcome) for test, outcome in way if self.columns[test.column].place == feature)
        return passes(self.values[pool], own)


def passes(values: Values, way: Way) -> NDArray[np.bool_]:
    """Which cases pass every test of a way with its outcome, (cases,)."""
    inside = np.ones(len(values), dtype=np.bool_)
    for test, outcome in way:
        inside &= test.holds(values) == outcome
    return inside


def most_queries(max_leaves: int, max_depth: int) -> int:
    """Most rows that one tree asks about: `LEAST_SAMPLES` for each of its nodes."""
    leaves = max_leaves if max_depth >= max_leaves else min(max_leaves, 2**max_depth)
    return (2 * leaves - 1) * LEAST_SAMPLES
