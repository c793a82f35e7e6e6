"""Acyclic directed mixed graphs: who causes whom, and which pairs share an unmeasured cause (CAUSAL.md section 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import combinations
from typing import Any, TypeVar

Names = tuple[str, ...]
"""Names of variables, sorted and distinct."""
Pair = tuple[str, str]
Node = str | Pair
"""A variable, or the root that stands for the unmeasured cause of a pair."""
T = TypeVar("T")


def sorted_names(names: Iterable[str]) -> Names:
    """Each name once, in order."""
    return tuple(sorted(set(names)))


@dataclass(frozen=True)
class Graph:
    """An ADMG as a value: equal graphs are equal whatever the order in which they were written."""

    variables: Names
    directed: tuple[Pair, ...] = ()
    """(cause, effect), sorted."""
    bidirected: tuple[Pair, ...] = ()
    """Pairs with an unmeasured common cause, each sorted, and sorted among themselves."""

    @classmethod
    def of(cls, variables: Iterable[str], directed: Iterable[Pair] = (), bidirected: Iterable[Pair] = ()) -> Graph:
        """The graph of some variables and edges in any order.

        Raises ValueError for an edge at an unknown variable or from a variable to itself, and for a cycle.
        """
        names = sorted_names(variables)
        known = set(names)
        arrows = tuple(sorted(set(directed)))
        arcs = tuple(sorted({(min(pair), max(pair)) for pair in bidirected}))
        for a, b in (*arrows, *arcs):
            if a == b or a not in known or b not in known:
                raise ValueError(f"no edge can join {a} and {b}")
        graph = cls(names, arrows, arcs)
        cycle = shortest_cycle(names, arrows)
        if cycle:
            raise ValueError(f"edges form a cycle: {' -> '.join(cycle)}")
        return graph

    @cached_property
    def _before(self) -> dict[str, list[str]]:
        """Direct causes by variable, in order."""
        return _listed(self.variables, ((b, a) for a, b in self.directed))

    @cached_property
    def _after(self) -> dict[str, list[str]]:
        """Direct effects by variable, in order."""
        return _listed(self.variables, self.directed)

    @cached_property
    def _beside(self) -> dict[str, list[str]]:
        """By variable, those that an unmeasured cause ties to it, in order."""
        return _listed(self.variables, sorted((*self.bidirected, *((b, a) for a, b in self.bidirected))))

    def has_arrow(self, a: str, b: str) -> bool:
        """Whether a is a direct cause of b."""
        return b in self._after.get(a, ())

    def has_arc(self, a: str, b: str) -> bool:
        """Whether the two share an unmeasured cause."""
        return b in self._beside.get(a, ())

    @cached_property
    def order(self) -> Names:
        """A topological order; ties are broken by name."""
        return topological_order(self.variables, self.directed)

    @cached_property
    def districts(self) -> tuple[Names, ...]:
        """Sets of variables that chains of unmeasured causes hold together (c-components), in order."""
        return tuple(sorted({self.district_of(name) for name in self.variables}))

    def district_of(self, name: str) -> Names:
        """The district that a variable is in."""
        return sorted_names(reached_from((name,), self._beside))

    def parents(self, names: Collection[str]) -> Names:
        """Direct causes of any of the variables that are not among them."""
        return sorted_names(p for name in names for p in self._before[name] if p not in names)

    def parents_of(self, name: str) -> Names:
        """Direct causes of one variable."""
        return tuple(self._before[name])

    def children_of(self, name: str) -> Names:
        """Direct effects of one variable."""
        return tuple(self._after[name])

    def partners_of(self, name: str) -> Names:
        """Variables that share an unmeasured cause with one."""
        return tuple(self._beside[name])

    def ancestors(self, names: Iterable[str]) -> Names:
        """The variables and all that causes them, directly or not."""
        return tuple(sorted(reached_from(names, self._before)))

    def descendants(self, names: Iterable[str]) -> Names:
        """The variables and all that they cause, directly or not."""
        return tuple(sorted(reached_from(names, self._after)))

    def induced(self, names: Collection[str]) -> Graph:
        """Only these variables and the edges among them."""
        kept = set(names)
        return Graph(
            sorted_names(kept),
            tuple(edge for edge in self.directed if kept.issuperset(edge)),
            tuple(edge for edge in self.bidirected if kept.issuperset(edge)),
        )

    def without(self, names: Collection[str]) -> Graph:
        """All variables but these."""
        return self.induced(set(self.variables) - set(names))

    def cut_incoming(self, names: Collection[str]) -> Graph:
        """Without edges into the variables, bidirected ones too: the graph of do(names)."""
        gone = set(names)
        return Graph(
            self.variables,
            tuple(edge for edge in self.directed if edge[1] not in gone),
            tuple(edge for edge in self.bidirected if gone.isdisjoint(edge)),
        )

    def cut_outgoing(self, names: Collection[str]) -> Graph:
        """Without arrows out of the variables."""
        gone = set(names)
        return Graph(self.variables, tuple(edge for edge in self.directed if edge[0] not in gone), self.bidirected)

    def with_edges(self, directed: Iterable[Pair] = (), bidirected: Iterable[Pair] = ()) -> Graph:
        """With more edges. Raises ValueError as `of`."""
        return Graph.of(self.variables, (*self.directed, *directed), (*self.bidirected, *bidirected))

    def are_adjacent(self, a: str, b: str) -> bool:
        """Whether any edge joins the two."""
        return self.has_arrow(a, b) or self.has_arrow(b, a) or self.has_arc(a, b)

    @cached_property
    def expanded(self) -> Directed:
        """The directed graph with a root in place of each bidirected edge; roots are pairs, variables are names."""
        arrows: list[tuple[Node, Node]] = [*self.directed, *((pair, name) for pair in self.bidirected for name in pair)]
        nodes: list[Node] = [*self.variables, *self.bidirected]
        return Directed(_listed(nodes, ((b, a) for a, b in arrows)), _listed(nodes, arrows))

    def project(self, observed: Collection[str]) -> Graph:
        """The latent projection onto some variables (Verma 1993): the others are treated as unmeasured.

        a -> b where a directed path leads from a to b through unmeasured variables only; a <-> b where some unmeasured
        source reaches both that way.
        """
        kept = sorted_names(observed)
        hidden = set(self.expanded) - set(kept)
        reached = {node: self._reached(node, hidden) for node in self.expanded}
        directed = [(a, b) for a in kept for b in reached[a]]
        bidirected = [(min(pair), max(pair)) for node in hidden for pair in combinations(sorted(reached[node]), 2)]
        return Graph.of(kept, directed, bidirected)

    def _reached(self, start: Node, hidden: Collection[Node]) -> set[str]:
        """Kept variables that directed paths reach through hidden ones."""
        found: set[str] = set()
        waiting = list(self.expanded.successors(start))
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            if node not in hidden:
                found.add(str(node))
                continue
            more = [n for n in self.expanded.successors(node) if n not in seen]
            seen.update(more)
            waiting += more
        return found

    def directed_paths(self, source: str, target: str) -> Iterator[Names]:
        """Directed paths in order."""
        leading = reached_from((target,), self._before)
        yield from self._paths((source,), target, leading)

    def _paths(self, path: Names, target: str, leading: Collection[str]) -> Iterator[Names]:
        if path[-1] == target:
            yield path
            return
        for after in self._after[path[-1]]:
            if after in leading:
                yield from self._paths((*path, after), target, leading)


@dataclass(frozen=True)
class Directed:
    """A directed graph of variables and of roots that stand for unmeasured causes."""

    before: Mapping[Node, Sequence[Node]]
    after: Mapping[Node, Sequence[Node]]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.before)

    def predecessors(self, node: Node) -> Sequence[Node]:
        """Direct causes."""
        return self.before[node]

    def successors(self, node: Node) -> Sequence[Node]:
        """Direct effects."""
        return self.after[node]


def _listed(nodes: Iterable[T], edges: Iterable[tuple[Any, Any]]) -> dict[T, list[Any]]:
    """Ends of edges by their beginning."""
    found: dict[T, list[Any]] = {node: [] for node in nodes}
    for a, b in edges:
        found[a].append(b)
    return found


def reached_from(starts: Iterable[str], steps: Mapping[str, Sequence[str]]) -> set[str]:
    """Where steps lead from some variables, these too."""
    waiting = list(starts)
    found = set(waiting)
    while waiting:
        for name in steps[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def topological_order(variables: Iterable[str], directed: Iterable[Pair]) -> Names:
    """Causes before effects, ties by name; what lies on a cycle or after one is left out."""
    after, open_ = _listed(sorted_names(variables), directed), Counter(b for _, b in directed)
    waiting = [name for name in after if not open_[name]]
    found = []
    while waiting:
        name = heappop(waiting)
        found.append(name)
        for other in after[name]:
            open_[other] -= 1
            if not open_[other]:
                heappush(waiting, other)
    return tuple(found)


def shortest_cycle(variables: Collection[str], directed: Collection[Pair]) -> Names:
    """A shortest directed cycle, from its first name back to it; empty where there is none."""
    names = sorted_names(variables)
    if len(topological_order(names, directed)) == len(names):
        return ()
    after = _listed(names, sorted(directed))
    ways = [way for start in names if (way := _way_back(start, after))]
    return min(ways, key=lambda cycle: (len(cycle), cycle))


def _way_back(start: str, after: Mapping[str, Sequence[str]]) -> Names:
    """A shortest way from a variable back to itself; empty where there is none."""
    seen = set()
    ways: list[Names] = [(start,)]
    while ways:
        further = []
        for way in ways:
            for name in after[way[-1]]:
                if name == start:
                    return (*way, name)
                if name not in seen:
                    seen.add(name)
                    further.append((*way, name))
        ways = further
    return ()
