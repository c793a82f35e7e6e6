"""A spec file to an AuditSpec, or every Problem in it at file:line:column."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from xai_audit.errors import Problem, SpecErrors
from xai_audit.spec.checks import check
from xai_audit.spec.messages import Mistake, translate
from xai_audit.spec.people_file import Declared, declared_in
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.sections import from_spec, read_sections
from xai_audit.spec.yaml_nodes import BAD, MAXIMUM_BYTES, Positions, compose, in_order, read_text, too_large


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that passed every check, with the bytes it was read from and where each key stands."""

    spec: AuditSpec
    path: Path
    text: bytes
    lines: Positions
    people: Declared = field(default_factory=Declared)
    """What people say according to the spec, or to the file that it names."""

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the spec start from."""
        return self.path.parent


def load_spec(path: Path) -> LoadedSpec:
    """The audit in a file. Raises SpecErrors with all of its problems, in the order of the file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SpecErrors((_not_a_file(path),))
        if status.st_size > MAXIMUM_BYTES:
            raise too_large(status.st_size, str(path))
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise SpecErrors((_unreadable(path, error),)) from None
    loaded = load_text(data, path)
    return replace(loaded, people=declared_in(loaded.spec, loaded.folder))


def load_text(data: bytes, path: Path) -> LoadedSpec:
    """The audit in the bytes of a file; `path` is named in messages and gives the folder. Raises SpecErrors."""
    positions, problems = compose(read_text(data, str(path)), str(path))
    spec, mistakes = _validated(positions)
    problems += [_problem(mistake, positions) for mistake in mistakes if not _is_about_bad(mistake, positions)]
    if spec is None or problems:
        raise SpecErrors(in_order(problems))
    return LoadedSpec(spec, path, data, positions)


def _problem(mistake: Mistake, positions: Positions) -> Problem:
    if not mistake.code:
        return positions.problem(mistake.path, mistake.found, mistake.expected, mistake.fix, at_key=mistake.at_key)
    place = positions.place(mistake.path, at_key=mistake.at_key)
    message = mistake.found
    if mistake.first is not None:
        message = message.replace("{line}", str(positions.place(mistake.first).line))
    return positions.source.coded(place, mistake.path, mistake.code, message, mistake.fix)


def _validated(positions: Positions) -> tuple[AuditSpec | None, list[Mistake]]:
    raw = positions.root.value
    if raw is BAD:
        return None, []
    try:
        spec = AuditSpec.model_validate(raw)
    except ValidationError as error:
        sections, mistakes = read_sections(raw)
        found = check(sections)
        told = {
            mistake.path for mistake in found if not mistake.code
        }  # a check that knows more replaces the mere form of the value
        mistakes = [mistake for mistake in mistakes if mistake.path not in told] + found
        return None, mistakes or translate(error.errors(include_url=False), AuditSpec, raw, ())
    return spec, check(from_spec(spec, raw))


def _is_about_bad(mistake: Mistake, positions: Positions) -> bool:
    written = positions.written(mistake.path)
    return any(positions.value(written[:length]) is BAD for length in range(len(written) + 1))


def _not_a_file(path: Path) -> Problem:
    found = "a folder" if path.is_dir() else "a device or a pipe"
    return Problem(str(path), found, "the YAML file of an audit", "Give the path of the file itself.")


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    fix = "Give the path of a YAML file; `xai-audit init` writes one to start from."
    if isinstance(error, FileNotFoundError):
        return Problem(str(path), "no file", "the YAML file of an audit", fix)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(str(path), f"a file that cannot be read ({reason})", "a readable file", "Check its permissions.")
