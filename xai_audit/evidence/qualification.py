"""The tool's own qualification record: which known answers the installed version gives, kept beside the runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xai_audit import __version__, registry
from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical, file_sha256
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.versions import versions

FORMAT = 1


@dataclass(frozen=True)
class Answer:
    """One known answer beside what the installed version gave."""

    id: str
    subject: str
    """The method or measure that was asked."""
    says: str
    """What is known, in a sentence."""
    expected: tuple[float, ...]
    found: tuple[float, ...]
    """Empty where it raised."""
    tolerance: float
    """Largest difference, as a share of the larger of 1 and the expected size."""
    passed: bool
    error: str = ""

    @property
    def is_right(self) -> bool:
        """Whether what was found is what was expected, computed again from both."""
        if len(self.found) != len(self.expected) or not self.expected or self.error:
            return False
        pairs = zip(self.found, self.expected, strict=True)
        return all(abs(found - expected) <= self.tolerance * max(1.0, abs(expected)) for found, expected in pairs)


def asked_of() -> frozenset[str]:
    """Methods and measures of which a record must hold an answer: all that explain, and all that check explanations."""
    checks = ("quality", "localisation", "surrogate", "concept")
    measures = {entry.name for entry in registry.MEASURES if entry.group in checks}
    return frozenset(measures | {entry.name for entry in registry.METHODS})


def record_path(out: Path) -> Path:
    """Where the record of the installed version lies under the folder of the runs."""
    return out / f"selftest-{__version__}.json"


def write_record(out: Path, answers: Sequence[Answer], made: str) -> Path:
    """Write the record under `out`; `made` is the day, ISO 8601. The same answers on one day give the same bytes."""
    passed = sum(answer.passed for answer in answers)
    record = {
        "format": FORMAT,
        "package": {"name": "xai-audit", "version": __version__},
        "versions": versions(),
        "made": made,
        "passed": passed,
        "failed": len(answers) - passed,
        "answers": [asdict(answer) for answer in answers],
    }
    path = record_path(out)
    write_atomically(path, (canonical(record) + "\n").encode())
    return path


def read_record(path: Path) -> dict[str, Any]:
    """A record read back. Raises EvidenceError where it is not what `write_record` of this version writes.

    Every verdict is computed again from what was expected and found, and every method and check must have an answer.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        answers = [Answer(**answer) for answer in record["answers"]]
        if any(answer.passed != answer.is_right for answer in answers):
            raise ValueError("an answer whose verdict does not follow from what was found")
        passed = sum(answer.is_right for answer in answers)
        counted = (record["format"], record["passed"], record["failed"])
        if counted != (FORMAT, passed, len(answers) - passed) or not answers:
            raise ValueError("counts that do not fit its answers")
        if record["package"] != {"name": "xai-audit", "version": __version__}:
            raise ValueError(f"a record of {record['package']}")
        if missing := asked_of() - {answer.subject for answer in answers}:
            raise ValueError(f"no answer of {', '.join(sorted(missing))}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Make it anew: xai-audit selftest."
        raise EvidenceError(path.name, f"{error}", f"a self-test record in format {FORMAT}", fix) from error
    found: dict[str, Any] = record
    return found


def qualification(out: Path) -> dict[str, Any] | None:
    """What a run says of the self-test of the version that makes it; None where there is no record.

    `same_versions` is False where the record was made with other packages than those installed now. Raises
    EvidenceError for a record that cannot be read.
    """
    path = record_path(out)
    if not path.is_file():
        return None
    record = read_record(path)
    return {
        "version": record["package"]["version"],
        "date": record["made"],
        "passed": record["passed"],
        "failed": record["failed"],
        "failed_answers": [answer["id"] for answer in record["answers"] if not answer["passed"]],
        "same_versions": record["versions"] == versions(),
        "sha256": file_sha256(path),
    }
