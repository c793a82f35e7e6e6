"""Section 9 of a table: each explained row with what every method says of its features, as bars and as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xai_audit.report.bar_charts import Bars, row_label
from xai_audit.report.context import SPEC, Context, cite, name, number
from xai_audit.report.contribution_chart import contributions_chart
from xai_audit.report.document import (
    Block,
    CaseStrip,
    Gallery,
    Picture,
    Prose,
    Sentence,
    Span,
    Table,
)
from xai_audit.report.rows import Contributions, ExplainedRows, each_contribution, player_value
from xai_audit.report.sections.captions import case_caption, explained_class
from xai_audit.report.sections.fits import fit_mark, fit_remark, settings_beside
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.report.trusted import VERDICT, below, stamp_of, states

MOST_BARS = 10
"""Features of a case that are drawn; the rest is one bar, and the table has all."""
MOST_CASES = 4
"""Cases of a rule that are drawn; the attachment has all."""
MOST_METHODS = 4
"""Methods side by side in one picture."""


def row_cases(context: Context, rows: ExplainedRows) -> tuple[Block, ...]:
    """One gallery a rule, or that single rows are withheld."""
    found = list(each_contribution(context, rows))
    if not context.spec.data.show.images:
        said = context.count_of("rows.withheld", len(rows.cases), rows.record.id)
        return (Prose((said, (cite(rows.record.id),)), "strong"),)
    if not found or not rows.cases:
        return ()
    beside = tuple(
        context.say("rows.settings", method=Span(context.method_name(each.label), SPEC), settings=settings)
        for each in found
        if (settings := settings_beside(context, each.record))
    )
    read = Prose((context.say("rows.read"), context.say("rows.sum"), *beside), "note")
    return (read, *(_gallery(context, rows, found, rule) for rule in rows.record.details["rules"]))


def _gallery(context: Context, rows: ExplainedRows, found: Sequence[Contributions], rule: str) -> Gallery:
    cases = [case for case in rows.cases if case["rule"] == rule]
    shown = cases[:MOST_CASES]
    source = rows.record.id
    shown_count, chosen, of = (
        number(context.numbers.count(count), source) for count in (len(shown), len(cases), rows.record.details["from"])
    )
    said = (
        context.say("gallery.rule", rule=Span(rows.record.details["rules"][rule], source)),
        context.say("gallery.from", shown=shown_count, chosen=chosen, cases=of, evidence=cite(source)),
    )
    strips = tuple(_strip(context, rows, found, case) for case in shown)
    data = _data(context, rows, found, rule, cases)
    title = context.label(f"gallery.title.{rule}")
    return Gallery(title, said, strips, data, anchor=f"gallery-{rule}", layout="rows")


def _strip(context: Context, rows: ExplainedRows, found: Sequence[Contributions], case: dict[str, Any]) -> CaseStrip:
    here = [each for each in found if str(case["id"]) in each.places]
    parts = [here[start : start + MOST_METHODS] for start in range(0, len(here), MOST_METHODS)]
    pictures = tuple(_picture(context, rows, part, case, place) for place, part in enumerate(parts))
    caption = context.joined(
        [case_caption(context, case, rows.record.id), *explained_class(context, here, str(case["id"]))]
    )
    return CaseStrip(caption, pictures)


def _picture(
    context: Context, rows: ExplainedRows, found: Sequence[Contributions], case: dict[str, Any], part: int
) -> Picture:
    """Bars of some methods over the same features, those of the first method's largest values first."""
    identifier, first = str(case["id"]), found[0]
    order = _order(first, identifier)
    drawn = [player for player in order if player >= 0]
    labels = [_bar_label(context, rows, first, identifier, player) for player in drawn]
    rest = len(first.members) - len(drawn)
    if rest:
        labels.append(context.label("rows.rest").format(count=context.numbers.count(rest)))
    panels = [_bars(context, each, identifier, first, drawn, case) for each in found]
    image = contributions_chart(context, f"row-{rows.places[identifier]}-{part}", labels, panels,
                                _alt(context, rows, found, identifier, case))  # fmt: skip
    return Picture("", image, *_below(context, found, identifier, case))


def _order(found: Contributions, case: str) -> list[int]:
    """Players by the size of their contribution, largest first; as many as there is room for."""
    values = np.abs(found.values[found.places[case]])
    order: list[int] = np.argsort(-values, kind="stable").tolist()
    return order if len(order) <= MOST_BARS + 1 else order[:MOST_BARS]


def _bar_label(context: Context, rows: ExplainedRows, found: Contributions, case: str, player: int) -> str:
    number_of = rows.features[found.members[player][0]].number
    title, value = found.name(rows.features, player), player_value(context, rows, found, case, player)
    return row_label(title, value, number_of)


def _bars(
    context: Context, each: Contributions, case: str, first: Contributions, drawn: Sequence[int], entry: dict[str, Any]
) -> Bars:
    """The same features of another method, found by what its players hold; the rest as one bar."""
    row = each.places[case]
    by_feature = {place: player for player, places in enumerate(each.members) for place in places}
    players = [by_feature[first.members[player][0]] for player in drawn]
    values = [float(each.values[row, player]) for player in players]
    rest = [player for player in range(len(each.members)) if player not in players]
    has_rest = len(drawn) < len(first.members)
    if has_rest:
        values.append(float(each.values[row, rest].sum()))
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    if each.errors is not None:
        errors = [float(np.nan_to_num(each.errors[row, player])) for player in players] + ([0.0] if has_rest else [])
        low = tuple(value - error for value, error in zip(values, errors, strict=True))
        high = tuple(value + error for value, error in zip(values, errors, strict=True))
    stamp = stamp_of(context, states(context).over(each.label, entry["slices"]))
    return Bars(context.method_name(each.label), tuple(values), low, high, stamp)


def _below(
    context: Context, found: Sequence[Contributions], case: str, entry: dict[str, Any]
) -> tuple[Sentence, Sentence, str, Sentence]:
    """Remark, fit and state of each method, as they stand below the picture, each state with its own mark."""
    remarks, marks, told = [], [], []
    for each in found:
        method, row = Span(context.method_name(each.label), SPEC), each.places[case]
        if remark := fit_remark(context, each.extras, row):
            remarks.append(context.say("rows.of_method", method=method, said=remark))
        if mark := fit_mark(context, each.extras, row, each.record.id):
            marks.append(context.say("rows.of_method", method=method, said=mark))
        state = states(context).over(each.label, entry["slices"])
        why = below(context, state, states(context).worst(each.label, entry["slices"]))
        said = context.say("rows.of_method", method=method, said=why)
        told.append((Span(context.label(f"mark.{VERDICT[state]}")), Span("\u00a0"), *said))
    return context.joined(remarks), context.listed(marks, "semicolon"), "", context.listed(told, "semicolon")


def _alt(
    context: Context, rows: ExplainedRows, found: Sequence[Contributions], case: str, entry: dict[str, Any]
) -> str:
    """For every method its three largest contributions; a failed one is said first."""
    told = []
    for each in found:
        row = each.places[case]
        order = np.argsort(-np.abs(each.values[row]), kind="stable")[:3]
        strongest = [
            context.label("alt.contribution").format(
                feature=each.name(rows.features, player),
                value=player_value(context, rows, each, case, player),
                contribution=context.numbers.plain(float(each.values[row, player]), 2),
            )
            for player in order.tolist()
        ]
        text = context.label("alt.row").format(
            method=context.method_name(each.label),
            count=context.numbers.count(len(each.members)),
            strongest=context.words.listed(strongest, "semicolon"),
        )
        state = states(context).over(each.label, entry["slices"])
        told.append(context.label(f"trust.alt.{state}").format(alt=text) if state in ("failed", "weak") else text)
    return context.words.joined(told)


def _data(
    context: Context, rows: ExplainedRows, found: Sequence[Contributions], rule: str, cases: Sequence[dict[str, Any]]
) -> Table:
    """Every contribution of every case of a rule, largest first."""
    columns = columns_of(
        context, "case", "method", "feature", "value", "contribution", "standard_error", "state", "evidence",
        numbers=("contribution", "standard_error"),
    )  # fmt: skip
    lines = [line for case in cases for each in found for line in _lines(context, rows, each, case)]
    return table(context, context.label(f"gallery.title.{rule}"), f"cases-{rule}", columns, lines, attach=True)


def _lines(context: Context, rows: ExplainedRows, each: Contributions, case: dict[str, Any]) -> Iterator[Row]:
    identifier = str(case["id"])
    if identifier not in each.places:
        return
    row, write = each.places[identifier], context.numbers
    state = states(context).over(each.label, case["slices"])
    for player in np.argsort(-np.abs(each.values[row]), kind="stable").tolist():
        error = None if each.errors is None else float(np.nan_to_num(each.errors[row, player]))
        yield (
            cell(name(case_name(context, identifier), rows.record.id)),
            cell(Span(context.method_name(each.label), SPEC)),
            cell(name(each.name(rows.features, player))),
            cell(Span(player_value(context, rows, each, identifier, player), rows.record.id)),
            cell(number(write.plain(float(each.values[row, player])), each.record.id)),
            cell("–" if error is None else number(write.plain(error, 2), each.record.id)),
            cell(context.label(f"trust.state.{state}"), verdict=VERDICT[state]),
            cell(cite(each.record.id)),
        )
