"""What every part of the grammar is made of: strict frozen models, faults, and plain kinds of value."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
import contextlib
import datetime
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"\S")]
"""A text that is more than blanks."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[str | dict[str, str], Field(description="One text, or a map of languages: {en: ..., zh-CN: ...}.")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Scalar = str | bool | int | float
"""A cell of a table. A date is compared as text: 2026-03-02 in a spec is the text "2026-03-02"."""
Share = Annotated[float, Field(ge=0, le=1)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """A part of the spec: frozen, no unknown keys, no conversions between kinds of value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Fault(ValueError):
    """Values that do not fit each other: the parts of a Problem, and the keys that the rule reads.

    `at` is the path, below the mapping that holds the rule, of what is wrong.
    """

    def __init__(self, found: str, expected: str, fix: str, *, keys: tuple[str, ...], at: tuple[str | int, ...] = ()):
        self.found, self.expected, self.fix, self.keys, self.at = found, expected, fix, keys, at
        super().__init__(f"found {found}; expected {expected}. {fix}")


def whole(value: object) -> object:
    """The value itself, but not a true or 1.0 that equals a number allowed."""
    return value if type(value) is int else str(value)


def _date_from_text(value: object) -> object:
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        with contextlib.suppress(ValueError):
            return datetime.date.fromisoformat(value)
    found = f'"{value}"' if isinstance(value, str) else "a value that is no date"
    raise Fault(found, "a day of the calendar, YYYY-MM-DD", "Write the date like 2026-03-02.", keys=())


Date = Annotated[datetime.date, BeforeValidator(_date_from_text, json_schema_input_type=datetime.date)]


class Person(Strict):
    """A named person and what they stand for."""

    name: Name
    """Full name."""
    role: Name
    """What the person answers for."""
    date: Date | None = None
    """When the person said so."""


class Said(Strict):
    """What a named person said; printed as theirs."""

    text: Text
    """The words."""
    by: Person
    """Who said so, in which role, and when."""
