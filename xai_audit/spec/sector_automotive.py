"""What an automotive audit declares beside its numbers: item, operating domain, hazards, argument, indicators."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from xai_audit.spec.base import Fault, Identifier, Name, Said, Strict, Text


class Item(Strict):
    """The item: what is built into the vehicle, and what the model does in it."""

    name: Text
    """What it is called."""
    function: Text
    """What it does, and who acts on it."""
    level: Text | None = None
    """Level of driving automation, as the maker states it."""
    integrity: Said | None = None
    """Safety integrity level or safety goals, as a named person states them."""


class DomainValue(Strict):
    """One value of a dimension of the operating domain: a slice that covers it, or why none does."""

    value: Text
    """The value, such as `fog`."""
    slice: Identifier | None = None
    """The slice whose cases have this value."""
    not_covered: Text | None = None
    """Why no slice covers it."""

    @model_validator(mode="after")
    def _covered_or_why_not(self) -> Self:
        if (self.slice is None) == (self.not_covered is None):
            raise Fault(
                "both `slice` and `not_covered`" if self.slice else "neither `slice` nor `not_covered`",
                "one of the two",
                "Name the slice that covers the value, or say under `not_covered` why none does.",
                keys=("slice", "not_covered"),
                at=("not_covered",) if self.slice else (),
            )
        return self


class Dimension(Strict):
    """A dimension of the operating domain, such as the weather."""

    dimension: Text
    """What varies."""
    values: Annotated[tuple[DomainValue, ...], Field(min_length=1)]
    """Its values, all of them: what is not covered by a slice says why."""


class Hazard(Strict):
    """A hazard with the conditions that may trigger it, and the criteria that speak of it."""

    id: Identifier
    """Name of the hazard, such as H1."""
    hazard: Text
    """What may happen to whom."""
    triggering: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Conditions of the scene that may bring it about through the model (ISO 21448)."""
    severity: Text | None = None
    """How grave it is, as the safety analysis states it."""
    measures: tuple[Text, ...] = ()
    """What is done against it outside the model."""
    criteria: tuple[Identifier, ...] = ()
    """Ids of criteria whose verdicts speak of it."""
    residual: Said | None = None
    """What remains, as a named person judges it."""


class Shown(Strict):
    """Evidence that a solution points at: the numbers of a measure on a slice, or a causal query."""

    measure: Name | None = None
    """Name of a declared measure."""
    slice: Identifier = "all"
    """The slice on which it was taken."""
    query: Identifier | None = None
    """Instead of a measure: id of a causal query."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.measure is None) == (self.query is None):
            found = "both `measure` and `query`" if self.measure else "neither `measure` nor `query`"
            raise Fault(found, "one of the two", "Keep one of them.", keys=("measure", "query"))
        return self


NodeKind = Literal["goal", "strategy", "solution", "context", "assumption", "justification", "defeater"]


class Node(Strict):
    """A node of the argument, in the terms of the Goal Structuring Notation (version 3)."""

    id: Identifier
    """Name of the node, such as G1."""
    kind: NodeKind
    """goal: a claim; strategy: how it is split; solution: evidence; context, assumption, justification: what a claim
    rests on; defeater: what would speak against it."""
    text: Text
    """The claim, or what the node says."""
    under: Identifier | None = None
    """Id of the node that it stands under; exactly one goal, the top, stands under none."""
    criteria: tuple[Identifier, ...] = ()
    """Of a solution: ids of criteria that must pass."""
    evidence: tuple[Shown, ...] = ()
    """Of a solution: evidence without a limit of its own. Alone it supports nothing: nobody said what is enough."""
    answer: Said | None = None
    """Of a defeater: why it does not hold; without one it is open."""
    confidence: Said | None = None
    """Of a goal: how far a named person trusts the argument below it, and why."""

    @model_validator(mode="after")
    def _parts_fit_kind(self) -> Self:
        for key, kind in (
            ("criteria", "solution"),
            ("evidence", "solution"),
            ("answer", "defeater"),
            ("confidence", "goal"),
        ):
            if getattr(self, key) and self.kind != kind:
                fix = f"Remove it, or make the node a {kind}."
                raise Fault(
                    f"`{key}` of a {self.kind}", f"`{key}` of a {kind} only", fix, keys=("kind", key), at=(key,)
                )
        return self


class Indicator(Strict):
    """A number that is watched in the field, and what happens when it leaves its range (UL 4600: safety performance
    indicator)."""

    id: Identifier
    """Name of the indicator."""
    indicator: Text
    """What is counted or measured."""
    limit: Text
    """The range that it must keep, as the owner set it."""
    source: Text
    """Where it is read, and how often."""
    then: Text
    """What is done when it leaves its range."""
    criteria: tuple[Identifier, ...] = ()
    """Ids of criteria that measured the same before release."""


class Automotive(Strict):
    """What reviewers of a vehicle's safety look for beside the numbers; the words are the owner's."""

    item: Item
    """What is built into the vehicle."""
    operating_domain: Annotated[tuple[Dimension, ...], Field(min_length=1)]
    """The operating domain, dimension by dimension."""
    hazards: tuple[Hazard, ...] = ()
    """Hazards and triggering conditions."""
    argument: tuple[Node, ...] = ()
    """The safety argument, as nodes of a tree."""
    indicators: tuple[Indicator, ...] = ()
    """What is watched in the field."""
    unknown_scenarios: Said | None = None
    """How scenarios that nobody thought of were looked for."""
    residual_risk: Said | None = None
    """What a named person says of the risk that remains."""
    release: Said | None = None
    """What a named person says of the release."""
    tool_confidence: Said | None = None
    """Tool confidence level (ISO 26262-8), as a named person states it."""
