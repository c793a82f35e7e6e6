"""Parts passed and stopped: agreement, escape and overkill of the whole and by defect class, and by slice."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.bar_charts import Whisker, Whiskers, whiskers_chart
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Cell, Figure, Prose, Sentence, Table
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.tables import Row, cell, columns_of, table

SORTING = ("decision_agreement", "escape", "overkill")


def sorting_blocks(context: Context) -> tuple[Block, ...]:
    """Tables by defect class and by slice; loud for each measure that is not declared or has no answer."""
    blocks: list[Block] = []
    for measure in SORTING:
        records = _records(context, measure)
        if not records:
            blocks.append(missing(context, f"missing.{measure}"))
        blocks += [not_measured(context, record) for record in records if record.status != "measured"]
    whole = [record for measure in SORTING if (record := _on_widest(context, measure)) is not None]
    if not whole:
        return tuple(blocks)
    by_class = _by_class(context, whole)
    return (Prose((_rule(context, whole[0]),)), *blocks, *_figure(context, whole, by_class), by_class,
            *_by_slice(context))  # fmt: skip


def _records(context: Context, measure: str) -> tuple[Evidence, ...]:
    return tuple(record for record in context.of_kind("sorting") if record.subject == measure)


def _on_widest(context: Context, measure: str) -> Evidence | None:
    """The measured record of the slice with most cases."""
    measured = [record for record in _records(context, measure) if record.status == "measured"]
    sizes = context.positives
    return max(measured, key=lambda record: sizes.get(record.slice or "", 0), default=None)


def _rule(context: Context, record: Evidence) -> Sentence:
    good = name(record.details["good"], record.id)
    threshold = record.details["threshold"]
    if threshold is None:
        return context.say("sorting.rule", good=good)
    return context.say(
        "sorting.rule_at", good=good, threshold=number(context.numbers.probability(threshold), record.id)
    )


def _by_class(context: Context, records: Sequence[Evidence]) -> Table:
    """A line for the whole and for each defect class."""
    columns = columns_of(context, "defect_class", "parts", *SORTING, numbers=("parts", *SORTING))
    labels = ["", *_defects(records[0])]
    rows = [_row(context, records, label) for label in labels]
    note = context.say("sorting.note", evidence=context.listed([cite(record.id) for record in records]))
    part = name(records[0].slice or "all")
    caption = context.label("sorting.caption").format(slice=part.text)
    return table(context, caption, "sorting-by-class", columns, rows, note=note, attach=True)


def _defects(record: Evidence) -> list[str]:
    return [each for each in record.details["classes"] if each != record.details["good"]]


def _row(context: Context, records: Sequence[Evidence], label: str) -> Row:
    by_measure = {record.subject: record for record in records}
    escape = by_measure.get("escape")
    parts = cell("–") if escape is None else _parts(context, escape, label)
    start = cell(name(label, SPEC)) if label else cell(context.label("sorting.all_defects"))
    return (start, parts, *(_number(context, by_measure.get(measure), label) for measure in SORTING))


def _parts(context: Context, escape: Evidence, label: str) -> Cell:
    """How many parts have the defect."""
    value = _of(escape, label)
    return cell("–") if value is None else cell(number(context.numbers.group(value.n), escape.id))


def _of(record: Evidence, label: str) -> Value | None:
    return next((value for value in record.values if value.name == record.subject and value.label == label), None)


def _number(context: Context, record: Evidence | None, label: str) -> Cell:
    value = None if record is None else _of(record, label)
    if record is None or value is None:
        return cell("–")
    if value.estimate is None:
        return cell(context.label("performance.undefined"))
    if not context.numbers.may_show(value.n):
        return cell(context.label("numbers.too_few"))
    return cell(number(interval_text(context, value.name, value), record.id))


def _by_slice(context: Context) -> tuple[Table, ...]:
    """The three numbers of the whole, slice by slice."""
    names = list(dict.fromkeys(record.slice or "all" for record in context.of_kind("sorting")))
    if len(names) < 2:
        return ()
    columns = columns_of(context, "slice", "cases", *SORTING, numbers=("cases", *SORTING))
    rows = [_slice_row(context, part) for part in names]
    return (table(context, context.label("sorting.slices_caption"), "sorting-by-slice", columns, rows, attach=True),)


def _slice_row(context: Context, part: str) -> Row:
    found = {
        record.subject: record
        for record in context.of_kind("sorting")
        if record.slice == part and record.status == "measured"
    }
    agreement = found.get("decision_agreement")
    value = None if agreement is None else _of(agreement, "")
    cases = (
        cell("–") if agreement is None or value is None else cell(number(context.numbers.group(value.n), agreement.id))
    )
    return (cell(name(part)), cases, *(_number(context, found.get(measure), "") for measure in SORTING))


def _figure(context: Context, records: Sequence[Evidence], data: Table) -> tuple[Figure, ...]:
    """A panel a measure, a defect class a line."""
    labels = _defects(records[0])
    values = [_of(record, label) for record in records for label in labels]
    if any(value is not None and not context.numbers.may_show(value.n) for value in values):
        return ()
    panels = [_panel(context, record, labels) for record in records]
    image = whiskers_chart(context, "sorting", panels, labels, _alt(context, records))
    caption = (context.say("sorting.figure"), context.listed([cite(record.id) for record in records]))
    return (Figure(context.label("sorting.figure_title"), caption, image, data, anchor="sorting-figure"),)


def _panel(context: Context, record: Evidence, labels: Sequence[str]) -> Whiskers:
    rows = tuple(
        None if value is None or value.estimate is None else Whisker(label, value.estimate, value.low, value.high)
        for label in labels
        for value in (_of(record, label),)
    )
    return Whiskers(context.label(f"column.{record.subject}"), rows, None, 100.0, is_percent=True)


def _alt(context: Context, records: Sequence[Evidence]) -> str:
    """For each measure the defect class with the largest and the smallest number."""
    sentences: list[str] = []
    for record in records:
        known = [value for label in _defects(record) if (value := _of(record, label)) and value.estimate is not None]
        if not known:
            continue
        low, high = (pick(known, key=lambda value: value.estimate or 0.0) for pick in (min, max))
        sentence = context.label("alt.sorting").format(
            measure=context.measure_name(record.subject),
            lowest=low.label,
            low=context.numbers.value(record.subject, low.estimate or 0.0, low.unit),
            highest=high.label,
            high=context.numbers.value(record.subject, high.estimate or 0.0, high.unit),
        )
        sentences.append(sentence)
    return context.words.joined(sentences) or context.label("performance.undefined")
