"""Section 10: what changes the answer: the graph as somebody's claim, its checks, and one block a query."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.causal_counts import causal_tally
from xai_audit.report.causal_told import Told, graph_record, told_queries
from xai_audit.report.context import FINDINGS, SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Group, Missing, Prose
from xai_audit.report.sections.causal_beside import beside
from xai_audit.report.sections.causal_checks import checks_of_graph
from xai_audit.report.sections.causal_graph import graph_group
from xai_audit.report.sections.causal_query import query_block
from xai_audit.report.sections.causal_severity import severity
from xai_audit.report.sections.missing import failure_reason, missing
from xai_audit.report.sections.verdicts import card
from xai_audit.verdict import worst_first


def causal(context: Context) -> tuple[Block, ...]:
    """What a graph is and whose, how many queries came to what, then graph, checks, queries, curves and attribution."""
    if context.spec.causal is None:
        return (missing(context, "missing.causal"),)
    told = told_queries(context)
    return (
        _lead(context),
        *_counts(context, told),
        *_worries(context),
        *_broken(context),
        *graph_group(context),
        *checks_of_graph(context),
        *(query_block(context, each) for each in told),
        *severity(context),
        *beside(context),
    )


def _lead(context: Context) -> Prose:
    causal = context.spec.causal
    assert causal is not None
    said = [context.say("causal.lead.what"), context.say("causal.lead.claim")]
    author = causal.author
    if author is None:
        said.append(context.say("causal.lead.no_author"))
    elif author.date is None:
        said.append(context.say("causal.lead.author_undated", name=name(author.name), role=name(author.role)))
    else:
        date = number(context.date(author.date), SPEC)
        said.append(context.say("causal.lead.author", name=name(author.name), role=name(author.role), date=date))
    return Prose(tuple(said), "lead")


def _counts(context: Context, told: tuple[Told, ...]) -> Iterator[Block]:
    if not told:
        yield missing(context, "causal.no_queries")
        return
    yield causal_tally(context, told)
    run = sum(each.record is not None for each in told)
    yield Prose(
        (
            context.say(
                "causal.count_line",
                asked=number(context.numbers.count(len(told)), SPEC),
                run=number(context.numbers.count(run), FINDINGS),
                shown=number(context.numbers.count(len(told)), FINDINGS),
            ),
            context.say("causal.none_dropped"),
        )
    )


def _worries(context: Context) -> Iterator[Block]:
    """What is found of graph and answers, worst first; refused queries have their own blocks."""
    found = [each for each in worst_first(context.findings) if each.kind == "causal" and each.severity != "minor"]
    if not found:
        yield Prose((context.say("causal.no_worries"),))
        return
    cards = tuple(card(context, each, brief=True) for each in found)
    yield Group(context.label("causal.worries_title"), "causal-worries", cards)


def _broken(context: Context) -> Iterator[Missing]:
    """Steps of graph, curves and attribution that have no result; those of queries stand in their blocks."""
    for record in context.of_kind("causal_graph", "severity", "cause_beside_attribution"):
        if record.status != "measured":
            said = context.say(
                f"causal.broken.{record.kind}", reason=failure_reason(context, record), evidence=cite(record.id)
            )
            verdict = "error" if record.status == "failed" else "not_run"
            yield Missing(context.label(f"status.{record.status}"), said, verdict)
    if graph_record(context) is None and not context.of_kind("causal_graph"):
        yield missing(context, "causal.no_graph_step")
