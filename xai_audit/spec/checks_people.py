"""Clause packs, and what people say: ids that must exist, and dates that must follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xai_audit.clauses.packs import load_pack, pack_names
from xai_audit.spec.base import Text
from xai_audit.spec.messages import Mistake, unknown
from xai_audit.spec.people import ActionEntry, StatementEntry
from xai_audit.spec.schema import Audit
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path, quoted

NAME_A_PACK = "Name a pack under audit.frameworks; `xai-audit clauses` lists them."


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in frameworks, in the clauses of criteria, and in statements and actions."""
    frameworks = sections.audit.frameworks if sections.audit is not None else ()
    yield from _frameworks(frameworks)
    for index, criterion in sections.criteria.items():
        for place, clause in enumerate(criterion.clauses):
            path: Path = ("criteria", index, "clauses", place)
            yield from _clause(clause, frameworks, path)
            if clause in criterion.clauses[:place]:
                yield Mistake(path, f"{quoted(clause)} a second time", "each clause once", "Remove one of the two.")
    yield from check_people(sections.statements, sections.actions, frameworks)


def check_people(
    statements: Mapping[int, StatementEntry], actions: Mapping[int, ActionEntry], frameworks: Sequence[str]
) -> Iterator[Mistake]:
    """Mistakes in statements and actions, of a spec or of a file of their own."""
    for index, said in statements.items():
        if said.clause is not None:
            yield from _clause(said.clause, frameworks, ("statements", index, "clause"))
    for index, action in actions.items():
        given = action.owner.date
        if given is not None and action.due < given:
            expected = f"a day on or after {given}, when the action was taken on"
            yield Mistake(("actions", index, "due"), str(action.due), expected, "Correct one of the two dates.")
        for key, turn in (("closed", action.closed), ("reopened", action.reopened)):
            if turn is not None and given is not None and turn.date < given:
                expected = f"a day on or after {given}, when the action was taken on"
                path: Path = ("actions", index, key, "date")
                yield Mistake(path, str(turn.date), expected, "Correct one of the two dates.")


def _frameworks(frameworks: Sequence[str]) -> Iterator[Mistake]:
    for index, name in enumerate(frameworks):
        path: Path = ("audit", "frameworks", index)
        if name not in pack_names():
            yield unknown(path, name, pack_names(), "`xai-audit clauses` lists the packs.")
        elif name in frameworks[:index]:
            yield Mistake(path, f"{quoted(name)} a second time", "each name once", "Rename or remove one of the two.")


def _clause(clause: str, frameworks: Sequence[str], path: Path) -> Iterator[Mistake]:
    """A clause that no named pack has; where a pack is not named or misspelt, that alone is said."""
    named = [name for name in frameworks if name in pack_names()]
    known = [entry.id for name in named for entry in load_pack(name).clauses]
    if clause in known or len(named) < len(frameworks):
        return
    pack = clause.split(".")[0]
    if pack in pack_names() and pack not in named:
        yield Mistake(path, f"{quoted(clause)} of a pack that is not named", f"{pack} under audit.frameworks",
                      f"Write `frameworks: [{', '.join((*named, pack))}]` under `audit:`.")  # fmt: skip
    elif not named:
        yield Mistake(path, quoted(clause), "no clause: no pack is named", NAME_A_PACK)
    else:
        yield unknown(path, clause, known, f"`xai-audit clauses {named[0]}` lists its clauses.")


def texts(sections: Sections) -> Iterator[tuple[Path, Text]]:
    """Every text of people, with its path, for the checks that all texts undergo."""
    if sections.audit is not None:
        yield from _of_audit(sections.audit)
    yield from texts_of_people(sections.statements, sections.actions)


def _of_audit(audit: Audit) -> Iterator[tuple[Path, Text]]:
    for key in ("misuse", "users", "distribution"):
        yield from ((("audit", key, place), text) for place, text in enumerate(getattr(audit, key)))
    if audit.legal_class is not None:
        yield ("audit", "legal_class", "text"), audit.legal_class.text


def texts_of_people(
    statements: Mapping[int, StatementEntry], actions: Mapping[int, ActionEntry]
) -> Iterator[tuple[Path, Text]]:
    """Texts of statements and actions."""
    for index, said in statements.items():
        yield ("statements", index, "text"), said.text
        if said.reason is not None:
            yield ("statements", index, "reason"), said.reason
    for index, action in actions.items():
        yield ("actions", index, "what"), action.what
        if action.closed is not None:
            yield ("actions", index, "closed", "text"), action.closed.text
        if action.reopened is not None:
            yield ("actions", index, "reopened", "text"), action.reopened.text
