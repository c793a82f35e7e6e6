"""Steps of the causal part: the graph first, then one a query, operators at rising strength, and attribution beside
cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit.evidence.records import Passes
from xai_audit.explain.cost import Cost
from xai_audit.graphs.read import edges_in_order
from xai_audit.plan.operator_costs import query_cost, severity_cost
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.causal import Causal, FromMeasure, Query
from xai_audit.spec.schema import AuditSpec

BUDGET = 200
"""Settings that a search for another answer tries for a picture, unless its query says otherwise."""


def causal_steps(
    spec: AuditSpec, counts: Counts, profile: Step, predictions: Step, before: Sequence[Step]
) -> list[Step]:
    """The causal steps of an audit; `before` are the steps of explanations and concepts."""
    causal = spec.causal
    if causal is None:
        return []
    parents = _parents(spec, causal, profile, predictions, before)
    graph = make_step(
        spec.audit.seed,
        "causal_graph",
        "causal_graph",
        parents=parents,
        parameters=_of_graph(causal),
        cases=counts.cases,
    )
    queries = [_query(spec, causal, query, counts, (graph.id, *parents)) for query in causal.queries]
    severities = _severities(spec, causal, counts, graph, parents, before)
    return [graph, *queries, *severities, *_beside(spec, causal, (graph.id, *parents), before)]


def _parents(
    spec: AuditSpec, causal: Causal, profile: Step, predictions: Step, before: Sequence[Step]
) -> tuple[str, ...]:
    """What every causal step may read: profile and predictions where there are any, and steps of measured concepts."""
    made = [profile.id] if spec.has_cases else []
    made += [predictions.id] if spec.has_scores else []
    sources = [one.source for one in causal.variables.values()]
    methods = {source.method for source in sources if isinstance(source, FromMeasure)} - {None}
    made += [step.id for step in before if step.kind in ("dissection", "tcav") and step.subject in methods]
    return tuple(made)


def _of_graph(causal: Causal) -> dict[str, Any]:
    whole = {**as_json(causal), "edges": edges_in_order(causal.edges)}
    return {key: part for key, part in whole.items() if key not in ("queries", "severity")}


def _query(spec: AuditSpec, causal: Causal, query: Query, counts: Counts, parents: tuple[str, ...]) -> Step:
    return make_step(
        spec.audit.seed,
        "causal_query",
        query.id,
        slice=query.slice,
        parents=parents,
        parameters={"query": as_json(query)},
        cases=counts.slices.get(query.slice, 0),
        cost=query_cost(spec, causal, query, counts.slices.get(query.slice, 0)),
    )


def _severities(
    spec: AuditSpec, causal: Causal, counts: Counts, graph: Step, parents: tuple[str, ...], before: Sequence[Step]
) -> list[Step]:
    """One step an operator; it needs the explanations that it is to repeat."""
    made = []
    for entry in causal.severity:
        maps = [step.id for step in before if step.kind == "explanation" and step.subject in entry.methods]
        cases = [step.id for step in before if step.kind == "cases"] if maps else []
        made.append(
            make_step(
                spec.audit.seed,
                "severity",
                entry.via,
                parents=(graph.id, *parents, *cases, *maps),
                parameters=as_json(entry),
                cases=counts.cases,
                cost=severity_cost(spec, entry, counts.cases),
            )
        )
    return made


def _beside(spec: AuditSpec, causal: Causal, parents: tuple[str, ...], before: Sequence[Step]) -> list[Step]:
    """Where methods look beside what changes the score, where there are maps, masks and a score in the graph."""
    maps = [step for step in before if step.kind == "explanation"]
    cases = [step for step in before if step.kind == "cases"]
    roles = {one.role for one in causal.variables.values()}
    if not maps or not spec.data.masks or "model_output" not in roles:
        return []
    count = cases[0].cases
    step = make_step(
        spec.audit.seed,
        "cause_beside_attribution",
        "cause_beside_attribution",
        parents=(*parents, cases[0].id, *(one.id for one in maps)),
        parameters={"masks": sorted(spec.data.masks)},
        cases=count,
        cost=Cost(
            Passes(count * (1 + 2 * len(spec.data.masks))), "at_most", "a region that is not in a picture costs nothing"
        ),
    )
    return [step]
