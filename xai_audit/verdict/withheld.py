"""Ids of cases that a spec withholds: whether it does, and a text without them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from xai_audit.spec.schema import AuditSpec, ImageTable
from xai_audit.spec.tables import TableSource


def ids_are_withheld(spec: AuditSpec) -> bool:
    """Whether the column that the ids of cases come from may not be shown."""
    source = spec.data.source
    column: str | None = "id"
    if isinstance(source, ImageTable):
        column = source.id or source.image
    elif isinstance(source, TableSource):
        column = source.id
    return column is not None and column in spec.data.show.withhold


def digest_of_id(identifier: str) -> str:
    """The first ten hex digits of the sha256 of an id."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:10]


def replaced(text: str, identifiers: Iterable[str], name: Callable[[str], str]) -> str:
    """A text with every id in it replaced by its name, the longest first, so that no id is taken for a part of one."""
    for identifier in sorted(set(identifiers), key=lambda each: (-len(each), each)):
        if identifier in text:
            text = text.replace(identifier, name(identifier))
    return text
