"""Section 9: how far methods agree with one another, and the cases in which they differ most."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.report.context import SPEC, Context, cite, heading, name, number
from xai_audit.report.document import Block, Figure, Group, Prose, Span, Table
from xai_audit.report.matrix_chart import Pairs, matrix_chart
from xai_audit.report.sections.missing import not_measured
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.sections.quality import interval_text, quality_records
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table

BETWEEN = " | "
MOST_METHODS = 16
MOST_CASES = 12


def agreement(context: Context) -> tuple[Block, ...]:
    """Matrix on the widest slice, table of all pairs and slices, the cases of least agreement; nothing if not asked."""
    records = [record for record in quality_records(context) if record.subject == "agreement"]
    if not records:
        return ()
    measured = [record for record in records if record.status == "measured"]
    title = heading(context.measure_name("agreement"))
    if not measured:
        return (Group(title, "check-agreement", (not_measured(context, records[0]),)),)
    said = (
        (Span(registry.measure("agreement").summary, SPEC),),
        context.say("agreement.not_truth"),
        *(context.say("agreement.kendall", value=_number(context, value, record.id), evidence=cite(record.id))
          for record in measured[:1] for value in record.values if value.name == "kendall_w"),
    )  # fmt: skip
    whole = _pairs(context, records)
    blocks = (Prose(said), *_matrix(context, measured[0], whole), whole, *_different(context, measured))
    return (Group(title, "check-agreement", blocks),)


def _number(context: Context, value: Value, source: str) -> Span:
    return number(interval_text(context, value.name, value), source)


def _pair(context: Context, label: str) -> tuple[str, str]:
    first, _, second = label.partition(BETWEEN)
    return context.method_name(first), context.method_name(second)


def _matrix(context: Context, record: Evidence, data: Table) -> tuple[Block, ...]:
    found = {_pair(context, v.label): v.estimate for v in record.values if v.name == "rank_correlation"}
    known: Pairs = {pair: value for pair, value in found.items() if value is not None}
    names = list(dict.fromkeys(each for pair in known for each in pair))[:MOST_METHODS]
    if len(names) < 2:
        return ()
    image = matrix_chart(context, "agreement", names, known, _alt(context, known))
    caption = (
        context.say("agreement.figure", slice=name(record.slice or "all"), evidence=cite(record.id)),
        context.say("agreement.shades"),
    )
    return (Figure(context.label("agreement.figure_title"), caption, image, data, anchor="agreement-figure"),)


def _alt(context: Context, pairs: Pairs) -> str:
    least, most = min(pairs, key=lambda pair: pairs[pair]), max(pairs, key=lambda pair: pairs[pair])
    write = context.numbers
    return context.words.plural("alt.agreement", len(pairs)).format(
        count=write.count(len(pairs)), most=" / ".join(most), least=" / ".join(least),
        high=write.value("rank_correlation", pairs[most], "share"),
        low=write.value("rank_correlation", pairs[least], "share"),
    )  # fmt: skip


def _pairs(context: Context, records: Sequence[Evidence]) -> Table:
    columns = columns_of(context, "methods", "slice", "rank_correlation", "top_overlap", "cases", "evidence",
                         numbers=("rank_correlation", "top_overlap", "cases"))  # fmt: skip
    parts = [_pair_rows(context, record) for record in records]
    rows = [row for part in parts for row in part]
    first = max(1, min(len(parts[0]), LONGEST))
    caption = context.label("agreement.caption")
    return table(context, caption, "agreement-pairs", columns, rows, attach=True, on_page=first)


def _pair_rows(context: Context, record: Evidence) -> list[Row]:
    overlaps = {value.label: value for value in record.values if value.name == "overlap"}
    rows: list[Row] = []
    for value in record.values:
        if value.name != "rank_correlation":
            continue
        overlap, shown = overlaps.get(value.label), context.numbers.may_show(value.n)
        rows.append((
            cell(Span(" / ".join(_pair(context, value.label)), SPEC)),
            cell(name(record.slice or "all")),
            cell(_number(context, value, record.id) if shown else Span(context.label("numbers.too_few"), record.id)),
            cell(_number(context, overlap, record.id) if shown and overlap else "–"),
            cell(number(context.numbers.group(value.n), record.id)),
            cell(cite(record.id)),
        ))  # fmt: skip
    return rows


def _different(context: Context, measured: Sequence[Evidence]) -> tuple[Block, ...]:
    """The cases in which two methods agree least: there no single picture can be taken at its word."""
    record = next((each for each in measured if each.details.get("most_different")), None)
    if record is None or not context.spec.data.show.images:
        return ()
    columns = columns_of(context, "case", "methods", "rank_correlation", "top_overlap", "evidence",
                         numbers=("rank_correlation", "top_overlap"))  # fmt: skip
    rows = [
        (cell(name(case_name(context, str(entry["case"])), record.id)),
         cell(Span(" / ".join(_pair(context, str(entry["pair"]))), SPEC)),
         cell(_plain(context, "rank_correlation", entry.get("rank_correlation"), record.id)),
         cell(_plain(context, "overlap", entry.get("overlap"), record.id)), cell(cite(record.id)))
        for entry in record.details["most_different"][:MOST_CASES]
    ]  # fmt: skip
    return (table(context, context.label("agreement.different_caption"), "most-different", columns, rows),)


def _plain(context: Context, measure: str, value: float | None, source: str) -> Span:
    return Span("–") if value is None else number(context.numbers.value(measure, float(value), "share"), source)
