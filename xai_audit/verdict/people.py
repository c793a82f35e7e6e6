"""What people said of a run, version by version: nothing is ever taken away, an edit is a new version."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical
from xai_audit.spec.base import Text
from xai_audit.spec.people import ActionEntry, Answer, StatementEntry

NAME = "statements.json"
"""The file of a run folder that keeps them."""
FORMAT = 1


@dataclass(frozen=True)
class Attached:
    """A file that belongs to a statement, as kept in the run folder."""

    name: str
    """Its own name."""
    sha256: str

    @property
    def path(self) -> str:
        """Where it lies in the run folder."""
        return f"attachments/{self.sha256[:12]}-{self.name}"


@dataclass(frozen=True)
class Statement:
    """What a named person says about a clause or a topic."""

    about: str
    """Id of a clause, or a topic."""
    author: str
    role: str
    date: datetime.date
    text: Text
    answer: Answer | None = None
    """A tick box; not_applicable needs its reason."""
    reason: Text = ""
    attachment: Attached | None = None
    version: int = 1
    """1 for the first one of its author about its subject; an edit is the next."""

    @property
    def is_reasoned(self) -> bool:
        """Whether a reason stands beside the answer."""
        words = [self.reason] if isinstance(self.reason, str) else list(self.reason.values())
        return any(word.strip() for word in words)


@dataclass(frozen=True)
class Closed:
    """How an action ended."""

    by: str
    date: datetime.date
    text: Text


@dataclass(frozen=True)
class Reopened:
    """That an action that was closed is open again."""

    by: str
    date: datetime.date
    text: Text


@dataclass(frozen=True)
class Action:
    """Who does what about a finding, and by when."""

    finding: str
    what: Text
    owner: str
    role: str
    due: datetime.date
    closed: Closed | None = None
    version: int = 1
    """1 for the first one of its finding with these words; an edit is the next."""
    reopened: Reopened | None = None
    """Who opened it again after it was closed."""

    def is_overdue(self, on: datetime.date) -> bool:
        """Whether its last day is past and nobody has closed it."""
        return self.closed is None and self.due < on


Turn = TypeVar("Turn", Closed, Reopened)


@dataclass(frozen=True)
class People:
    """Every version of every statement and action, in the order in which they were added."""

    statements: tuple[Statement, ...] = ()
    actions: tuple[Action, ...] = ()

    def about(self, subject: str) -> tuple[Statement, ...]:
        """Every version of every statement about a clause or topic."""
        return tuple(one for one in self.statements if one.about == subject)

    def latest(self, subject: str) -> Statement | None:
        """The statement that counts: the one added last."""
        return next(reversed(self.about(subject)), None)

    @property
    def current(self) -> tuple[Statement, ...]:
        """Of each author and subject the last version."""
        return tuple({(one.about, one.author): one for one in self.statements}.values())

    @property
    def edited(self) -> tuple[Statement, ...]:
        """Versions that a later one took the place of; their text stays on show."""
        return tuple(one for one in self.statements if one not in self.current)

    @property
    def open_and_closed(self) -> tuple[Action, ...]:
        """Of each action the last version, the first due first."""
        last = {_key(one): one for one in self.actions}.values()
        return tuple(sorted(last, key=lambda one: (one.closed is not None, one.due, one.finding, _key(one))))

    def versions(self, action: Action) -> tuple[Action, ...]:
        """Every version of an action: those on the same finding with the same words."""
        return tuple(one for one in self.actions if _key(one) == _key(action))

    def turns(self, action: Action) -> tuple[Closed | Reopened, ...]:
        """Each time that an action was closed or opened again; of one that was edited the last words."""
        found: list[Closed | Reopened] = []
        for one in self.versions(action):
            turn = one.closed or one.reopened
            if turn is not None and found and type(found[-1]) is type(turn):
                found[-1] = turn
            elif turn is not None:
                found.append(turn)
        return tuple(found)

    def has(self, action: Action) -> bool:
        """Whether a version of an action is there word for word."""
        return any(replace(old, version=action.version) == action for old in self.versions(action))

    def with_more(self, statements: Sequence[Statement], actions: Sequence[Action]) -> People:
        """These and more: what is there word for word is not added again, an edit is the next version."""
        said, more = list(self.statements), self
        for one in statements:
            before = [old for old in said if (old.about, old.author) == (one.about, one.author)]
            if not any(replace(old, version=one.version) == one for old in before):
                said.append(replace(one, version=len(before) + 1))
        for each in actions:
            if not more.has(each):
                added = replace(each, version=len(more.versions(each)) + 1)
                more = replace(more, actions=(*more.actions, added))
        return replace(more, statements=tuple(said))


def _key(action: Action) -> tuple[str, str]:
    return action.finding, canonical(action.what)


def statement_of(entry: StatementEntry, attached: Attached | None = None) -> Statement:
    """A statement as declared; `attached` names its file in the run folder."""
    return Statement(
        entry.subject, entry.author, entry.role, entry.date, entry.text, entry.answer, entry.reason or "", attached
    )


def action_of(entry: ActionEntry) -> Action:
    """An action as declared."""
    closed = None if entry.closed is None else Closed(entry.closed.by, entry.closed.date, entry.closed.text)
    again = entry.reopened
    reopened = None if again is None else Reopened(again.by, again.date, again.text)
    return Action(entry.finding, entry.what, entry.owner.name, entry.owner.role, entry.due, closed, reopened=reopened)


def people_text(people: People) -> str:
    """Canonical JSON: the same words give the same bytes."""
    entries = {key: [_plain(asdict(one)) for one in getattr(people, key)] for key in ("statements", "actions")}
    return canonical({"format": FORMAT, **entries}) + "\n"


def read_people(data: bytes) -> People:
    """What statements.json holds; nobody where it is empty. EvidenceError where it is not what `people_text` writes."""
    if not data:
        return People()
    try:
        whole = json.loads(data)
        if whole["format"] != FORMAT:
            raise ValueError(f"format {whole['format']}")
        statements = tuple(_statement(entry) for entry in whole["statements"])
        return People(statements, tuple(_action(entry) for entry in whole["actions"]))
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            NAME, f"{type(error).__name__}: {error}", f"statements in format {FORMAT}",
            "Bring the file back as it was; `xai-audit state` adds to it.",
        ) from error  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value.isoformat() if isinstance(value, datetime.date) else value


def _statement(entry: dict[str, Any]) -> Statement:
    attached = None if entry["attachment"] is None else Attached(**entry["attachment"])
    return Statement(**{**entry, "date": datetime.date.fromisoformat(entry["date"]), "attachment": attached})


def _action(entry: dict[str, Any]) -> Action:
    closed, reopened = _dated(Closed, entry["closed"]), _dated(Reopened, entry.get("reopened"))
    due = datetime.date.fromisoformat(entry["due"])
    return Action(**{**entry, "due": due, "closed": closed, "reopened": reopened})


def _dated(kind: type[Turn], entry: dict[str, Any] | None) -> Turn | None:
    return None if entry is None else kind(**{**entry, "date": datetime.date.fromisoformat(entry["date"])})
