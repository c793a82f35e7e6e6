"""What each query asks of the graph, without its numbers."""

from __future__ import annotations

from xai_audit.causal.asked import scope_of
from xai_audit.graphs.dependence import Question
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.read import read_path
from xai_audit.spec.causal import Causal, Query

_NO_GRAPH = ("association", "sensitivity", "image_counterfactual")
"""Asks that rest on no absent edge."""


def question_of(causal: Causal, query: Query, graph: Graph) -> Question | None:
    """What a query asks of a graph; None where its answer does not come from the graph: an association, a published
    number, a picture that is operated on."""
    if query.ask in _NO_GRAPH or query.on is None or scope_of(causal, query) == "model":
        return None
    treatments = _treatments(causal, query, graph)
    known = {query.on, *treatments, *query.given}
    if not treatments or query.on in treatments or not known <= {*graph.variables, "row"}:
        return None
    if query.ask in ("nde", "nie") and len(treatments) == 1:
        return Question("mediated", query.on, treatments, mediators=sorted_names(query.through))
    if query.ask == "path_effect" and len(treatments) == 1:
        return Question("path", query.on, treatments, paths=tuple(sorted(map(read_path, query.paths))))
    helped = bool(query.assume) or query.if_not_identified == "bounds"
    chosen = None if query.adjust is None else sorted_names(query.adjust)
    return Question("total", query.on, treatments, _given(query, treatments), adjust=chosen, uses_instruments=helped)


def _treatments(causal: Causal, query: Query, graph: Graph) -> Names:
    if query.ask == "recourse":
        above = graph.ancestors((query.on or "",)) if query.on in graph.variables else ()
        movable = [name for name in above if causal.variables[name].actionable is not False]
        return sorted_names(set(movable) - {query.on or ""})
    return sorted_names((*query.do, *query.hold))


def _given(query: Query, treatments: Names) -> Names:
    """What a rung-2 query conditions on; facts of a unit are no condition of the law that is asked for."""
    if query.ask in ("interventional", "ate", "cate", "cde", "att"):
        return sorted_names(set(query.given) - {*treatments, "row", query.on or ""})
    return ()
