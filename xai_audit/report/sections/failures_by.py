"""Section 11: wrong answers by slice, by label and by size, each for the tasks that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Group, Prose
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.privacy import case_name, groups_shown
from xai_audit.report.tables import cell, columns_of, table

MOST_CASES = 12
BETWEEN = "|"
"""What stands between the labels of a case that has several."""
Rows = Sequence[dict[str, Any]]


def by_slice(context: Context, record: Evidence, answered: Rows) -> tuple[Block, ...]:
    """Wrong answers on each slice that is large enough to show, the largest share first."""
    members = {
        part.name: frozenset(str(row["id"]) for row in answered if row.get(f"slice:{part.name}") is True)
        for part in context.spec.slices
    }
    shown = groups_shown(context, {part: ids for part, ids in members.items() if ids})
    if len(shown) < 2:
        return ()
    wrong = {str(row["id"]) for row in answered if row["label"] != row["predicted"]}
    counts = {part: (len(ids & wrong), len(ids)) for part, ids in shown.items()}
    order = sorted(counts, key=lambda part: (-counts[part][0] / counts[part][1], part))
    columns = columns_of(context, "slice", "wrong", "cases", "share", "evidence", numbers=("wrong", "cases", "share"))
    rows = [
        (
            cell(name(part)),
            cell(number(context.numbers.count(counts[part][0]), record.id)),
            cell(number(context.numbers.group(counts[part][1]), record.id)),
            cell(number(context.numbers.value("share", counts[part][0] / counts[part][1], "share"), record.id)),
            cell(cite(record.id)),
        )
        for part in order
    ]
    title = context.label("failures.slices_title")
    return (Group(title, "failure-slices", (table(context, title, "failures-by-slice", columns, rows),)),)


def by_label(context: Context, record: Evidence, answered: Rows) -> tuple[Block, ...]:
    """Of a task with several labels a case: how often each label was missed and how often it was put by mistake."""
    classes = [str(each) for each in record.details.get("classes", ())]
    if any(BETWEEN in each for each in classes):
        return (missing(context, "missing.failures_of_task"),)
    true = [frozenset(str(row["label"]).split(BETWEEN)) for row in answered]
    said = [frozenset(str(row["predicted"]).split(BETWEEN)) for row in answered]
    keys = ("of_class", "missed", "without_class", "put_by_mistake")
    columns = columns_of(context, "class", *keys, "evidence", numbers=keys)
    rows = []
    for label in classes:
        held = [label in labels for labels in true]
        put = [label in labels for labels in said]
        carriers, others = sum(held), len(held) - sum(held)
        missed = sum(has and not was for has, was in zip(held, put, strict=True))
        mistaken = sum(was and not has for has, was in zip(held, put, strict=True))
        counts = ((carriers, missed), (others, mistaken))
        cells = [
            part
            for whole, count in counts
            for part in (
                cell(number(context.numbers.group(whole), record.id)),
                cell(number(context.numbers.count(count) if context.numbers.may_show(whole) else "–", record.id)),
            )
        ]
        rows.append((cell(name(label, record.id)), *cells, cell(cite(record.id))))
    title = context.label("failures.labels_title")
    return (Group(title, "failure-labels", (table(context, title, "failures-by-label", columns, rows),)),)


def by_size(context: Context, record: Evidence, answered: Rows) -> tuple[Block, ...]:
    """Of a regression: the cases with the largest difference, where the spec lets single cases be shown."""
    title = context.label("failures.largest_title")
    found = [row for row in answered if _is_number(row["label"]) and _is_number(row["predicted"])]
    if not found:
        return (missing(context, "missing.predictions"),)
    if not context.spec.data.show.images:
        withheld = context.count_of("failures.withheld", len(found), record.id)
        return (Group(title, "largest-errors", (Prose((withheld,)),)),)
    order = sorted(found, key=lambda row: (-abs(row["predicted"] - row["label"]), str(row["id"])))[:MOST_CASES]
    keys = ("label", "predicted_value", "difference")
    columns = columns_of(context, "case", *keys, "evidence", numbers=keys)
    rows = [
        (
            cell(name(case_name(context, str(row["id"])), record.id)),
            *(
                cell(number(context.numbers.plain(float(value)), record.id))
                for value in (row["label"], row["predicted"], row["predicted"] - row["label"])
            ),
            cell(cite(record.id)),
        )
        for row in order
    ]
    return (Group(title, "largest-errors", (table(context, title, "largest", columns, rows),)),)


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and value == value
