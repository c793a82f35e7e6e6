"""Section 10, points 5 to 7 of a query: overlap, the answer with the raw association beside it, and every other way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.report.causal_numbers import amount_text, exact_text, rows_text
from xai_audit.report.causal_phrases import label_of, settings, unit_of, value_text
from xai_audit.report.causal_sentences import answer_sentences
from xai_audit.report.causal_told import MARK, Told, causal_of
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Column, Figure, Missing, Prose, Sentence, Span, Table
from xai_audit.report.forest_chart import Line, forest_chart
from xai_audit.report.sections.causal_items import items_of, mixed
from xai_audit.report.sections.causal_kept import kept
from xai_audit.report.sections.causal_values import plain_value
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.tables import Row, cell, columns_of, table

Entry = Mapping[str, Any]


def overlap(context: Context, told: Told) -> Iterator[Block]:
    """Whether every group was seen under every setting, and who was left out."""
    found = told.details.get("overlap") or {}
    if found:
        yield Prose(tuple(_support(context, told, found)))
        cells: Sequence[Entry] = found.get("cells") or found.get("shares") or ()
        if cells:
            yield _cells(context, told, found, cells)
        if found.get("calibration"):
            yield _calibration(context, told, found["calibration"])
        yield from _rest(context, told, found)
    yield from kept(context, told, "overlap")
    yield from _excluded(context, told)


def _support(context: Context, told: Told, found: Entry) -> Iterator[Sentence]:
    write, source = context.numbers, told.source
    if found.get("empty") is not None:
        least = number(write.count(int(found.get("min_cell") or 0)), "audit.yaml")
        yield context.say(
            "causal.overlap.cells", empty=number(write.count(int(found["empty"])), source),
            thin=number(write.count(int(found.get("thin") or 0)), source), least=least, evidence=cite(source),
        )  # fmt: skip
    if found.get("effective_n") is not None:
        effective = number(write.fixed(float(found["effective_n"]), 1), source)
        yield context.say("causal.overlap.effective", effective=effective)
    if found.get("outside_support") is not None:
        share = number(write.value("share", float(found["outside_support"]), "share"), source)
        yield context.say("causal.overlap.outside", share=share)
    if found.get("effective_n_by_setting"):
        each = [(number(write.fixed(float(one), 1), source),) for one in found["effective_n_by_setting"]]
        yield context.say("causal.overlap.effective_by", values=context.listed(each))
    ends = found.get("propensity")
    if ends:
        low, high = (ends["low"], ends["high"]) if isinstance(ends, Mapping) else ends
        shown = {
            key: number(write.value("share", float(end), "share"), source)
            for key, end in (("low", low), ("high", high))
        }
        yield context.say("causal.overlap.propensity", **shown)
    if found.get("truncated") is not None:
        share = number(write.value("share", float(found["truncated"]), "share"), source)
        yield context.say("causal.overlap.truncated", value=share)
    if found.get("seen"):
        for variable, (low, high) in found["seen"].items():
            yield context.say(
                "causal.overlap.seen", name=name(label_of(context, variable), source),
                low=plain_value(context, low, source), high=plain_value(context, high, source),
            )  # fmt: skip


def _rest(context: Context, told: Told, found: Entry) -> Iterator[Block]:
    """What else is kept of the support, such as the share of a treatment that the others leave unexplained."""
    left = {key: value for key, value in found.items() if key not in _SUPPORT and value not in (None, [], {})}
    for key, value in left.items():
        words = f"causal.kept.{key}"
        label = context.label(words) if context.words.has(words) else key.replace("_", " ").capitalize()
        said = context.say("list.named", name=Span(label, told.source), value=plain_value(context, value, told.source))
        yield Prose((context.say("list.whole", text=said),), "note")


_SUPPORT = (
    "cells", "shares", "cells_in_all", "thin", "empty", "min_cell", "effective_n", "effective_n_by_setting",
    "outside_support", "propensity", "truncated", "calibration", "seen", "learners",
)  # fmt: skip


def _calibration(context: Context, told: Told, groups: Any) -> Table | Prose:
    """The chance of treatment as it was predicted and as it was seen, group by group."""
    if not isinstance(groups, list | tuple):
        value = plain_value(context, groups, told.source)
        return Prose((context.say("causal.overlap.calibration", value=value),))
    rows = [
        (*(cell(_cell_value(context, told, each.get(key))) for key in ("predicted", "seen")),
         cell(number(context.numbers.group(round(float(each.get("units") or 0))), told.source)))
        for each in groups
    ]  # fmt: skip
    columns = columns_of(
        context, "chance_predicted", "share_seen", "units", numbers=("chance_predicted", "share_seen", "units")
    )
    caption = context.label("causal.overlap.calibrated")
    return table(context, caption, f"query-{told.query.id}-calibration", columns, rows)


def _cells(context: Context, told: Told, found: Entry, cells: Sequence[Entry]) -> Table:
    names = list(dict.fromkeys(each for entry in cells for each in entry["group"]))
    least = int(found.get("min_cell") or 0)
    columns = [Column(label_of(context, each)) for each in names]
    columns += columns_of(context, "cases", "state", numbers=("cases",))
    is_law = "share" in cells[0]
    if is_law:
        columns = [Column(label_of(context, each)) for each in names]
        columns += columns_of(context, "share", "state", numbers=("share",))
    ordered = sorted(cells, key=lambda entry: float(entry["share" if is_law else "n"]))
    rows = []
    for entry in ordered:
        size = float(entry["share" if is_law else "n"])
        state = "empty" if size == 0 else "thin" if not is_law and size < least else "enough"
        mark = {"empty": "fail", "thin": "inconclusive"}.get(state, "")
        values = [entry["group"].get(each) for each in names]
        shown = [cell(name("–" if value is None else value_text(context, value), told.source)) for value in values]
        counted = exact_text(context, size) if is_law else context.numbers.group(round(size))
        rows.append(
            (*shown, cell(number(counted, told.source)), cell(context.label(f"causal.cell.{state}"), verdict=mark))
        )
    caption = context.label("causal.overlap.caption")
    return table(context, caption, f"query-{told.query.id}-cells", columns, rows, attach=True, on_page=12)


def _excluded(context: Context, told: Told) -> Iterator[Block]:
    left_out = told.details.get("excluded") or {}
    rows = rows_text(context, told.details, told.source)
    if rows:
        yield Prose((context.say("causal.overlap.rows", rows=rows, evidence=cite(told.source)),))
    if left_out:
        items = tuple(
            context.say(
                "causal.overlap.excluded", reason=(Span(str(reason), told.source),),
                count=number(context.numbers.group(int(count)), told.source),
            )
            for reason, count in sorted(left_out.items())
        )  # fmt: skip
        yield Bullets(items)


def answer(context: Context, told: Told) -> Iterator[Block]:
    """Estimate with interval, or bounds, or refusal; the raw association beside it; worlds and findings of a search."""
    said = answer_sentences(context, told)
    if told.may_show:
        yield Prose(said, "strong")
        yield from _numbers(context, told)
        yield from _identities(context, told)
    else:
        yield Missing(context.label(f"causal.state.{told.state}"), context.joined(said), MARK[told.state])
        yield from _beside_refusal(context, told)
    yield from _reversal(context, told)
    yield from _worlds(context, told)
    if not is_private(context, told):
        yield from items_of(context, told)
    yield from mixed(context, told)
    yield from kept(context, told, "answer")
    for warning in told.details.get("warnings") or ():
        yield Prose(((Span(without_ids(context, str(warning)), told.source),),), "note")


def _numbers(context: Context, told: Told) -> Iterator[Table]:
    rows = [number_row(context, told, amount) for amount in told.answered]
    raw = told.details.get("contrast_association")
    if raw is not None:
        rows.append(number_row(context, told, raw, key="association"))
    if rows:
        columns = columns_of(context, "number_name", "of_group", "value", "evidence", numbers=("value",))
        yield table(
            context, context.label("causal.numbers"), f"query-{told.query.id}-numbers", columns, rows,
            note=context.say("causal.numbers_note") if raw is not None else (),
        )  # fmt: skip


def number_row(context: Context, told: Told, amount: Entry, key: str = "") -> Row:
    """One number with what kind it is; `key` where its own name is not what it is to the query."""
    rows = rows_text(context, told.details, told.source)
    return (
        cell(amount_name(context, key or str(amount["name"]))),
        cell((name(str(amount["label"]), told.source),) if amount.get("label") else context.say("causal.every_unit")),
        cell(amount_text(context, amount, told.source, unit_of(told), rows)),
        cell(cite(told.source)),
    )


def amount_name(context: Context, named: str) -> str:
    """What kind of number it is: never an effect alone."""
    if named.startswith("path:"):
        ends = " → ".join(label_of(context, each.strip()) for each in named.removeprefix("path:").split("->"))
        return context.words.named(context.label("causal.name.path_specific"), ends)
    key = f"causal.name.{named}"
    return context.label(key) if context.words.has(key) else named.replace("_", " ")


def _identities(context: Context, told: Told) -> Iterator[Block]:
    """Sums that hold; those that do not hold are not printed."""
    found = told.own("identities") or ()
    if found:
        yield Prose(
            (
                context.say(
                    "causal.identities", said=(Span(context.words.listed(map(str, found), "semicolon"), told.source),)
                ),
            )
        )


def _beside_refusal(context: Context, told: Told) -> Iterator[Block]:
    """What can be said in place of a number: the raw contrast as what it is, and what to do next."""
    raw = told.details.get("contrast_association")
    if raw is not None and told.state != "contradicted":
        columns = columns_of(context, "number_name", "of_group", "value", "evidence", numbers=("value",))
        yield table(
            context, context.label("causal.raw_caption"), f"query-{told.query.id}-raw", columns,
            [number_row(context, told, raw, key="association")], note=context.say("causal.numbers_note"),
        )  # fmt: skip
    next_step = str(told.details.get("next_step") or "")
    if next_step:
        yield Prose((context.say("causal.next", step=(Span(without_ids(context, next_step), told.source),)),))


def _reversal(context: Context, told: Told) -> Iterator[Block]:
    """Where the raw association points the other way, it is said."""
    raw = told.details.get("contrast_association")
    if raw is None or not told.may_show or not told.answered:
        return
    first = told.answered[0]
    if first.get("estimate") is None or raw.get("estimate") is None:
        return
    if float(first["estimate"]) * float(raw["estimate"]) < 0:
        yield Prose((context.say("causal.reversal"),), "strong")


def _worlds(context: Context, told: Told) -> Iterator[Block]:
    """Rung 3: what is known of a unit, its noise, and the other world beside it."""
    unit: Entry = told.details.get("unit_facts") or {}
    if not unit:
        return
    if is_private(context, told):
        yield missing(context, "causal.withheld")
        return
    facts, other = unit.get("facts") or {}, unit.get("other_world") or unit.get("counterfactual") or {}
    noise = unit.get("noise") or unit.get("noises") or {}
    names = [each for each in dict.fromkeys([*facts, *other, *noise]) if not is_withheld(context, each)]
    if names and not other and not noise:
        known = {each: facts[each] for each in names}
        yield Prose((context.say("causal.known", facts=settings(context, known, told.source)),))
    elif names:
        rows = [
            (
                cell(name(label_of(context, each))),
                *(cell(_cell_value(context, told, part.get(each))) for part in (facts, noise, other)),
                cell(_compared(context, facts, other, each)),
            )
            for each in names
        ]
        columns = columns_of(context, "variable", "factual", "noise", "counterfactual", "state")
        yield table(
            context, context.label("causal.worlds"), f"query-{told.query.id}-worlds", columns, rows,
            note=context.say("causal.worlds_note"),
        )  # fmt: skip
    trip = [float(each) for each in (unit.get("round_trip") or {}).values() if each is not None]
    if trip:
        gap = number(context.numbers.plain(max(trip)), told.source)
        yield Prose((context.say("causal.round_trip", gap=gap),), "note")
    rest = {key: value for key, value in unit.items() if key not in _WORLDS}
    if rest:
        said = [
            context.say("list.named", name=key.replace("_", " "), value=plain_value(context, value, told.source))
            for key, value in sorted(rest.items())
        ]
        yield Prose((context.listed(said, "semicolon"),), "note")


_WORLDS = ("facts", "other_world", "counterfactual", "noise", "noises", "row", "round_trip")


def _compared(context: Context, facts: Entry, other: Entry, variable: str) -> str:
    """Whether a variable differs in the other world; not fixed where no one value is known there."""
    if variable not in other:
        return context.label("causal.not_fixed")
    return context.label("causal.same" if facts.get(variable) == other[variable] else "causal.changed")


def _cell_value(context: Context, told: Told, value: Any) -> Sentence:
    return (Span("–"),) if value is None else plain_value(context, value, told.source)


def sets_and_estimators(context: Context, told: Told) -> Iterator[Block]:
    """Every valid set and every estimator in one forest plot, the raw contrast apart."""
    lines = _lines(context, told)
    if len(lines) < 2 or not told.may_show:
        return
    rows = [
        (
            cell(name(line.by, told.source)),
            cell(amount_text(context, line.amount, told.source, unit_of(told))),
            cell(context.label(f"causal.line.{_kind(line)}")),
        )
        for line in lines
    ]  # fmt: skip
    columns = columns_of(context, "way", "value", "meaning", numbers=("value",))
    data = table(context, context.label("causal.forest"), f"query-{told.query.id}-ways", columns, rows)
    image = forest_chart(context, f"query-{told.query.id}-forest", lines, context.label(f"causal.axis.{_axis(told)}"))
    said = context.say("causal.forest_caption", evidence=cite(told.source))
    yield Figure(context.label("causal.forest"), (said,), image, data, anchor=f"query-{told.query.id}-forest-figure")
    yield data
    if told.own("disagreement"):
        disagreement = plain_value(context, told.own("disagreement"), told.source)
        yield Prose((context.say("causal.disagreement", said=disagreement),))


def _kind(line: Line) -> str:
    return "raw" if line.is_raw else "used" if line.is_used else "other"


def _axis(told: Told) -> str:
    return "probability" if unit_of(told) == "probability" else "value"


def _lines(context: Context, told: Told) -> list[Line]:
    used = told.answered[0] if told.answered else None
    lines = [] if used is None else [Line(context.label("causal.line.answer"), used, is_used=True)]
    for entry in told.details.get("alternatives") or ():
        lines.append(Line(_way(context, str(entry["by"])), entry))
    raw = told.details.get("contrast_association")
    if raw is not None and lines:
        lines.append(Line(context.label("causal.name.association"), raw, is_raw=True))
    return [line for line in lines if line.amount.get("low") is not None and line.amount.get("high") is not None]


def _way(context: Context, by: str) -> str:
    """A set in braces by the labels of its variables; an estimator as it is named."""
    start, _, rest = by.partition("{")
    inside, close, after = rest.partition("}")
    if not close:
        return by.replace("_", " ")
    named = context.words.listed(label_of(context, each.strip()) for each in inside.split(",") if each.strip())
    return f"{start}{{{named}}}{after}"


def is_private(context: Context, told: Told) -> bool:
    """Whether the query is about one case of the data, which the spec does not allow to be shown."""
    given = told.query.given
    return isinstance(given, dict) and "row" in given and not context.spec.data.show.images


def is_withheld(context: Context, variable: str) -> bool:
    """Whether a variable is a column whose values never appear."""
    one = causal_of(context).variables.get(variable)
    return getattr(one.source, "column", None) in context.spec.data.show.withhold if one is not None else False
