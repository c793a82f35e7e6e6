"""Section 10: attribution beside cause: where methods look, and what really changes the score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.beside_chart import Region, beside_chart, placebo_of
from xai_audit.report.causal_numbers import exact_text, interval_text
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Figure, Group, Prose, Sentence, Span
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]
ORDER = ("shortcut", "misleading", "missed", "undecided", "agrees", "quiet")
MARK = {
    "shortcut": "fail",
    "misleading": "fail",
    "missed": "inconclusive",
    "undecided": "inconclusive",
    "agrees": "",
    "quiet": "",
}


def beside(context: Context) -> Iterator[Group]:
    """One table and one picture a model."""
    for record in context.of_kind("cause_beside_attribution"):
        if record.status == "measured" and record.details.get("regions"):
            yield Group(context.label("causal.beside.title"), f"beside-{record.id}", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    regions: Sequence[Entry] = sorted(
        record.details["regions"], key=lambda each: ORDER.index(_verdict(each))
    )  # fmt: skip
    methods = list(dict.fromkeys(method for each in regions for method in each.get("share") or {}))
    yield Prose((context.say("causal.beside.meaning", evidence=cite(record.id)), context.say("causal.beside.rule")))
    data = _table(context, record, regions, methods)
    image = beside_chart(context, f"beside-{record.id}", [_region(context, each) for each in regions], methods)
    caption = (context.say("causal.beside.figure", evidence=cite(record.id)),)
    yield Figure(context.label("causal.beside.figure_title"), caption, image, data, anchor=f"beside-figure-{record.id}")
    yield data
    yield from _explainers(context, record)


def _verdict(entry: Entry) -> str:
    verdict = str(entry.get("verdict", "undecided"))
    return verdict if verdict in ORDER else "undecided"


def _region(context: Context, entry: Entry) -> Region:
    verdict = _verdict(entry)
    word = context.label(f"causal.beside.verdict.{verdict}")
    change = {**(entry.get("change") or {}), "placebo": _placebo_of(entry)}
    return Region(str(entry["mask"]), verdict, word, entry.get("share") or {}, change)


def _placebo_of(entry: Entry) -> Any:
    """What the same change does where it should not matter."""
    return entry.get("placebo") or (entry.get("change") or {}).get("placebo")


def _table(context: Context, record: Evidence, regions: Sequence[Entry], methods: Sequence[str]) -> Any:
    from xai_audit.report.document import Column

    columns = list(columns_of(context, "mask", "declared"))
    columns += [
        Column(context.label("causal.beside.share_of").format(method=context.method_name(m)), True) for m in methods
    ]
    columns += list(
        columns_of(context, "measured_change", "placebo", "verdict", numbers=("measured_change", "placebo"))
    )
    rows = [_row(context, record, entry, methods) for entry in regions]
    note = context.say("causal.beside.note", evidence=cite(record.id))
    return table(context, context.label("causal.beside.caption"), f"beside-table-{record.id}", columns, rows, note=note,
                 attach=True)  # fmt: skip


def _row(context: Context, record: Evidence, entry: Entry, methods: Sequence[str]) -> Row:
    change, verdict = entry.get("change") or {}, _verdict(entry)
    declared = context.label("causal.yes" if entry.get("declared") else "causal.no")
    return (
        cell(name(str(entry["mask"]), record.id)),
        cell(declared),
        *(cell(_share(context, (entry.get("share") or {}).get(m), record.id)) for m in methods),
        cell(interval_text(context, change, record.id) if change else (Span("–"),)),
        cell(_placebo(context, {"placebo": _placebo_of(entry)}, record.id)),
        cell(context.label(f"causal.beside.verdict.{verdict}"), verdict=MARK[verdict]),
    )


def _share(context: Context, share: Entry | None, source: str) -> Sentence:
    """Share of relevance with its interval, in per cent."""
    if not share or share.get("estimate") is None:
        return (Span("–"),)
    write = context.numbers
    value = number(write.value("area", float(share["estimate"]), "share"), source)
    if share.get("low") is None or share.get("high") is None:
        return context.say("causal.no_interval")
    low, high = (number(write.value("area", float(share[end]), "share"), source) for end in ("low", "high"))
    return context.say("causal.cell_interval", value=value, low=low, high=high)


def _placebo(context: Context, change: Entry, source: str) -> Sentence:
    placebo = change.get("placebo")
    if isinstance(placebo, Mapping) and placebo.get("low") is not None:
        return interval_text(context, placebo, source)
    value = placebo_of(change)
    return (Span("–"),) if value is None else (number(exact_text(context, value), source),)


def _explainers(context: Context, record: Evidence) -> Iterator[Block]:
    """On a generator: every method scored against what really changes the score."""
    found: Sequence[Entry] = record.details.get("explainers") or ()
    if not found:
        return
    columns = columns_of(context, "place", "method", "against_truth", "pairs", "evidence",
                         numbers=("place", "against_truth", "pairs"))  # fmt: skip
    ordered = sorted(found, key=lambda each: -float(each.get("score") or 0.0))
    rows = [
        (
            cell(number(context.numbers.count(place), record.id)),
            cell(Span(context.method_name(str(entry["method"])))),
            cell(interval_text(context, entry, record.id, "score")),
            cell(number(context.numbers.count(int(entry.get("pairs") or 0)), record.id)),
            cell(cite(record.id)),
        )
        for place, entry in enumerate(ordered, start=1)
    ]
    yield table(
        context, context.label("causal.beside.explainers"), f"beside-methods-{record.id}", columns, rows,
        note=context.say("causal.beside.explainers_note"),
    )  # fmt: skip
    for method, reason in sorted((record.details.get("left_out") or {}).items()):
        text = (Span(str(reason).rstrip("."), record.id),)
        yield Prose((context.say("causal.beside.left_out", method=context.method_name(method), reason=text),), "note")
