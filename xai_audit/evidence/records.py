"""The records of a run: one Evidence a step, made of Values that carry their interval, count and unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["measured", "not_applicable", "failed"]
StepKind = Literal[
    "data_profile",
    "predictions",
    "performance",
    "calibration",
    "fairness",
    "operating_point",
    "challenger",
    "split_integrity",
    "sorting",
    "appraisers",
    "drift_baseline",
    "boundary",
    "cases",
    "pass",
    "explanation",
    "localisation",
    "probe",
    "quality",
    "global",
    "surrogate",
    "reasons",
    "scan",
    "units",
    "dissection",
    "tcav",
    "maximisation",
    "concept_effect",
    "causal_graph",
    "causal_query",
    "severity",
    "cause_beside_attribution",
]
"""What a step does. operating_point: calls at a declared threshold, and what they mean where the finding is rarer;
challenger: the model beside other answers on the same cases; split_integrity: what the audited cases share with each
other and with the training data; sorting: parts passed and stopped; appraisers: people who rated the same cases;
drift_baseline: distributions of today, and triggers; boundary: cases whose decision was the narrowest. probe: asks the
net for a check of explanations; quality: what the check comes to on a slice; global: what single explanations come to
on a slice. scan: one pass over whole slices for all methods that read units or concepts, each of which has a step of
its own; concept_effect: what scores lose without the units of a concept. causal_graph: what the declared graph implies,
and what the data say to it; causal_query: one question about cause; severity: what an operator does at rising strength;
cause_beside_attribution: where methods look beside what changes the score."""
IntervalKind = Literal["wilson", "bootstrap", "analytic", "exact", "bounds", "corners", "none"]


@dataclass(frozen=True)
class Value:
    """One number with what is needed to judge it.

    `interval` says how low and high came about: `wilson` from successes of trials, `bootstrap` as percentiles of the
    draws stored in the step's arrays under the name `draws` (a one-dimensional float64 array), `none` where a number
    has no interval. Of causal answers also `analytic`: estimate and standard error with Student's t of `dof` (None:
    normal); `exact`: exact under a stated law, low and high are the estimate; `bounds`: no estimate, `bounds` is the
    set that the data leave, low and high cover it, from `draws` of shape (2, n) where the law is not exact. `corners`:
    low and high follow from the ends of the intervals of other numbers, and no criterion judges them. `status`
    is `undefined` where the number does not exist (`reason` says why); then estimate, low and high are None.
    """

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    confidence: float = 0.95
    interval: IntervalKind = "none"
    successes: int | None = None
    trials: int | None = None
    draws: str | None = None
    status: Literal["measured", "undefined"] = "measured"
    reason: str = ""
    label: str = ""
    """What the number belongs to when a step has several of one name: a class name, a bin."""
    standard_error: float | None = None
    dof: int | None = None
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Passes:
    """Passes through the net, counted in images: one forward of a batch of eight is eight forwards."""

    forwards: int = 0
    backwards: int = 0
    partial: int = 0
    """Forwards in which only the part of the net was computed that a change can reach."""

    @property
    def rows(self) -> int:
        """Images whose scores were asked for, whole and partial forwards together."""
        return self.forwards + self.partial

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forwards + other.forwards, self.backwards + other.backwards, self.partial + other.partial)


NO_PASSES = Passes()
"""Steps that ask the net nothing."""


@dataclass(frozen=True)
class Failure:
    """Why a step failed or was refused: the error's class and its four-part message, without paths or clock."""

    kind: str
    message: str


@dataclass(frozen=True)
class ArrayRef:
    """An array in the step's safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """What one step found, also when it found nothing."""

    id: str
    kind: StepKind
    subject: str
    """Measure name, method label, or the kind again."""
    slice: str | None
    status: Status
    method: str | None = None
    """For localisation: the method measured."""
    mask: str | None = None
    values: tuple[Value, ...] = ()
    arrays: tuple[ArrayRef, ...] = ()
    passes: Passes = NO_PASSES
    failure: Failure | None = None
    parents: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """Tables, parameters actually used, warnings: JSON values only."""
