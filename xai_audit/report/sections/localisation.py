"""Section 9: how much of each method's relevance lies inside declared masks, with intervals and chance."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Figure, Group, Prose, Span
from xai_audit.report.figures import MOST_ROWS, Dot, relevance
from xai_audit.report.sections.missing import missing
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import whole_value


def localisation(context: Context) -> tuple[Block, ...]:
    """Shares of relevance inside masks, with intervals, measure by measure."""
    records = context.of_kind("localisation")
    if not records:
        return (missing(context, "missing.localisation"),)
    subjects = dict.fromkeys(record.subject for record in records)
    return tuple(_inside(context, subject, [r for r in records if r.subject == subject]) for subject in subjects)


def _chance(record: Evidence) -> float | None:
    return next((value.estimate for value in record.values if value.name == "expected_by_chance"), None)


def _undefined(record: Evidence) -> float | None:
    return next((value.estimate for value in record.values if value.name == "undefined_maps"), None)


def _inside(context: Context, subject: str, records: Sequence[Evidence]) -> Group:
    columns = columns_of(
        context,
        "method",
        "mask",
        "slice",
        "estimate",
        "interval",
        "chance",
        "cases",
        "undefined_maps",
        "evidence",
        numbers=("estimate", "interval", "chance", "cases", "undefined_maps"),
    )
    rows = [_inside_row(context, record) for record in records]
    caption = context.label("localisation.caption").format(measure=heading(context.measure_name(subject)))
    whole = table(
        context, caption, f"inside-{subject}", columns, rows, note=context.say("localisation.note"), attach=True
    )
    drawn = [
        (record, value)
        for record in records
        if (value := whole_value(record, record.subject)) is not None
        and value.estimate is not None
        and context.numbers.may_show(value.n)
    ]
    figure: tuple[Block, ...] = ()
    if drawn and subject == "relevance_mass":
        dots = [
            Dot(f"{context.method_name(r.method or '')} · {r.mask} · {r.slice}", v.estimate or 0.0, v.low, v.high, v.n)
            for r, v in drawn
        ]
        image = relevance(context, dots[:MOST_ROWS], [_chance(record) for record, _ in drawn[:MOST_ROWS]])
        title = context.label("localisation.figure_title")
        figure = (
            Figure(title, (context.say("localisation.figure_caption"),), image, whole, anchor="relevance-figure"),
        )
    said = Prose((context.say(f"localisation.means.{subject}"), context.say("explanations.no_cause")))
    return Group(heading(context.measure_name(subject)), f"measure-{subject}", (said, *figure, whole))


def _why_none(context: Context, record: Evidence, value: Value | None) -> str:
    """Why there is no number: the step's state, too few cases to show, or that it does not exist."""
    if record.status != "measured":
        return f"status.{record.status}"
    is_hidden = value is not None and not context.numbers.may_show(value.n)
    return "numbers.too_few" if is_hidden else "performance.undefined"


def _inside_row(context: Context, record: Evidence) -> Row:
    write, value = context.numbers, whole_value(record, record.subject)
    start = (
        cell(Span(context.method_name(record.method or ""), SPEC)),
        cell(name(record.mask or "")),
        cell(name(record.slice or "all")),
    )
    if record.status != "measured" or value is None or value.estimate is None or not write.may_show(value.n):
        verdict = {"failed": "error", "not_applicable": "not_run", "measured": ""}[record.status]
        word = context.label(_why_none(context, record, value))
        return (*start, cell(word, verdict=verdict), cell("–"), cell("–"), cell("–"), cell("–"), cell(cite(record.id)))
    chance, undefined = _chance(record), _undefined(record)
    interval = "–"
    if value.low is not None and value.high is not None:
        interval = context.label("numbers.interval").format(
            low=write.value(record.subject, value.low, value.unit),
            high=write.value(record.subject, value.high, value.unit),
        )
    return (
        *start,
        cell(number(write.value(record.subject, value.estimate, value.unit), record.id)),
        cell(number(interval, record.id)),
        cell(number(write.value(record.subject, chance, "share"), record.id) if chance is not None else "–"),
        cell(number(write.group(value.n), record.id)),
        cell(number(write.count(round(undefined)), record.id) if undefined is not None else "–"),
        cell(cite(record.id)),
    )
