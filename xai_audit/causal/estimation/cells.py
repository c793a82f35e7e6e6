"""Counts by sampling group and by level: what every plug-in estimate and every bootstrap draw is summed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xai_audit.causal.factors import DRAW, Array, Factor, check_size, divided
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.terms import At, Probability, Product, Ratio, Sum, Term

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """How much weight each sampling group has in each combination of levels; one entry a pair that occurs."""

    lengths: Mapping[str, int]
    """Number of levels of each variable, by name."""
    places: Mapping[str, Ints]
    """By variable: level of each entry, (entries,)."""
    groups: Ints
    """(entries,) 0 to `n_groups` - 1."""
    weights: Array
    """(entries,)"""
    n_groups: int

    def summed(self, names: Names) -> csr_array:
        """Weight of each combination of levels of some variables in each group, (combinations, groups)."""
        shape = tuple(self.lengths[name] for name in names)
        codes = np.ravel_multi_index([self.places[name] for name in names], shape) if names else 0 * self.groups
        return csr_array((self.weights, (codes, self.groups)), shape=(prod(shape), self.n_groups))


@dataclass(frozen=True, eq=False)
class Tables:
    """The laws that some draws of the groups give; an estimand can be evaluated on them all at once."""

    cells: Cells
    times: Array
    """(draws, groups) how often each group is drawn."""
    fill: tuple[str, int] | None = None
    """An outcome and its level: what is assumed of it where a condition was never seen."""
    _known: dict[Names, Factor] = field(default_factory=dict)

    def marginal(self, names: Iterable[str]) -> Factor:
        """P(names) of each draw."""
        wanted = sorted_names(names)
        if wanted not in self._known:
            shape = tuple(self.cells.lengths[name] for name in wanted)
            check_size(wanted, [Factor(wanted, np.broadcast_to(0.0, shape))])
            sums = np.asarray((self.cells.summed(wanted) @ self.times.T).T)  # one thread, one order
            total = np.asarray((self.cells.summed(()) @ self.times.T).T)
            values = (sums / total).reshape(len(self.times), *shape)
            self._known[wanted] = Factor((DRAW, *wanted), values)
        return self._known[wanted]

    def conditional(self, term: Probability) -> Factor:
        """P(of | given) of each draw; NaN, or what is filled in, where the condition has probability 0."""
        joint = self.marginal(term.free)
        if not term.given:
            return joint
        found = divided(joint, self.marginal(term.given))
        if self.fill is None or term.of != (self.fill[0],):
            return found
        point = np.eye(self.cells.lengths[self.fill[0]])[self.fill[1]]
        assumed = Factor(term.of, point).along(found.names)
        return Factor(found.names, np.where(np.isnan(found.values), assumed, found.values))


def variables_of(term: Term) -> Names:
    """Every variable that an estimand reads."""
    return sorted_names(name for part in probabilities_of(term) for name in part.free)


def probabilities_of(term: Term) -> tuple[Probability, ...]:
    """The probabilities of the observed law that an estimand is made of, each once, in a settled order."""
    return tuple(sorted(set(_probabilities(term)), key=repr))


def _probabilities(term: Term) -> list[Probability]:
    if isinstance(term, Probability):
        return [term]
    if isinstance(term, Product):
        return [found for part in term.terms for found in _probabilities(part)]
    if isinstance(term, Ratio):
        return [*_probabilities(term.numerator), *_probabilities(term.denominator)]
    assert isinstance(term, At | Sum)
    return _probabilities(term.term)


def is_linear_in(term: Term, on: str) -> bool:
    """Whether the outcome is nowhere a condition, so that a range may enter by its mean in each cell."""
    return all(on not in part.given for part in probabilities_of(term))


def size_of(sample: Sample) -> tuple[int, int]:
    """(units, sampling units) that an estimate rests on; of an exact law its rows, and no sampling unit."""
    if sample.is_law:
        return sample.n, 0
    units = round(sample.units) if has_counts(sample) else sample.n
    return units, sample.n_clusters if is_clustered(sample) else units


def is_clustered(sample: Sample) -> bool:
    """Whether rows belong together in sampling units."""
    return sample.is_clustered or sample.n_clusters < sample.n


def has_counts(sample: Sample) -> bool:
    """Whether the weights are whole numbers of units."""
    return bool(np.all(sample.weights == np.rint(sample.weights)))


def codes_of(columns: Mapping[str, NDArray[Any]], lengths: Mapping[str, int], n: int) -> tuple[Ints, dict[str, Ints]]:
    """One number for each combination of levels that occurs, (n,), and the levels of each number.

    The numbers are in order of the levels, whatever the order of rows.
    """
    names = sorted_names(lengths)
    code = np.zeros(n, np.int64)
    for name in names:  # squeezed after each variable, so that no product of lengths overflows
        code = np.unique(code * lengths[name] + columns[name], return_inverse=True)[1].astype(np.int64)
    kinds, first = np.unique(code, return_index=True)
    assert len(kinds) == (0 if n == 0 else int(code.max()) + 1)
    return code, {name: np.asarray(columns[name][first], np.int64) for name in names}
