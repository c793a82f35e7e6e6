"""Edges as text: `a -> b` and `a <-> b`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from xai_audit.graphs.graph import Graph

_EDGE = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(->|<->)\s*([a-z][a-z0-9_]*)\s*")


def read_edge(text: str) -> tuple[str, str, str]:
    """(a, b, arrow). ValueError for a text that is none."""
    found = _EDGE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return found[1], found[3], found[2]


def edges_in_order(edges: Iterable[str]) -> list[str]:
    """Edges as text in one order and one spelling, however they were written. ValueError for a text that is none."""
    read = (read_edge(edge) for edge in edges)
    spelt = ((*sorted((a, b)), arrow) if arrow == "<->" else (a, b, arrow) for a, b, arrow in read)
    return sorted(f"{a} {arrow} {b}" for a, b, arrow in spelt)


def read_path(text: str) -> tuple[str, ...]:
    """Names of a directed path, `a -> b -> c`. ValueError for a text that is none."""
    names = tuple(part.strip() for part in text.split("->"))
    if len(names) < 2 or not all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names):
        raise ValueError(text)
    return names


def read_graph(variables: Iterable[str], edges: Iterable[str], unmeasured: Collection[str] = ()) -> Graph:
    """The graph of edges as text, unmeasured variables projected away (Verma and Pearl 1990)."""
    read = [read_edge(edge) for edge in edges]
    directed = [(a, b) for a, b, arrow in read if arrow == "->"]
    graph = Graph.of(variables, directed, [(a, b) for a, b, arrow in read if arrow == "<->"])
    return graph.project([name for name in graph.variables if name not in unmeasured]) if unmeasured else graph
