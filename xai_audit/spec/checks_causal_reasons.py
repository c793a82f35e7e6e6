"""Reasons for absent edges: none for an edge that is there, and one for each absent one that an answer rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xai_audit.spec.causal import Query
from xai_audit.spec.causal_names import variables_at
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.yaml_nodes import Path

if TYPE_CHECKING:
    from xai_audit.graphs.dependence import Question

_TOTAL = ("interventional", "ate", "att", "cate", "cde", "pn_ps")


def check(parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of `missing_edges_reason`, then the reasons that are lacking."""
    from xai_audit.graphs.read import read_edge

    reasons: set[str] = set()
    written = {_named(edge.a, edge.b, edge.is_arrow) for edge in parts.arrows}
    for text in parts.reasons:
        path: Path = ("causal", "missing_edges_reason", text)
        try:
            a, b, arrow = read_edge(text)
        except ValueError:
            message = f"cannot read edge '{text}': write 'a -> b' or 'a <-> b'"
            yield coded("bad_edge", path, message, "Correct the edge.", at_key=True)
            continue
        yield from variables_at(parts, [(path, name) for name in dict.fromkeys((a, b))], at_key=True)
        name = _named(a, b, arrow == "->")
        reasons.add(name)
        if name in written:
            message = f"missing_edges_reason names {name}, but that edge exists"
            yield coded("reason_edge_exists", path, message, "Remove the reason, or the edge.", at_key=True)
    if parts.checks.missing_edges == "require":
        yield from _lacking(parts, reasons)


def _named(a: str, b: str, is_arrow: bool) -> str:
    return f"{a} -> {b}" if is_arrow else f"{min(a, b)} <-> {max(a, b)}"


def _lacking(parts: CausalParts, reasons: set[str]) -> Iterator[Mistake]:
    """Absent edges with which a query's estimand would be another, or none."""
    from xai_audit.graphs.dependence import Licence, absent_edges, change_by

    graph = parts.observed
    resting: dict[str, list[str]] = {}
    for query in parts.queries.values():
        question = _question(query)
        if graph is None or question is None or not _is_about(question, graph.variables):
            continue
        licence = Licence.of(graph, question)
        for edge in absent_edges(graph, question):
            name = str(edge)
            if name not in reasons and change_by(graph, edge, question, licence) != "same":
                resting.setdefault(name, []).append(query.id)
    for name, queries in sorted(resting.items()):
        noun = "query" if len(queries) == 1 else "queries"
        verb = "depends" if len(queries) == 1 else "depend"
        listed = ", ".join(queries)
        message = f"no reason given for the absent edge {name}, on which {noun} {listed} {verb}"
        fix = f'Add "{name}": "..." under causal.missing_edges_reason, or the edge.'
        yield coded("missing_reason", ("causal", "checks", "missing_edges"), message, fix)


def _is_about(question: Question, names: tuple[str, ...]) -> bool:
    return {question.outcome, *question.treatments, *question.given, *question.mediators} <= set(names)


def _question(query: Query) -> Question | None:
    """What a query asks of the graph; None where it asks nothing of identification."""
    from xai_audit.graphs.dependence import Question
    from xai_audit.graphs.read import read_path

    if query.on is None or not query.do:
        return None
    bounds = query.if_not_identified == "bounds" or bool(query.assume)
    given = tuple(sorted(query.given)) if query.ask != "cate" else ()
    treatments = tuple(sorted({*query.do, *query.hold}))
    if query.ask in _TOTAL and not set(given) & {*treatments, query.on}:
        adjust = None if query.adjust is None else tuple(sorted(query.adjust))
        return Question("total", query.on, treatments, given, adjust=adjust, uses_instruments=bounds)
    if len(query.do) != 1:
        return None
    if query.ask in ("nde", "nie") and query.through:
        return Question("mediated", query.on, treatments, mediators=tuple(sorted(query.through)))
    if query.ask == "path_effect" and query.paths:
        try:
            return Question("path", query.on, treatments, paths=tuple(map(read_path, query.paths)))
        except ValueError:
            return None
    return None
