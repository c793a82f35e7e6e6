"""Edges that the graph leaves out and on which answers rest, with the auditor's reasons (CAUSAL.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xai_audit.causal.testing.questions import question_of
from xai_audit.causal.testing.same_number import are_same_number
from xai_audit.graphs.dependence import AbsentEdge, Licence, Question, absent_edges, change_by, estimands
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.read import read_edge
from xai_audit.spec.causal import Causal

EFFORT = 200_000
"""Edges tried, each times the square of the number of variables above the outcome, over all questions."""
LEAST_TRIED = 50
NO_REASON = "no reason given"


@dataclass(frozen=True)
class Dependence:
    """On which absent edges each query rests."""

    by_edge: Mapping[AbsentEdge, Names]
    """Ids of queries, by edge."""
    unfinished: Names
    """Queries of which not all absent edges were tried."""

    def queries_between(self, a: str, b: str) -> Names:
        """Queries that rest on some absent edge between two variables."""
        return tuple(
            sorted({q for edge, queries in self.by_edge.items() if {edge.a, edge.b} == {a, b} for q in queries})
        )


def dependence_of(causal: Causal, graph: Graph) -> Dependence:
    """Which absent edges would change the verdict or the estimand of each query."""
    asked = {query.id: question_of(causal, query, graph) for query in causal.queries}
    questions = sorted({question for question in asked.values() if question is not None}, key=repr)
    found = {question: _of_question(causal, graph, question, len(questions)) for question in questions}
    by_edge: dict[AbsentEdge, list[str]] = {}
    for name, question in sorted(asked.items()):
        for edge in found[question][0] if question is not None else ():
            by_edge.setdefault(edge, []).append(name)
    cut = [name for name, question in asked.items() if question is not None and found[question][1]]
    ordered = {edge: tuple(by_edge[edge]) for edge in sorted(by_edge)}
    return Dependence(ordered, tuple(sorted(cut)))


def _of_question(causal: Causal, graph: Graph, question: Question, questions: int) -> tuple[list[AbsentEdge], bool]:
    licence = Licence.of(graph, question)
    edges = [edge for edge in absent_edges(graph, question) if not _is_settled(causal, edge)]
    above = len(graph.ancestors((question.outcome, *question.given)))
    most = max(LEAST_TRIED, EFFORT // (above**2 * questions))
    found = []
    for edge in edges[:most]:
        change = change_by(graph, edge, question, licence)
        if change == "lost" or (change == "other" and not _is_harmless(edge.added_to(graph), question, licence)):
            found.append(edge)
    return found, len(edges) > most


def _is_harmless(after: Graph, question: Question, licence: Licence) -> bool:
    """Whether the formulas of the graph as declared are still right once an edge is there."""
    if licence.adjusted is not None:
        return False
    others = estimands(after, question)
    return licence.terms is not None and others is not None and are_same_number(after, licence.terms, others)


def _is_settled(causal: Causal, edge: AbsentEdge) -> bool:
    """An edge that is impossible, not merely absent: against time, or at a score, whose parents are known."""
    one, other = causal.variables[edge.a], causal.variables[edge.b]
    if "model_output" in (one.role, other.role):
        return True
    return edge.is_arrow and one.time is not None and other.time is not None and one.time > other.time


def missing_edge_entries(causal: Causal, dependence: Dependence) -> list[dict[str, Any]]:
    """One entry an absent edge on which some query rests."""
    reasons = {_normal(edge): reason for edge, reason in causal.missing_edges_reason.items()}
    return [
        {"edge": str(edge), "reason": reasons.get(str(edge), NO_REASON), "queries": list(queries)}
        for edge, queries in dependence.by_edge.items()
    ]


def _normal(text: str) -> str:
    a, b, arrow = read_edge(text)
    return f"{min(a, b)} <-> {max(a, b)}" if arrow == "<->" else f"{a} -> {b}"
