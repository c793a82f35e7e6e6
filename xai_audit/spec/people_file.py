"""What people say, read from a file of its own beside the spec or given to a run later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_audit.errors import Problem, SpecErrors
from xai_audit.spec.checks import blank_or_odd
from xai_audit.spec.checks_people import check_people, texts_of_people
from xai_audit.spec.messages import Mistake
from xai_audit.spec.people import ActionEntry, PeopleFile, StatementEntry
from xai_audit.spec.pieces import Part, read_part
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.yaml_nodes import BAD, MAXIMUM_BYTES, Positions, compose, in_order, read_text, too_large


@dataclass(frozen=True)
class Declared:
    """Statements and actions as declared in one file."""

    statements: tuple[StatementEntry, ...] = ()
    actions: tuple[ActionEntry, ...] = ()
    folder: Path = Path()
    """Where the paths of attached files start."""


def declared_in(spec: AuditSpec, folder: Path) -> Declared:
    """What people say according to a spec: in the spec itself, or in the file that it names. Raises SpecErrors."""
    if not isinstance(spec.statements, str):
        return Declared(spec.statements, spec.actions, folder)
    read = read_people(folder / spec.statements, spec)
    return Declared(read.statements, (*spec.actions, *read.actions), read.folder)


def read_people(path: Path, spec: AuditSpec) -> Declared:
    """The statements and actions of a file, checked against a spec. Raises SpecErrors with all of its problems."""
    positions, problems = compose(read_text(_bytes(path), str(path)), str(path))
    raw = positions.root.value
    if raw is BAD or not isinstance(raw, Mapping):
        if not problems:
            fix = "Write `statements:` or `actions:`, with one entry a line."
            problems = [Problem(str(path), "no mapping", "`statements:`, `actions:` or both", fix)]
        raise SpecErrors(in_order(problems))
    found, mistakes = _parts(raw, spec)
    problems += [
        positions.problem(mistake.path, mistake.found, mistake.expected, mistake.fix, at_key=mistake.at_key)
        for mistake in mistakes
        if not _is_about_bad(mistake, positions)
    ]
    if problems:
        raise SpecErrors(in_order(problems))
    return Declared(found.statements, found.actions, path.parent)


def _bytes(path: Path) -> bytes:
    fix = "Give the path of a YAML file with `statements:` or `actions:`."
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise too_large(path.stat().st_size, str(path))
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        found = f"a file that cannot be read ({reason})"
        raise SpecErrors((Problem(str(path), found, "a file of statements", fix),)) from None


def _parts(raw: Mapping[str, Any], spec: AuditSpec) -> tuple[PeopleFile, list[Mistake]]:
    """What can be read, and every Mistake: one in an entry does not hide those of the others."""
    mistakes: list[Mistake] = []
    read_part(PeopleFile, {key: () if _is_list(raw, key) else value for key, value in raw.items()}, (), mistakes)
    statements = _entries(StatementEntry, raw, "statements", mistakes)
    actions = _entries(ActionEntry, raw, "actions", mistakes)
    if not mistakes and not statements and not actions:
        mistakes.append(Mistake((), "neither a statement nor an action", "one or more", "Fill the file in."))
    mistakes += check_people(statements, actions, spec.audit.frameworks)
    for path, text in texts_of_people(statements, actions):
        mistakes += blank_or_odd(path, text, spec.audit.languages)
    return PeopleFile(statements=tuple(statements.values()), actions=tuple(actions.values())), mistakes


def _is_list(raw: Mapping[str, Any], key: str) -> bool:
    return key in PeopleFile.model_fields and isinstance(raw[key], tuple)


def _entries(model: type[Part], raw: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> dict[int, Part]:
    entries = raw[key] if key in raw and _is_list(raw, key) else ()
    read = {index: read_part(model, entry, (key, index), mistakes) for index, entry in enumerate(entries)}
    return {index: part for index, part in read.items() if part is not None}


def _is_about_bad(mistake: Mistake, positions: Positions) -> bool:
    written: Sequence[Any] = positions.written(mistake.path)
    return any(positions.value(tuple(written[:length])) is BAD for length in range(len(written) + 1))
