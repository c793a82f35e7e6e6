"""Graphs that no data can tell from the declared one (CAUSAL.md section 8.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations

from xai_audit.graphs.graph import Graph, Pair, shortest_cycle
from xai_audit.graphs.separation import are_separated

MOST_COUNTED = 1_000
"""Equivalent graphs that are counted."""
MOST_COMPARED = 6
"""Variables up to which graphs with unmeasured causes are compared set by set."""


@dataclass(frozen=True)
class Equivalents:
    """Graphs with the same independences, the declared one left out, in order."""

    listed: tuple[Graph, ...]
    count: int
    """How many there are; where `is_cut` at least so many."""
    is_cut: bool
    """Whether there are more than are listed."""
    note: str
    """What was not looked for."""


ONLY_MEASURED = "Graphs with unmeasured common causes can fit these data too; they are not listed."
ONE_EDGE = (
    "The graph has unmeasured common causes: of its equivalent graphs only those that change one edge are listed, "
    "compared by their independences alone."
)
TOO_MANY = "The graph has unmeasured common causes and many variables: equivalent graphs were not looked for."


def equivalents(graph: Graph, limit: int, settled: Collection[Pair] = ()) -> Equivalents:
    """The Markov-equivalent graphs; `settled` are pairs (a, b) that no other graph may order b before a.

    Without `<->` all acyclic graphs with the same neighbours and colliders (Verma and Pearl 1990; orientations by the
    rules of Meek, UAI 1995). With `<->` only graphs that differ in one edge.
    """
    if not graph.bidirected:
        found = _of_arrows(graph, set(settled))
        note = ONLY_MEASURED
    elif len(graph.variables) > MOST_COMPARED:
        return Equivalents((), 0, False, TOO_MANY)
    else:
        found, note = _by_one_edge(graph, set(settled)), ONE_EDGE
    others = []
    for other in found:
        if other != graph:
            others.append(other)
        if len(others) == MOST_COUNTED:
            break
    listed = sorted(others, key=lambda one: (_distance(graph, one), one.directed, one.bidirected))[:limit]
    return Equivalents(tuple(listed), len(others), len(others) > limit, note)


def _distance(one: Graph, other: Graph) -> int:
    return len({*one.directed, *one.bidirected} ^ {*other.directed, *other.bidirected})


@dataclass(frozen=True)
class _Partial:
    """A partly directed graph."""

    neighbours: Mapping[str, frozenset[str]]
    arrows: frozenset[Pair]

    def are_adjacent(self, a: str, b: str) -> bool:
        return b in self.neighbours[a]

    def is_open(self, a: str, b: str) -> bool:
        return self.are_adjacent(a, b) and (a, b) not in self.arrows and (b, a) not in self.arrows

    def parents(self, name: str) -> list[str]:
        return [other for other in sorted(self.neighbours[name]) if (other, name) in self.arrows]

    def with_arrow(self, a: str, b: str) -> _Partial:
        return _Partial(self.neighbours, self.arrows | {(a, b)})

    def open_pairs(self) -> Iterator[Pair]:
        for a in sorted(self.neighbours):
            yield from ((a, b) for b in sorted(self.neighbours[a]) if self.is_open(a, b))

    def must_point(self, a: str, b: str) -> bool:
        """Whether a - b can only be a -> b (rules 1 to 4 of Meek)."""
        if any(not self.are_adjacent(c, b) for c in self.parents(a)):
            return True
        if any((a, c) in self.arrows for c in self.parents(b)):
            return True
        between = [c for c in self.parents(b) if self.is_open(a, c)]
        if any(not self.are_adjacent(c, d) for c, d in combinations(between, 2)):
            return True
        return any(
            self.is_open(a, d) and not self.are_adjacent(b, d) and self.are_adjacent(a, c)
            for c in self.parents(b)
            for d in self.parents(c)
        )

    def closed(self) -> _Partial:
        """With every arrow that the rules force."""
        made = self
        while True:
            forced = next(((a, b) for a, b in made.open_pairs() if made.must_point(a, b)), None)
            if forced is None:
                return made
            made = made.with_arrow(*forced)


def _of_arrows(graph: Graph, settled: set[Pair]) -> Iterator[Graph]:
    neighbours = {n: frozenset((*graph.parents_of(n), *graph.children_of(n))) for n in graph.variables}
    colliding = {
        (parent, node)
        for node in graph.variables
        for a, b in combinations(graph.parents_of(node), 2)
        if not graph.are_adjacent(a, b)
        for parent in (a, b)
    }
    start = _Partial(neighbours, frozenset(colliding | (settled & set(graph.directed)))).closed()
    for whole in _oriented(start):
        yield Graph(graph.variables, tuple(sorted(whole.arrows)))


def _oriented(part: _Partial) -> Iterator[_Partial]:
    """Every graph that a partly directed one stands for."""
    pair = next(part.open_pairs(), None)
    if pair is None:
        yield part
        return
    for a, b in (pair, pair[::-1]):
        yield from _oriented(part.with_arrow(a, b).closed())


def _by_one_edge(graph: Graph, settled: set[Pair]) -> Iterator[Graph]:
    known = _independences(graph)
    for a, b in (*graph.directed, *graph.bidirected):
        arrows = set(graph.directed) - {(a, b), (b, a)}
        arcs = set(graph.bidirected) - {(min(a, b), max(a, b))}
        for directed, arc in (([(a, b)], []), ([(b, a)], []), ([], [(min(a, b), max(a, b))])):
            if ((b, a) in settled and (a, b) in directed) or ((a, b) in settled and (b, a) in directed):
                continue
            if shortest_cycle(graph.variables, {*arrows, *directed}):
                continue
            other = Graph.of(graph.variables, {*arrows, *directed}, {*arcs, *arc})
            if _independences(other) == known:
                yield other


def _independences(graph: Graph) -> tuple[bool, ...]:
    """Whether each pair is separated by each set of the others."""
    found = []
    for a, b in combinations(graph.variables, 2):
        others = [name for name in graph.variables if name not in (a, b)]
        sets = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
        found += [are_separated(graph, (a,), (b,), given) for given in sets]
    return tuple(found)
