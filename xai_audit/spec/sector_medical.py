"""What an audit of a medical device says beside the rest: the words and groups that its reviewers look for."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Annotated, Literal

from pydantic import Field

from xai_audit.spec.base import FiniteFloat, Identifier, Name, Person, Said, Share, Strict, Text

Prevalence = Annotated[FiniteFloat, Field(gt=0, lt=1)]


class OperatingPoint(Strict):
    """Where a stated probability becomes a call, who chose that, and how common the finding is where it is used."""

    positive: Name | None = None
    """Class that is called; default: the second of two."""
    threshold: Share | None = None
    """It is called at this probability or above; default: the model's own choice."""
    prevalences: Annotated[tuple[Prevalence, ...], Field(max_length=6)] = ()
    """Shares of people with the finding for which predictive values are worked out."""
    chosen_by: Person
    """Who chose the threshold, and when."""
    because: Text
    """Why there."""


class ReferenceStandard(Strict):
    """How the truth was found that labels stand for."""

    text: Text
    """What the reference standard is."""
    readers: Annotated[int, Field(ge=1)] | None = None
    """How many people read each case."""
    adjudication: Text | None = None
    """How disagreements were settled."""
    blinded: bool | None = None
    """Whether readers were blind to the model's answers."""


class GroupOfSlices(Strict):
    """Slices that are printed as one table."""

    name: Text
    """Heading of the table."""
    kind: Literal["subgroup", "demographic", "site", "device"] = "subgroup"
    """What its slices tell apart."""
    slices: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of slices, in the order of the table."""


class PlannedChange(Strict):
    """A change of the device that is foreseen, and the criteria that it must meet."""

    what: Text
    """What would be changed."""
    protocol: Text
    """How it would be made and checked."""
    criteria: tuple[Identifier, ...] = ()
    """Criteria of this audit that it must meet."""


class Standard(Strict):
    """A standard, and whether it was applied."""

    name: Name
    """Number and year."""
    applied: bool
    """Whether it was."""
    note: Text | None = None
    """In which parts, or why not."""


class Medical(Strict):
    """What the annex of a medical report prints; what is left out is shown as missing."""

    device: Text | None = None
    """What the device is, and how it works."""
    version: Name | None = None
    """Version of the device that this audit is of."""
    versions_named: Text | None = None
    """Rule by which versions are named."""
    labelling: Text | None = None
    """What users are told on the screen and in the instructions."""
    risk: Text | None = None
    """Which risks the model bears on, and where the risk file is."""
    reference_standard: ReferenceStandard | None = None
    """How the truth was found."""
    operating_point: OperatingPoint | None = None
    """Where a probability becomes a call; measured on every slice."""
    groups: tuple[GroupOfSlices, ...] = ()
    """Slices by sex, age, site, device: a table each."""
    data_independence: Said | None = None
    """That the audited data are independent of those that trained the model."""
    change_plan: tuple[PlannedChange, ...] = ()
    """Changes that are foreseen."""
    standards: tuple[Standard, ...] = ()
    """Standards that were applied, or were not; none listed prints as none applied."""
    oversight: Text | None = None
    """How people watch the device in use, and stop it."""
    monitoring: Text | None = None
    """How the device is watched after release."""
    cybersecurity: Text | None = None
    """Where that file is, and who answers for it."""
    public_summary: Text | None = None
    """What the public may read."""
    retention: Text | None = None
    """How long these records are kept, and where."""
