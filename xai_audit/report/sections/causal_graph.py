"""Section 10: the graph drawn, every edge of it in words, and whose reasons stand behind what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.graphs.read import read_edge
from xai_audit.report.causal_phrases import edge_text, label_of, listed
from xai_audit.report.causal_told import Told, causal_of, graph_record
from xai_audit.report.context import SPEC, Context, name
from xai_audit.report.document import Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.graph_chart import Drawn, Pair, graph_chart, signs_of
from xai_audit.report.tables import Row, cell, columns_of, table


def graph_group(context: Context) -> Iterator[Group]:
    """The graph, its edges in words and its variables."""
    yield Group(
        context.label("causal.graph.title"),
        "causal-graph",
        (
            Prose((context.say("causal.graph.read"),)),
            graph_figure(context, "graph", _whole(context)),
            edges_table(context),
            _variables(context),
        ),
    )


def graph_figure(context: Context, anchor: str, drawn: Drawn, *extra: Sentence) -> Figure:
    """A picture of the graph with the list of its edges as data."""
    image = graph_chart(context, anchor, drawn)
    caption = (signs_of(context, drawn), *extra)
    return Figure(
        context.label("causal.graph.figure"), caption, image, edges_table(context, f"{anchor}-edges"),
        anchor=f"{anchor}-figure",
    )  # fmt: skip


def base(context: Context) -> dict[str, Any]:
    """Variables, arrows, arcs and which are unmeasured, as the spec declares them."""
    causal = causal_of(context)
    edges = [read_edge(edge) for edge in causal.edges]
    return {
        "names": {each: label_of(context, each) for each in causal.variables},
        "arrows": tuple(sorted((a, b) for a, b, arrow in edges if arrow == "->")),
        "arcs": tuple(sorted((min(a, b), max(a, b)) for a, b, arrow in edges if arrow == "<->")),
        "latent": frozenset(each for each, one in causal.variables.items() if one.source == "unmeasured"),
    }


def tested_pairs(record: Evidence | None) -> Mapping[Pair, str]:
    """What the data said to each pair that the graph keeps apart; a contradiction stands whatever other tests say."""
    found: dict[Pair, str] = {}
    for entry in (record.details.get("implied") or ()) if record is not None else ():
        pair = (min(entry["a"], entry["b"]), max(entry["a"], entry["b"]))
        if found.get(pair) != "contradicted":
            found[pair] = str(entry.get("verdict", "untested"))
    return found


def _whole(context: Context) -> Drawn:
    causal, tested = causal_of(context), tested_pairs(graph_record(context))
    roles = {
        role: frozenset(n for n, v in causal.variables.items() if v.role == role) for role in ("treatment", "outcome")
    }
    return Drawn(
        **base(context),
        treatments=roles["treatment"],
        outcomes=roles["outcome"] | frozenset(n for n, v in causal.variables.items() if v.role == "model_output"),
        contradicted=tuple(sorted(pair for pair, verdict in tested.items() if verdict == "contradicted")),
        held=tuple(sorted(pair for pair, verdict in tested.items() if verdict == "supported")),
    )


def drawn_for(context: Context, told: Told) -> Drawn:
    """The graph as one query sees it: what is set, asked about and conditioned on, and what the data contradict."""
    query, details = told.query, told.details
    seen = query.given if isinstance(query.given, tuple) else tuple(query.given)
    used = tuple(details.get("set_used") or ())
    known = set(causal_of(context).variables)
    tested = tested_pairs(graph_record(context))
    return Drawn(
        **base(context),
        treatments=frozenset(query.do) & known,
        outcomes=frozenset([query.on] if query.on else []) & known,
        conditioned=frozenset((*seen, *used, *query.hold)) & known - set(query.do),
        contradicted=tuple(sorted(pair for pair, verdict in tested.items() if verdict == "contradicted")),
    )


def edges_table(context: Context, anchor: str = "causal-edges") -> Table:
    """Every edge in words, and every pair without one that the data contradict."""
    causal = causal_of(context)
    rows: list[Row] = []
    for edge in sorted(causal.edges):
        first, second, arrow = read_edge(edge)
        key = "arrow" if arrow == "->" else "arc"
        words = context.say(
            f"causal.edge.{key}", a=(name(label_of(context, first)),), b=(name(label_of(context, second)),)
        )
        rows.append((cell(name(edge)), cell(words), cell(context.label("causal.edge.declared"))))
    for (first, second), verdict in sorted(tested_pairs(graph_record(context)).items()):
        if verdict in ("contradicted", "supported"):
            pair = name(f"{label_of(context, first)} – {label_of(context, second)}")
            state = context.label(f"causal.edge.{verdict}")
            mark = "fail" if verdict == "contradicted" else ""
            rows.append((cell(pair), cell(context.label("causal.edge.absent")), cell(state, verdict=mark)))
    columns = columns_of(context, "edge", "meaning", "state")
    return table(context, context.label("causal.graph.edges"), anchor, columns, rows)


def edges_line(context: Context) -> Sentence:
    """Every edge as text, in one line."""
    said = [edge_text(context, edge) for edge in sorted(causal_of(context).edges)]
    return context.say("causal.edges_line", edges=context.listed(said, "semicolon"))


def _variables(context: Context) -> Table:
    causal = causal_of(context)
    rows = []
    for variable, one in causal.variables.items():
        rows.append((
            cell(name(label_of(context, variable))),
            cell(context.label(f"causal.role.{one.role}")),
            cell(_domain(context, one)),
            cell(_source(context, one)),
        ))  # fmt: skip
    columns = columns_of(context, "variable", "role", "values", "source")
    return table(context, context.label("causal.graph.variables"), "causal-variables", columns, rows)


def _domain(context: Context, one: Any) -> Sentence:
    unit = f" {one.unit}" if one.unit else ""
    if one.domain is None:
        return (Span("–"),)
    if hasattr(one.domain, "range"):
        low, high = one.domain.range
        return (name(f"{low:g} – {high:g}{unit}"),)
    return (name(context.words.listed(str(level) for level in one.domain.levels) + unit),)


def _source(context: Context, one: Any) -> Sentence:
    source = one.source
    if isinstance(source, str):
        return context.say(f"causal.source.{source}")
    for key in ("column", "measure", "operator"):
        if getattr(source, key, None) is not None:
            return context.say(f"causal.source.{key}", name=name(str(getattr(source, key))))
    return context.say("causal.source.model" if source is not None else "causal.source.given")


def pairs_text(context: Context, pairs: Any) -> Sentence:
    """Pairs of variables in a row."""
    return context.listed([listed(context, pair) for pair in pairs], "semicolon") or (Span("–", SPEC),)
