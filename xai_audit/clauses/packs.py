"""Clause packs as values, read from the package's own YAML files."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Coverage = Literal["supports", "partial", "placeholder"]
PackStatus = Literal["in_force", "draft", "superseded", "voluntary_mapping"]
Field = Literal["title", "paraphrase", "human_statement"]
OUTDATED_DAYS = 180
"""A pack older than this is warned of on the cover."""


@dataclass(frozen=True)
class Translated:
    """A text, and whether it is in the language that was asked for."""

    text: str
    is_translated: bool


@dataclass(frozen=True)
class Clause:
    """One requirement: a reference, a paraphrase of our own, and what speaks to it."""

    id: str
    ref: str
    title: str
    paraphrase: str
    evidence: tuple[str, ...]
    """Kinds of evidence, keys of the vocabulary."""
    coverage: Coverage
    """How much of the point evidence can carry."""
    human_statement_needed: bool
    human_statement: str | None
    """What a person must supply."""
    confidence: Literal["high", "medium", "low"]
    verification: Literal["primary_excerpt", "secondary", "unchecked"]
    source: str
    status: PackStatus
    applies_to: tuple[str, ...]
    texts: Mapping[Field, Mapping[str, str]]
    """Title, paraphrase and human_statement by language; a language that is not there has English only."""

    def text(self, field: Field, language: str) -> Translated:
        """A text of the clause in a language, or in English where that language has none."""
        return _translated(self.texts[field], language)


@dataclass(frozen=True)
class From:
    """The day from which a pack applies to something."""

    scope: str
    date: datetime.date


@dataclass(frozen=True)
class Pack:
    """A framework with its clauses."""

    id: str
    title: str
    jurisdiction: str
    kind: str
    status: PackStatus
    as_of: datetime.date
    applies_to: tuple[str, ...]
    """Domains."""
    voluntary_for: tuple[str, ...]
    """Domains where no law makes it binding."""
    applies_from: tuple[From, ...]
    default_enabled: bool
    citation: str
    caveats: tuple[str, ...]
    clauses: tuple[Clause, ...]
    digest: str
    """sha256 of the file."""
    titles: Mapping[str, str]
    """Its title by language."""

    def title_in(self, language: str) -> Translated:
        """The title in a language, or in English where that language has none."""
        return _translated(self.titles, language)

    def is_outdated(self, on: datetime.date) -> bool:
        """Whether the pack was last looked at so long ago that the cover must say so."""
        return (on - self.as_of).days > OUTDATED_DAYS

    def for_domain(self, domain: str) -> tuple[Clause, ...]:
        """The clauses that apply to a domain."""
        return tuple(clause for clause in self.clauses if domain in clause.applies_to)


@cache
def pack_names() -> tuple[str, ...]:
    """Ids of all packs, in order."""
    found = (entry.name for entry in (files(__package__) / "packs").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


@cache
def load_pack(name: str) -> Pack:
    """A pack by id. KeyError where there is none."""
    if name not in pack_names():
        raise KeyError(name)
    data = (files(__package__) / "packs" / f"{name}.yaml").read_bytes()
    raw = _read(data)
    clauses = tuple(_clause(entry, raw) for entry in raw["clauses"])
    return Pack(
        id=raw["id"],
        title=_languages(raw["title"])["en"],
        jurisdiction=raw["jurisdiction"],
        kind=raw["kind"],
        status=raw["status"],
        as_of=datetime.date.fromisoformat(raw["as_of"]),
        applies_to=tuple(raw["applies_to"]),
        voluntary_for=tuple(raw.get("voluntary_for", ())),
        applies_from=tuple(
            From(entry["scope"], datetime.date.fromisoformat(entry["date"])) for entry in raw.get("applies_from", ())
        ),
        default_enabled=raw["default_enabled"],
        citation=raw["citation"],
        caveats=tuple(raw["caveats"]),
        clauses=clauses,
        digest=hashlib.sha256(data).hexdigest(),
        titles=_languages(raw["title"]),
    )


def _clause(entry: Mapping[str, Any], pack: Mapping[str, Any]) -> Clause:
    lists = {"evidence": tuple(entry["evidence"]), "applies_to": tuple(entry.get("applies_to", pack["applies_to"]))}
    texts = {field: _languages(entry[field]) for field in get_args(Field) if entry[field] is not None}
    english = {field: text["en"] for field, text in texts.items()}
    status = entry.get("status", pack["status"])
    return Clause(**{**entry, **lists, **english, "status": status, "texts": texts})


def _languages(text: str | Mapping[str, str]) -> Mapping[str, str]:
    """A text by language; a bare one is English."""
    return {"en": text} if isinstance(text, str) else text


def _translated(text: Mapping[str, str], language: str) -> Translated:
    return Translated(text.get(language, text["en"]), language in text)


@cache
def vocabulary() -> Mapping[str, Any]:
    """Status words, coverage, kinds of evidence, roles and forbidden words."""
    found: Mapping[str, Any] = _read((files(__package__) / "vocabulary.yaml").read_bytes())
    return found


@cache
def clauses_by_id() -> Mapping[str, Clause]:
    """Every clause of every pack."""
    return {clause.id: clause for name in pack_names() for clause in load_pack(name).clauses}


def _read(data: bytes) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(data.decode())
