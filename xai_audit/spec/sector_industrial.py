"""What an industrial audit declares beside its numbers: part, defects, stations, control plan, reaction plan."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Annotated, Literal

from pydantic import Field

from xai_audit.spec.base import Identifier, Name, Said, Sha256, Strict, Text


class InspectedPart(Strict):
    """The part family that is inspected."""

    name: Text
    """What it is called."""
    characteristic: Text
    """What is inspected on it."""
    drawing: Name | None = None
    """Number of the drawing, with its revision."""


class Defect(Strict):
    """A defect class, as the defect catalogue has it."""

    class_: Annotated[Name, Field(alias="class")]
    """The class of the model."""
    description: Text
    """What it looks like."""
    severity: Literal["minor", "major", "critical"] = "major"
    """How grave it is when it escapes."""
    boundary: Text | None = None
    """What is still good."""


class Station(Strict):
    """A line with its camera and lighting."""

    name: Text
    """Which line or station."""
    camera: Text
    """Camera and lens."""
    lighting: Text
    """Lamps, and how they are set."""
    slice: Identifier | None = None
    """The slice of its cases."""


class ControlPlan(Strict):
    """The control plan that the inspection belongs to."""

    document: Name
    """Its number."""
    revision: Name
    """Its revision."""
    step: Text | None = None
    """The step of the process."""
    sha256: Sha256 | None = None
    """Digest of the document as it was when the audit was written."""


class Reaction(Strict):
    """What is done when something goes wrong on the line."""

    when: Text
    """What is seen."""
    then: Text
    """What is done."""
    who: Name
    """Who does it."""
    criteria: tuple[Identifier, ...] = ()
    """Ids of criteria that measured the same before release."""


class BoundarySamples(Strict):
    """Which cases are shown as boundary samples."""

    count: Annotated[int, Field(ge=1, le=60)] = 12
    """How many cases, those whose decision was the narrowest."""


class Industrial(Strict):
    """What reviewers of a measurement system look for beside the numbers; the words are the owner's."""

    part: InspectedPart
    """The part family."""
    good: Name
    """The class of a part without a defect; every other class is a defect."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """A part is passed at this probability of the good class or above; default: where that class is the model's own
    choice."""
    defects: Annotated[tuple[Defect, ...], Field(min_length=1)]
    """The defect catalogue: one entry for each class but the good one."""
    reference_set: Said | None = None
    """How the reference labels came about, as a named person says."""
    boundary_samples: BoundarySamples = BoundarySamples()
    """Which cases are shown as boundary samples."""
    stations: tuple[Station, ...] = ()
    """Lines, cameras and lighting."""
    control_plan: ControlPlan | None = None
    """The control plan."""
    reaction_plan: tuple[Reaction, ...] = ()
    """What is done when something goes wrong."""
