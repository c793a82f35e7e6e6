"""Section 6 of a table: what the model reads of a row, how it is encoded, and which codes stand for missing values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.document import Block, Group, Prose, Sentence, Span, Table
from xai_audit.report.rows import named_features, table_input
from xai_audit.report.sections.privacy import are_slices, shown_counts
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.spec.tables import Feature
from xai_audit.verdict.observations import as_declared

MOST_CATEGORIES = 8


def features(context: Context, record: Evidence | None) -> tuple[Block, ...]:
    """Features and encodings, their statistics, codes for missing values; nothing where the model reads no table."""
    if table_input(context) is None:
        return ()
    blocks: list[Block] = [Prose((context.say("features.lead"),), "note"), _features(context)]
    if record is not None:
        blocks += [*_statistics(context, record), *_codes(context, record), *_suspected(context, record)]
    return (Group(context.label("features.title"), "features", tuple(blocks)),)


def _features(context: Context) -> Table:
    wanted = table_input(context)
    assert wanted is not None
    columns = columns_of(context, "place", "feature", "column", "kind", "encoding", "when_missing", numbers=("place",))
    rows: list[Row] = [
        (
            cell(number(context.numbers.count(named.number), SPEC)),
            cell(name(named.title)),
            cell(name(named.column)),
            cell(context.label("column_kind.category" if feature.categories else "column_kind.number")),
            cell(_encoding(context, feature, is_raw=wanted.given_as == "frame")),
            cell(_when_missing(context, feature)),
        )
        for named, feature in zip(named_features(context, wanted), wanted.features, strict=True)
    ]
    return table(context, context.label("features.caption"), "feature-list", columns, rows, attach=len(rows) > 20)


def _encoding(context: Context, feature: Feature, *, is_raw: bool) -> Sentence:
    if is_raw:
        return context.say("features.encoding.raw")
    if feature.categories is not None:
        shown = context.words.listed(feature.categories[:MOST_CATEGORIES])
        more = " …" if len(feature.categories) > MOST_CATEGORIES else ""
        return context.say(f"features.encoding.{feature.encoding}", categories=name(shown + more))
    if feature.mean is None and feature.std is None:
        return context.say("features.encoding.plain")
    mean, std = (_exact(context, each) for each in (feature.mean or 0.0, feature.std or 1.0))
    return context.say("features.encoding.scaled", mean=mean, std=std)


def _exact(context: Context, value: float) -> Span:
    """A number of the spec as it was declared."""
    return number(context.numbers.limit("", value, "value"), SPEC)


def _when_missing(context: Context, feature: Feature) -> Sentence:
    if feature.when_missing is None:
        return context.say(f"features.missing.bad_case.{context.spec.data.on_bad_case}")
    value = feature.when_missing
    shown = name(value) if isinstance(value, str) else _exact(context, float(value))
    return context.say("features.missing.flagged" if feature.missing_flag else "features.missing.given", value=shown)


def _statistics(context: Context, record: Evidence) -> Iterator[Table]:
    found = record.details.get("features") or []
    if not found:
        return
    wanted = table_input(context)
    assert wanted is not None
    titles = {each.column: each.title for each in named_features(context, wanted)}
    columns = columns_of(context, "feature", "missing", "mean", "median", "spread", "range", "values", "evidence",
                         numbers=("missing", "mean", "median", "spread", "range"))  # fmt: skip
    rows = [_statistics_row(context, record, entry, titles) for entry in found]
    yield table(context, context.label("features.statistics_caption"), "feature-statistics", columns, rows, attach=True)


def _statistics_row(context: Context, record: Evidence, entry: dict[str, Any], titles: dict[str, str]) -> Row:
    title = cell(name(titles.get(str(entry["name"]), str(entry["name"]))))
    if entry.get("withheld") or str(entry["name"]) in context.spec.data.show.withhold:
        return (title, *(cell("–") for _ in range(5)), cell(context.say("data.withheld")), cell(cite(record.id)))
    missing = cell(number(context.numbers.group(int(entry.get("missing") or 0)), record.id))
    if entry.get("kind") == "category":
        blank = tuple(cell("–") for _ in range(4))
        return (title, missing, *blank, cell(_categories(context, record, entry)), cell(cite(record.id)))
    numbers = (_plain(context, entry.get(key), record.id) for key in ("mean", "median", "std"))
    ends = "–"
    if entry.get("min") is not None and entry.get("max") is not None:
        low, high = (context.numbers.plain(float(entry[key]), 4) for key in ("min", "max"))
        ends = context.label("numbers.interval").format(low=low, high=high)
    return (title, missing, *(cell(each) for each in numbers), cell(number(ends, record.id)), cell("–"),
            cell(cite(record.id)))  # fmt: skip


def _plain(context: Context, value: float | None, source: str) -> Span:
    return Span("–") if value is None else number(context.numbers.plain(float(value), 4), source)


def _categories(context: Context, record: Evidence, entry: dict[str, Any]) -> Sentence:
    pairs = entry.get("codes") or entry.get("counts") or []
    counts = _shown_of(context, entry, pairs)
    shown = [
        context.words.bracketed(str(value), context.numbers.shown(count))
        for (value, _), count in zip(pairs[:MOST_CATEGORIES], counts, strict=False)
    ]
    more = (Span(" …"),) if len(pairs) > len(shown) else ()
    return (number(context.words.listed(shown) or "–", record.id), *more)


def _shown_of(context: Context, entry: dict[str, Any], pairs: Sequence[Sequence[Any]]) -> list[int]:
    """Counts of categories as far as they may be shown; the missing ones, shown beside them, complete the total."""
    names, missing = [str(value) for value, _ in pairs], int(entry.get("missing") or 0)
    known = [*are_slices(context, str(entry["name"]), names), True]
    return shown_counts(context, [*(int(count) for _, count in pairs), missing], known)[:-1]


def _codes(context: Context, record: Evidence) -> Iterator[Table]:
    """Codes that the spec declares to mean missing, with how often each stands in the table."""
    found = record.details.get("missing_codes") or []
    if found:
        columns = columns_of(context, "column", "code", "cases", numbers=("code", "cases"))
        rows = [_code_row(context, record, entry) for entry in found]
        yield table(context, context.label("features.codes_caption"), "missing-codes", columns, rows)


def _code_row(context: Context, record: Evidence, entry: dict[str, Any]) -> Row:
    value = entry.get("value")
    shown = context.label("numbers.withheld") if value is None else as_declared(value)
    return (
        cell(name(str(entry["column"]))),
        cell(number(shown, record.id)),
        cell(number(context.numbers.group(int(entry["count"])), record.id)),
    )


def _suspected(context: Context, record: Evidence) -> Iterator[Block]:
    found = record.details.get("suspected_codes") or []
    if not found:
        yield Prose((context.say("features.no_suspects"), (cite(record.id),)))
        return
    yield Prose((context.count_of("features.suspects", len(found), record.id),), "strong")
    columns = columns_of(context, "column", "code", "cases", "reason", numbers=("code", "cases"))
    rows = [(*_code_row(context, record, entry), cell(Span(str(entry["why"]), record.id))) for entry in found]
    yield table(context, context.label("features.suspects_caption"), "suspected-codes", columns, rows)
