"""Section 10: one block a query, its twelve points in one order, a refused one as long as an answered one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xai_audit.report.causal_phrases import edge_text, label_of, listed, set_text
from xai_audit.report.causal_sentences import answer_sentences, contrast_text, question_of
from xai_audit.report.causal_told import MARK, Told, causal_of, graph_record, reason_given
from xai_audit.report.context import MANIFEST, Context, cite, name, number
from xai_audit.report.document import Block, Facts, Figure, FindingCard, Group, Prose, Sentence, Span
from xai_audit.report.formula import formula
from xai_audit.report.graph_chart import Drawn, read_pairs
from xai_audit.report.sections.causal_answer import answer, overlap, sets_and_estimators
from xai_audit.report.sections.causal_graph import base, drawn_for, edges_line, edges_table, graph_figure
from xai_audit.report.sections.causal_kept import kept, witness_block
from xai_audit.report.sections.causal_operator import operator
from xai_audit.report.sections.causal_support import implied_and_refuters, overturn, sensitivity
from xai_audit.report.tables import cell, columns_of, table
from xai_audit.report.told import told as told_in

Part = Callable[[Context, Told], Iterator[Block]]


def query_block(context: Context, told: Told) -> Group:
    """A query: the question and what it came to, then the twelve points."""
    parts = tuple(
        Group(
            context.label("causal.part.numbered").format(place=place, title=context.label(f"causal.part.{key}")),
            f"query-{told.query.id}-{key}",
            tuple(write(context, told)) or (Prose((context.say(f"causal.nothing.{key}"),)),),
        )
        for place, (key, write) in enumerate(PARTS, start=1)
    )
    title = context.label("causal.query_title").format(id=told.query.id)
    return Group(title, f"query-{told.query.id}", (head(context, told), *parts))


def head(context: Context, told: Told) -> FindingCard:
    """The question with its answer, or why it has none, before all details."""
    state = told.state
    asked = question_of(context, told)
    said = (context.say("causal.head", question=asked), *answer_sentences(context, told))
    cited = (cite(told.source),) if told.source else (Span(context.label("causal.no_step")),)
    return FindingCard(
        "", told.query.id, MARK[state], context.label(f"causal.state.{state}"), _grade(context, told),
        (*said, context.say("finding.evidence_only", evidence=cited)),
    )  # fmt: skip


def _grade(context: Context, told: Told) -> str:
    scope = context.label(f"causal.scope.{told.scope}")
    return context.label("causal.scope_grade").format(scope=scope, grade=told.grade) if told.grade else scope


def _question(context: Context, told: Told) -> Iterator[Block]:
    details, query = told.details, told.query
    rung = int(details.get("rung") or 0)
    rows: list[tuple[str, Sentence]] = [
        ("question", question_of(context, told)),
        ("ask", context.say(f"causal.ask.{query.ask}")),
        ("set", contrast_text(context, told)),
        ("scope", context.say(f"causal.scope_meaning.{told.scope}")),
        ("rung", context.say(f"causal.rung.r{rung}", rung=number(str(rung), told.source))
         if rung else context.say("causal.none")),
        ("slice", (name(query.slice),)),
    ]  # fmt: skip
    if details.get("estimator"):
        rows.append(("estimator", (Span(str(details["estimator"]), told.source),)))
    facts = tuple((context.label(f"causal.fact.{key}"), text) for key, text in rows)
    yield Facts(facts, context.label("causal.question_caption"))


def _graph(context: Context, told: Told) -> Iterator[Block]:
    yield graph_figure(context, f"query-{told.query.id}-graph", drawn_for(context, told))
    yield Prose((edges_line(context),), "note")


def _estimand(context: Context, told: Told) -> Iterator[Block]:
    details = told.details
    if details.get("estimand_text"):
        yield Prose(((Span(str(details["estimand_text"]), told.source),),))
    if details.get("pattern"):
        key = f"causal.pattern.{details['pattern']}".replace("-", "_")
        shown = context.label(key) if context.words.has(key) else str(details["pattern"]).replace("_", " ")
        yield Prose((context.say("causal.pattern_line", pattern=Span(shown, told.source)),))
    yield from _formula(context, told)
    yield from _sets(context, told)
    yield from _hedge(context, told)
    yield from witness_block(context, told)


def _formula(context: Context, told: Told) -> Iterator[Block]:
    latex = str(told.details.get("estimand_latex") or "")
    if not latex:
        return
    spoken = told_in(str(told.details.get("estimand_text") or latex), context.language)
    image = formula(f"estimand-{told.query.id}", latex, context.label("causal.alt.formula").format(text=spoken))
    source = ((cell(name(latex, told.source)),),)
    columns = columns_of(context, "latex")
    data = table(context, context.label("causal.latex"), f"estimand-{told.query.id}", columns, source)
    if image is None:
        yield data
        return
    said = context.say("causal.latex_caption", evidence=cite(told.source))
    yield Figure(context.label("causal.latex"), (said,), image, data, anchor=f"estimand-figure-{told.query.id}")


def _sets(context: Context, told: Told) -> Iterator[Block]:
    """Every minimal adjustment set, and the one that was used."""
    found, used = told.details.get("adjustment_sets"), told.details.get("set_used")
    listed_sets: Sequence[Any] = found or ()
    if found is not None:
        shown = context.listed([(Span("{"), *set_text(context, each), Span("}")) for each in listed_sets])
        if shown:
            key = "all" if told.details.get("are_all_sets", True) else "cut"
            yield Prose((context.say(f"causal.sets.{key}", sets=shown),))
        else:
            yield Prose((context.say("causal.sets.none"),))
    if used is not None:
        yield Prose((context.say("causal.sets.used", used=(Span("{"), *set_text(context, used), Span("}"))),))


def _hedge(context: Context, told: Told) -> Iterator[Block]:
    """Why the law of what was seen does not fix the answer: the sets that unmeasured causes hold together."""
    hedge = told.details.get("hedge")
    if not hedge:
        return
    arcs = read_pairs(hedge["arcs"])
    between = context.listed(
        [(name(f"{label_of(context, first)} ↔ {label_of(context, second)}"),) for first, second in arcs]
    )
    yield Prose(
        (
            context.say(
                "causal.hedge", larger=listed(context, hedge["larger"]), smaller=listed(context, hedge["smaller"]),
                arcs=between or context.say("causal.none"), evidence=cite(told.source),
            ),
            context.say("causal.hedge_way"),
        )
    )  # fmt: skip
    yield _hedge_figure(context, told, hedge, arcs)


def _hedge_figure(context: Context, told: Told, hedge: Any, arcs: Sequence[tuple[str, str]]) -> Figure:
    """Unmeasured variables are projected away: what they bind is an arc, as the hedge has it."""
    known = base(context)
    names = {each: known["names"].get(each, each) for each in sorted({*known["names"]} - known["latent"])}
    arrows = tuple(pair for pair in known["arrows"] if not known["latent"] & set(pair))
    declared = tuple(pair for pair in known["arcs"] if not known["latent"] & set(pair))
    strong = tuple(sorted({(min(pair), max(pair)) for pair in arcs}))
    drawn = Drawn(
        names, arrows, tuple(sorted({*declared, *strong})), treatments=frozenset(hedge["treatments"]) & set(names),
        outcomes=frozenset(hedge["outcomes"]) & set(names), strong=frozenset(strong),
        circled=frozenset(hedge["larger"]) & set(names),
    )  # fmt: skip
    anchor = f"query-{told.query.id}-hedge"
    from xai_audit.report.graph_chart import graph_chart

    image = graph_chart(context, anchor, drawn)
    data = edges_table(context, f"{anchor}-edges")
    return Figure(
        context.label("causal.hedge_title"), (context.say("causal.hedge_caption"),), image, data,
        anchor=f"{anchor}-figure",
    )  # fmt: skip


def _assumptions(context: Context, told: Told) -> Iterator[Block]:
    """Each assumption with its reason: absent edges on which the answer rests, and what the query assumes."""
    record = graph_record(context)
    edges = (record.details.get("missing_edges") or ()) if record is not None else ()
    rows = [
        (
            cell(context.say("causal.absent", edge=edge_text(context, str(entry["edge"])))),
            cell(context.owner(entry["reason"]) if reason_given(entry) else context.say("causal.checks.no_reason")),
            cell(_who(context)),
        )
        for entry in edges
        if told.query.id in (entry.get("queries") or ())
    ]
    for sentence in told.details.get("assumptions") or ():
        declared = (Span(str(sentence), told.source),)
        rows.append((cell(declared), cell(context.say("causal.assumed")), cell(_who(context))))
    if not rows:
        return
    columns = columns_of(context, "assumption", "reason", "set_by")
    yield table(
        context, context.label("causal.part.assumptions"), f"query-{told.query.id}-assumed", columns, rows,
        note=context.say("causal.assumptions_note"),
    )  # fmt: skip


def _who(context: Context) -> Sentence:
    author = causal_of(context).author
    return (name(author.name),) if author is not None else context.say("criteria.no_name")


def _record(context: Context, told: Told) -> Iterator[Block]:
    """Line in the spec, digests, seed and time."""
    manifest, details = context.run.manifest, told.details
    versions = context.words.listed(
        f"{each} {version}" for each, version in sorted((details.get("versions") or {}).items())
    )
    rows: list[tuple[str, Sentence]] = [
        ("spec_line", _kept(context, told, "spec_line")),
        ("spec_hash", (name(manifest["spec"]["sha256"], MANIFEST),)),
        ("graph_hash", _kept(context, told, "graph_hash")),
        ("data_hash", _kept(context, told, "data_hash")),
        ("seed", (number(str(details.get("seed", manifest["seed"])), told.source or MANIFEST),)),
        ("versions", (name(versions, told.source),) if versions else context.say("none.unknown")),
        ("time", (number(context.time(manifest["ended"]), MANIFEST),)),
        ("evidence", (cite(told.source),) if told.source else context.say("causal.no_step")),
    ]
    facts = tuple((context.label(f"causal.fact.{key}"), text) for key, text in rows)
    yield Facts(facts, context.label("causal.part.record"))
    yield from kept(context, told, "other")


def _kept(context: Context, told: Told, key: str) -> Sentence:
    """A digest or a line of the record; a step that failed keeps none."""
    value = told.details.get(key)
    return context.say("none.unknown") if value is None else (name(str(value), told.source),)


PARTS: tuple[tuple[str, Part], ...] = (
    ("question", _question),
    ("graph", _graph),
    ("estimand", _estimand),
    ("assumptions", _assumptions),
    ("overlap", overlap),
    ("answer", answer),
    ("sets", sets_and_estimators),
    ("checks", implied_and_refuters),
    ("sensitivity", sensitivity),
    ("operator", operator),
    ("overturn", overturn),
    ("record", _record),
)
"""The points of a block, in the order of CAUSAL.md section 13."""
