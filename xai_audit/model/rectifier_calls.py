"""Which calls of torch's functions are rectifiers, in whatever form a network writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RectifierCall:
    """One call that is a rectifier, max(x, 0)."""

    x: Tensor
    is_in_place: bool
    is_clamp: bool = False
    """The gradient at exactly 0 is 1, not 0."""


_RELUS = (F.relu, torch.relu, Tensor.relu)
_RELUS_IN_PLACE = (torch.relu_, Tensor.relu_)
_CLAMPS = (torch.clamp, torch.clip, Tensor.clamp, Tensor.clip, torch.clamp_min, Tensor.clamp_min)
_CLAMPS_IN_PLACE = (torch.clamp_, torch.clip_, Tensor.clamp_, Tensor.clip_, torch.clamp_min_, Tensor.clamp_min_)
_THRESHOLDS = (F.threshold, torch.threshold)
_THRESHOLDS_IN_PLACE = (torch.threshold_,)


def rectifier_call(function: object, arguments: Sequence[Any], named: dict[str, Any]) -> RectifierCall | None:
    """The call as a rectifier, or None if it is another operation."""
    x = arguments[0] if arguments else named.get("input")
    if not isinstance(x, Tensor) or "out" in named:
        return None
    if function in _RELUS or function in _RELUS_IN_PLACE:
        is_in_place = bool(argument(arguments, named, 1, "inplace")) if function is F.relu else False
        return RectifierCall(x, is_in_place or function in _RELUS_IN_PLACE)
    if function in _CLAMPS or function in _CLAMPS_IN_PLACE:
        bounds = argument(arguments, named, 1, "min"), argument(arguments, named, 2, "max")
        is_rectifier = is_zero(bounds[0]) and bounds[1] is None
        return RectifierCall(x, function in _CLAMPS_IN_PLACE, True) if is_rectifier else None
    if function in _THRESHOLDS or function in _THRESHOLDS_IN_PLACE:
        bounds = argument(arguments, named, 1, "threshold"), argument(arguments, named, 2, "value")
        is_in_place = function in _THRESHOLDS_IN_PLACE or bool(argument(arguments, named, 3, "inplace"))
        return RectifierCall(x, is_in_place) if is_zero(bounds[0]) and is_zero(bounds[1]) else None
    return None


def bounded_input(function: object, arguments: Sequence[Any], named: dict[str, Any]) -> Tensor | None:
    """What goes into a rectifier with a ceiling (ReLU6), or None if the call is another operation."""
    x = arguments[0] if arguments else named.get("input")
    if not isinstance(x, Tensor) or "out" in named:
        return None
    if function is F.relu6:
        return x
    name = "min_val" if function in (F.hardtanh, F.hardtanh_) else "min"
    is_bounding = function in (F.hardtanh, F.hardtanh_, *_CLAMPS, *_CLAMPS_IN_PLACE)
    return x if is_bounding and is_zero(argument(arguments, named, 1, name)) else None


def argument(arguments: Sequence[Any], named: dict[str, Any], place: int, name: str) -> Any:
    """An argument that was given by place or by name; None where it was not."""
    return arguments[place] if len(arguments) > place else named.get(name)


def is_zero(value: object) -> bool:
    """Whether a number, or every number of a tensor, is 0."""
    if isinstance(value, Tensor):
        return value.numel() > 0 and not bool(value.any())
    return isinstance(value, int | float) and value == 0
