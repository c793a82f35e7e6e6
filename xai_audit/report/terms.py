"""Words that need explaining: glossary terms as links, and abbreviations spelt out where they first stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from xai_audit.report.catalogue import Catalogue, load_catalogue
from xai_audit.report.document import (
    Block,
    Bullets,
    Decisions,
    Facts,
    Figure,
    FindingCard,
    Gallery,
    Group,
    Missing,
    Prose,
    Question,
    Section,
    Sentence,
    Span,
)

PROSE = (Prose, Bullets, FindingCard, Decisions, Missing)
"""Blocks whose sentences lead to the glossary."""
SPOKEN = (*PROSE, Facts, Figure, Gallery)
"""Blocks in whose sentences an abbreviation is spelt out."""

Change = Callable[[Span], tuple[Span, ...]]


@dataclass(frozen=True)
class Word:
    """Something to look for in the text: what it is called, and where it leads or what it stands for."""

    pattern: re.Pattern[str]
    meaning: str


def linked(sections: Sequence[Section], words: Catalogue, anchors: frozenset[str]) -> tuple[Section, ...]:
    """Each glossary term as a link where it first stands in a section; `anchors` are those of the glossary."""
    known = [word for word in _terms(words.language) if word.meaning in anchors]
    return tuple(_changed(section, PROSE, _Linker(known)) for section in sections)


def spelt_out(sections: Sequence[Section], words: Catalogue) -> tuple[Section, ...]:
    """Each abbreviation with its words behind it, once, where it first stands in these sections."""
    change = _Speller(_abbreviations(words.language), words.text("abbreviation.form"))
    return tuple(_changed(section, SPOKEN, change) for section in sections)


def words_of(value: object) -> str:
    """The text of a part of the report in small letters, its glossary left out."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, tuple):
        return " ".join(words_of(part) for part in value)
    if is_dataclass(value) and getattr(value, "block", "") != "glossary":
        return " ".join(words_of(getattr(value, entry.name)) for entry in fields(value))
    return ""


class _Linker:
    """Turns the first standing of each term into a link."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.left = list(words)

    def __call__(self, span: Span) -> tuple[Span, ...]:
        if span.kind != "text" or span.href or span.language:
            return (span,)
        for word in self.left:
            found = word.pattern.search(span.text)
            if found is None:
                continue
            self.left = [each for each in self.left if each.meaning != word.meaning]
            link = replace(span, text=found.group(), href=f"#{word.meaning}", kind="term")
            before, after = span.text[: found.start()], span.text[found.end() :]
            return (*self(replace(span, text=before)), link, *self(replace(span, text=after)))
        return (span,) if span.text else ()


class _Speller:
    """Puts what an abbreviation stands for behind its first standing."""

    def __init__(self, words: Sequence[Word], form: str) -> None:
        self.left, self.form = list(words), form

    def __call__(self, span: Span) -> tuple[Span, ...]:
        if span.kind == "expansion":
            return ()
        if span.kind not in ("text", "term", "strong") or span.language:
            return (span,)
        for word in self.left:
            found = word.pattern.search(span.text)
            if found is None:
                continue
            self.left.remove(word)
            before, after = span.text[: found.end()], span.text[found.end() :]
            said = Span(self.form.format(long=word.meaning), kind="expansion")
            rest = self(replace(span, text=after)) if after else ()
            return (*self(replace(span, text=before)), said, *rest)
        return (span,)


@cache
def _terms(language: str) -> tuple[Word, ...]:
    """Forms of all terms, the long ones first, so that a form inside another does not take its place."""
    words = load_catalogue(language)
    found = [
        (form.strip(), f"term-{key}")
        for key in words.under("glossary")
        for form in words.text(f"glossary.{key}.forms").split(",")
    ]
    order = sorted(((form, anchor) for form, anchor in found if form), key=lambda pair: (-len(pair[0]), pair))
    return tuple(Word(_whole_word(form), anchor) for form, anchor in order)


def _whole_word(form: str) -> re.Pattern[str]:
    """A form with the ending of its word; a script without spaces has no word ends."""
    if not form.isascii():
        return re.compile(re.escape(form))
    start = r"(?<![\w-])" if form[0].isalnum() else ""
    end = r"\w*(?![\w-])" if form[-1].isalnum() else ""
    return re.compile(f"{start}{re.escape(form)}{end}", re.IGNORECASE)


@cache
def _abbreviations(language: str) -> tuple[Word, ...]:
    words = load_catalogue(language)
    names = [key for key in words.under("abbreviation") if key != "form"]
    return tuple(
        Word(
            re.compile(rf"(?<![A-Za-z0-9-]){re.escape(words.text(f'abbreviation.{key}.short'))}(?![A-Za-z0-9+-])"),
            words.text(f"abbreviation.{key}.long"),
        )
        for key in names
    )


def _changed(section: Section, kinds: tuple[type, ...], change: Change) -> Section:
    """A section with every span in sentences of these kinds of blocks changed, in the order of the page."""
    return replace(section, blocks=tuple(_visit(block, kinds, change) for block in section.blocks))


def _visit(block: Block, kinds: tuple[type, ...], change: Change) -> Block:
    if isinstance(block, Group | Question):
        return replace(block, blocks=tuple(_visit(part, kinds, change) for part in block.blocks))
    made: Block = _spans(block, change) if isinstance(block, kinds) else block
    return made


def _spans(value: Any, change: Change) -> Any:
    if isinstance(value, tuple):
        if value and all(isinstance(part, Span) for part in value):
            return _sentence(value, change)
        return tuple(_spans(part, change) for part in value)
    if isinstance(value, Span) or not is_dataclass(value) or getattr(value, "block", "") == "table":
        return value
    found = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    made = {name: _spans(part, change) for name, part in found.items() if isinstance(part, tuple)}
    return replace(value, **made)  # type: ignore[type-var]


def _sentence(spans: Sentence, change: Change) -> Sentence:
    return tuple(_each(spans, change))


def _each(spans: Sentence, change: Change) -> Iterator[Span]:
    for span in spans:
        yield from change(span)
