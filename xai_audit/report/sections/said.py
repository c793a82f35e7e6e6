"""A person and their own words, wherever they stand."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from xai_audit.report.context import SPEC, STATEMENTS, Context, name, number
from xai_audit.report.document import Block, Prose, Sentence, Span
from xai_audit.spec.base import Text

if TYPE_CHECKING:
    from xai_audit.spec.base import Person, Said
    from xai_audit.verdict.people import Statement


def _who(context: Context, who: str, role: str, day: datetime.date | None, source: str) -> Sentence:
    parts = {"name": name(who, source), "role": name(role, source)}
    if day is None:
        return context.say("said.person_undated", **parts)
    return context.say("said.person", **parts, date=number(context.date(day), source))


def person_of(context: Context, statement: Statement) -> Sentence:
    """Name, role and day of a statement."""
    return _who(context, statement.author, statement.role, statement.date, STATEMENTS)


def person_in_spec(context: Context, person: Person) -> Sentence:
    """A person of the spec with role, and day where it is known."""
    return _who(context, person.name, person.role, person.date, SPEC)


def words_of(context: Context, text: Text) -> Sentence:
    """A person's own words."""
    return (Span(context.text(text), STATEMENTS, kind="words"),)


def said_in_spec(context: Context, said: Said) -> Sentence:
    """Words of a named person in the spec: what they said, and who they are."""
    return context.say("said.words", text=context.owner(said.text), person=person_in_spec(context, said.by))


def statements_about(context: Context, topic: str) -> tuple[Block, ...]:
    """Statements about a topic, each with its author, role and day; nothing where there is none."""
    found = [
        context.say("said.words", text=words_of(context, one.text), person=person_of(context, one))
        for one in context.people.about(topic)
    ]
    return (Prose(tuple(found), "owner"),) if found else ()
