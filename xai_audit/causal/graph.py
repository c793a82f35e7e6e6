"""Acyclic directed mixed graphs: who causes whom, and which pairs share an unmeasured cause (CAUSAL.md section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import networkx as nx

Names = tuple[str, ...]
"""Names of variables, sorted and distinct."""
Pair = tuple[str, str]


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
        arrows = tuple(sorted(set(directed)))
        arcs = tuple(sorted({(min(pair), max(pair)) for pair in bidirected}))
        for a, b in (*arrows, *arcs):
            if a == b or a not in names or b not in names:
                raise ValueError(f"no edge can join {a} and {b}")
        graph = cls(names, arrows, arcs)
        cycle = shortest_cycle(names, arrows)
        if cycle:
            raise ValueError(f"edges form a cycle: {' -> '.join(cycle)}")
        return graph

    @cached_property
    def arrows(self) -> Any:
        """The directed part, nodes and edges in order."""
        made: Any = nx.DiGraph()
        made.add_nodes_from(self.variables)
        made.add_edges_from(self.directed)
        return made

    @cached_property
    def arcs(self) -> Any:
        """The bidirected part."""
        made: Any = nx.Graph()
        made.add_nodes_from(self.variables)
        made.add_edges_from(self.bidirected)
        return made

    @cached_property
    def order(self) -> Names:
        """A topological order; ties are broken by name."""
        return tuple(nx.lexicographical_topological_sort(self.arrows))

    @cached_property
    def districts(self) -> tuple[Names, ...]:
        """Sets of variables that chains of unmeasured causes hold together (c-components), in order."""
        return tuple(sorted(sorted_names(part) for part in nx.connected_components(self.arcs)))

    def district_of(self, name: str) -> Names:
        """The district that a variable is in."""
        return sorted_names(nx.node_connected_component(self.arcs, name))

    def parents(self, names: Collection[str]) -> Names:
        """Direct causes of any of the variables that are not among them."""
        return sorted_names(p for name in names for p in self.arrows.predecessors(name) if p not in names)

    def parents_of(self, name: str) -> Names:
        """Direct causes of one variable."""
        return sorted_names(self.arrows.predecessors(name))

    def children_of(self, name: str) -> Names:
        """Direct effects of one variable."""
        return sorted_names(self.arrows.successors(name))

    def ancestors(self, names: Iterable[str]) -> Names:
        """The variables and all that causes them, directly or not."""
        return sorted_names(a for name in names for a in (name, *nx.ancestors(self.arrows, name)))

    def descendants(self, names: Iterable[str]) -> Names:
        """The variables and all that they cause, directly or not."""
        return sorted_names(d for name in names for d in (name, *nx.descendants(self.arrows, name)))

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
        return Graph(self.variables, tuple(edge for edge in self.directed if edge[0] not in names), self.bidirected)

    def with_edges(self, directed: Iterable[Pair] = (), bidirected: Iterable[Pair] = ()) -> Graph:
        """With more edges. Raises ValueError as `of`."""
        return Graph.of(self.variables, (*self.directed, *directed), (*self.bidirected, *bidirected))

    def are_adjacent(self, a: str, b: str) -> bool:
        """Whether any edge joins the two."""
        return bool(self.arrows.has_edge(a, b) or self.arrows.has_edge(b, a) or self.arcs.has_edge(a, b))

    @cached_property
    def expanded(self) -> Any:
        """The directed graph with a root in place of each bidirected edge; roots are pairs, variables are names."""
        made = self.arrows.copy()
        for a, b in self.bidirected:
            made.add_edges_from([((a, b), a), ((a, b), b)])
        return made

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

    def _reached(self, start: object, hidden: Collection[object]) -> set[str]:
        """Kept variables that directed paths reach through hidden ones."""
        found: set[str] = set()
        waiting = list(self.expanded.successors(start))
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            if node not in hidden:
                found.add(node)
                continue
            more = [n for n in self.expanded.successors(node) if n not in seen]
            seen.update(more)
            waiting += more
        return found

    def directed_paths(self, source: str, target: str) -> Iterator[Names]:
        """Directed paths in order."""
        yield from sorted(tuple(path) for path in nx.all_simple_paths(self.arrows, source, target))


def shortest_cycle(variables: Collection[str], directed: Iterable[Pair]) -> Names:
    """A shortest directed cycle, from its first name back to it; empty where there is none."""
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(variables)
    graph.add_edges_from(directed)
    found: list[Names] = []
    for start in sorted(graph):
        ways = [
            nx.shortest_path(graph, after, start)
            for after in sorted(graph.successors(start))
            if nx.has_path(graph, after, start)
        ]
        found += [(start, *way) for way in ways]
    return min(found, key=lambda cycle: (len(cycle), cycle), default=())
