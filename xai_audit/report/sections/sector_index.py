"""The index of a sector's annex: each part that its reviewers look for, where it stands, and what stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xai_audit.evidence.records import StepKind
from xai_audit.report.context import SPEC, Context
from xai_audit.report.document import Block, Bullets, Cell, Facts, Sentence, Span, Table
from xai_audit.report.sections.missing import missing
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.spec.base import Text

SECTIONS = (
    "cover", "summary", "use", "criteria", "model", "data", "performance", "robustness", "explanations", "causal",
    "failures", "requirements", "statements", "monitoring", "findings", "sign_off", "annex",
)  # fmt: skip
"""Keys of the sections in the order of their numbers, which never move."""


@dataclass(frozen=True)
class Entry:
    """A part that a trade looks for."""

    key: str
    """Of its text."""
    sections: tuple[str, ...]
    """Keys of the sections where it stands."""
    kinds: tuple[StepKind, ...] = ()
    """Kinds of step that speak to it."""
    stated: object = None
    """What the owner says of it; None or empty where nothing."""
    is_shown: bool = False
    """Whether the run itself always shows it."""


def index(context: Context, caption: str, entries: Sequence[Entry]) -> Table:
    """The index in the trade's order, with a link to each section."""
    columns = columns_of(context, "looked_for", "stands_in", "stands_there")
    rows: list[Row] = [
        (cell(context.label(entry.key)), cell(_links(context, entry)), _there(context, entry)) for entry in entries
    ]
    anchor = caption.replace(".", "-").replace("_", "-")
    note = context.say("sector.index_note")
    return table(context, context.label(caption), anchor, columns, rows, note=note)


def place_of(section: str) -> int:
    """The number of a section."""
    return SECTIONS.index(section) + 1


def link(context: Context, section: str) -> Span:
    """A section by number and title, as a link."""
    place = place_of(section)
    title = context.label(f"section.{section}.title")
    text = context.label("sector.section").format(number=context.numbers.count(place), title=title)
    return Span(text, SPEC, f"#section-{place}")


def _links(context: Context, entry: Entry) -> Sentence:
    return context.listed([link(context, section) for section in entry.sections], "semicolon")


def _there(context: Context, entry: Entry) -> Cell:
    """Steps with and without an answer, and whether the owner states something; loud where there is nothing."""
    records = context.of_kind(*entry.kinds) if entry.kinds else ()
    measured = [record for record in records if record.status == "measured"]
    broken = [record for record in records if record.status != "measured"]
    parts: list[Sentence] = []
    if measured:
        parts.append(context.count_of("sector.measured", len(measured), measured[0].id))
    if broken:
        parts.append(context.count_of("sector.broken", len(broken), broken[0].id))
    if entry.stated:
        parts.append(context.say("sector.stated"))
    if entry.is_shown:
        parts.append(context.say("sector.shown"))
    if not parts:
        return cell(context.say("sector.nothing"), verdict="not_run")
    return cell(context.listed(parts), verdict="error" if broken and not measured else "")


def stated_facts(
    context: Context, rows: Sequence[tuple[str, Text | Sentence | None]], caption: str = "sector.facts"
) -> Facts:
    """What the owner states, row by row; a row without a word says so."""
    return Facts(tuple((context.label(key), _stated(context, text)) for key, text in rows), context.label(caption))


def _stated(context: Context, text: Text | Sentence | None) -> Sentence:
    if text is None or text == ():
        return context.say("sector.not_stated")
    return text if isinstance(text, tuple) else context.owner(text)


def words_or_missing(context: Context, words: Sequence[Sentence], key: str) -> tuple[Block, ...]:
    """A list of people's words, or that there are none."""
    return (Bullets(tuple(words)),) if words else (missing(context, key),)
