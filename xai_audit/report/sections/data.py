"""Section 6: which cases these are, what is wrong with them, and who is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Cell, Facts, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.figures import bars
from xai_audit.report.rows import table_input
from xai_audit.report.sections.comparison import split
from xai_audit.report.sections.features import features
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.privacy import are_slices, case_name, shown_counts, without_ids
from xai_audit.report.tables import Row, cell, columns_of, table

MOST_PANELS = 6
MOST_CLASSES = 20


def section(context: Context) -> tuple[Block, ...]:
    """Source, counts, balance, columns, duplicates, overlap with training, cases that could not be read."""
    record = context.first("data_profile")
    if not context.spec.has_cases:
        return (missing(context, "missing.no_data"),)
    if record is None:
        return (_source(context, None), *features(context, None), missing(context, "missing.profile"))
    blocks = (
        _balance(context, record),
        _columns(context, record),
        _duplicates(context, record),
        _training(context, record),
        _bad(context, record),
    )
    return (
        _source(context, record),
        *features(context, record),
        _slices(context, record),
        *(block for block in blocks if block),
        *split(context),
        *_limits(context, record),
        missing(context, "missing.label_agreement"),
    )


def _source(context: Context, record: Evidence | None) -> Facts:
    data = context.spec.data
    rows: list[tuple[str, Sentence]] = [
        ("source", (Span(context.label(f"source.{data.source.kind}")),)),
        ("description", context.owner(data.description) if data.description else context.say("none.stated")),
        ("licence", context.owner(data.licence) if data.licence else context.say("none.stated")),
        ("cluster", (name(data.cluster),) if data.cluster else context.say("data.no_cluster")),
        ("filter", _filter(context)),
        ("policy", context.say(f"data.policy.{data.on_bad_case}")),
    ]
    if record is not None and table_input(context) is None:
        sizes = context.words.listed(
            context.words.bracketed(str(size), context.numbers.group(count))
            for size, count in record.details.get("image_sizes", [])[:6]
        )
        rows.append(("image_sizes", (number(sizes, record.id),) if sizes else context.say("none.images")))
        rows += _light(context, record)
    return Facts(tuple((context.label(f"data.row.{key}"), text) for key, text in rows), context.label("data.caption"))


def _light(context: Context, record: Evidence) -> list[tuple[str, Sentence]]:
    light = record.details.get("brightness")
    if not light:
        return []
    write = {key: number(context.numbers.plain(light[key]), record.id) for key in ("min", "max", "mean")}
    return [("brightness", context.say("data.brightness", **write))]


def _filter(context: Context) -> Sentence:
    where = context.spec.data.where
    return (name(context.words.listed(where)),) if where else context.say("data.no_filter")


def _slices(context: Context, record: Evidence) -> Table:
    columns = columns_of(context, "slice", "cases", "clusters", "digest", numbers=("cases", "clusters"))
    rows = [
        (
            cell(name(part["name"])),
            cell(number(context.numbers.group(part["cases"]), record.id)),
            _units(context, record, part),
            cell(name(str(part["digest"])[:16], record.id)),
        )
        for part in record.details["slices"]
    ]
    return table(
        context,
        context.label("data.slices_caption"),
        "slices",
        columns,
        rows,
        note=context.say("data.slices_note"),
        attach=len(rows) > MOST_PANELS,
    )


def _units(context: Context, record: Evidence, part: dict[str, Any]) -> Cell:
    if part.get("clusters") is None or not context.numbers.may_show(part["cases"]):
        return cell("–")
    return cell(number(context.numbers.count(part["clusters"]), record.id))


def _balance(context: Context, record: Evidence) -> Group | None:
    groups = record.details.get("labels_by_slice") or [["all", record.details.get("labels", [])]]
    if not record.details.get("labels"):
        return None
    names = [str(label) for label, _ in groups[0][1]]
    shown = [(str(part), shown_counts(context, [int(count) for _, count in counts])) for part, counts in groups]
    columns = columns_of(context, "slice", "class", "cases", numbers=("cases",))
    rows: list[Row] = [
        (cell(name(part)), cell(name(label)), cell(number(context.numbers.shown(count), record.id)))
        for part, counts in shown
        for label, count in zip(names, counts, strict=True)
    ]
    title = context.label("data.balance_title")
    whole = table(context, title, "label-balance", columns, rows, attach=True)
    if len(names) > MOST_CLASSES:
        return Group(title, "balance", (whole,))
    image = bars(context, "label-balance", names, shown[:MOST_PANELS])
    caption = [context.say("data.balance_caption", evidence=cite(record.id))]
    if len(shown) > MOST_PANELS:
        caption.append(
            context.say(
                "figure.some_slices",
                shown=number(context.numbers.count(MOST_PANELS), record.id),
                slices=number(context.numbers.count(len(shown)), record.id),
            )
        )
    return Group(title, "balance", (Figure(title, tuple(caption), image, whole, anchor="label-balance-figure"),))


def _columns(context: Context, record: Evidence) -> Group | None:
    profiles = record.details.get("columns") or []
    if not profiles:
        return None
    columns = columns_of(context, "column", "kind", "missing", "distinct", "values", numbers=("missing", "distinct"))
    rows = [_column_row(context, record, profile) for profile in profiles]
    whole = table(context, context.label("data.columns_caption"), "columns", columns, rows)
    return Group(context.label("data.columns_title"), "data-columns", (whole,))


def _column_row(context: Context, record: Evidence, profile: dict[str, Any]) -> Row:
    withheld = profile["name"] in context.spec.data.show.withhold
    write = context.numbers.group
    return (
        cell(name(profile["name"])),
        cell(context.label(f"column_kind.{profile['kind']}")),
        cell(number(write(profile.get("missing", 0)), record.id)),
        cell(
            number(context.numbers.count(profile["distinct"]), record.id)
            if profile.get("distinct") is not None
            else "–"
        ),
        cell(context.say("data.withheld") if withheld else _values(context, record, profile)),
    )


def _values(context: Context, record: Evidence, profile: dict[str, Any]) -> Sentence:
    if profile.get("counts"):
        counts = [int(count) for _, count in profile["counts"]]
        if profile.get("distinct", 0) >= len(counts) and max(counts) == 1:
            return context.say("data.all_distinct")
        known = [*are_slices(context, profile["name"], [str(value) for value, _ in profile["counts"]]), True]
        shown = shown_counts(context, [*counts, int(profile.get("missing", 0))], known)
        pairs = [
            context.words.bracketed(str(value), context.numbers.shown(count))
            for (value, _), count in zip(profile["counts"][:5], shown, strict=False)
        ]
        more = (Span(" …"),) if profile.get("distinct", 0) > len(pairs) else ()
        return (Span(context.words.listed(pairs), record.id, kind="number"), *more)
    if profile.get("min") is not None:
        write = {key: number(context.numbers.plain(profile[key]), record.id) for key in ("min", "max", "mean")}
        return context.say("data.number_column", **write)
    return context.say("data.free_text")


def _pairs(context: Context, groups: Sequence[Sequence[Any]], evidence: str) -> list[Row]:
    return [(cell(name(" · ".join(case_name(context, str(each)) for each in group), evidence)),) for group in groups]


def _duplicates(context: Context, record: Evidence) -> Group | None:
    if table_input(context) is not None:
        return None
    if context.spec.data.source.kind == "predictions":
        return Group(context.label("data.duplicates_title"), "duplicates", (missing(context, "missing.duplicates"),))
    exact, near = record.details.get("exact_duplicates", []), record.details.get("near_duplicates", [])
    blocks: list[Block] = [
        Prose(
            (
                context.count_of("data.exact", len(exact), record.id),
                context.count_of("data.near", record.details.get("near_duplicate_pairs", len(near)), record.id),
                (cite(record.id),),
            )
        )
    ]
    if exact:
        caption = context.label("data.exact_caption")
        blocks.append(
            table(context, caption, "exact-duplicates", columns_of(context, "cases"), _pairs(context, exact, record.id))
        )
    if near:
        columns = columns_of(context, "case", "near_case", "bits", numbers=("bits",))
        rows = [
            (
                cell(name(case_name(context, a), record.id)),
                cell(name(case_name(context, b), record.id)),
                cell(number(context.numbers.count(int(bits)), record.id)),
            )
            for a, b, bits in near
        ]
        blocks.append(table(context, context.label("data.near_caption"), "near-duplicates", columns, rows))
    return Group(context.label("data.duplicates_title"), "duplicates", tuple(blocks))


def _training(context: Context, record: Evidence) -> Group:
    training = record.details.get("training", {})
    title = context.label("data.training_title")
    if not training.get("declared"):
        return Group(title, "training-overlap", (missing(context, "missing.training"),))
    is_table = table_input(context) is not None
    found = [
        context.count_of(
            f"data.training_{'rows' if is_table else 'images'}", int(training.get("images", 0)), record.id
        ),
        context.count_of(f"data.training_exact{'_rows' if is_table else ''}", len(training["exact"]), record.id),
    ]
    if not is_table:
        found.append(context.count_of("data.training_near", len(training["near"]), record.id))
    said = (*found, (cite(record.id),))
    ids = [
        *((case, "exact_rows" if is_table else "exact", "") for case in training["exact"]),
        *((case, "near", str(other)) for case, other, _ in training["near"]),
    ]
    rows = [
        (
            cell(name(case_name(context, str(case)), record.id)),
            cell(context.label(f"data.overlap.{kind}")),
            *(() if is_table else (cell(name(other, record.id)),)),
        )
        for case, kind, other in ids
    ]
    if not rows:
        return Group(title, "training-overlap", (Prose(said),))
    columns = columns_of(context, "case", "overlap", *(() if is_table else ("training_image",)))
    caption = context.label("data.training_caption_rows" if is_table else "data.training_caption")
    listed = table(context, caption, "training", columns, rows)
    return Group(title, "training-overlap", (Prose(said), listed))


def _bad(context: Context, record: Evidence) -> Group:
    bad = record.details.get("bad_cases", [])
    title = context.label("data.bad_title")
    if not bad:
        return Group(title, "bad-cases", (Prose((context.say("data.bad_none"), (cite(record.id),))),))
    rows = [
        (
            cell(name(case_name(context, entry["id"]), record.id)),
            cell(Span(without_ids(context, entry["problem"]), record.id)),
        )
        for entry in bad
    ]
    listed = table(
        context, context.label("data.bad_caption"), "bad-case-list", columns_of(context, "case", "problem"), rows
    )
    return Group(
        title,
        "bad-cases",
        (Prose((context.count_of("data.bad_some", len(bad), record.id), (cite(record.id),))), listed),
    )


def _limits(context: Context, record: Evidence) -> tuple[Block, ...]:
    return tuple(Prose(((Span(text, record.id),),), "note") for text in record.details.get("limits", []))
