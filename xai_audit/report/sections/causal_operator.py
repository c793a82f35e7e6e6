"""Section 10, point 10 of a query: what the operator really did to the pictures, and what they looked like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xai_audit.report.causal_numbers import amount_text, exact_text
from xai_audit.report.causal_phrases import label_of, unit_of
from xai_audit.report.causal_told import Told
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, CaseStrip, Gallery, Image, Missing, Picture, Prose, Sentence, Span
from xai_audit.report.pictures import input_alt, input_picture, jpeg, place_of_largest
from xai_audit.report.sections.causal_answer import amount_name
from xai_audit.report.sections.causal_contract import contract
from xai_audit.report.sections.causal_values import plain_value
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import cell, columns_of, table

Entry = Mapping[str, Any]
SIDE = 224


def operator(context: Context, told: Told) -> Iterator[Block]:
    """Grade, effectiveness, modularity, placebo, off-manifold, answers by slice, pictures before and after."""
    found: Entry = told.own("operator") or {}
    if found:
        yield from _evidence(context, told, found)
        yield from _modularity(context, told, found.get("modularity") or ())
        yield from _by_slice(context, told, found.get("by_slice") or ())
    yield from _pictures(context, told)


def _evidence(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    grade = str(found.get("grade") or "B")
    yield Prose((context.say(f"causal.grade.{grade}", name=name(str(found.get("name", "–")), told.source)),))
    if found.get("setting_only"):
        yield Prose((context.say("causal.setting_only"),), "strong")
    yield contract(context, told, found)


def _modularity(context: Context, told: Told, moved: Sequence[Entry]) -> Iterator[Block]:
    """Every variable that was measured again, and what moved though it should not."""
    if not moved:
        return
    rows = []
    for entry in moved:
        is_good = bool(entry.get("ok"))
        rows.append((
            cell(name(label_of(context, str(entry["variable"])), told.source)),
            cell(_number(context, entry.get("moved"), told.source)),
            cell(_number(context, entry.get("tolerance"), told.source)),
            cell(context.label(f"causal.moved.{'no' if is_good else 'yes'}"), verdict="" if is_good else "fail"),
        ))  # fmt: skip
    columns = columns_of(context, "variable", "moved", "tolerance", "state", numbers=("moved", "tolerance"))
    yield table(context, context.label("causal.contract.modularity"), f"query-{told.query.id}-modular", columns, rows)


def _number(context: Context, value: Any, source: str) -> Sentence:
    if value is None:
        return (Span("–"),)
    if not isinstance(value, int | float):
        return plain_value(context, value, source)
    return (number(exact_text(context, float(f"{value:.3g}")), source),)


def _by_slice(context: Context, told: Told, amounts: Sequence[Entry]) -> Iterator[Block]:
    """The answer slice by slice; the same change may move the model elsewhere and not here."""
    if not amounts or not told.may_show:
        return
    rows = [
        (
            cell(name(str(entry.get("slice") or entry.get("label") or "all"))),
            cell(amount_name(context, str(entry.get("name", "total")))),
            cell(_slice_amount(context, told, entry)),
        )
        for entry in amounts
    ]
    columns = columns_of(context, "slice", "number_name", "value", numbers=("value",))
    yield table(context, context.label("causal.by_slice"), f"query-{told.query.id}-slices", columns, rows, attach=True,
                on_page=20)  # fmt: skip


def _slice_amount(context: Context, told: Told, entry: Entry) -> Sentence:
    """A slice's number, or why it has none."""
    if entry.get("estimate") is None and entry.get("bounds") is None:
        return (Span(str(entry.get("reason") or "–"), told.source),)
    return amount_text(context, entry, told.source, unit_of(told))


def _pictures(context: Context, told: Told) -> Iterator[Block]:
    """Units by a printed rule, before and after."""
    shown: Sequence[Entry] = told.details.get("shown") or told.own("shown") or ()
    if not shown or told.record is None:
        return
    if not context.spec.data.show.images:
        yield Missing(context.label("missing.word"), context.say("causal.pictures_withheld"))
        return
    arrays = context.run.arrays(told.record.id)
    before, after = arrays.get("pictures:before"), arrays.get("pictures:after")
    if before is None or after is None:
        return
    strips = tuple(
        _strip(context, told, at, entry, np.asarray(before)[at], np.asarray(after)[at])
        for at, entry in enumerate(shown)
        if at < len(before)
    )
    rules = context.words.listed(
        dict.fromkeys(context.label(f"causal.rule.{entry.get('rule', 'random')}") for entry in shown)
    )
    data = table(
        context, context.label("causal.pictures"), f"query-{told.query.id}-shown",
        columns_of(context, "case", "rule", "before", "after", numbers=("before", "after")),
        [_shown_row(context, told, entry) for entry in shown],
    )  # fmt: skip
    rule = context.say("causal.pictures_rule", rules=rules, evidence=cite(told.source))
    yield Gallery(context.label("causal.pictures"), (rule,), strips, data, anchor=f"query-{told.query.id}-pictures")


def _shown_row(context: Context, told: Told, entry: Entry) -> Any:
    return (
        cell(name(case_name(context, str(entry["case"])), told.source)),
        cell(context.label(f"causal.rule.{entry.get('rule', 'random')}")),
        cell(_number(context, entry.get("before"), told.source)),
        cell(_number(context, entry.get("after"), told.source)),
    )


def _strip(context: Context, told: Told, at: int, entry: Entry, before: Any, after: Any) -> CaseStrip:
    first, second = (np.asarray(each, np.uint8) for each in (before, after))
    stem = f"query-{told.query.id}-{at}"
    changed = float((first.astype(int) != second.astype(int)).any(axis=-1).mean())
    alt = context.label("causal.alt.after").format(
        before=input_alt(context, second), share=context.numbers.value("area", changed, "share")
    )
    pictures = (
        _picture(context, f"{stem}-before", "before", first, input_alt(context, first)),
        _picture(context, f"{stem}-after", "after", second, alt),
        _change(context, stem, first, second),
    )
    caption = context.say(
        "causal.picture_caption", case=name(case_name(context, str(entry["case"])), told.source),
        rule=context.label(f"causal.rule.{entry.get('rule', 'random')}"),
        before=_number(context, entry.get("before"), told.source),
        after=_number(context, entry.get("after"), told.source),
    )  # fmt: skip
    return CaseStrip(caption, pictures)


def _change(context: Context, stem: str, before: Any, after: Any) -> Picture:
    """How much each pixel changed, dark where it did."""
    moved = np.abs(before.astype(float) - after.astype(float)).mean(axis=-1)
    share = context.numbers.value("area", float((moved > 0).mean()), "share")
    shade = (255 * (1 - moved / max(float(moved.max()), 1.0))).round().astype(np.uint8)
    alt = context.label("causal.alt.change").format(share=share, place=place_of_largest(context, moved))
    return _picture(context, f"{stem}-change", "change", shade[..., None], alt)


def _picture(context: Context, stem: str, key: str, image: Any, alt: str) -> Picture:
    drawn = jpeg(input_picture(image), SIDE)
    return Picture(context.label(f"causal.picture.{key}"), Image(stem, "image/jpeg", drawn, alt))
