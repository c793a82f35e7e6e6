"""One report for three readers: a view leaves parts out and never computes or rounds anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from xai_audit.report.catalogue import Catalogue, load_catalogue
from xai_audit.report.context import fill, number
from xai_audit.report.document import Block, Entry, Glossary, Group, Hidden, Question, Report, Section, Span, Table
from xai_audit.report.numbers import Numbers
from xai_audit.report.tables import csv_of
from xai_audit.report.terms import spelt_out, words_of
from xai_audit.report.walk import anchors_of, instances, mapped
from xai_audit.spec.schema import Audience

AUDIENCES: tuple[Audience, ...] = get_args(Audience)
"""Who reads a report, the shortest view first; engineer shows everything."""
WHOLE: Audience = "engineer"
DECISION = frozenset({"cover", "summary", "use", "criteria", "findings", "sign_off"})
"""Sections of the decision view; of the annex it keeps the glossary."""
NEVER_SHORTENED = frozenset({"cover", "summary", "criteria", "requirements", "statements", "findings", "sign_off"})
"""Sections that a reviewer answers for: their tables stay whole."""
LONG_TABLE = 20
"""Most rows of a table in the reviewer's view: about half a page."""


def view(report: Report, audience: Audience) -> Report:
    """What one reader sees of the whole report; RenderError for a text that the language does not have.

    Sections and long tables are left out, links to them become plain text, and the contents name them all the same.
    """
    if audience == WHOLE:
        return report
    words = load_catalogue(report.language)
    kept = tuple(part for part in (_seen(words, section, audience) for section in report.sections) if part)
    kept = _only_words_in_use(kept) if audience == "decision" else kept
    anchors = anchors_of(kept)
    shown = {section.anchor for section in kept}
    return replace(
        report,
        sections=spelt_out(_unlinked(kept, anchors), words),
        contents=tuple(_entry(entry, shown) for entry in report.contents),
        audience=audience,
        view=words.text(f"view.{audience}"),
    )


def _entry(entry: Entry, shown: set[str]) -> Entry:
    return entry if entry.anchor in shown else replace(entry, anchor="")


def _seen(words: Catalogue, section: Section, audience: Audience) -> Section | None:
    if audience == "reviewer":
        is_whole = section.key in NEVER_SHORTENED
        return section if is_whole else replace(section, blocks=_shortened(words, section.blocks))
    if section.key == "annex":
        return replace(section, blocks=tuple(_glossary_alone(section.blocks)))
    return section if section.key in DECISION else None


def _shortened(words: Catalogue, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks with every long table left out, however deep."""
    return tuple(_short(words, block) for block in blocks)


def _short(words: Catalogue, block: Block) -> Block:
    if isinstance(block, Group | Question):
        return replace(block, blocks=_shortened(words, block.blocks))
    return _left_out(words, block) if isinstance(block, Table) and rows_of(block) > LONG_TABLE else block


def rows_of(table: Table) -> int:
    """Rows of the whole table, of one that is shortened on the page too."""
    if table.attachment is None:
        return len(table.rows)
    import csv
    import io

    return sum(1 for _ in csv.reader(io.StringIO(table.attachment.data.decode("utf-8-sig")))) - 1


def _left_out(words: Catalogue, table: Table) -> Hidden:
    file = table.attachment or csv_of(f"{table.anchor}.csv", table.caption, table.columns, table.rows)
    rows = Numbers(words, 0).count(rows_of(table))
    note = fill(
        words.text("view.table_left_out"),
        {
            "caption": Span(table.caption, file.name),
            "rows": number(rows, file.name),
            "file": Span(file.name, file.name, kind="name"),
        },
    )
    return Hidden(note, file, table.number, table.anchor)


def _glossary_alone(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Group) and any(isinstance(part, Glossary) for part in block.blocks):
            yield block


def _only_words_in_use(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """The glossary with those words only that stand in the sections that are left."""
    linked = {span.href for span in instances(sections, Span) if span.kind == "term"}
    text = words_of(sections)

    def visit(value: Any) -> Any:
        if isinstance(value, Glossary):
            terms = tuple(term for term in value.terms if f"#{term.anchor}" in linked or term.name.lower() in text)
            return replace(value, terms=terms)
        return mapped(value, visit)

    return tuple(visit(section) for section in sections)


def _unlinked(sections: tuple[Section, ...], anchors: frozenset[str]) -> tuple[Section, ...]:
    """Links to what is left out as plain text; the evidence that a number came from stays with it."""

    def visit(value: Any) -> Any:
        if isinstance(value, Span):
            leads_out = value.href.startswith("#") and value.href[1:] not in anchors
            return replace(value, href="") if leads_out else value
        return mapped(value, visit)

    return tuple(visit(section) for section in sections)
