"""Section 9: the checks of explanations in numbers, measure by measure, the controls in every table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.curve_chart import MOST_PANELS, Axes, Line, Panel, curves_chart
from xai_audit.report.document import Block, Cell, Column, Figure, Group, Prose, Span, Table
from xai_audit.report.sections.agreement import agreement
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.sections.quality import (
    CONTROL,
    Limit,
    against,
    control_name,
    interval_text,
    is_control,
    limit_text,
    limits_of,
    main_of,
    quality_records,
    rescaled_of,
    result_text,
    who,
)
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table

CURVES = ("deletion", "insertion", "road", "parameter_randomisation")
"""Measures whose curve is drawn."""
AGREEMENT = "agreement"


def checks(context: Context) -> tuple[Block, ...]:
    """One group a measure that was taken; agreement between methods last."""
    records = quality_records(context)
    subjects = [entry.name for entry in registry.MEASURES if any(r.subject == entry.name for r in records)]
    groups = [
        _measure(context, subject, [record for record in records if record.subject == subject])
        for subject in subjects
        if subject != AGREEMENT
    ]
    if not groups:
        return agreement(context)
    return (Group(context.label("checks.title"), "checks", (*groups, *agreement(context))),)


def _measure(context: Context, subject: str, records: Sequence[Evidence]) -> Group:
    said = Prose(((Span(registry.measure(subject).summary, SPEC),), context.say(f"checks.means.{subject}")))
    whole = _table(context, subject, records)
    beside = _beside(context, subject, records)
    blocks = (said, *_figure(context, subject, records), whole, *beside, *_objections(context, records))
    return Group(heading(context.measure_name(subject)), f"check-{subject}", blocks)


def _beside(context: Context, subject: str, records: Sequence[Evidence]) -> Iterator[Table]:
    """What a check found beside its main number, such as the plain change behind a relative one."""
    columns = columns_of(context, "method", "slice", "what", "value", "evidence", numbers=("value",))
    rows: list[Row] = [
        (cell(who(context, record)), cell(name(record.slice or "all")),
         cell(context.label(f"checks.beside.{value.name}")),
         cell(result_text(context, replace(record, subject=value.name), value)), cell(cite(record.id)))
        for record in records if not is_control(record)
        for value in record.values if context.words.has(f"checks.beside.{value.name}") and value.estimate is not None
    ]  # fmt: skip
    if rows:
        caption = context.label("checks.beside_caption").format(measure=heading(context.measure_name(subject)))
        first = rows[0][1].content
        shown = max(1, min(sum(row[1].content == first for row in rows), LONGEST))
        yield table(context, caption, f"check-beside-{subject}", columns, rows, attach=True, on_page=shown)


def _objections(context: Context, records: Sequence[Evidence]) -> Iterator[Block]:
    """What is said against a measure itself, as its own step keeps it."""
    told = dict.fromkeys(str(text) for record in records for text in record.details.get("objections") or ())
    for text in told:
        source = next(record.id for record in records if text in (record.details.get("objections") or ()))
        yield Prose((context.say("checks.objection", text=Span(text, source)),), "note")


def _controls(records: Sequence[Evidence]) -> tuple[str, ...]:
    """Controls that methods were compared with, in the order in which they are named."""
    named = [v.label for record in records for v in record.values if v.name == "beats_control"]
    rows = [str(record.method).removeprefix(CONTROL).split(":")[0] for record in records if is_control(record)]
    return tuple(dict.fromkeys([*rows, *named]))


def _table(context: Context, subject: str, records: Sequence[Evidence]) -> Table:
    """Methods first, then controls; the difference from each control with its interval."""
    controls = [name for name in _controls(records) if any(_difference(record, name) for record in records)]
    is_scaled = any(rescaled_of(record) for record in records)
    limit = limits_of(context).get(subject)
    columns = [*columns_of(context, "method", "slice"), Column(context.label("checks.column.mean"), is_number=True)]
    if is_scaled:
        columns.append(Column(context.label("checks.column.rescaled"), is_number=True))
    for control in controls:
        title = context.label("checks.column.rescaled_against" if is_scaled else "checks.column.against").format(
            control=control_name(context, control)
        )
        columns.append(Column(title, is_number=True))
    columns += columns_of(context, "cases", "evidence", numbers=("cases",))
    order = sorted(records, key=lambda record: (_place(context, record), is_control(record)))
    shape = _Columns(tuple(controls), limit, is_scaled)
    rows = [_row(context, record, shape) for record in order]
    caption = context.label("checks.caption").format(measure=heading(context.measure_name(subject)))
    note = context.say("checks.limit_note", limit=limit_text(context, limit)) if limit else ()
    if controls:
        note = context.say("checks.rescaled_note" if is_scaled else "checks.control_note")
    first = sum(_place(context, record) == _place(context, order[0]) for record in order)
    anchor = f"check-table-{subject}"
    return table(context, caption, anchor, columns, rows, note=note, attach=True, on_page=min(first, LONGEST))


def _place(context: Context, record: Evidence) -> int:
    names = [part.name for part in context.spec.slices]
    return names.index(record.slice) if record.slice in names else len(names)


@dataclass(frozen=True)
class _Columns:
    """What the table of a measure holds beside its number."""

    controls: tuple[str, ...]
    limit: Limit | None
    is_scaled: bool
    """Whether controls are compared after the best scale of each map, so that a column of its own has that number."""


def _row(context: Context, record: Evidence, shape: _Columns) -> Row:
    value, limit = main_of(record), shape.limit
    after = rescaled_of(record)
    start = (cell(who(context, record)), cell(name(record.slice or "all")))
    if record.status != "measured":
        empty = [cell("–") for _ in range(len(shape.controls) + shape.is_scaled + 1)]
        return (*start, _unmeasured(context, record), *empty, cell(cite(record.id)))
    is_judged = limit is not None and value is not None and context.numbers.may_show(value.n)
    verdict = against(value, limit) if is_judged and value and limit and not is_control(record) else ""
    count = number(context.numbers.group(value.n), record.id) if value else Span("–")
    return (
        *start,
        # A control has no scale of its own, so that its raw number is none.
        cell("–") if is_control(record) and after else cell(result_text(context, record), verdict=verdict),
        *((cell(result_text(context, record, after) if after else "–"),) if shape.is_scaled else ()),
        *(_difference_cell(context, record, control) for control in shape.controls),
        cell(count),
        cell(cite(record.id)),
    )


def _unmeasured(context: Context, record: Evidence) -> Cell:
    """Why there is no number; a method that promises no sum has no gap, and nothing is wrong with that."""
    if record.subject == "completeness" and record.status == "not_applicable":
        return cell(Span(context.label("trust.not_measured.completeness"), record.id))
    first_line = record.failure.message.split("\n")[0] if record.failure else ""
    reason = Span(without_ids(context, first_line), record.id)
    verdict = "error" if record.status == "failed" else "not_run"
    return cell((Span(context.label(f"status.{record.status}") + ": "), reason), verdict=verdict)


def _difference(record: Evidence, control: str) -> Value | None:
    return next((v for v in record.values if v.name == "beats_control" and v.label == control), None)


def _difference_cell(context: Context, record: Evidence, control: str) -> Cell:
    """How much better than a control, with its interval: better, not better, or not to be told."""
    value = _difference(record, control)
    if value is None or value.estimate is None:
        return cell("–")
    if not context.numbers.may_show(value.n):
        return cell(Span(context.label("numbers.too_few"), record.id))
    low = value.low if value.low is not None else value.estimate
    high = value.high if value.high is not None else value.estimate
    verdict = "pass" if low > 0 else "fail" if high <= 0 else "inconclusive"
    return cell(number(interval_text(context, value.name, value), record.id), verdict=verdict)


def _figure(context: Context, subject: str, records: Sequence[Evidence]) -> Iterator[Figure]:
    """Curves on the widest slice that has any: a panel a method, the controls in each."""
    if subject not in CURVES:
        return
    drawn = [(record, lines) for record in records if (lines := _lines(context, record))]
    parts = sorted({_place(context, record): record.slice for record, _ in drawn}.items())
    if not parts:
        return
    part = parts[0][1]
    here = [(record, lines) for record, lines in drawn if record.slice == part]
    panels = [Panel(lines) for record, lines in here if not is_control(record)][:MOST_PANELS]
    firsts = {lines[0].name: lines[0] for record, lines in reversed(here) if is_control(record)}
    controls = list(reversed(firsts.values()))
    if not panels:
        return
    limit = limits_of(context).get(subject)
    axes = Axes(
        f"curves-{subject}", context.label(f"checks.axis.{subject}.x"), context.label(f"checks.axis.{subject}.y"),
        limit.value if limit else None,
    )  # fmt: skip
    image = curves_chart(context, axes, panels, controls, _alt(context, subject, str(part), panels, controls))
    caption = [
        context.say(f"checks.curve.{subject}"),
        context.say("checks.curve_slice", slice=name(str(part)), evidence=cite(here[0][0].id)),
        context.say("checks.no_interval"),
    ]
    shown = sum(not is_control(record) for record, _ in here)
    if shown > len(panels):
        caption.append(
            context.say("checks.curve_some", shown=number(context.numbers.count(len(panels)), here[0][0].id),
                        methods=number(context.numbers.count(shown), here[0][0].id))
        )  # fmt: skip
    title = context.label("checks.curve_title").format(measure=heading(context.measure_name(subject)))
    data = _curve_data(context, subject, here)
    yield Figure(title, tuple(caption), image, data, anchor=f"curves-{subject}")


def _lines(context: Context, record: Evidence) -> tuple[Line, ...]:
    """The curves that a record keeps: one, or for ROAD the most relevant first and the least relevant first."""
    main = main_of(record)
    if record.status != "measured" or main is None or not context.numbers.may_show(main.n):
        return ()
    arrays = context.run.arrays(record.id)
    label = (control_name if is_control(record) else Context.method_name)(context, record.method or "")
    found = []
    for key in ("curve", "morf", "lerf"):
        if key not in arrays:
            continue
        y = np.asarray(arrays[key], dtype=np.float64).reshape(-1)
        x = np.asarray(arrays.get("x", np.linspace(0, 1, len(y))), dtype=np.float64).reshape(-1)
        if not np.isfinite(y).any():
            continue
        title = context.label("checks.lerf") if key == "lerf" else label
        found.append(Line(title, tuple(map(float, x)), tuple(map(float, y))))
    return tuple(found)


def _alt(context: Context, subject: str, part: str, panels: Sequence[Panel], controls: Sequence[Line]) -> str:
    """For every curve: its mean, which is what the area comes to, and its end."""
    write = context.numbers
    lines = [*(panel.lines[0] for panel in panels), *controls]
    told = [
        context.label("alt.curve").format(name=line.name, mean=write.plain(float(np.nanmean(line.y)), 2),
                                          first=write.plain(line.y[0], 2), last=write.plain(line.y[-1], 2))
        for line in lines
    ]  # fmt: skip
    return context.label("alt.curves").format(
        measure=context.measure_name(subject),
        slice=part,
        count=write.count(len(panels)),
        curves=context.words.listed(told, "semicolon"),
    )


def _curve_data(context: Context, subject: str, drawn: Sequence[tuple[Evidence, tuple[Line, ...]]]) -> Table:
    columns = columns_of(context, "method", "curve", "step", "value", "evidence", numbers=("step", "value"))
    rows = [
        (cell(who(context, record)), cell(line.name), cell(_step(context, subject, record, place, x)),
         cell(number(context.numbers.plain(y, 4), record.id)), cell(cite(record.id)))
        for record, lines in drawn
        for line in lines
        for place, (x, y) in enumerate(zip(line.x, line.y, strict=True))
    ]  # fmt: skip
    title = context.label("checks.curve_title").format(measure=heading(context.measure_name(subject)))
    return table(context, title, f"curve-data-{subject}", columns, rows, attach=True)


def _step(context: Context, subject: str, record: Evidence, place: int, x: float) -> Span:
    """A share of places, or the name of the part of the net that was made random last."""
    stages = record.details.get("stages") or []
    if subject == "parameter_randomisation":
        if place == 0:
            return Span(context.label("checks.untouched"), record.id)
        if place - 1 < len(stages):
            return name(str(stages[place - 1]), record.id)
    return number(context.numbers.value("area", x, "share") if x <= 1 else context.numbers.plain(x), record.id)
