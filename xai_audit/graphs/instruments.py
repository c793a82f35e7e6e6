"""Instruments, and the sets that fix the weight of one edge in a linear model (Brito and Pearl, UAI 2002)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.separation import are_separated, separator

MOST_TRIED = 2_000
"""Sets that are looked at for one instrument."""


@dataclass(frozen=True)
class Instrument:
    """A variable that moves the treatment and reaches the outcome through it alone, once `given` is known."""

    name: str
    given: Names


def instruments(graph: Graph, x: str, y: str) -> tuple[Instrument, ...]:
    """Instruments for the total effect of x on y, each with a smallest set, the first in order; those with fewer
    conditions first.

    z is one given W when W holds no descendant of x or y, z is tied to x given W, and z is separated from y given W
    once the arrows out of x are gone (van der Zander, Textor, Liskiewicz, IJCAI 2015). An unmeasured variable, which
    the graph does not hold, is never one.
    """
    return _found(graph, graph.cut_outgoing((x,)), x, y)


def edge_instruments(graph: Graph, x: str, y: str) -> tuple[Instrument, ...]:
    """The same for the edge x -> y alone."""
    return _found(graph, without_edge(graph, x, y), x, y)


def edge_set(graph: Graph, x: str, y: str) -> Names | None:
    """A set that makes the slope of y on x the weight of the edge x -> y (the single-door criterion, Pearl 2009,
    theorem 5.3.1); None where there is none."""
    later = set(graph.descendants((y,))) - {y}
    return separator(without_edge(graph, x, y).without(later), x, y)


def without_edge(graph: Graph, x: str, y: str) -> Graph:
    """The graph without one arrow."""
    return Graph(graph.variables, tuple(edge for edge in graph.directed if edge != (x, y)), graph.bidirected)


def _found(graph: Graph, cut: Graph, x: str, y: str) -> tuple[Instrument, ...]:
    later = set(graph.descendants((x, y)))
    allowed = [name for name in graph.variables if name not in later]
    found = [
        Instrument(name, given)
        for name in allowed
        if (given := _condition(graph, cut, x, y, name, [other for other in allowed if other != name])) is not None
    ]
    return tuple(sorted(found, key=lambda one: (len(one.given), one.name)))


def _condition(graph: Graph, cut: Graph, x: str, y: str, name: str, allowed: Collection[str]) -> Names | None:
    tried = 0
    for size in range(len(allowed) + 1):
        for given in combinations(allowed, size):
            tried += 1
            if tried > MOST_TRIED:
                return None
            if are_separated(cut, (name,), (y,), given) and not are_separated(graph, (name,), (x,), given):
                return given
    return None
