"""Walks through a report: every part of it, however deep, found or changed without naming its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from xai_audit.report.document import Sentence, Span

T = TypeVar("T")


def instances(value: object, kind: type[T]) -> Iterator[T]:
    """Every value of a kind within another, in the order of the page; none within one that was found."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from instances(part, kind)
    elif is_dataclass(value):
        for entry in fields(value):
            yield from instances(getattr(value, entry.name), kind)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A part of the report with every part of its own changed; what is not changed stays the same object."""
    if isinstance(value, tuple):
        return tuple(change(part) for part in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    made = {name: change(part) for name, part in parts.items()}
    return replace(value, **made) if any(made[name] is not part for name, part in parts.items()) else value


def anchors_of(value: object) -> frozenset[str]:
    """Every place in a part of the report that a link can lead to."""
    return frozenset(_anchors(value))


def _anchors(value: object) -> Iterator[str]:
    if isinstance(value, tuple):
        for part in value:
            yield from _anchors(part)
    elif is_dataclass(value):
        anchor = getattr(value, "anchor", "")
        if anchor:
            yield anchor
        for entry in fields(value):
            yield from _anchors(getattr(value, entry.name))


def sentences_of(value: object) -> Iterator[Sentence]:
    """Every sentence within a part of the report, cells of tables too."""
    if isinstance(value, tuple):
        if value and all(isinstance(part, Span) for part in value):
            yield value
            return
        for part in value:
            yield from sentences_of(part)
    elif is_dataclass(value) and not isinstance(value, Span):
        for entry in fields(value):
            yield from sentences_of(getattr(value, entry.name))
