"""Graphs that data cannot tell from the declared one, and the queries that they answer otherwise."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from xai_audit.causal.testing.questions import question_of
from xai_audit.causal.testing.same_number import are_same_number
from xai_audit.graphs.dependence import Question, estimands
from xai_audit.graphs.equivalence import equivalents
from xai_audit.graphs.graph import Graph, Pair
from xai_audit.spec.causal import Causal


def equivalent_entry(causal: Causal, graph: Graph) -> dict[str, Any]:
    """How many there are, the first of them, and whose answer changes among those that are listed."""
    found = equivalents(graph, causal.checks.equivalent_graphs.limit, settled_pairs(causal, graph))
    changed: dict[str, list[str]] = {}
    for query in causal.queries:
        question = question_of(causal, query, graph)
        if question is None:
            continue
        edges = sorted(
            {edge for other in found.listed if _differs(graph, other, question) for edge in _turned(graph, other)}
        )
        if edges:
            changed[query.id] = [f"{a} -> {b}" for a, b in edges]
    return {
        "count": found.count,
        "listed": [edge_texts(other) for other in found.listed],
        "is_cut": found.is_cut,
        "note": found.note,
        "changed_queries": sorted(changed),
        "rests_on": dict(sorted(changed.items())),
        "sentences": {
            name: f"Data cannot tell these apart; the direction rests on: {', '.join(edges)}."
            for name, edges in sorted(changed.items())
        },
    }


def settled_pairs(causal: Causal, graph: Graph) -> list[Pair]:
    """Pairs whose order is known without the graph: by time, or because one is the model's score."""
    found = []
    for a, b in combinations(graph.variables, 2):
        for first, second in ((a, b), (b, a)):
            one, other = causal.variables[first], causal.variables[second]
            by_time = one.time is not None and other.time is not None and one.time < other.time
            if by_time or (other.role == "model_output" and one.role != "model_output"):
                found.append((first, second))
    return found


def edge_texts(graph: Graph) -> list[str]:
    """Edges as the spec writes them."""
    return [f"{a} -> {b}" for a, b in graph.directed] + [f"{a} <-> {b}" for a, b in graph.bidirected]


def _differs(graph: Graph, other: Graph, question: Question) -> bool:
    """Whether an equivalent graph answers a question otherwise: every law of one is a law of the other."""
    here, there = estimands(graph, question), estimands(other, question)
    if here is None or there is None:
        return (here is None) != (there is None)
    return not are_same_number(graph, here, there)


def _turned(graph: Graph, other: Graph) -> list[Pair]:
    return [edge for edge in graph.directed if edge not in other.directed]
