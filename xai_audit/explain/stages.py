"""From a raw signed map to a picture, each stage apart and in numpy: reduce, sign, upsample, display (METHODS 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Reduction = Literal["sum", "max_abs", "l2"]
Sign = Literal["relu", "signed", "abs"]
Case = Literal["scaled", "constant", "all_negative", "all_zero"]

SENTENCES: dict[Case, str] = {
    "scaled": "",
    "constant": "The map has the same value everywhere: it singles out no place.",
    "all_negative": "No value of the map is positive: no place speaks for the target.",
    "all_zero": "Every value of the map is zero: it shows nothing.",
}


def reduce(raw: Array, how: Reduction = "sum") -> Array:
    """(cases, height, width) from (cases, channels, height, width), over channels; maps without channels stay.

    `sum` keeps the sign; `max_abs` is the largest absolute value, `l2` the Euclidean length.
    """
    if raw.ndim == 3:
        return raw
    if how == "max_abs":
        return np.asarray(np.abs(raw).max(1))
    if how == "l2":
        return np.asarray(np.sqrt((raw**2).sum(1)))
    return np.asarray(raw.sum(1))


def sign(maps: Array, how: Sign = "relu") -> Array:
    """Positive part, all values, or absolute values."""
    if how == "relu":
        return np.maximum(maps, 0)
    return np.abs(maps) if how == "abs" else maps


def upsample(maps: Array, size: tuple[int, int]) -> Array:
    """Maps (..., h, w) at `size` by bilinear interpolation, as torch's with align_corners=False and no antialias."""
    if maps.shape[-2:] == tuple(size):
        return maps
    down, across = _interpolation(maps.shape[-2], size[0]), _interpolation(maps.shape[-1], size[1])
    return np.asarray((down @ maps @ across.T).astype(maps.dtype))


def relevance_map(raw: Array, how: Reduction, size: tuple[int, int]) -> Array:
    """Raw maps as relevance: reduced over channels, negative values set to 0, at image size (METHODS 6)."""
    return upsample(sign(reduce(raw, how), "relu"), size)


def _interpolation(length: int, wanted: int) -> npt.NDArray[np.float64]:
    """Matrix (wanted, length) whose rows weigh the two neighbours of each new place."""
    place = np.maximum((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0)
    lower = np.minimum(place.astype(np.int64), length - 1)
    upper = np.minimum(lower + 1, length - 1)
    share = place - lower
    weights = np.zeros((wanted, length))
    np.add.at(weights, (np.arange(wanted), lower), 1 - share)
    np.add.at(weights, (np.arange(wanted), upper), share)
    return weights


@dataclass(frozen=True, eq=False)
class Display:
    """One map scaled for a picture, with the scale and, where it shows nothing, the sentence that says so."""

    values: Array
    """(height, width) in [0, 1], or in [-1, 1] where symmetric."""
    low: float
    """Map value shown as the lower end of the scale."""
    high: float
    case: Case
    sentence: str


def display(one: Array, *, symmetric: bool) -> Display:
    """A finite map (height, width) for a picture: from its minimum to its maximum, or symmetric around zero.

    A constant or all-zero map, and an all-negative one on a scale that is not symmetric, is zero everywhere, never
    stretched. Pass a map before its sign stage, so that an all-negative map is told from an all-zero one.
    """
    low, high = float(one.min()), float(one.max())
    case = _case(low, high)
    if symmetric:
        most = max(-low, high)
        values = one / most if most > 0 else np.zeros_like(one)
        return Display(values, -most, most, case, SENTENCES[case])
    low = max(low, 0.0) if high > 0 else low
    if case != "scaled":
        return Display(np.zeros_like(one), low, high, case, SENTENCES[case])
    return Display(np.clip((one - low) / (high - low), 0, 1), low, high, case, SENTENCES[case])


def _case(low: float, high: float) -> Case:
    if low == high == 0:
        return "all_zero"
    if high <= 0:
        return "all_negative"
    return "constant" if low == high else "scaled"
