"""Section 10: what the graph implies and what the data say to it, before any answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.causal_numbers import interval_text
from xai_audit.report.causal_phrases import edge_text, label_of
from xai_audit.report.causal_told import graph_record, reason_given
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.causal_graph import pairs_text
from xai_audit.report.sections.missing import missing
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]
VERDICT = {"contradicted": "fail", "supported": "", "undecided": "inconclusive", "untested": "not_run"}


def checks_of_graph(context: Context) -> Iterator[Group]:
    """Independences, constraints, missing edges, other graphs, roles, negative controls and rows left out."""
    record = graph_record(context)
    if record is None:
        return
    title = context.label("causal.checks.title")
    yield Group(title, "causal-checks", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    yield Prose((context.say("causal.checks.lead"),))
    yield _verdict(context, record)
    yield from _implied(context, record)
    yield from _missing(context, record)
    yield from _equivalents(context, record)
    yield from _roles(context, record)
    yield from _controls(context, record)
    yield _dropped(context, record)


def _verdict(context: Context, record: Evidence) -> Prose:
    """The absolute verdict comes first: one contradicted statement is enough."""
    found = [*record.details.get("implied", ()), *record.details.get("constraints", ())]
    verdicts = [str(entry.get("verdict", "untested")) for entry in found]
    if not found:
        return Prose((context.say("causal.checks.nothing_implied", evidence=cite(record.id)),), "strong")
    counts = {
        key: number(context.numbers.count(verdicts.count(key)), record.id)
        for key in ("contradicted", "supported", "undecided", "untested")
    }
    if verdicts.count("contradicted"):
        key = "contradicted"
    elif verdicts.count("untested") == len(verdicts):
        key = "untested"
    else:
        key = "not_contradicted"
    said = context.say(f"causal.checks.verdict.{key}", evidence=cite(record.id), **counts)
    return Prose((said, context.say("causal.checks.not_proof")), "strong")


def _implied(context: Context, record: Evidence) -> Iterator[Block]:
    found = [*record.details.get("implied", ()), *record.details.get("constraints", ())]
    if found:
        columns = columns_of(
            context, "statement", "test", "strength", "power", "p_corrected", "cases", "verdict",
            numbers=("strength", "power", "p_corrected", "cases"),
        )  # fmt: skip
        rows = [_implied_row(context, record, entry) for entry in found]
        note = context.say("causal.checks.implied_note", evidence=cite(record.id))
        yield table(
            context, context.label("causal.checks.implied"), "causal-implied", columns, rows, note=note, attach=True
        )
    pairs = record.details.get("inseparable") or ()
    if pairs:
        yield Prose((context.say("causal.checks.inseparable", pairs=pairs_text(context, pairs)),))


def _implied_row(context: Context, record: Evidence, entry: Entry) -> Row:
    source, write = record.id, context.numbers
    verdict = str(entry.get("verdict", "untested"))
    power, p = entry.get("power"), entry.get("p_adjusted", entry.get("p"))
    cases = int(entry.get("n") or 0)
    return (
        cell((Span(str(entry.get("sentence") or _unnamed(context, entry)), source),)),
        cell((Span(_test(context, entry), source),)),
        cell(interval_text(context, entry, source, "strength")),
        cell("–") if power is None else cell(number(write.value("power", float(power), "share"), source)),
        cell("–") if p is None else cell(number(write.plain(float(p)), source)),
        cell(number(write.group(cases), source)) if cases else cell("–"),
        cell(context.label(f"causal.verdict.{verdict}"), verdict=VERDICT.get(verdict, "")),
    )


def _unnamed(context: Context, entry: Entry) -> str:
    """A statement without a sentence of its own."""
    given = context.words.listed(label_of(context, each) for each in entry.get("given") or ())
    ends = [label_of(context, str(entry.get(end, "–"))) for end in ("a", "b")]
    return " ⟂ ".join(ends) + (f" | {given}" if given else "")


def _test(context: Context, entry: Entry) -> str:
    named = str(entry.get("test") or "")
    key = f"causal.test.{named.lower().replace('-', '_').replace(' ', '_')}"
    if named and context.words.has(key):
        return context.label(key)
    return named.replace("_", " ") or "–"


def _missing(context: Context, record: Evidence) -> Iterator[Block]:
    """The strong claims of a graph are the edges that it leaves out."""
    edges: Sequence[Entry] = record.details.get("missing_edges") or ()
    if not edges:
        return
    rows = [
        (
            cell(edge_text(context, str(entry["edge"]))),
            cell(_reason(context, entry)),
            cell(context.listed([(name(each),) for each in entry.get("queries") or ()]) or "–"),
        )
        for entry in edges
    ]
    columns = columns_of(context, "absent_edge", "reason", "queries")
    note = context.say("causal.checks.missing_note", evidence=cite(record.id))
    yield table(context, context.label("causal.checks.missing"), "causal-missing-edges", columns, rows, note=note)


def _reason(context: Context, entry: Entry) -> Sentence:
    reason = reason_given(entry)
    return context.owner(reason) if reason else context.say("causal.checks.no_reason")


def _equivalents(context: Context, record: Evidence) -> Iterator[Block]:
    """Graphs that the data cannot tell from this one."""
    found = record.details.get("equivalents") or {}
    count = int(found.get("count") or 0)
    note = ((Span(str(found["note"]), record.id),),) if found.get("note") else ()
    if not found.get("listed"):
        yield Prose((context.say("causal.checks.alone"), *note))
        return
    key = "cut" if found.get("is_cut") else "all"
    said = [context.count_of(f"causal.checks.equivalents.{key}", count, record.id, evidence=cite(record.id))]
    changed = found.get("changed_queries") or ()
    if changed:
        named = context.listed([(name(str(each)),) for each in changed])
        said.append(context.say("causal.checks.changed", queries=named))
    else:
        said.append(context.say("causal.checks.unchanged"))
    yield Prose((*said, *note))
    yield Bullets(tuple(_other_graph(context, record, each) for each in found.get("listed") or ()))


def _other_graph(context: Context, record: Evidence, edges: Any) -> Sentence:
    texts = [edges] if isinstance(edges, str) else [str(each) for each in (edges or ())]
    named = context.listed([edge_text(context, each) for each in texts], "semicolon")
    return context.say("causal.checks.other_graph", edges=named or (Span("–", record.id),))


def _roles(context: Context, record: Evidence) -> Iterator[Block]:
    faults = record.details.get("roles") or ()
    if not faults:
        return
    items = tuple(
        context.say(
            "causal.checks.role", variable=(name(label_of(context, str(each["variable"]))),),
            problem=(Span(str(each["problem"]).rstrip("."), record.id),), evidence=cite(record.id),
        )
        for each in faults
    )  # fmt: skip
    yield Group(context.label("causal.checks.roles"), "causal-roles", (Bullets(items),))


def _controls(context: Context, record: Evidence) -> Iterator[Block]:
    controls = record.details.get("negative_controls") or ()
    declared = context.spec.causal.checks.negative_controls if context.spec.causal is not None else ()
    if not controls:
        if declared:
            yield missing(context, "causal.checks.no_controls")
        return
    rows = []
    for entry in controls:
        verdict = str(entry.get("verdict", "untested"))
        margin = entry.get("margin")
        rows.append((
            cell(name(label_of(context, str(entry["name"])))),
            cell(interval_text(context, entry, record.id, "strength")),
            cell("–") if margin is None else cell(number(context.numbers.plain(float(margin)), SPEC)),
            cell(context.label(f"causal.verdict.{verdict}"), verdict=VERDICT.get(verdict, "")),
        ))  # fmt: skip
    columns = columns_of(context, "control", "strength", "margin", "verdict", numbers=("strength", "margin"))
    note = context.say("causal.checks.controls_note", evidence=cite(record.id))
    yield table(context, context.label("causal.checks.controls"), "causal-controls", columns, rows, note=note)


def _dropped(context: Context, record: Evidence) -> Prose:
    """Rows that were lost for a missing value, by variable."""
    dropped = record.details.get("dropped") or {}
    if not dropped:
        return Prose((context.say("causal.checks.none_dropped", evidence=cite(record.id)),), "note")
    write = context.numbers.group
    named = context.listed(
        [
            (name(label_of(context, each)), Span(" ("), number(write(int(count)), record.id), Span(")"))
            for each, count in sorted(dropped.items())
        ]
    )
    reason = causal_reason(context)
    return Prose((context.say("causal.checks.dropped", rows=named, reason=reason, evidence=cite(record.id)),), "note")


def causal_reason(context: Context) -> Sentence:
    """Why rows with a missing value may be left out, in the auditor's words."""
    causal = context.spec.causal
    if causal is None or causal.complete_cases is None:
        return context.say("causal.checks.no_reason")
    return context.owner(causal.complete_cases)


def statement_table(context: Context, record: Evidence, entries: Sequence[Entry], anchor: str) -> Table:
    """Statements of a record with what the data say to them."""
    columns = columns_of(context, "statement", "test", "strength", "power", "p_corrected", "cases", "verdict",
                         numbers=("strength", "power", "p_corrected", "cases"))  # fmt: skip
    rows = [_implied_row(context, record, entry) for entry in entries]
    return table(context, context.label("causal.checks.implied"), anchor, columns, rows)
