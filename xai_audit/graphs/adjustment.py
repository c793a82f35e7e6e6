"""Adjustment sets by the complete criterion (Shpitser, VanderWeele, Robins, UAI 2010; Perkovic et al., JMLR 2018)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from xai_audit.graphs.graph import Graph, Names, Node, sorted_names
from xai_audit.graphs.separation import Cuts, are_separated

MOST_SETS = 50
"""Sets that are listed for one question."""
MOST_TRIED = 200_000
"""Sets that are looked at."""


@dataclass(frozen=True)
class AdjustmentSets:
    """Minimal sets, smallest first, then by name; `are_all` is False where the search stopped before its end."""

    sets: tuple[Names, ...]
    are_all: bool


@dataclass(frozen=True)
class NotValid:
    """Why a set is no adjustment set: variables that must not be in it, or a path that stays open."""

    forbidden: Names = ()
    open_path: Names = ()


def adjustment_sets(graph: Graph, x: Collection[str], y: Collection[str]) -> AdjustmentSets:
    """Every minimal set of the graph's variables by which the total effect of x on y can be adjusted."""
    proper = _proper_backdoor(graph, x, y)
    relevant = proper.ancestors((*x, *y))
    allowed = [name for name in relevant if name not in {*x, *y} and name not in _forbidden(graph, x, y)]
    cut = Cuts.of(proper.induced(relevant), x, y)
    if cut.are_joined(allowed):
        return AdjustmentSets((), True)
    found: list[int] = []
    apart = cut.apart()
    sets = chain.from_iterable(cut.sets(allowed, size) for size in range(len(apart), len(allowed) + 1))
    for tried, given in enumerate(sets, 1):
        if tried > MOST_TRIED or len(found) == MOST_SETS:
            return AdjustmentSets(tuple(map(cut.names, found)), False)
        is_smaller = not any(smaller & given == smaller for smaller in found)
        if is_smaller and all(given & way for way in apart) and not cut.leads_around(given):
            found.append(given)
    return AdjustmentSets(tuple(map(cut.names, found)), True)


def check_adjustment(graph: Graph, x: Collection[str], y: Collection[str], given: Collection[str]) -> NotValid | None:
    """Why a set of the auditor's choice is no adjustment set; None where it is one."""
    forbidden = sorted_names(set(given) & set(_forbidden(graph, x, y)))
    if forbidden:
        return NotValid(forbidden=forbidden)
    proper = _proper_backdoor(graph, x, y)
    if are_separated(proper, x, y, given):
        return None
    return NotValid(open_path=_open_path(proper, x, y, given))


def is_adjustment(graph: Graph, x: Collection[str], y: Collection[str], given: Collection[str]) -> bool:
    """Whether a set is one by which the total effect of x on y can be adjusted."""
    if set(given) & set(_forbidden(graph, x, y)):
        return False
    return are_separated(_proper_backdoor(graph, x, y), x, y, given)


def _causal_nodes(graph: Graph, x: Collection[str], y: Collection[str]) -> Names:
    """Variables on proper causal paths from x to y, x itself left out."""
    after = graph.cut_incoming(x)
    reached = set(after.descendants(x)) - set(x)
    leading = set(graph.cut_outgoing(x).ancestors(y)) - set(x)
    return sorted_names(reached & leading)


def _forbidden(graph: Graph, x: Collection[str], y: Collection[str]) -> Names:
    """Descendants of what lies on causal paths, and the treatments: adjusting for them distorts the effect."""
    return sorted_names({*graph.descendants(_causal_nodes(graph, x, y)), *x})


def _proper_backdoor(graph: Graph, x: Collection[str], y: Collection[str]) -> Graph:
    """The graph without the first edge of each proper causal path."""
    on_way = set(_causal_nodes(graph, x, y))
    kept = tuple(edge for edge in graph.directed if not (edge[0] in x and edge[1] in on_way))
    return Graph(graph.variables, kept, graph.bidirected)


def _open_path(graph: Graph, x: Collection[str], y: Collection[str], given: Collection[str]) -> Names:
    """A shortest path that stays open, the first in order; roots of unmeasured causes are left out."""
    ends, above = set(y), set(graph.ancestors(given))
    ways: list[_Way] = [_Way((name,), None) for name in sorted(x)]
    while ways:
        further = [after for way in ways for after in way.further(graph, given, above)]
        for way in further:
            if way.nodes[-1] in ends:
                return tuple(node for node in way.nodes if isinstance(node, str))
        ways = further
    return ()


@dataclass(frozen=True)
class _Way:
    """The beginning of a path, and whether an arrow points into its last node."""

    nodes: tuple[Node, ...]
    is_into: bool | None

    def further(self, graph: Graph, given: Collection[str], above: set[str]) -> list[_Way]:
        """The ways one step longer that are open so far, in order."""
        node, edges = self.nodes[-1], graph.expanded
        steps = [(after, True) for after in edges.successors(node)]
        steps += [(before, False) for before in edges.predecessors(node)]
        return [
            _Way((*self.nodes, after), is_into)
            for after, is_into in sorted(steps, key=lambda step: (str(step[0]), step[1]))
            if after not in self.nodes and self._passes(not is_into, given, above)
        ]

    def _passes(self, leaves_against: bool, given: Collection[str], above: set[str]) -> bool:
        """Whether the last node lets a path through: a collider where it or a descendant of it is given."""
        if self.is_into is None:
            return True
        node = self.nodes[-1]
        return node in above if self.is_into and leaves_against else node not in given
