"""Section 8: where the model is weakest, what breaks it, and whether it knows when it is unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.intervals import CONFIDENCE
from xai_audit.measures.set_aside import Kept
from xai_audit.report.causal_numbers import exact_text
from xai_audit.report.context import Context, cite, heading, name, number
from xai_audit.report.document import Block, Bullets, Cell, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.performance import KINDS, estimate_text
from xai_audit.report.set_aside_chart import NAME, set_aside_chart
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import whole_value


def section(context: Context) -> tuple[Block, ...]:
    """The weakest slice of each measure, changes at rising strength, the set-aside curve, repeat runs."""
    if not context.spec.has_scores:
        return (missing(context, "missing.robustness_causal"), missing(context, "missing.shift"))
    return (
        _group(context, "shift", tuple(_shift(context))),
        _group(context, "strength", tuple(_strength(context))),
        _group(context, "set_aside", tuple(_set_aside(context))),
        _group(context, "repeats", (missing(context, "missing.repeats"),)),
    )


def _group(context: Context, key: str, blocks: tuple[Block, ...]) -> Group:
    return Group(context.label(f"robustness.{key}.title"), f"robustness-{key.replace('_', '-')}", blocks)


def _shift(context: Context) -> Iterator[Block]:
    """The slice on which each measure is worst, beside all cases where a slice holds them."""
    if not [part for part in context.spec.slices if part.name != context.whole]:
        yield missing(context, "missing.shift")
        return
    rows = list(_weakest(context))
    if not rows:
        yield missing(context, "missing.weakest")
        return
    beside, form = (("all_cases",), "") if context.whole is not None else ((), "_alone")
    columns = columns_of(context, "measure", *beside, "weakest_slice", "estimate", "interval", "cases", "evidence",
                         numbers=("all_cases", "estimate", "interval", "cases"))  # fmt: skip
    yield Prose((context.say(f"robustness.shift.lead{form}"), context.say(f"robustness.shift.no_test{form}")))
    yield table(context, context.label(f"robustness.shift.caption{form}"), "weakest", columns, rows)


def _weakest(context: Context) -> Iterator[Row]:
    by_measure: dict[str, list[tuple[Evidence, Value]]] = {}
    for record in context.of_kind(*KINDS):
        value = whole_value(record, record.subject) if record.status == "measured" else None
        if value is not None and value.estimate is not None and context.numbers.may_show(value.n):
            by_measure.setdefault(record.subject, []).append((record, value))
    for measure, found in by_measure.items():
        better = registry.measure(measure).higher_is_better
        whole = next((pair for pair in found if pair[0].slice == context.whole), None)
        parts = [pair for pair in found if pair[0].slice != context.whole]
        if better is not None and (whole is not None or context.whole is None) and parts:
            sign = 1 if better else -1
            worst = min(parts, key=lambda pair: (sign * float(pair[1].estimate or 0.0), str(pair[0].slice)))
            yield _weakest_row(context, measure, whole, worst)


def _weakest_row(
    context: Context, measure: str, whole: tuple[Evidence, Value] | None, worst: tuple[Evidence, Value]
) -> Row:
    (record, value), write = worst, context.numbers
    beside = () if whole is None else (cell(number(estimate_text(context, measure, whole[1]), whole[0].id)),)
    rests_on = [(cite(each.id),) for each, _ in ((worst,) if whole is None else (whole, worst))]
    interval: Cell = cell("–")
    if value.low is not None and value.high is not None:
        ends = (write.value(measure, value.low, value.unit), write.value(measure, value.high, value.unit))
        interval = cell(number(context.label("numbers.interval").format(low=ends[0], high=ends[1]), record.id))
    return (
        cell(heading(context.measure_name(measure))),
        *beside,
        cell(name(str(record.slice))),
        cell(number(estimate_text(context, measure, value), record.id)),
        interval,
        cell(number(write.group(value.n), record.id)),
        cell(context.listed(rests_on)),
    )


def _strength(context: Context) -> Iterator[Block]:
    """What each declared change does from its weakest to its strongest setting; the curves are in section 10."""
    records = context.of_kind("severity")
    if not records:
        yield missing(context, "missing.robustness")
        return
    rows = [row for record in records if record.status == "measured" for row in _strength_rows(context, record)]
    if rows:
        keys = ("weakest_setting", "at_weakest", "strongest_setting", "at_strongest", "cases")
        columns = columns_of(context, "changed_input", "slice", *keys, "evidence", numbers=keys)
        yield Prose((context.say("robustness.strength.lead"),))
        yield table(context, context.label("robustness.strength.caption"), "strength", columns, rows)
        yield Bullets(tuple(_to_curves(context, record) for record in records if record.status == "measured"))
    yield from (not_measured(context, record) for record in records if record.status != "measured")


def _strength_rows(context: Context, record: Evidence) -> Iterator[Row]:
    for part in record.details.get("slices") or ():
        points = part.get("accuracy") or part.get("score") or ()
        if not points or not context.numbers.may_show(int(part.get("n") or 0)):
            continue
        key = "accuracy" if part.get("accuracy") else "score"
        ends: list[Cell] = []
        for point in (points[0], points[-1]):
            ends.append(cell(number(exact_text(context, float(point["level"])), record.id)))
            ends.append(cell(number(_level_text(context, key, point), record.id)))
        yield (
            cell(context.say("robustness.strength.of", change=name(record.subject),
                             what=context.label(f"causal.severity.{key}"))),
            cell(name(str(part["name"]))),
            *ends,
            cell(number(context.numbers.group(int(part.get("n") or 0)), record.id)),
            cell(cite(record.id)),
        )  # fmt: skip


def _level_text(context: Context, key: str, point: dict[str, float]) -> str:
    """An estimate with its interval."""

    def write(value: float) -> str:
        return context.numbers.value("accuracy", value, "share") if key == "accuracy" else context.numbers.plain(value)

    if point.get("low") is None or point.get("high") is None:
        return write(float(point["estimate"]))
    parts = {end: write(float(point[end])) for end in ("estimate", "low", "high")}
    return context.label("robustness.with_interval").format(**parts)


def _to_curves(context: Context, record: Evidence) -> Sentence:
    link = Span(record.subject, record.id, f"#severity-{record.subject}", "name")
    return context.say("robustness.strength.curves", change=link)


def _set_aside(context: Context) -> Iterator[Block]:
    """Accuracy of the answers that are kept as the less sure ones are set aside."""
    record, points = context.first("predictions"), context.set_aside
    if record is None or isinstance(points, str):
        yield missing(context, f"missing.{points}")
        return
    yield Prose((context.say("set_aside.meaning"), *_told(context, record, points)))
    yield Figure(
        context.label("set_aside.figure_title"),
        (context.say("set_aside.caption", confidence=number(context.numbers.confidence(CONFIDENCE), record.id)),
         (cite(record.id),)),
        set_aside_chart(context, points), _numbers(context, record, points), anchor=NAME,
    )  # fmt: skip
    yield Prose((context.say("set_aside.limits"),), "note")


def _told(context: Context, record: Evidence, points: Sequence[Kept]) -> Iterator[Sentence]:
    """The ends of the curve in words, and whether the answers that are kept are better ones."""
    first, last = points[0], points[-1]
    yield context.say(
        "set_aside.ends", share=number(context.numbers.value("share", last.share, "share"), record.id),
        kept=number(context.numbers.group(last.n), record.id), accuracy=_accuracy(context, record, last),
        whole=_accuracy(context, record, first), cases=number(context.numbers.group(first.n), record.id),
        evidence=cite(record.id),
    )  # fmt: skip
    yield context.say(f"set_aside.knows.{knows(points)}")


def knows(points: Sequence[Kept]) -> str:
    """Whether the surest answers are better than all: `yes`, `no` (they are worse) or `unsure`."""
    first, last = points[0], points[-1]
    if last.interval is None:
        return "unsure"
    if last.interval.low > first.accuracy:
        return "yes"
    return "no" if last.interval.high < first.accuracy else "unsure"


def _accuracy(context: Context, record: Evidence, point: Kept) -> Sentence:
    write = context.numbers
    shown = write.value("accuracy", point.accuracy, "share")
    if point.interval is None:
        return (number(shown, record.id),)
    ends = [write.value("accuracy", end, "share") for end in (point.interval.low, point.interval.high)]
    text = context.label("robustness.with_interval").format(estimate=shown, low=ends[0], high=ends[1])
    return (number(text, record.id),)


def _numbers(context: Context, record: Evidence, points: Sequence[Kept]) -> Table:
    write = context.numbers
    columns = columns_of(context, "confidence_from", "share_kept", "cases", "share_right", "interval", "evidence",
                         numbers=("confidence_from", "share_kept", "cases", "share_right", "interval"))  # fmt: skip
    rows = [
        (
            cell(number(write.probability(point.threshold), record.id)),
            cell(number(write.value("share", point.share, "share"), record.id)),
            cell(number(write.group(point.n), record.id)),
            cell(number(write.value("accuracy", point.accuracy, "share"), record.id)),
            _interval_cell(context, record, point),
            cell(cite(record.id)),
        )
        for point in points
    ]
    return table(context, context.label("set_aside.figure_title"), f"data-{NAME}", columns, rows, attach=True)


def _interval_cell(context: Context, record: Evidence, point: Kept) -> Cell:
    if point.interval is None:
        return cell("–")
    ends = [context.numbers.value("accuracy", end, "share") for end in (point.interval.low, point.interval.high)]
    return cell(number(context.label("numbers.interval").format(low=ends[0], high=ends[1]), record.id))
