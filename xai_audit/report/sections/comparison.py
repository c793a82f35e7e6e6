"""Section 7, the model beside a challenger; section 6, what audited and training data share."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.split_integrity import AMONG_CASES, WITH_TRAINING
from xai_audit.report.bar_charts import Whisker, Whiskers, whiskers_chart
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.missing import missing, not_measured
from xai_audit.report.sections.quality import interval_text
from xai_audit.report.sections.sector_index import link
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.values import value_of

MOST_SLICES = 20
"""Slices in a figure; the table has all."""
BLANK = "–"


def challengers(context: Context) -> tuple[Block, ...]:
    """What each challenger answers on the same cases; that there is none, where there is none."""
    records = context.of_kind("challenger")
    if not records:
        return (missing(context, "missing.comparison"),)
    names = list(dict.fromkeys(str(record.method) for record in records))
    lead = Prose((context.say("comparison.lead"), context.say("comparison.p")))
    groups = tuple(
        block for each in names for block in _challenger(context, each, [r for r in records if r.method == each])
    )
    return (Group(context.label("comparison.title"), "challengers", (lead, *groups)),)


def leads(context: Context) -> tuple[Sentence, ...]:
    """One sentence a challenger: how far the model leads on all cases; that no slice holds them, where none does."""
    records = context.of_kind("challenger")
    if context.whole is not None:
        return tuple(_lead(context, record) for record in records if record.slice == context.whole)
    firsts = {str(record.method): record.id for record in reversed(records)}
    return tuple(
        context.say("comparison.no_whole", name=name(against), evidence=cite(firsts[against]))
        for against in dict.fromkeys(str(record.method) for record in records)
    )


def _lead(context: Context, record: Evidence) -> Sentence:
    value = value_of(record, "challenger")
    against = name(str(record.method))
    if record.status != "measured" or value is None or value.estimate is None or not context.numbers.may_show(value.n):
        return context.say("comparison.not_said", name=against, evidence=cite(record.id))
    return context.say(
        "comparison.said", name=against, evidence=cite(record.id),
        lead=number(interval_text(context, "challenger", value), record.id),
        cases=number(context.numbers.group(value.n), record.id),
    )  # fmt: skip


def _challenger(context: Context, against: str, records: Sequence[Evidence]) -> tuple[Block, ...]:
    measured = [record for record in records if record.status == "measured"]
    if not measured:
        return (not_measured(context, records[0]),)
    first = measured[0]
    said = [context.say(f"comparison.{_origin(first)}", name=name(against))]
    if any(record.details["units"] != _cases(record) for record in measured):
        said.append(context.say("comparison.units"))
    whole = _table(context, against, records)
    return (Prose(tuple(said)), *_figure(context, against, measured, whole), whole)


def _origin(record: Evidence) -> str:
    if record.details["challenger"] != "majority":
        return "given"
    return "median" if record.details["task"] == "regression" else "majority"


def _cases(record: Evidence) -> int:
    value = value_of(record, "challenger")
    return 0 if value is None else value.n


def _table(context: Context, against: str, records: Sequence[Evidence]) -> Table:
    is_error = any(record.details.get("task") == "regression" for record in records)
    has_area = any(value_of(record, "auroc_difference") is not None for record in records)
    means = ("model_error", "challenger_error") if is_error else ("model_right", "challenger_right")
    keys = [*means, "lead_over", *(["lead_area"] if has_area else []), "better_worse", "exact_p", "cases"]
    columns = columns_of(context, "slice", *keys, "evidence", numbers=keys)
    rows = [_row(context, record, has_area) for record in records]
    caption = context.label("comparison.caption").format(name=against)
    return table(context, caption, f"challenger-{against}", columns, rows, attach=True)


def _row(context: Context, record: Evidence, has_area: bool) -> Row:
    start = cell(name(record.slice or "all"))
    names = ["model_mean", "challenger_mean", "challenger", *(["auroc_difference"] if has_area else [])]
    if record.status != "measured":
        blanks = [cell(BLANK)] * (len(names) + 2)
        return (start, unmeasured(context, record), *blanks, cell(cite(record.id)))
    counts = (record.details["better"], record.details["worse"])
    split = context.listed([number(context.numbers.count(count), record.id) for count in counts])
    is_open = context.numbers.may_show(_cases(record))
    return (
        start,
        *(shown(context, record, value_of(record, each)) for each in names),
        cell(split if is_open else Span(context.label("numbers.too_few"), record.id)),
        shown(context, record, value_of(record, "mcnemar_p"), always=is_open),
        cell(number(context.numbers.group(_cases(record)), record.id)),
        cell(cite(record.id)),
    )


def unmeasured(context: Context, record: Evidence) -> Cell:
    """The word and mark of a step without an answer."""
    verdict = "error" if record.status == "failed" else "not_run"
    return cell(context.label(f"status.{record.status}"), verdict=verdict)


def shown(context: Context, record: Evidence, value: Value | None, *, always: bool = False) -> Cell:
    """A number with its interval; that it does not exist, or rests on too few cases to show."""
    if value is None:
        return cell(BLANK)
    if not always and not context.numbers.may_show(value.n):
        return cell(Span(context.label("numbers.too_few"), record.id))
    return cell(number(interval_text(context, value.name, value), record.id))


def _figure(context: Context, against: str, records: Sequence[Evidence], data: Table) -> tuple[Block, ...]:
    known = [(r, v) for r in records if (v := value_of(r, "challenger")) is not None and v.estimate is not None
             and context.numbers.may_show(v.n)][:MOST_SLICES]  # fmt: skip
    if not known:
        return ()
    is_share = known[0][1].unit == "difference"
    rows = tuple(Whisker(r.slice or "all", v.estimate or 0.0, v.low, v.high) for r, v in known)
    unit = "comparison.panel_points" if is_share else "comparison.panel"
    panel = Whiskers(context.label(unit), rows, 0.0, 100.0 if is_share else 1.0)
    image = whiskers_chart(
        context, f"challenger-{against}", [panel], [row.name for row in rows], _alt(context, against, known)
    )
    title = context.label("comparison.figure_title").format(name=against)
    caption = (context.say("comparison.figure"), (cite(known[0][0].id),))
    return (Figure(title, caption, image, data, anchor=f"challenger-figure-{against}"),)


def _alt(context: Context, against: str, known: Sequence[tuple[Evidence, Value]]) -> str:
    ordered = sorted(known, key=lambda pair: pair[1].estimate or 0.0)
    low, high = ordered[0], ordered[-1]
    write = context.numbers
    return context.label("comparison.alt").format(
        name=against, count=write.count(len(known)), lowest=low[0].slice, highest=high[0].slice,
        low=write.value("challenger", low[1].estimate or 0.0, low[1].unit),
        high=write.value("challenger", high[1].estimate or 0.0, high[1].unit),
    )  # fmt: skip


def split(context: Context) -> tuple[Block, ...]:
    """What the audited cases share with the training data and each other; nothing where it was not asked for."""
    records = context.of_kind("split_integrity")
    if not records:
        return ()
    measured = [record for record in records if record.status == "measured"]
    blocks: tuple[Block, ...] = (not_measured(context, records[0]),)
    if measured:
        blocks = (Prose(tuple(_looked_at(context, measured[0]))), _ties(context, measured), *_open(context, measured))
    return (Group(context.label("split.title"), "split-integrity", blocks),)


def independence(context: Context) -> tuple[Sentence, ...]:
    """What the run found of the independence of all audited cases, in a sentence; or that no slice holds them all."""
    records = [record for record in context.of_kind("split_integrity") if record.status == "measured"]
    if records and context.whole is None:
        return (context.say("split.no_whole", section=link(context, "data"), evidence=cite(records[0].id)),)
    record = next((record for record in records if record.slice == context.whole), None)
    if record is None:
        return ()
    value = record.values[0]
    if value.successes is None:
        reason = context.say(f"split.reason.{record.details['unknown'][0]}")
        return (context.say("split.not_said", reason=reason, evidence=cite(record.id)),)
    parts = {"cases": context.numbers.group(value.n), "clean": context.numbers.count(value.successes)}
    said = {key: number(text, record.id) for key, text in parts.items()}
    return (context.say("split.said", **said, evidence=cite(record.id)),)


def _looked_at(context: Context, record: Evidence) -> list[Sentence]:
    details, write = record.details, context.numbers
    if details.get("looked_at") == "images":
        bits = {key: number(write.count(details[key]), record.id) for key in ("distance", "bits")}
        said = [context.say("split.images", **bits)]
    elif details.get("looked_at") == "rows":
        said = [context.say("split.rows", rounding=number(write.plain(details["rounding"]), record.id))]
    else:
        said = [context.say("split.neither")]
    if details.get("training_cases") is not None:
        said.append(context.say("split.against", cases=number(write.count(details["training_cases"]), record.id)))
    elif not details["training"]:
        said.append(context.say("split.no_training"))
    return [*said, context.say("split.count")]


def _ties(context: Context, records: Sequence[Evidence]) -> Table:
    """Slices down, kinds of tie across, the whole first."""
    kinds = [*WITH_TRAINING, *AMONG_CASES]
    columns = columns_of(context, "slice", "tie", "counts", "share", "evidence", numbers=("counts", "share"))
    rows = [_tie(context, record, kind) for record in records for kind in ("split_integrity", *kinds)]
    return table(context, context.label("split.caption"), "split-ties", columns, rows, attach=True, on_page=16)


def _tie(context: Context, record: Evidence, kind: str) -> Row:
    value = value_of(record, kind)
    start = (cell(name(record.slice or "all")), cell(heading(context.measure_name(kind))))
    if value is None or value.successes is None or value.trials is None:
        return (*start, cell(context.label("split.not_sought"), verdict="not_run"), cell(BLANK), cell(cite(record.id)))
    if not context.numbers.may_show(value.n):
        few = cell(Span(context.label("numbers.too_few"), record.id))
        return (*start, few, cell(BLANK), cell(cite(record.id)))
    counts = number(context.numbers.of(value.successes, value.trials), record.id)
    share = number(context.numbers.value(kind, value.estimate or 0.0, value.unit), record.id)
    return (*start, cell(counts), cell(share), cell(cite(record.id)))


def _open(context: Context, records: Sequence[Evidence]) -> tuple[Block, ...]:
    """Why a kind of tie was not looked for, once each."""
    record = records[0]
    said = tuple(
        context.say(
            "split.why_not", kind=Span(context.measure_name(kind), SPEC),
            reason=context.say(f"split.reason.{code}"),
        )
        for kind, code in record.details["not_sought"].items()
    )  # fmt: skip
    return (Prose(said, "note"),) if said else ()
