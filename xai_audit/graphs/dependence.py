"""Which answers rest on an edge that the graph leaves out (CAUSAL.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from xai_audit.graphs.adjustment import adjustment_sets, is_adjustment
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.instruments import instruments
from xai_audit.graphs.paths import RecantingDistrict, RecantingWitness, mediation, path_specific, settings_of_paths
from xai_audit.graphs.separation import are_separated
from xai_audit.graphs.terms import Term


@dataclass(frozen=True)
class Question:
    """What a query asks of the graph."""

    kind: Literal["total", "mediated", "path"]
    outcome: str
    treatments: Names
    given: Names = ()
    mediators: Names = ()
    paths: tuple[Names, ...] = ()
    adjust: Names | None = None
    """An adjustment set of the auditor's choice."""
    uses_instruments: bool = False
    """Whether an instrument helps where the law alone does not: an assumption, or bounds, are declared."""


@dataclass(frozen=True, order=True)
class AbsentEdge:
    """An edge that a graph leaves out."""

    a: str
    b: str
    is_arrow: bool

    def __str__(self) -> str:
        return f"{self.a} {'->' if self.is_arrow else '<->'} {self.b}"

    def added_to(self, graph: Graph) -> Graph:
        """The graph with it."""
        pair = [(self.a, self.b)]
        return graph.with_edges(directed=pair) if self.is_arrow else graph.with_edges(bidirected=pair)


def estimands(graph: Graph, question: Question) -> tuple[Term, ...] | None:
    """The functionals of the observed law that answer a question; None where there are none."""
    if question.kind == "total":
        found = identify(graph, [question.outcome], question.treatments, question.given)
        return None if isinstance(found, Hedge) else (found.term,)
    (x,) = question.treatments
    if question.kind == "mediated":
        parts = mediation(graph, x, question.outcome, question.mediators)
        if isinstance(parts, Hedge | RecantingWitness | RecantingDistrict):
            return None
        return parts.reference, parts.alternative, parts.direct, parts.indirect
    seen = settings_of_paths(graph, x, question.outcome, question.paths)
    if isinstance(seen, RecantingWitness):
        return None
    term = path_specific(graph, x, question.outcome, seen)
    return None if isinstance(term, Hedge | RecantingWitness | RecantingDistrict) else (term,)


def set_used(graph: Graph, question: Question) -> Names | None:
    """The set by which a total effect is adjusted: the auditor's, else the first; None where none is used.

    With conditions, a set that blocks every backdoor path together with them; none of either may follow a treatment.
    """
    if question.kind != "total":
        return None
    if question.adjust is not None:
        return question.adjust if is_adjusted(graph, question, question.adjust) else None
    if not question.given:
        return next(iter(adjustment_sets(graph, question.treatments, [question.outcome]).sets), None)
    parents = sorted_names(set(graph.parents(question.treatments)) - set(question.given))
    return next((names for names in ((), parents) if is_adjusted(graph, question, names)), None)


def is_adjusted(graph: Graph, question: Question, names: Names) -> bool:
    """Whether a set is enough."""
    x, y = question.treatments, question.outcome
    if not question.given:
        return is_adjustment(graph, x, [y], names)
    known = {*names, *question.given}
    return not known & set(graph.descendants(x)) and are_separated(graph.cut_outgoing(x), [y], x, known)


def absent_edges(graph: Graph, question: Question) -> Iterator[AbsentEdge]:
    """Edges whose absence may matter to a question, those at its treatments and outcome first, then by name.

    An edge matters only among ancestors of the outcome and of what is given.
    """
    ends = {question.outcome, *question.treatments}
    above = graph.ancestors((question.outcome, *question.given))
    found = []
    for a, b in combinations(graph.variables, 2):
        if not graph.has_arc(a, b) and a in above and b in above:
            found.append(AbsentEdge(a, b, False))
        if not graph.has_arrow(a, b) and not graph.has_arrow(b, a):
            found += [AbsentEdge(*pair, True) for pair in ((a, b), (b, a)) if _may_join(graph, *pair, above)]
    yield from sorted(found, key=lambda edge: (-len(ends & {edge.a, edge.b}), edge))


def _may_join(graph: Graph, a: str, b: str, above: Names) -> bool:
    return b in above and a not in graph.descendants((b,))


@dataclass(frozen=True)
class Licence:
    """What a question's answer is read from: formulas of the observed law, and the adjustment set where one is used."""

    terms: tuple[Term, ...] | None
    adjusted: Names | None

    @classmethod
    def of(cls, graph: Graph, question: Question) -> Licence:
        """In a graph."""
        terms = estimands(graph, question)
        return cls(terms, None if terms is None else set_used(graph, question))


Change = Literal["same", "other", "lost"]


def change_by(graph: Graph, edge: AbsentEdge, question: Question, licence: Licence) -> Change:
    """What becomes of a question's licence once an edge is there: the same, another, or none.

    Where no adjustment set is used another formula may be the same number still.
    """
    before, after = licence.terms, edge.added_to(graph)
    if licence.adjusted is not None and is_adjusted(after, question, licence.adjusted):
        return "same"
    if before is None:
        return "lost" if question.uses_instruments and _loses_instruments(graph, after, question) else "same"
    found = estimands(after, question)
    if found is None:
        return "lost"
    return "same" if found == before and licence.adjusted is None else "other"


def _loses_instruments(graph: Graph, after: Graph, question: Question) -> bool:
    if len(question.treatments) != 1:
        return False
    (x,) = question.treatments
    had = set(instruments(graph, x, question.outcome))
    return not had <= set(instruments(after, x, question.outcome))
