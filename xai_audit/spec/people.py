"""What people say and undertake: statements about clauses and topics, and actions on findings."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from xai_audit.spec.base import Date, Fault, Identifier, Name, Person, Sha256, Strict, Text

Answer = Literal["yes", "no", "not_applicable"]


class AttachedFile(Strict):
    """A file that a person adds to a statement; it is copied into the run folder."""

    file: Name
    """Path beside the file that names it."""
    sha256: Sha256 | None = None
    """Checked before the file is copied."""


class StatementEntry(Strict):
    """What a named person says about a clause or a topic; the tool never says it for them."""

    clause: Name | None = None
    """Id of a clause of a named pack."""
    about: Identifier | None = None
    """Instead of a clause: a topic, such as independence."""
    author: Name
    """Full name of the person who says so."""
    role: Name
    """What that person answers for."""
    date: Date
    """When the person said so."""
    text: Text
    """The statement in the person's own words."""
    answer: Answer | None = None
    """The tick box: yes, no or not_applicable; never filled in by the tool."""
    reason: Text | None = None
    """Why a clause does not apply; required with not_applicable."""
    attachment: AttachedFile | None = None
    """A file that belongs to the statement."""

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.clause is None) == (self.about is None):
            raise Fault(
                "`clause` and `about`" if self.clause is not None else "neither `clause` nor `about`",
                "one of them: what the statement is about",
                "Name a clause by its id, or a topic such as independence.",
                keys=("clause", "about"),
                at=("about",) if self.clause is not None else (),
            )
        if self.answer == "not_applicable" and self.reason is None:
            raise Fault(
                "not_applicable without `reason`",
                "`reason`: why it does not apply",
                "Add `reason: ...`; the tool never decides that a clause does not apply.",
                keys=("answer", "reason"),
                at=("answer",),
            )
        return self

    @property
    def subject(self) -> str:
        """Id of the clause, or the topic."""
        return self.clause or self.about or ""


class Closure(Strict):
    """How an action ended."""

    by: Name
    """Who says that it is done."""
    date: Date
    """When."""
    text: Text
    """What shows that it is done."""


class Reopening(Strict):
    """That an action that was closed is open again."""

    by: Name
    """Who opens it again."""
    date: Date
    """When."""
    text: Text
    """Why it is not done after all."""


class ActionEntry(Strict):
    """Who does what about a finding, and by when."""

    finding: Name
    """Id of the finding: of a criterion, or as findings.json names it."""
    what: Text
    """What is to be done."""
    owner: Person
    """Who does it."""
    due: Date
    """Last day on which it is in time."""
    closed: Closure | None = None
    """Left out until it is done."""
    reopened: Reopening | None = None
    """Opens it again after it was closed; the same `finding` and `what`, and never beside `closed`."""

    @model_validator(mode="after")
    def _one_state(self) -> Self:
        if self.closed is not None and self.reopened is not None:
            raise Fault(
                "both `closed` and `reopened`",
                "one of them: what became of the action last",
                "Write one entry for each, in the order in which it came about.",
                keys=("closed", "reopened"),
                at=("reopened",),
            )
        return self


def _list_or_text(value: object) -> object:
    if isinstance(value, str | tuple | list):
        return value
    raise Fault("a value that is no list", "a list of statements, or the name of a file", "Write a list.", keys=())


def _named(value: tuple[StatementEntry, ...] | str) -> tuple[StatementEntry, ...] | str:
    if isinstance(value, str) and not value.strip():
        raise Fault("an empty text", "the name of a file beside the spec", "Name the file, or remove the key.", keys=())
    return value


Statements = Annotated[
    tuple[StatementEntry, ...] | str,
    BeforeValidator(_list_or_text, json_schema_input_type=tuple[StatementEntry, ...] | str),
    AfterValidator(_named),
]


class PeopleFile(Strict):
    """A file of statements and actions, beside a spec or added to a run later."""

    statements: tuple[StatementEntry, ...] = ()
    """What people say."""
    actions: tuple[ActionEntry, ...] = ()
    """What people undertake."""
