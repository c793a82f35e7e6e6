"""Section 7: how often the model is right, overall and by slice, and whether its confidence can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.figures import MOST_ROWS, Bin, Dot, confusion, forest, reliability
from xai_audit.report.numbers import SMALL, SMALL_COUNT
from xai_audit.report.sections.comparison import challengers
from xai_audit.report.sections.fairness import fairness
from xai_audit.report.sections.missing import missing
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import whole_value
from xai_audit.verdict import worst_first

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

MOST_PANELS = 6
MOST_CLASSES = 12
KINDS = ("performance", "calibration")
Rates: TypeAlias = Mapping[str, tuple[Value, str]]
"""Base rate by slice, with the evidence id."""


def section(context: Context) -> tuple[Block, ...]:
    """One group a measure: figure by slice, then table; then confusion and reliability; then what did not run."""
    records = context.of_kind(*KINDS)
    if not records:
        key = "missing.performance" if context.spec.has_scores else "missing.performance_causal"
        return (missing(context, key), *fairness(context))
    subjects = list(dict.fromkeys(record.subject for record in records))
    groups = [_measure(context, subject, [r for r in records if r.subject == subject]) for subject in subjects]
    return (
        Prose(
            (
                context.say("performance.lead", confidence=_confidence(context, records)),
                _operating_points(context, records),
            )
        ),
        *_warnings(context, records),
        *(group for group in groups if group),
        *fairness(context),
        *challengers(context),
    )


def _confidence(context: Context, records: Sequence[Evidence]) -> Span:
    values = [(value.confidence, record.id) for record in records for value in record.values]
    level, source = values[0] if values else (0.95, SPEC)
    return number(context.numbers.confidence(level), source)


def _operating_points(context: Context, records: Sequence[Evidence]) -> Sentence:
    points = dict.fromkeys(
        (record.details.get("positive"), record.details["threshold"], record.id)
        for record in records
        if record.details.get("threshold") is not None and record.slice == records[0].slice
    )
    if context.spec.task == "regression":
        return context.say("performance.numbers")
    if not points:
        return context.say("performance.own_choice")
    positive, threshold, evidence = next(iter(points))
    return context.say("performance.operating_point", positive=name(str(positive), evidence),
                       threshold=number(context.numbers.plain(threshold), SPEC))  # fmt: skip


def _measure(context: Context, subject: str, records: Sequence[Evidence]) -> Group | None:
    title = heading(context.measure_name(subject))
    if subject == "confusion_matrix":
        blocks = _confusion(context, records)
    else:
        blocks = [*_forest(context, subject, records), _table(context, subject, records)]
        if subject == "ece":
            blocks += _reliability(context, records)
    summary = registry.measure(subject).summary
    return Group(title, f"measure-{subject}", (Prose(((Span(summary),),), "note"), *blocks))


def _warnings(context: Context, records: Sequence[Evidence]) -> tuple[Block, ...]:
    """What the measures warn of, each warning once with the slices that it concerns."""
    slices: dict[str, list[str]] = {}
    sources: dict[str, str] = {}
    for record in records:
        for warning in record.details.get("warnings", []):
            if record.slice not in slices.setdefault(warning, []):
                slices[warning].append(record.slice or "all")
            sources.setdefault(warning, record.id)
    if not slices:
        return ()
    columns = columns_of(context, "slice", "reason", "evidence")
    rows = [
        (cell(name(context.words.listed(parts))), cell(Span(text, sources[text])), cell(cite(sources[text])))
        for text, parts in slices.items()
    ]
    return (table(context, context.label("performance.warnings_title"), "warnings", columns, rows),)


def base_rates(context: Context) -> Rates:
    """Base rate by slice, with the evidence id."""
    found = {}
    for record in context.of_kind("performance"):
        value = whole_value(record, record.subject) if record.subject == "base_rate" else None
        if value is not None and value.status == "measured" and record.slice:
            found[record.slice] = (value, record.id)
    return found


def _answers(context: Context, record: Evidence, value: Value) -> tuple[Finding, ...]:
    """Findings on criteria that this very value answers."""
    alone = sum(each.name == value.name for each in record.values) == 1
    return tuple(
        finding
        for finding in context.criteria
        if finding.measure == record.subject
        and (finding.slice or "all") == (record.slice or "all")
        and (finding.class_ == value.label or (finding.class_ is None and (alone or not value.label)))
    )


def _forest(context: Context, subject: str, records: Sequence[Evidence]) -> list[Block]:
    dots, unit = [], ""
    for record in records:
        value = whole_value(record, record.subject)
        if value is None or value.estimate is None or not context.numbers.may_show(value.n):
            continue
        answers = _answers(context, record, value)
        limits = tuple(limit for finding in answers for limit in finding.limit)
        verdict = worst_first(answers)[0].verdict if answers else None
        known = verdict if verdict in ("pass", "fail", "inconclusive", "waived") else "none"
        dots.append(Dot(record.slice or "all", value.estimate, value.low, value.high, value.n, known, limits))
        unit = value.unit
    if not dots:
        return []
    better = registry.measure(subject).higher_is_better
    dots.sort(key=lambda dot: (dot.name != "all", dot.estimate if better is not False else -dot.estimate, dot.name))
    shown = dots[:MOST_ROWS]
    caption = [context.say("performance.forest_caption")]
    if any(dot.limits for dot in dots):
        caption.append(context.say("performance.forest_marks"))
    if len(shown) < len(dots):
        caption.append(context.say("figure.some_slices", shown=number(context.numbers.count(len(shown)), SPEC),
                                   slices=number(context.numbers.count(len(dots)), SPEC)))  # fmt: skip
    image = forest(context, subject, unit, shown)
    title = context.label("performance.forest_title").format(measure=heading(context.measure_name(subject)))
    return [Figure(title, tuple(caption), image, _table(context, subject, records, "data"), anchor=f"forest-{subject}")]


def _table(context: Context, subject: str, records: Sequence[Evidence], role: str = "table") -> Table:
    columns = columns_of(context, "slice", "class", "estimate", "interval", "cases", "base_rate", "verdict", "evidence",
                         numbers=("estimate", "interval", "cases", "base_rate"))  # fmt: skip
    rates = base_rates(context)
    rows = [row for record in records for row in _rows(context, subject, record, rates)]
    order = sorted(rows, key=lambda row: row[0].content[0].text != "all") if len(rows) > MOST_ROWS else rows
    caption = context.label("performance.table_caption").format(measure=heading(context.measure_name(subject)))
    return table(context, caption, f"{role}-{subject}", columns, order, attach=role == "data")


def _rows(context: Context, subject: str, record: Evidence, rates: Rates) -> list[Row]:
    part = cell(name(record.slice or "all"))
    if record.status != "measured":
        return [(part, cell("–"), *_unmeasured(context, record))]
    return [
        (
            part,
            cell(name(value.label, record.id)) if value.label else cell(context.label("performance.whole")),
            *_numbers(context, record, value, rates),
        )
        for value in record.values
        if value.name == subject
    ]


def _unmeasured(context: Context, record: Evidence) -> tuple[Cell, ...]:
    verdict = "error" if record.status == "failed" else "not_run"
    blank = cell("–")
    return (cell(context.label(f"status.{record.status}")), blank, blank, blank,
            cell(context.verdict(verdict), verdict=verdict), cell(cite(record.id)))  # fmt: skip


def _numbers(context: Context, record: Evidence, value: Value, rates: Rates) -> tuple[Cell, ...]:
    write, source = context.numbers, record.id
    answers = _answers(context, record, value)
    verdict = (worst_first(answers)[0].verdict or "") if answers else ""
    word = cell(context.verdict(verdict), verdict=verdict) if verdict else cell("–")
    if value.status == "undefined" or value.estimate is None or not write.may_show(value.n):
        key = "performance.undefined" if write.may_show(value.n) else "numbers.too_few"
        reason = cell(Span(context.label(key), source))
        return (
            reason,
            cell("–"),
            cell(number(write.group(value.n), source)),
            _base(context, record, rates),
            word,
            cell(cite(source)),
        )
    interval: Cell = cell("–")
    if value.low is not None and value.high is not None:
        text = context.label("numbers.interval").format(
            low=write.value(record.subject, value.low, value.unit),
            high=write.value(record.subject, value.high, value.unit),
        )
        interval = cell(number(text, source))
    return (cell(number(estimate_text(context, record.subject, value), source)), interval,
            cell(number(write.group(value.n), source)), _base(context, record, rates), word,
            cell(cite(source)))  # fmt: skip


def estimate_text(context: Context, measure: str, value: Value) -> str:
    """An estimate: as a count where there are few trials."""
    assert value.estimate is not None
    if value.successes is not None and value.trials == value.n and value.n < SMALL_COUNT:
        return context.numbers.of(value.successes, value.trials)
    return context.numbers.value(measure, value.estimate, value.unit)


def _base(context: Context, record: Evidence, rates: Rates) -> Cell:
    found = rates.get(record.slice or "all")
    if found is None or found[0].estimate is None or not context.numbers.may_show(found[0].n):
        return cell("–")
    return cell(number(context.numbers.value("base_rate", found[0].estimate, found[0].unit), found[1]))


def _confusion(context: Context, records: Sequence[Evidence]) -> list[Block]:
    measured = [record for record in records if record.status == "measured" and record.details.get("counts")]
    if not measured:
        return [missing(context, "missing.confusion")]
    classes = [str(each) for each in measured[0].details["classes"]]
    panels = [(record.slice or "all", _shown_rows(context, record.details["counts"])) for record in measured]
    columns = columns_of(context, "slice", "true_class", "predicted_class", "cases", "evidence", numbers=("cases",))
    rows = [
        (
            cell(name(part)),
            cell(name(true)),
            cell(name(chosen)),
            cell(number(context.numbers.shown(count), record.id)),
            cell(cite(record.id)),
        )
        for (part, counts), record in zip(panels, measured, strict=True)
        for true, line in zip(classes, counts, strict=True)
        for chosen, count in zip(classes, line, strict=True)
    ]
    title = context.label("performance.confusion_title")
    whole = table(context, title, "confusion", columns, rows, attach=True)
    if len(classes) > MOST_CLASSES:
        return [whole]
    caption = [context.say("performance.confusion_caption"), (cite(measured[0].id),)]
    image = confusion(context, classes, panels[:MOST_PANELS])
    return [Figure(title, (*caption, *_some(context, panels)), image, whole, anchor="confusion-figure")]


def _shown_rows(context: Context, counts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Rows of a class that is too small to show are hidden whole; outcomes inside a large enough class are shown."""
    return [[int(c) for c in row] if context.numbers.may_show(sum(row)) else [SMALL] * len(row) for row in counts]


def _some(context: Context, panels: Sequence[object]) -> tuple[Sentence, ...]:
    if len(panels) <= MOST_PANELS:
        return ()
    return (context.say("figure.some_slices", shown=number(context.numbers.count(MOST_PANELS), SPEC),
                        slices=number(context.numbers.count(len(panels)), SPEC)),)  # fmt: skip


def _reliability(context: Context, records: Sequence[Evidence]) -> list[Block]:
    measured = [record for record in records if record.status == "measured" and record.details.get("bins")]
    if not measured:
        return []
    panels = [(record.slice or "all", _bins(context, record)) for record in measured]
    write = context.numbers
    columns = columns_of(context, "slice", "cases", "confidence", "share_right", "interval", "evidence",
                         numbers=("cases", "confidence", "share_right", "interval"))  # fmt: skip
    rows = [
        (cell(name(part)), cell(number(write.group(each.n), record.id)),
         cell(number(write.value("confidence", each.confidence, "share"), record.id)),
         cell(number(write.value("accuracy_of_bin", each.accuracy, "share"), record.id)),
         cell(number(_bin_interval(context, each), record.id)), cell(cite(record.id)))
        for (part, bins), record in zip(panels, measured, strict=True)
        for each in bins
    ]  # fmt: skip
    title = context.label("performance.reliability_title")
    data = table(context, title, "reliability", columns, rows, attach=True)
    caption = (context.say("performance.reliability_caption"), (cite(measured[0].id),), *_some(context, panels))
    return [Figure(title, caption, reliability(context, panels[:MOST_PANELS]), data, anchor="reliability-figure")]


def _bins(context: Context, record: Evidence) -> list[Bin]:
    return [
        Bin(entry["n"], entry["confidence"], entry["accuracy"], entry.get("accuracy_low"), entry.get("accuracy_high"))
        for entry in record.details["bins"]
        if entry["n"] and context.numbers.may_show(entry["n"])
    ]


def _bin_interval(context: Context, each: Bin) -> str:
    if each.low is None or each.high is None:
        return "–"
    write = context.numbers
    return context.label("numbers.interval").format(
        low=write.value("accuracy_of_bin", each.low, "share"), high=write.value("accuracy_of_bin", each.high, "share")
    )
