"""Names of the built-in operators on pictures, their parameters and the values that they take; no code of theirs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Bounds = tuple[float, float]
RENDER = "render"
"""Re-render of the same unit by the generator that made it: a whole do(), grade A."""
SHARE: Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Number:
    """A parameter that is a number."""

    bounds: Bounds
    default: float | None = None
    """None: it may be left out, and nothing stands for it."""


@dataclass(frozen=True)
class Word:
    """A parameter that is a text."""

    choices: tuple[str, ...] = ()
    """Empty: the name of a mask or of a slice."""
    default: str | None = None
    names: Literal["", "mask", "slice"] = ""


Parameter = Number | Word
_MASK: dict[str, Parameter] = {"mask": Word(names="mask")}
_BOX: dict[str, Parameter] = {name: Number(SHARE) for name in ("top", "left", "height", "width")}
_REGION: dict[str, Parameter] = {**_MASK, **_BOX}


@dataclass(frozen=True)
class BuiltIn:
    """One built-in operator."""

    call: str
    """module:function"""
    value: Bounds
    """What it may be set to."""
    neutral: float | None = None
    """Setting that leaves a picture as it is, where it is the same for every picture."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    needs_region: bool = False
    """Whether a mask, or a box in shares of the sides, says where it works."""
    needs_donor: bool = False
    """Whether it takes something from another picture."""


_AT = "xai_audit.causal.operators."
OPERATORS: Mapping[str, BuiltIn] = {
    "paste_patch": BuiltIn(
        _AT + "patches:paste_patch", SHARE, 0.0, {**_REGION, "level": Number(SHARE, 0.95)}, needs_region=True
    ),
    "remove_patch": BuiltIn(_AT + "patches:remove_patch", SHARE, 1.0, _REGION, needs_region=True),
    "set_patch": BuiltIn(
        _AT + "patches:set_patch", SHARE, None, {**_REGION, "level": Number(SHARE, 0.95)}, needs_region=True
    ),
    "inpaint": BuiltIn(_AT + "patches:inpaint", SHARE, 0.0, _REGION, needs_region=True),
    "occlusion": BuiltIn(
        _AT + "patches:occlusion", SHARE, 0.0, {**_MASK, "level": Number(SHARE, 0.5)}
    ),
    "recolour_inside": BuiltIn(
        _AT + "tones:recolour_inside", SHARE, None,
        {**_REGION, "how": Word(("shift", "flat"), "shift")}, needs_region=True,
    ),
    "recolour_outside": BuiltIn(
        _AT + "tones:recolour_outside", SHARE, None,
        {**_REGION, "how": Word(("shift", "flat"), "shift")}, needs_region=True,
    ),
    "brightness": BuiltIn(_AT + "tones:brightness", (-1.0, 1.0), 0.0),
    "set_brightness": BuiltIn(_AT + "tones:set_brightness", SHARE),
    "contrast": BuiltIn(_AT + "tones:contrast", (0.0, math.inf), 1.0),
    "fog": BuiltIn(_AT + "tones:fog", SHARE, 0.0, {"level": Number(SHARE, 0.8)}),
    "noise": BuiltIn(_AT + "tones:noise", (0.0, math.inf), 0.0),
    "blur": BuiltIn(_AT + "places:blur", (0.0, math.inf), 0.0, {"mask": Word(names="mask")}),
    "crop": BuiltIn(_AT + "places:crop", (0.0, 0.9), 0.0),
    "rotate": BuiltIn(_AT + "places:rotate", (-180.0, 180.0), 0.0),
    "background_swap": BuiltIn(
        _AT + "patches:background_swap", SHARE, 0.0,
        {**_REGION, "donors": Word(names="slice")}, needs_region=True, needs_donor=True,
    ),
}  # fmt: skip
"""The built-in operators, by name; `value` is what their variable is set to."""
PLACEBOS: Mapping[str, str] = {
    "random_region": _AT + "placebos:random_region",
    "outside_view": _AT + "placebos:outside_view",
    "random_recolour": _AT + "placebos:random_recolour",
}
"""Placebos made of the very change that an operator made: elsewhere, outside the field of view, or with its pixels
shuffled among each other."""


def is_built_in(call: str) -> bool:
    """Whether a call names no code of the user's: a built-in operator, or the generator's re-render."""
    return call == RENDER or call in OPERATORS


def fault_of(call: str, parameters: Mapping[str, object]) -> str:
    """What is wrong with an operator's call and parameters, as a phrase; empty where nothing is.

    A call with a colon is a function of the user's: its code is looked at when it is loaded, and its parameters are
    handed to it by name.
    """
    if ":" in call:
        return ""
    if call == RENDER:
        return f"parameter {min(parameters)!r} of render, which takes none" if parameters else ""
    if call not in OPERATORS:
        return f"no built-in operator {call!r}{_near(call, (*OPERATORS, RENDER))}"
    known = OPERATORS[call]
    for name in sorted(parameters):
        if name not in known.parameters:
            return f"unknown parameter {name!r} of {call}{_near(name, known.parameters)}"
        fault = _fault_of_value(known.parameters[name], parameters[name])
        if fault:
            return f"parameter {name} of {call} is {parameters[name]!r}, expected {fault}"
    box = [name for name in _BOX if name in parameters]
    if box and len(box) < len(_BOX):
        missing = ", ".join(name for name in _BOX if name not in box)
        return f"a box without {missing}: {call} needs top, left, height and width in shares of the sides"
    if box and "mask" in parameters:
        return f"both a mask and a box: {call} works in one of them"
    if known.needs_region and not box and "mask" not in parameters:
        return f"no region: {call} needs `mask`, or top, left, height and width in shares of the sides"
    return ""


def placebo_fault(placebo: str) -> str:
    """What is wrong with the name of a placebo, as a phrase; empty where nothing is."""
    if ":" in placebo or placebo in PLACEBOS:
        return ""
    return f"no placebo {placebo!r}{_near(placebo, PLACEBOS)}"


def _fault_of_value(parameter: Parameter, value: object) -> str:
    if isinstance(parameter, Word):
        if not isinstance(value, str):
            return "a text"
        return f"one of {', '.join(parameter.choices)}" if parameter.choices and value not in parameter.choices else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    low, high = parameter.bounds
    return "" if low <= value <= high else f"a number from {low:g} to {high:g}"


def _near(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {found[0]!r}?)" if found else f"; there are {', '.join(known)}"
