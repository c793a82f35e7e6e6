"""Section 7: how the positive answer is spread over groups: rate, difference and ratio against the reference group."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.bar_charts import Whisker, Whiskers, whiskers_chart
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.quality import interval_text, main_of
from xai_audit.report.tables import Row, cell, columns_of, table

MOST_GROUPS = 20
DIFFERENCE, RATIO = "difference", "ratio"


def fairness(context: Context) -> tuple[Block, ...]:
    """One group a measure; nothing where none was asked for."""
    records = context.of_kind("fairness")
    subjects = list(dict.fromkeys(record.subject for record in records))
    if not subjects:
        return ()
    lead = Prose((context.say("fairness.lead"), context.say("fairness.no_law")))
    groups = tuple(_measure(context, each, [r for r in records if r.subject == each]) for each in subjects)
    return (Group(context.label("fairness.title"), "fairness", (lead, *groups)),)


def _part(record: Evidence, part: str) -> Value | None:
    return next((value for value in record.values if value.name == part), None)


def _measure(context: Context, subject: str, records: Sequence[Evidence]) -> Group:
    """What the measure says, then figure and table of each reference group and those compared with it."""
    said = Prose(((Span(registry.measure(subject).summary, SPEC),), context.say(f"fairness.means.{subject}")))
    parts = _by_reference(records)
    blocks: list[Block] = [said]
    for place, (reference, part) in enumerate(parts.items()):
        anchor = subject if place == 0 else f"{subject}-{reference}"
        whole = _table(context, subject, part, reference, anchor)
        told = _point(context, part)
        blocks += [
            *([Prose(tuple(told))] if told else []),
            *_figure(context, subject, part, reference, whole, anchor),
            whole,
        ]
    return Group(heading(context.measure_name(subject)), f"fairness-{subject}", tuple(blocks))


def _by_reference(records: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    """Records by the group that they are compared with; those without a result stand with the first."""
    known = [str(record.details["reference"]) for record in records if record.details.get("reference")]
    first = known[0] if known else ""
    found: dict[str, list[Evidence]] = {reference: [] for reference in known} or {first: []}
    for record in records:
        found[str(record.details.get("reference") or first)].append(record)
    return found


def _point(context: Context, records: Sequence[Evidence]) -> list[Sentence]:
    """Which answer counts as positive, from which probability on, and who is the reference."""
    record = next((each for each in records if each.status == "measured"), None)
    if record is None:
        return []
    reference = name(str(record.details.get("reference") or "–"), record.id)
    positive = name(str(record.details.get("positive", "–")), record.id)
    threshold = record.details.get("threshold")
    if threshold is None:
        return [context.say("fairness.point", positive=positive, reference=reference)]
    at = number(context.numbers.plain(float(threshold)), record.id)
    return [context.say("fairness.point_at", positive=positive, reference=reference, threshold=at)]


def _may_show(context: Context, value: Value | None) -> bool:
    return value is not None and value.estimate is not None and context.numbers.may_show(value.n)


def _figure(
    context: Context, subject: str, records: Sequence[Evidence], reference: str, data: Table, anchor: str
) -> tuple[Block, ...]:
    shown = [record for record in records if _may_show(context, main_of(record))][:MOST_GROUPS]
    if not shown:
        return ()
    groups = [record.slice or "all" for record in shown]
    is_gap = registry.measure(subject).unit == DIFFERENCE or subject == "calibration_by_group"
    panels = [_panel(context, f"fairness.panel.{subject}", shown, subject, reference, 0.0 if is_gap else None, 100.0)]
    if any(_part(record, DIFFERENCE) for record in shown):
        panels.append(_panel(context, "fairness.panel.difference", shown, DIFFERENCE, reference, 0.0, 100.0))
    if any(_may_show(context, _part(record, RATIO)) for record in shown):
        panels.append(_panel(context, "fairness.panel.ratio", shown, RATIO, reference, 1.0, 1.0))
    image = whiskers_chart(context, f"fairness-{anchor}", panels, groups, _alt(context, subject, shown))
    caption: list[Sentence] = [context.say("fairness.figure"), (cite(shown[0].id),)]
    if len(records) > len(shown):
        caption.append(context.say("figure.some_slices", shown=number(context.numbers.count(len(shown)), shown[0].id),
                                   slices=number(context.numbers.count(len(records)), shown[0].id)))  # fmt: skip
    title = context.label("fairness.figure_title").format(measure=heading(context.measure_name(subject)))
    return (Figure(title, tuple(caption), image, data, anchor=f"fairness-figure-{anchor}"),)


def _panel(
    context: Context, title: str, records: Sequence[Evidence], part: str, reference: str, neutral: float | None,
    scale: float,
) -> Whiskers:  # fmt: skip
    rows: list[Whisker | None] = []
    for record in records:
        value = _part(record, part)
        if value is None or value.estimate is None or not context.numbers.may_show(value.n):
            rows.append(None)
        else:
            is_reference = (record.slice or "all") == reference
            rows.append(Whisker(record.slice or "all", value.estimate, value.low, value.high, is_reference))
    is_percent = scale != 1.0 and (neutral is None)
    return Whiskers(context.label(title), tuple(rows), neutral, scale, is_percent)


def _alt(context: Context, subject: str, records: Sequence[Evidence]) -> str:
    """Lowest and highest group, and the largest difference from the reference."""
    values = {record.slice or "all": main_of(record) for record in records}
    known = {part: value for part, value in values.items() if value is not None and value.estimate is not None}
    low, high = min(known, key=lambda p: known[p].estimate or 0.0), max(known, key=lambda p: known[p].estimate or 0.0)
    write = context.numbers
    text = context.words.plural("alt.fairness", len(known)).format(
        measure=context.measure_name(subject), count=write.count(len(known)), lowest=low, highest=high,
        low=write.value(subject, known[low].estimate or 0.0, known[low].unit),
        high=write.value(subject, known[high].estimate or 0.0, known[high].unit),
    )  # fmt: skip
    apart = {r.slice or "all": v for r in records if (v := _part(r, DIFFERENCE)) and v.estimate is not None}
    if apart:
        widest = max(apart, key=lambda part: abs(apart[part].estimate or 0.0))
        difference = write.value(DIFFERENCE, apart[widest].estimate or 0.0, apart[widest].unit)
        far = context.label("alt.fairness_widest").format(slice=widest, difference=difference)
        text = context.words.joined((text, far))
    return text


def _table(context: Context, subject: str, records: Sequence[Evidence], reference: str, anchor: str) -> Table:
    has_ratio = any(_part(record, RATIO) for record in records)
    parts = [DIFFERENCE, *([RATIO] if has_ratio else [])]
    columns = columns_of(context, "slice", "estimate_interval", *parts, "cases", "counts", "evidence",
                         numbers=("estimate_interval", *parts, "cases", "counts"))  # fmt: skip
    rows = [_row(context, record, parts, reference) for record in records]
    caption = context.label("fairness.caption").format(measure=heading(context.measure_name(subject)))
    note = context.say("fairness.note", reference=name(reference or "–", SPEC))
    return table(context, caption, f"fairness-table-{anchor}", columns, rows, note=note, attach=True)


def _row(context: Context, record: Evidence, parts: Sequence[str], reference: str) -> Row:
    part, write = record.slice or "all", context.numbers
    value = main_of(record)
    start = cell(name(part))
    if record.status != "measured" or value is None:
        verdict = {"failed": "error", "not_applicable": "not_run", "measured": ""}[record.status]
        word = cell(context.label(f"status.{record.status}"), verdict=verdict)
        return (start, word, *(cell("–") for _ in parts), cell("–"), cell("–"), cell(cite(record.id)))
    return (
        start,
        _shown(context, record, value),
        *(_against(context, record, each, is_reference=part == reference) for each in parts),
        cell(number(write.group(value.n), record.id)),
        _counts(context, record, value),
        cell(cite(record.id)),
    )


def _against(context: Context, record: Evidence, part: str, *, is_reference: bool) -> Cell:
    """Difference or ratio against the reference; the reference itself has none."""
    if is_reference:
        return cell(context.label("fairness.reference"))
    return _shown(context, record, _part(record, part))


def _shown(context: Context, record: Evidence, value: Value | None) -> Cell:
    if value is None:
        return cell("–")
    if not context.numbers.may_show(value.n):
        return cell(Span(context.label("numbers.too_few"), record.id))
    return cell(number(interval_text(context, value.name, value), record.id))


def _counts(context: Context, record: Evidence, value: Value) -> Cell:
    """How many of the group got the positive answer."""
    if value.successes is None or value.trials is None or not context.numbers.may_show(value.trials):
        return cell("–")
    return cell(number(context.numbers.of(value.successes, value.trials), record.id))
