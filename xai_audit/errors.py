"""Every error a user can meet.

AuditError                 base; `exit_code` is what the command line returns
├── SpecErrors             the YAML is wrong: one or more Problems (exit 2)
├── InputError             what the spec names is wrong: weights, data, a run folder (exit 2)
│   ├── ModelError
│   ├── DataError          a table, an image, a label, an empty slice
│   └── EvidenceError      a run folder is missing, unfinished or changed
├── Refusal                a method or measure does not apply here; its step becomes `not_applicable`
├── StepError              a step produced something that is not an answer (NaN, wrong shape); it becomes `failed`
└── RenderError            the report could not be made whole (exit 3)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands, what was found, what was expected, what to do."""

    where: str
    found: str
    expected: str
    fix: str
    excerpt: str = ""
    """The source line and a caret below it, when the place is in a file."""

    def __str__(self) -> str:
        head = f"{self.where}\n{self.excerpt}" if self.excerpt else f"{self.where}:"
        sentence = f"found {self.found}; expected {self.expected}. {self.fix}".rstrip()
        return f"{head} {sentence}"


@dataclass(frozen=True)
class CodedProblem(Problem):
    """A Problem of a kind that has a name, as the causal part writes it.

    `where` ends in `error[code] key.path`, `found` is one sentence and `fix` one remedy.
    """

    code: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.found}\n{self.excerpt} {self.fix}".rstrip()


class AuditError(Exception):
    """Base of every error that a user can act on."""

    exit_code = 3


class SpecErrors(AuditError):
    """All problems of one spec file, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class ProblemError(AuditError):
    """An error that is one Problem."""

    def __init__(self, where: str, found: str, expected: str, fix: str) -> None:
        self.problem = Problem(where, found, expected, fix)
        super().__init__(str(self.problem))

    def __reduce__(self) -> tuple[object, ...]:
        """How it goes to another process."""
        parts = (self.problem.where, self.problem.found, self.problem.expected, self.problem.fix)
        return type(self), parts, self.__dict__


class InputError(ProblemError):
    """Something that the spec names is missing or wrong."""

    exit_code = 2


class ModelError(InputError):
    """The model cannot be built, its weights do not fit, or its output is not what the task needs."""


class DataError(InputError):
    """A table, an image, a mask or a label is missing, unreadable or outside what the spec allows."""


class EvidenceError(InputError):
    """A run folder is missing, unfinished or changed."""


class Refusal(ProblemError):
    """A method or measure does not apply to this model or data; the report prints it as not run, with this reason."""


class StepError(ProblemError):
    """A step gave something that is not an answer: a NaN, a wrong shape, a count that does not match."""


class RenderError(ProblemError):
    """The report could not be made whole; nothing was written."""
