"""The causal steps: what the graph implies and what the data say to it, then one answer a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_audit.causal.answering import answer
from xai_audit.causal.asked import Asked, scope_of, way_of
from xai_audit.causal.sample import Sample
from xai_audit.engines.causal_calls import mechanism_calls
from xai_audit.engines.causal_data import sample_of
from xai_audit.engines.causal_records import Provenance, answer_result
from xai_audit.engines.causal_score import TableScore, table_score
from xai_audit.engines.recording import result_of
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.records import NO_PASSES
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.graphs.graph import Graph
from xai_audit.graphs.read import read_graph
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal, FromMeasure

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def graph_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The graph, its tests on the data, and which queries rest on what it leaves out."""
    from xai_audit.causal.testing.examine import examine

    (step,) = unit
    causal = context.spec.causal
    assert causal is not None
    sample = sample_of(context, step, None)
    found = examine(causal, graph_of(causal), whole_graph(causal), sample, context.spec.audit.seed)
    context.progress.advance(step.cases or 1)
    return [result_of(step, found.details, arrays=found.arrays, rows=_measured(context, causal, sample))]


def _measured(context: Context, causal: Causal, sample: Sample | None) -> Rows:
    """What was measured on pictures, kept with the graph so that no query measures it again."""
    if not any(isinstance(one.source, FromMeasure) for one in causal.variables.values()):
        return Rows()
    from xai_audit.engines.causal_measures import measured_rows

    return measured_rows(context, causal, sample)


def query_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The answer to one query."""
    (step,) = unit
    asked = asked_of(context, step)
    passes = NO_PASSES
    if asked.query.ask == "image_counterfactual":
        from xai_audit.engines.image_counterfactuals import search

        found, passes = search(context, step, asked)
    elif way_of(asked.causal, asked.query, asked.sample is not None) == "operator" or _has_pictures(context, asked):
        from xai_audit.engines.operated import by_operator

        found, passes = by_operator(context, step, asked)
    else:
        found = answer(asked)
        score = asked.calls.get("model")
        passes = score.passes if isinstance(score, TableScore) else NO_PASSES
        context.progress.advance(step.cases or 1)
    graph = context.parent(step, "causal_graph").record
    return [answer_result(step, asked, found, graph, passes, _provenance(context, asked))]


def _provenance(context: Context, asked: Asked) -> Provenance:
    place = next(index for index, query in enumerate(asked.causal.queries) if query.id == asked.query.id)
    digest = None
    if context.spec.has_cases:
        digest = sha256("".join(context.digests[int(case)] for case in context.slices[asked.query.slice]).encode())
    scope = scope_of(asked.causal, asked.query)
    return Provenance(scope, context.spec_line(("causal", "queries", place)), digest)


def _has_pictures(context: Context, asked: Asked) -> bool:
    """Whether operators have something to add to a mixed query: the ways through the picture."""
    return (
        context.model is not None
        and asked.query.ask in ("ate", "interventional", "path_effect")
        and asked.query.answer_by is None
        and bool(asked.causal.operators)
        and context.dataset.has_images
        and scope_of(asked.causal, asked.query) == "mixed"
    )


def asked_of(context: Context, step: Step) -> Asked:
    """The query that a step was planned for, with its data."""
    causal = context.spec.causal
    assert causal is not None
    query = next(query for query in causal.queries if query.id == step.subject)
    rows = context.slices.get(query.slice) if context.spec.has_cases else None
    sample = sample_of(context, step, rows)
    calls = dict(mechanism_calls(causal, context.spec_folder))
    score = table_score(context, causal)
    if score is not None:
        calls["model"] = score
    return Asked(causal, query, graph_of(causal), whole_graph(causal), sample, context.spec.audit.seed, calls)


def graph_of(causal: Causal) -> Graph:
    """The declared graph over what the data can hold: unmeasured variables and the image projected away."""
    hidden = [name for name, one in causal.variables.items() if one.role == "medium" or one.source == "unmeasured"]
    return read_graph(causal.variables, causal.edges, hidden)


def whole_graph(causal: Causal) -> Graph:
    """The graph as declared."""
    return read_graph(causal.variables, causal.edges)


def rows_of(context: Context, name: str) -> np.ndarray:
    """Cases of a slice."""
    return context.slices[name]
