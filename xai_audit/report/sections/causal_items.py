"""Section 10: what a search found, unit by unit, with its failures; and the parts of a query on world and model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.causal_items import changes_text, cost_text, moved_text, reached_text
from xai_audit.report.causal_phrases import label_of, settings
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Missing, Prose, Sentence, Span
from xai_audit.report.sections.causal_values import plain_value
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]
MARKS = {"verified": "", "not_verified": "fail", "unverified": "inconclusive", "nothing": "not_run"}


def items_of(context: Context, told: Told) -> Iterator[Block]:
    """Changes of a unit, cheapest first; or of many pictures, one line a unit, the failures too."""
    items: Sequence[Entry] = told.details.get("items") or ()
    if not items:
        return
    if "found" in items[0]:
        yield from _by_case(context, told, items)
    else:
        yield from _of_unit(context, told, items)


def _of_unit(context: Context, told: Told, items: Sequence[Entry]) -> Iterator[Block]:
    keys = ("place", "changes", "cost", "reached", "moves_too", "verified")
    columns = columns_of(context, *keys, numbers=("place", "cost", "reached"))
    rows: list[Row] = [
        (
            cell(number(context.numbers.count(place), told.source)),
            cell(changes_text(context, told, item)),
            cell(cost_text(context, told, item)),
            cell(reached_text(context, told, item)),
            cell(moved_text(context, told, item)),
            _word(context, item.get("verified")),
        )
        for place, item in enumerate(items, start=1)
    ]
    yield table(
        context, context.label("causal.items"), f"query-{told.query.id}-items", columns, rows,
        note=context.say("causal.items_note", evidence=cite(told.source)), attach=True, on_page=12,
    )  # fmt: skip


def _word(context: Context, verified: Any) -> Any:
    key = "unverified" if verified is None else "verified" if verified else "not_verified"
    return cell(context.label(f"causal.item.{key}"), verdict=MARKS[key])


def _by_case(context: Context, told: Told, items: Sequence[Entry]) -> Iterator[Block]:
    """One line a change; a unit without any keeps its line."""
    if not context.spec.data.show.images:
        yield Missing(context.label("missing.word"), context.say("causal.items_withheld"))
        return
    keys = ("case", "changes", "cost", "start", "reached", "verified", "tried", "attack", "patchwork")
    columns = columns_of(context, *keys, numbers=("cost", "start", "reached", "tried"))
    rows = [row for item in items for row in _case_rows(context, told, item)]
    yield table(
        context, context.label("causal.items_by_case"), f"query-{told.query.id}-items", columns, rows,
        note=context.say("causal.items_by_case_note", evidence=cite(told.source)), attach=True, on_page=12,
    )  # fmt: skip


def _case_rows(context: Context, told: Told, item: Entry) -> Iterator[Row]:
    case = cell(name(case_name(context, str(item["case"])), told.source))
    tried = cell(number(context.numbers.count(int(item.get("tried") or 0)), told.source))
    start = cell(_value(context, told, item.get("start")))
    rest = (tried, cell(_other(context, told, item.get("attack"))), cell(_other(context, told, item.get("patchwork"))))
    found: Sequence[Entry] = item.get("found") or ()
    if not found:
        key = "cut" if item.get("is_cut") else "nothing"
        word = cell(context.label(f"causal.item.{key}"), verdict="not_run")
        yield case, cell(context.say("causal.none")), cell("–"), start, cell("–"), word, *rest
    for each in found:
        change = settings(context, each.get("setting") or {}, told.source) or context.say("causal.none")
        cost, reached = (cell(_value(context, told, each.get(key))) for key in ("cost", "value"))
        yield case, cell(change), cost, start, reached, _word(context, each.get("verified")), *rest


def _value(context: Context, told: Told, value: Any) -> Sentence:
    if value is None:
        return (Span("–"),)
    return (number(context.numbers.plain(float(value)), told.source),)


def _other(context: Context, told: Told, found: Entry | None) -> Sentence:
    """Whether another change of the same size reaches the goal too."""
    if not found:
        return (Span("–"),)
    key = "reaches" if found.get("reaches") else "reaches_not"
    return context.say(f"causal.item.{key}", value=_value(context, told, found.get("value")))


def mixed(context: Context, told: Told) -> Iterator[Block]:
    """What was held, which ways to the image were covered, and whether two ways to the total agree."""
    found: Entry | None = told.own("mixed")
    if not found:
        return
    held = [(name(label_of(context, str(each))),) for each in found.get("held") or ()]
    covered = [(name(_way(context, str(each))),) for each in found.get("covered") or ()]
    said = [
        context.say("causal.mixed.held", names=context.listed(held) or context.say("causal.none")),
        context.say("causal.mixed.covered", ways=context.listed(covered, "semicolon") or context.say("causal.none")),
    ]
    yield Prose((*said, context.say("causal.mixed.apart")))
    missing_ways: Sequence[Entry] = found.get("missing") or ()
    if missing_ways:
        yield Bullets(
            tuple(
                context.say(
                    "causal.mixed.missing", way=name(_way(context, str(each["path"]))),
                    reason=Span(str(each.get("reason", "–")).rstrip("."), told.source),
                )
                for each in missing_ways
            )
        )  # fmt: skip
    both = found.get("total_by")
    if both:
        key = "disagree" if found.get("disagree") else "agree"
        shown = plain_value(context, both, told.source)
        yield Prose((context.say(f"causal.mixed.{key}", both=shown),), "strong" if key == "disagree" else "plain")


def _way(context: Context, path: str) -> str:
    return " → ".join(label_of(context, each.strip()) for each in path.removeprefix("path:").split("->"))
