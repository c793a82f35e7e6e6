"""Section 10: what an operator does at rising strength: accuracy, score and explanations, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.causal_numbers import exact_text, interval_text
from xai_audit.report.causal_phrases import label_of
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Figure, Group, Prose, Sentence
from xai_audit.report.severity_chart import Curve, SeverityPanel, severity_chart
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]
MOST_SLICES = 4


def severity(context: Context) -> Iterator[Group]:
    """One group an operator."""
    for record in context.of_kind("severity"):
        if record.status == "measured":
            title = context.label("causal.severity.title").format(operator=record.subject)
            yield Group(title, f"severity-{record.subject}", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    slices: Sequence[Entry] = record.details.get("slices") or ()
    shown = [each for each in slices if context.numbers.may_show(int(each.get("n") or 0))]
    yield Prose((context.say("causal.severity.meaning", operator=name(record.subject), evidence=cite(record.id)),))
    if len(shown) < len(slices):
        yield Prose((context.say("causal.severity.small"),), "note")
    if not shown:
        return
    data = table(
        context, context.label("causal.severity.caption"), f"severity-data-{record.subject}",
        columns_of(context, "slice", "curve", "level", "estimate_interval", "cases",
                   numbers=("level", "estimate_interval", "cases")),
        [row for each in shown for row in _rows(context, record, each)], attach=True, on_page=24,
    )  # fmt: skip
    drawn = shown[:MOST_SLICES]
    panels = _panels(context, drawn)
    axis = label_of(context, str(record.details.get("sets") or record.subject))
    image = severity_chart(context, f"severity-{record.subject}", panels, axis)
    caption: list[Sentence] = [context.say("causal.severity.figure", evidence=cite(record.id))]
    if len(shown) > len(drawn):
        write = context.numbers.count
        caption.append(
            context.say("figure.some_slices", shown=number(write(len(drawn)), record.id),
                        slices=number(write(len(shown)), record.id))
        )  # fmt: skip
    title = context.label("causal.severity.figure_title")
    yield Figure(title, tuple(caption), image, data, anchor=f"severity-figure-{record.subject}")
    yield data


def _curves(entry: Entry) -> Iterator[tuple[str, Sequence[Entry]]]:
    for key in ("accuracy", "score"):
        if entry.get(key):
            yield key, entry[key]
    for method, points in (entry.get("explanation") or {}).items():
        yield f"explanation:{method}", points


def _curve_name(context: Context, key: str) -> str:
    kind, _, method = key.partition(":")
    if method:
        return context.label("causal.severity.explanation").format(method=context.method_name(method))
    return context.label(f"causal.severity.{kind}")


def _panels(context: Context, slices: Sequence[Entry]) -> tuple[SeverityPanel, ...]:
    keys = dict.fromkeys(key for entry in slices for key, _ in _curves(entry))
    return tuple(
        SeverityPanel(
            _curve_name(context, key),
            tuple(
                Curve(str(entry["name"]), tuple(points))
                for entry in slices
                for own, points in _curves(entry)
                if own == key
            ),
        )
        for key in keys
    )


def _rows(context: Context, record: Evidence, entry: Entry) -> Iterator[Row]:
    for key, points in _curves(entry):
        for point in points:
            yield (
                cell(name(str(entry["name"]))),
                cell(_curve_name(context, key)),
                cell(number(exact_text(context, float(point["level"])), record.id)),
                cell(interval_text(context, point, record.id)),
                cell(number(context.numbers.group(int(entry.get("n") or 0)), record.id)),
            )
