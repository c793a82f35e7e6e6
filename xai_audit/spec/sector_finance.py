"""What an audit of a credit or finance model says beside the rest: what a validator looks for."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from xai_audit.spec.base import Date, Name, Person, Said, Strict, Text


class Soundness(Strict):
    """One point of conceptual soundness, as a named person argues it."""

    topic: Text
    """What it is about: the method, a variable, the label, a boundary."""
    text: Text
    """The argument."""
    by: Person | None = None
    """Whose it is."""


class Overlay(Strict):
    """A correction that people lay over the model's answers."""

    what: Text
    """What is changed, and by how much."""
    why: Text
    """Why the model does not do so itself."""
    by: Person
    """Who decided."""
    until: Date | None = None
    """Last day on which it holds."""


class Finance(Strict):
    """What the annex of a validation report prints; what is left out is shown as missing. It has no key for a rating:
    the report leaves its place empty for the validator."""

    inventory_id: Name | None = None
    """Number of the model in the inventory."""
    materiality: Text | None = None
    """How much rests on the model, and which tier that is."""
    purpose: Text | None = None
    """Which decisions it serves; beside audit.intended_use."""
    conceptual_soundness: tuple[Soundness, ...] = ()
    """Why model, data and label fit the purpose."""
    assumptions: tuple[Text, ...] = ()
    """What must hold for the model to work."""
    overlays: tuple[Overlay, ...] = ()
    """Corrections by people."""
    conditions_of_use: tuple[Text, ...] = ()
    """Under which conditions the model may be used."""
    implementation: Text | None = None
    """How it was checked that the model in use is the model that was audited."""
    monitoring: Text | None = None
    """What is watched in use, and when it is looked at."""
    independence: Said | None = None
    """That the validator is independent of those who built the model."""
