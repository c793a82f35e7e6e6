"""People who rated the same cases: each with himself, with each other, with the reference, and the model with them."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.bar_charts import Whisker, Whiskers, whiskers_chart
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Table
from xai_audit.report.sections.missing import not_measured
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.tables import Row, cell, columns_of, table

PARTS = ("repeatability", "effectiveness", "reference_kappa", "model_kappa")
"""Numbers that each appraiser has."""


def appraisers_blocks(context: Context) -> tuple[Block, ...]:
    """One group a slice that was rated; nothing where no ratings are declared."""
    return tuple(_group(context, record) for record in context.of_kind("appraisers"))


def _group(context: Context, record: Evidence) -> Group:
    part = record.slice or "all"
    title = context.label("appraisers.title").format(slice=part)
    if record.status != "measured":
        return Group(title, f"appraisers-{part}", (not_measured(context, record),))
    whole = _table(context, record)
    told = context.say(
        "appraisers.lead",
        rated=number(context.numbers.group(record.details["rated"]), record.id),
        people=number(context.numbers.count(len(record.details["appraisers"])), record.id),
        ratings=number(context.numbers.count(record.details["ratings"]), record.id),
        evidence=cite(record.id),
    )
    between = context.say("appraisers.between", kappa=number(_text(context, _of(record, "appraisers", "")), record.id))
    return Group(
        title,
        f"appraisers-{part}",
        (Prose((told, between, context.say("appraisers.meaning"))), *_figure(context, record, whole), whole),
    )


def _of(record: Evidence, part: str, label: str) -> Value:
    return next(value for value in record.values if value.name == part and value.label == label)


def _text(context: Context, value: Value) -> str:
    if value.estimate is None:
        return context.label("performance.undefined")
    return interval_text(context, value.name, value) if context.numbers.may_show(value.n) else _too_few(context)


def _too_few(context: Context) -> str:
    return context.label("numbers.too_few")


def _table(context: Context, record: Evidence) -> Table:
    columns = columns_of(context, "appraiser", *PARTS, "cases", "trials", numbers=(*PARTS, "cases", "trials"))
    rows = [_row(context, record, label) for label in ("", *record.details["appraisers"])]
    part = record.slice or "all"
    caption = context.label("appraisers.caption").format(slice=part)
    note = context.say("appraisers.note")
    return table(context, caption, f"appraisers-table-{part}", columns, rows, note=note, attach=True)


def _row(context: Context, record: Evidence, label: str) -> Row:
    who: Cell = cell(name(label, record.id)) if label else cell(context.label("appraisers.all"))
    cases = max(_of(record, part, label).n for part in PARTS)
    trials = record.details["trials"]
    most = trials[label] if label else max(trials.values())
    return (
        who,
        *(cell(number(_text(context, _of(record, part, label)), record.id)) for part in PARTS),
        cell(number(context.numbers.group(cases), record.id)),
        cell(number(context.numbers.count(most), record.id)),
    )


def _figure(context: Context, record: Evidence, data: Table) -> tuple[Figure, ...]:
    """A panel a number, an appraiser a line; left out where the group is too small to show."""
    people = record.details["appraisers"]
    values = {(part, label): _of(record, part, label) for part in PARTS for label in people}
    if any(not context.numbers.may_show(value.n) for value in values.values()):
        return ()
    panels = [_panel(context, part, [values[part, label] for label in people]) for part in PARTS]
    slice_name = record.slice or "all"
    image = whiskers_chart(context, f"appraisers-{slice_name}", panels, people, _alt(context, record))
    title = context.label("appraisers.figure_title").format(slice=slice_name)
    caption = (context.say("appraisers.figure"), (cite(record.id),))
    return (Figure(title, caption, image, data, anchor=f"appraisers-figure-{slice_name}"),)


def _panel(context: Context, part: str, values: Sequence[Value]) -> Whiskers:
    is_share = part in ("repeatability", "effectiveness")
    rows = tuple(
        None if value.estimate is None else Whisker(value.label, value.estimate, value.low, value.high)
        for value in values
    )
    title = context.label(f"appraisers.panel.{part}")
    return Whiskers(title, rows, None if is_share else 0.0, 100.0 if is_share else 1.0, is_share)


def _alt(context: Context, record: Evidence) -> str:
    """How many people, and who agrees least with the reference and with the model."""
    people = record.details["appraisers"]
    write = context.numbers
    sentences = [context.words.plural("alt.appraisers", len(people)).format(count=write.count(len(people)))]
    for part in ("reference_kappa", "model_kappa"):
        known = [value for label in people if (value := _of(record, part, label)).estimate is not None]
        if known:
            least = min(known, key=lambda value: value.estimate or 0.0)
            sentences.append(
                context.label(f"alt.appraisers_{part}").format(
                    name=least.label, value=write.value(part, least.estimate or 0.0, least.unit)
                )
            )
    return context.words.joined(sentences)
