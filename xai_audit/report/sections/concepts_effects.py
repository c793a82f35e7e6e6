"""Section 9: what the score of each class loses when the units of a concept are silenced, beside random units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.concept_charts import Spread, spreads_chart
from xai_audit.report.concept_sentences import loss_text
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Cell, Figure, Group, Prose, Sentence, Span, Table
from xai_audit.report.inside import numbered, on_slice, warned
from xai_audit.report.sections.concepts_dissection import concept_cell
from xai_audit.report.sections.privacy import without_ids
from xai_audit.report.tables import Row, cell, columns_of, table

MEASURE = "concept_effect"
MOST_DRAWN = 22
"""Concepts and classes in the figure; the table has all."""


def concept_effects(context: Context, record: Evidence) -> Group:
    """What silencing shows and what it does not, the figure, and the table of every concept and class."""
    title = context.label("effects.title")
    return Group(title, f"effects-{record.subject}", tuple(_blocks(context, record)))


def _blocks(context: Context, record: Evidence) -> Iterator[Block]:
    effects = ordered(context, record)
    if not effects:
        yield Prose((context.say("effects.none", evidence=cite(record.id)),))
        return
    yield Prose(tuple(_meaning(context, record)))
    yield Prose((context.say("effects.inside"), context.say("effects.not_world")), "strong")
    data = _table(context, record, effects)
    yield from _figure(context, record, effects, data)
    yield data
    if said := tuple(warned(context, record)):
        yield Prose(said, "note")


def _meaning(context: Context, record: Evidence) -> Iterator[Sentence]:
    used, source = record.details["parameters"], record.id
    to = "zero" if str(used["silenced_to"]) == "0" else "mean"
    yield context.say(f"effects.meaning.{to}", slice=on_slice(context, record), evidence=cite(source))
    yield _controls(context, record)
    yield context.say("effects.leans")


def _controls(context: Context, record: Evidence) -> Sentence:
    """How many sets of random units stand beside a concept's; a layer may have fewer than were asked for, or none."""
    draws = [int(entry["control"]["draws"]) for entry in record.details["effects"] if entry["control"] is not None]
    if not draws:
        return context.say("effects.controls.none")
    fewest, most = (number(context.numbers.count(end), record.id) for end in (min(draws), max(draws)))
    key = "same" if min(draws) == max(draws) else "between"
    return context.say(f"effects.controls.{key}", fewest=fewest, most=most)


def state_of(context: Context, entry: Mapping[str, Any]) -> str:
    """What the loss says: leans, cannot be told, too few cases, or no more than chance."""
    if not context.numbers.may_show(int(entry["cases"])):
        return "few"
    if entry["leans"] is None:
        return "untold"
    return "leans" if entry["leans"] else "not"


def ordered(context: Context, record: Evidence) -> list[Mapping[str, Any]]:
    """Spurious concepts that a class leans on first, then what leans most."""
    rank = ("leans", "untold", "not", "few")

    def place(entry: Mapping[str, Any]) -> tuple[int, bool, float]:
        state = rank.index(state_of(context, entry))
        return state, not entry["spurious"], -float(entry["drop"]["estimate"] or 0.0)

    return sorted(record.details["effects"], key=place)


def named(context: Context, entry: Mapping[str, Any]) -> str:
    """A concept and a class in one line."""
    return context.label("concepts.pair").format(concept=entry["concept"], class_=entry["class"])


def _figure(context: Context, record: Evidence, effects: Sequence[Mapping[str, Any]], data: Table) -> Iterator[Figure]:
    drawn = [each for each in effects if state_of(context, each) != "few" and each["drop"]["estimate"] is not None]
    if not drawn:
        return
    rows = [_spread(context, each) for each in drawn[:MOST_DRAWN]]
    axis = context.label("figure.loss")
    image = spreads_chart(context, f"effects-{record.subject}", rows, 0.0, axis, _alt(context, drawn))
    caption = [context.say("effects.figure", evidence=cite(record.id))]
    if len(drawn) > MOST_DRAWN:
        write = context.numbers.count
        caption.append(context.say("concepts.some_rows", shown=number(write(MOST_DRAWN), record.id),
                                   all=number(write(len(drawn)), record.id)))  # fmt: skip
    title = context.label("effects.figure_title")
    yield Figure(title, tuple(caption), image, data, anchor=f"effects-figure-{record.subject}")


def _spread(context: Context, entry: Mapping[str, Any]) -> Spread:
    drop, control = entry["drop"], entry["control"]
    text = named(context, entry)
    beside = None
    if control is not None:
        middle = float(control["estimate"])
        low, high = (middle if control.get(end) is None else float(control[end]) for end in ("low", "high"))
        beside = (middle, low, high)
    if entry["spurious"]:
        text = context.label("concepts.marked").format(text=text)
    return Spread(text, float(drop["estimate"]), drop.get("low"), drop.get("high"), beside, bool(entry["leans"]))


def _alt(context: Context, drawn: Sequence[Mapping[str, Any]]) -> str:
    most = max(drawn, key=lambda entry: float(entry["drop"]["estimate"]))
    least = min(drawn, key=lambda entry: float(entry["drop"]["estimate"]))
    write = context.numbers
    return context.words.plural("alt.effects", len(drawn)).format(
        count=write.count(len(drawn)), leaning=write.count(sum(bool(entry["leans"]) for entry in drawn)),
        most=named(context, most), high=write.value(MEASURE, float(most["drop"]["estimate"]), "value"),
        least=named(context, least), low=write.value(MEASURE, float(least["drop"]["estimate"]), "value"),
    )  # fmt: skip


def _table(context: Context, record: Evidence, effects: Sequence[Mapping[str, Any]]) -> Table:
    keys = ("concept", "class", "units_of", "cases", "lead", "loss", "loss_random", "verdict", "evidence")
    columns = columns_of(context, *keys, numbers=("cases", "lead", "loss", "loss_random"))
    rows = [_row(context, record, entry) for entry in effects]
    note, caption = context.say("effects.note"), context.label("effects.caption")
    return table(context, caption, f"effects-table-{record.subject}", columns, rows, note=note, attach=True)


def _row(context: Context, record: Evidence, entry: Mapping[str, Any]) -> Row:
    source, state, write = record.id, state_of(context, entry), context.numbers
    margin = entry.get("margin")
    found: tuple[Cell, ...] = tuple(
        cell("–") if state == "few" else cell(number(loss_text(context, entry[part]), source))
        for part in ("drop", "control")
    )
    return (
        concept_cell(context, entry, "concept"),
        cell(name(str(entry["class"]))),
        cell(numbered(context, sorted(entry["units"]), source)),
        cell(number(write.group(int(entry["cases"])), source)),
        cell("–") if state == "few" or margin is None else cell(number(write.plain(float(margin)), source)),
        *found,
        _word(context, entry, state, source),
        cell(cite(source)),
    )


def _word(context: Context, entry: Mapping[str, Any], state: str, source: str) -> Cell:
    """Leaning on what ought not to matter is the alarm; leaning on anything else is news, not a fault."""
    if state == "leans":
        key = "spurious" if entry["spurious"] else "leans"
        return cell(context.label(f"effects.state.{key}"), verdict="fail" if entry["spurious"] else "observation")
    verdict = {"untold": "inconclusive", "few": "inconclusive"}.get(state, "")
    reason = str(entry.get("reason") or "").strip()
    if state == "untold" and reason:
        said = context.say("effects.untold", reason=Span(without_ids(context, reason), source))
        return cell(said, verdict=verdict)
    return cell(context.label(f"effects.state.{state}"), verdict=verdict)
