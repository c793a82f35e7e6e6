"""What a plan is made of: steps with ids that depend on their content, and the passes that each will make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import NO_PASSES, Passes, StepKind
from xai_audit.explain.cost import Cost

NO_COST = Cost()
"""A step that asks the net nothing."""


@dataclass(frozen=True)
class Counts:
    """How many cases there are: in all and by slice. Known from tables and listings, before any image is read."""

    cases: int
    slices: Mapping[str, int]


@dataclass(frozen=True)
class Step:
    """One unit of work that leaves one evidence record."""

    id: str
    kind: StepKind
    subject: str
    slice: str | None = None
    method: str | None = None
    mask: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parents: tuple[str, ...] = ()
    cost: Cost = NO_COST
    cases: int = 0
    unit: str = ""
    """Steps of one unit run together, because they share passes through the net."""

    @property
    def passes(self) -> Passes:
        """Passes through the net, in images, as far as they are known beforehand."""
        return self.cost.passes

    @property
    def title(self) -> str:
        """The step in words, for progress and logs."""
        method = f"of {self.method}" if self.method and self.method != self.subject else ""
        parts = [self.subject, method, f"in {self.mask}" if self.mask else ""]
        return " ".join([*filter(None, parts), f"on {self.slice}" if self.slice else ""]).strip()


@dataclass(frozen=True)
class Plan:
    """All steps of an audit, in the order in which they run."""

    steps: tuple[Step, ...]

    @property
    def passes(self) -> Passes:
        """Passes through the net, in images."""
        return sum((step.passes for step in self.steps), NO_PASSES)

    def step(self, step_id: str) -> Step:
        """The step of an id; KeyError when there is none."""
        return {step.id: step for step in self.steps}[step_id]


def make_step(seed: int, kind: StepKind, subject: str, **parts: Any) -> Step:
    """A step whose id depends on seed, kind, subject and content, and on nothing else."""
    content = {key: parts.get(key) for key in ("slice", "method", "mask", "parameters", "parents")}
    identity = sha256(canonical({"seed": seed, "kind": kind, "subject": subject, **content}).encode())[:12]
    return Step(id=identity, kind=kind, subject=subject, **parts)


def as_json(part: Any) -> Any:
    """A part of the spec as JSON values."""
    return part.model_dump(mode="json", by_alias=True)
