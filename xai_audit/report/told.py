"""English sentences that a run stored, in the report's language: by patterns of the catalogue, or marked as English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from string import Formatter
from typing import Any

from xai_audit.report.catalogue import SOURCE, Catalogue, load_catalogue
from xai_audit.report.document import Image, Span
from xai_audit.report.walk import mapped

PREFIX = "told"
"""Entries whose English text is a pattern: what stands for a {part} is kept, or translated in its turn."""
REFUSED = "refused"
"""Patterns of what a refusal found, expected and advises, which nothing else is taken for: many are a word or two."""
_REFUSAL = re.compile(
    r"(?P<where>[^\n]+?): found (?P<found>.+?); expected (?P<expected>.+?)\.(?: (?P<fix>.+))?", re.DOTALL
)
_CLAUSES = ("found", "expected")
KINDS = ("text", "number", "term")
"""Spans that hold words of the program; names and people's own words are never translated."""
LEAST_WORDS = 3
"""English words of a text from which on it is marked as English."""
_SHARED = str.maketrans("", "", "…–’“”")
"""Signs of both scripts: a cut text ends in one."""
_WORD = re.compile(r"[A-Za-z][a-z'’]+(?![A-Za-z0-9_(])")
_PART = r"(?:(?!\. [A-Z]|; ).)+?"
"""What stands for a part: no more than one sentence, and no list."""
_FORMS = {"why": ".+?", "names": ".+?", "count": r"[<\d][\d, ]*"}
"""Parts that may hold a list, and one that is a number."""
MANY = ("many", "mixed")
"""Parts that are names in a row."""
NAMED = {"measure": "measure.{}.name", "method": "method.{}.name", "control": "trust.control.{}"}
"""Parts that are names of the registry, and the entries that they are called by."""
_NAMES = re.compile(r"[^\s,]+(?:, [^\s,]+)* and [^\s,]+")
_BRACKETED = re.compile(r"(?<=\)), ")
"""Between names of which each has something in brackets behind it."""
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z{\"“`])")
_LIST_END = re.compile(r"; (?=\S)")


@dataclass(frozen=True)
class Pattern:
    """A stored sentence: how it is recognised, and what it is in the language."""

    english: re.Pattern[str]
    text: str
    weight: int
    """Letters of the pattern that are no part: the most particular one goes first."""


def in_language(value: Any, language: str) -> Any:
    """A part of the report with what the run stored in the language; what has no translation is marked."""
    if language == SOURCE:
        return value

    def visit(part: Any) -> Any:
        if isinstance(part, Span):
            return _span(part, language) if part.kind in KINDS else part
        return part if isinstance(part, Image | str | bytes) else mapped(part, visit)

    return visit(value)


def told(text: str, language: str) -> str:
    """A text that the run stored, in a language; the text itself where there is no translation."""
    return text if language == SOURCE else _told(text, language) or text


def is_english(text: str) -> bool:
    """Whether a text is words of English and not a name among words of another script."""
    return text.translate(_SHARED).isascii() and " " in text and len(_WORD.findall(text)) >= LEAST_WORDS


def _span(span: Span, language: str) -> Span:
    if not any(sign.isascii() and sign.isalpha() for sign in span.text):
        return span
    made = _told(span.text, language)
    if made is not None:
        return replace(span, text=made)
    return replace(span, language=SOURCE) if is_english(span.text) else span


@cache
def _told(text: str, language: str) -> str | None:
    """The translation of a text, of its sentences, or of the parts of a list; None where nothing in it is known."""
    whole = _matched(text, language, PREFIX) or _refusal(text, language)
    if whole is not None:
        return whole
    words = load_catalogue(language)
    for end, gap in ((_SENTENCE_END, words.gap), (_LIST_END, words.sign("semicolon"))):
        parts = end.split(text)
        made = [_told(part, language) if len(parts) > 1 else None for part in parts]
        if any(part is not None for part in made):
            return gap.join(new or part for part, new in zip(parts, made, strict=True))
    return None


def _refusal(text: str, language: str) -> str | None:
    """The translation of a message of four parts; None where no part but the place is known."""
    found = _REFUSAL.fullmatch(text.strip())
    if found is None:
        return None
    words = load_catalogue(language)
    parts = {name: clause(found[name], language) for name in _CLAUSES}
    advice = _SENTENCE_END.split(found["fix"] or "")
    made = [clause(sentence, language) for sentence in advice]
    if not any((*parts.values(), *made)):
        return None
    fix = words.gap.join(new or sentence for new, sentence in zip(made, advice, strict=True))
    shown = {name: part or found[name] for name, part in parts.items()}
    where = clause(found["where"], language) if " " in found["where"] else None  # one word is a key of the spec
    return words.text("refusal.sentence").format(where=where or found["where"], fix=fix, **shown)


def clause(text: str, language: str) -> str | None:
    """The translation of one part of a refusal; None where it is not known."""
    return _matched(text, language, REFUSED) or _told(text, language)


def _matched(text: str, language: str, prefix: str) -> str | None:
    core = text.strip()
    for pattern in _patterns(language, prefix):
        found = pattern.english.fullmatch(core)
        if found is not None:
            parts = {name: _part(name, part, language) for name, part in found.groupdict().items()}
            made = pattern.text.format(**parts)
            made = made if core.endswith(".") or not made.endswith("。") else made[:-1]
            return text[: len(text) - len(text.lstrip())] + made
    return None


def _part(name: str, text: str, language: str) -> str:
    """What stands for a part of a pattern: a name of ours, a sentence that is known, names in a row, or as it is."""
    words = load_catalogue(language)
    key = NAMED.get(name, "").format(text)
    if key and words.has(key):
        return words.text(key)
    if name in _CLAUSES and (made := clause(text, language)) is not None:
        return made
    if name in MANY or _NAMES.fullmatch(text):
        return words.listed(re.split(", | and ", text))
    return words.listed(_told(part, language) or part for part in _BRACKETED.split(text))


@cache
def _patterns(language: str, prefix: str) -> tuple[Pattern, ...]:
    english, words = load_catalogue(SOURCE), load_catalogue(language)
    keys = [key for key in english.entries if key.startswith(f"{prefix}.")]
    found = [_pattern(english.entries[key], words, key) for key in keys]
    return tuple(sorted(found, key=lambda pattern: -pattern.weight))


def _pattern(english: str, words: Catalogue, key: str) -> Pattern:
    literals = "".join(literal for literal, _, _, _ in Formatter().parse(english))
    return Pattern(re.compile("".join(_parts(english)), re.DOTALL), words.text(key), len(literals))


def _parts(english: str) -> Iterator[str]:
    """The pieces of a pattern: its first letter in either case, and a full stop at its end that may be missing."""
    bare = english.removesuffix(".")
    for place, (literal, name, _, _) in enumerate(Formatter().parse(bare)):
        if literal:
            first = f"[{literal[0].lower()}{literal[0].upper()}]" if place == 0 and literal[0].isalpha() else ""
            yield first + re.escape(literal[1:] if first else literal)
        if name is not None:
            yield f"(?P<{name}>{_FORMS.get(name, _PART)})"
    yield r"\.?" if english.endswith(".") else ""
