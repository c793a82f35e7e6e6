"""Labelled arrays over variables with few levels, and exact evaluation of estimands on them (CAUSAL.md section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.terms import At, Probability, Product, Ratio, Sum, Term

MOST_CELLS = 2_000_000
"""Cells of one table; with more an estimand is refused."""

DRAW = ""
"""Name of an axis that runs over laws, such as those of bootstrap draws; it is never summed over."""

Array = NDArray[np.float64]


class Law(Protocol):
    """What an estimand is evaluated on: its conditional probabilities."""

    def conditional(self, term: Probability) -> Factor:
        """P(of | given) at every combination of levels; NaN where the condition has probability 0."""


@dataclass(frozen=True, eq=False)
class Factor:
    """Numbers for each combination of levels of some variables; one axis a variable, in order of their names."""

    names: Names
    values: Array
    """NaN where a number does not exist: a condition that never holds."""

    def total(self, over: Names) -> Factor:
        """The sum over some of the variables."""
        axes = tuple(self.names.index(name) for name in over)
        return Factor(tuple(name for name in self.names if name not in over), self.values.sum(axis=axes))

    def at(self, levels: Mapping[str, int]) -> Factor:
        """The part with some variables at given levels."""
        where = tuple(levels.get(name, slice(None)) for name in self.names)
        return Factor(tuple(name for name in self.names if name not in levels), np.asarray(self.values[where]))

    def conditional(self, term: Probability) -> Factor:
        """P(of | given) of a joint law, NaN where the condition has probability 0."""
        joint = self.total(tuple(name for name in self.names if name not in (DRAW, *term.free)))
        return divided(joint, joint.total(term.of)) if term.given else joint

    def along(self, names: Names) -> Array:
        """The values with one axis for each of `names`, length 1 where the factor has none."""
        shape = dict(zip(self.names, self.values.shape, strict=True))
        return self.values.reshape([shape.get(name, 1) for name in names])


Settings = Mapping[tuple[str, str], int]
"""Level that a named setting of a variable stands for."""


def evaluate(term: Term, law: Law, settings: Settings | None = None) -> Factor:
    """An estimand on a law over its variables.

    A cell that rests on a condition of probability 0 is NaN, and stays so in what is made of it, unless its weight is
    exactly 0. Raises Refusal where a table would have more than 2,000,000 cells.
    """
    if isinstance(term, Probability):
        return law.conditional(term)
    if isinstance(term, Product):
        return multiplied([evaluate(part, law, settings) for part in term.terms])
    if isinstance(term, Ratio):
        return divided(evaluate(term.numerator, law, settings), evaluate(term.denominator, law, settings))
    if isinstance(term, At):
        found = evaluate(term.term, law, settings)
        level = (settings or {})[term.name, term.setting]
        return found.at({term.name: level}) if term.name in found.names else found
    return _eliminated(term, law, settings)


def divided(above: Factor, below: Factor) -> Factor:
    """One factor over another; NaN where the other is 0."""
    names = sorted_names((*above.names, *below.names))
    check_size(names, (above, below))
    numerator, denominator = np.broadcast_arrays(above.along(names), below.along(names))
    made = np.full(numerator.shape, np.nan)
    return Factor(names, np.divide(numerator, denominator, out=made, where=denominator != 0))


def multiplied(factors: Sequence[Factor]) -> Factor:
    """The product; 0 times a number that does not exist is 0, because that case never comes up."""
    names = sorted_names(name for factor in factors for name in factor.names)
    check_size(names, factors)
    made = np.ones([1] * len(names))
    for factor in factors:
        values = factor.along(names)
        made = np.where((made == 0) | (values == 0), 0.0, made * values)
    return Factor(names, made)


def _eliminated(term: Sum, law: Law, settings: Settings | None) -> Factor:
    """A sum of products, one variable after another: the one that makes the smallest table first."""
    parts = term.term.terms if isinstance(term.term, Product) else (term.term,)
    factors = [evaluate(part, law, settings) for part in parts]
    left = list(term.over)
    while left:
        name = min(left, key=lambda one: (_cells([f for f in factors if one in f.names]), one))
        left.remove(name)
        holding = [factor for factor in factors if name in factor.names]
        factors = [factor for factor in factors if name not in factor.names]
        factors.append(multiplied(holding).total((name,)))
    return multiplied(factors)


def _lengths(factors: Sequence[Factor]) -> dict[str, int]:
    return {name: n for f in factors for name, n in zip(f.names, f.values.shape, strict=True) if name != DRAW}


def _cells(factors: Sequence[Factor]) -> int:
    return int(np.prod(list(_lengths(factors).values()), dtype=np.float64))


def check_size(names: Names, factors: Sequence[Factor]) -> None:
    """Raises Refusal for a table with too many cells."""
    cells = _cells(factors)
    if cells > MOST_CELLS:
        found, expected = f"a table of {cells:,} cells over {', '.join(names)}", f"at most {MOST_CELLS:,}"
        raise Refusal("causal.queries", found, expected, "Give these variables fewer levels.")
