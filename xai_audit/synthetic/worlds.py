"""The four worlds by name, with coefficients of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from xai_audit.synthetic.document import Document, document
from xai_audit.synthetic.metal import Metal, metal
from xai_audit.synthetic.radiograph import Radiograph, radiograph
from xai_audit.synthetic.traffic_sign import TrafficSign, traffic_sign
from xai_audit.synthetic.units import World

Coefficients = Radiograph | TrafficSign | Document | Metal
WORLDS: Mapping[str, tuple[type[Coefficients], Callable[[Any], World]]] = {
    "radiograph": (Radiograph, radiograph),
    "traffic_sign": (TrafficSign, traffic_sign),
    "document": (Document, document),
    "metal": (Metal, metal),
}
"""By name: the type of its coefficients, and what makes it of them."""


def coefficients_of(name: str) -> tuple[str, ...]:
    """Names of the coefficients of a world."""
    return tuple(one.name for one in fields(WORLDS[name][0]))


def world_of(name: str, coefficients: Mapping[str, Any] | None = None) -> World:
    """A world, some of its coefficients other than its own.

    Raises pydantic's ValidationError for a value that a coefficient cannot have, TypeError for an unknown one.
    """
    from pydantic import TypeAdapter

    kind, made = WORLDS[name]
    unknown = sorted(set(coefficients or {}) - set(coefficients_of(name)))
    if unknown:
        raise TypeError(f"the {name} has no coefficient {unknown[0]}")
    return made(TypeAdapter(kind).validate_python(dict(coefficients or {})))
