"""m-separation in ADMGs, and the independences that a graph implies (CAUSAL.md section 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, combinations, islice

import networkx as nx

from xai_audit.causal.graph import Graph, Names

MOST_TRIED = 2_000
"""Sets that are looked at for a smaller separator of one pair."""


@dataclass(frozen=True)
class Independence:
    """Once `given` is known, a tells nothing more about b."""

    a: str
    b: str
    given: Names


def are_separated(graph: Graph, a: Collection[str], b: Collection[str], given: Collection[str] = ()) -> bool:
    """Whether every path between a and b is blocked given a set: m-separation, by d-separation with roots for `<->`."""
    if set(a) & set(b):
        return False
    return bool(nx.is_d_separator(graph.expanded, set(a), set(b), set(given)))


@dataclass(frozen=True)
class Cuts:
    """The moralised graph of ancestors as bit sets: separation there is m-separation for sets of these ancestors."""

    places: dict[object, int]
    neighbours: tuple[int, ...]
    starts: int
    ends: int

    @classmethod
    def of(cls, graph: Graph, x: Collection[str], y: Collection[str]) -> Cuts:
        """Of a graph that holds nothing but ancestors of x, y and what is given."""
        moral = nx.moral_graph(graph.expanded)
        places: dict[object, int] = {node: place for place, node in enumerate(moral)}
        neighbours = tuple(sum(1 << places[other] for other in moral[node]) for node in moral)
        return cls(places, neighbours, cls._bits(places, x), cls._bits(places, y))

    @staticmethod
    def _bits(places: dict[object, int], names: Collection[str]) -> int:
        return sum(1 << places[name] for name in names)

    def are_joined(self, given: Collection[str]) -> bool:
        """Whether a way leads from the treatments to the outcomes around a set."""
        blocked = self._bits(self.places, given)
        seen = front = self.starts & ~blocked
        while front:
            if seen & self.ends:
                return True
            after, rest = 0, front
            while rest:
                lowest = rest & -rest
                after |= self.neighbours[lowest.bit_length() - 1]
                rest ^= lowest
            front = after & ~seen & ~blocked
            seen |= front
        return bool(seen & self.ends)


def separator(graph: Graph, a: str, b: str) -> Names | None:
    """A small set that separates two variables; None where none does.

    Only ancestors of the two are needed. The smallest set, the first in order among equals, where no more than 2,000
    sets have to be looked at; else a set of which no part separates.
    """
    if graph.are_adjacent(a, b):
        return None
    above = graph.induced(graph.ancestors((a, b)))
    allowed = [name for name in above.variables if name not in (a, b)]
    cuts = Cuts.of(above, (a,), (b,))
    if cuts.are_joined(allowed):
        return None
    minimal = _thinned(cuts, allowed)
    sets = chain.from_iterable(combinations(allowed, size) for size in range(len(minimal) + 1))
    return next((given for given in islice(sets, MOST_TRIED) if not cuts.are_joined(given)), minimal)


def _thinned(cuts: Cuts, separating: list[str]) -> Names:
    """A part of a separating set of which every member is needed."""
    kept = list(separating)
    for name in separating:
        without = [other for other in kept if other != name]
        if not cuts.are_joined(without):
            kept = without
    return tuple(kept)


def implied_independences(graph: Graph) -> tuple[Independence, ...]:
    """One independence for each pair that some set separates, with a smallest such set; enough to imply all others."""
    found = []
    for a, b in combinations(graph.variables, 2):
        given = separator(graph, a, b)
        if given is not None:
            found.append(Independence(a, b, given))
    return tuple(found)


def inseparable_pairs(graph: Graph) -> tuple[tuple[str, str], ...]:
    """Pairs without an edge that no set separates: an inducing path joins them."""
    pairs = combinations(graph.variables, 2)
    return tuple((a, b) for a, b in pairs if not graph.are_adjacent(a, b) and separator(graph, a, b) is None)
