"""Rows that were kept by a rule: what can still be answered for all units (Bareinboim, Tian, Pearl, AAAI 2014)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.cells import probabilities_of
from xai_audit.causal.sample import place_of
from xai_audit.graphs.adjustment import check_adjustment
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.separation import are_separated
from xai_audit.graphs.terms import Probability, Term, product, total

MOST_ALLOWED = 12
"""Variables of which every set is looked at."""


@dataclass(frozen=True)
class Selected:
    """The graph with its selection variables, which the identified estimand does not hold."""

    graph: Graph
    names: Names

    def has_law_of(self, term: Term) -> bool:
        """Whether the kept rows have every probability of an estimand as all units have it."""
        return all(self._is_kept(part) for part in probabilities_of(term))

    def _is_kept(self, part: Probability) -> bool:
        return are_separated(self.graph, part.of, self.names, part.given)

    def recovered(self, y: str, x: Collection[str]) -> Term | None:
        """An adjustment by the kept rows alone that gives the effect for all units; None where none is found.

        Sets that block every non-causal path together with the selection, where the outcome does not depend on being
        kept once x is set (Correa and Bareinboim, AAAI 2017, adjustment of type 1).
        """
        if not are_separated(self.graph.cut_incoming(x), (y,), self.names, tuple(x)):
            return None
        for given in self._sets(y, x):
            if check_adjustment(self.graph, x, (y,), (*given, *self.names)) is None:
                conditional = Probability((y,), sorted_names((*x, *given)))
                return total(given, product((conditional, Probability(given)))) if given else conditional
        return None

    def _sets(self, y: str, x: Collection[str]) -> Iterator[Names]:
        later = {*self.graph.descendants(x), y, *self.names}
        allowed = [name for name in self.graph.variables if name not in later][:MOST_ALLOWED]
        yield from chain.from_iterable(combinations(allowed, size) for size in range(len(allowed) + 1))


def selected(asked: Asked) -> Selected | None:
    """The selection that the data went through; None where every level of it is in them, or none is declared."""
    sample = asked.sample
    assert sample is not None
    names = []
    for name, one in sorted(asked.causal.variables.items()):
        if one.role != "selection" or one.kept is None:
            continue
        if name in sample.columns and sample.is_discrete(name):
            kept = place_of(sample.levels[name], one.kept)
            if np.any(sample.columns[name] != kept):
                continue
        names.append(name)
    if not names:
        return None
    measured = set(sample.columns) & set(asked.whole.variables)
    return Selected(asked.whole.project(measured | set(names)), tuple(names))
