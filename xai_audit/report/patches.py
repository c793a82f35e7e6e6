"""Pictures of units: what a unit sees of a case where it answers most, lit where it does; and made pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.report.context import Context
from xai_audit.report.document import Image
from xai_audit.report.maps import Floats
from xai_audit.report.pictures import SMALLEST_SIDE, Bytes, jpeg, outlined, place_of_largest

BUDGET = 380
"""Small pictures of units in a report, shared by its sheets."""
HALF = 0.5
"""Share of a unit's largest value from which on a place counts as one where it answers."""
DIMMED = 0.42
"""Brightness that is left where a unit does not answer."""
CONTEXT = 0.34
"""Share of a picture's side that a patch shows at least."""
OUTSIDE = 244
"""Grey beyond the edge of the picture."""
MOST_VALUE = 255.0


def patch(image: Bytes, one: Floats, entry: Mapping[str, Any], receptive: Mapping[str, Any], end: float) -> Bytes:
    """The part (rows, columns, 3) of a picture that a unit sees: full brightness and a line around it where the map is
    at least half of `end`, the rest dimmed; grey beyond the picture's edge. A small part has its surroundings."""
    is_small = sees_little(receptive, image.shape)
    top, left, bottom, right = _at_least_a_pixel(entry["box"], image.shape)
    if is_small:
        top, bottom = _around(top, bottom, image.shape[0])
        left, right = _around(left, right, image.shape[1])
    lit = _at_pixels(np.asarray(one, np.float64), receptive, (image.shape[0], image.shape[1]))
    part, strength = colours(image)[top:bottom, left:right], lit[top:bottom, left:right]
    factor = max(1, SMALLEST_SIDE // max(part.shape[:2]))
    part, strength = (np.repeat(np.repeat(each, factor, axis=0), factor, axis=1) for each in (part, strength))
    drawn = lit_up(part, strength, end)
    return drawn if is_small else _padded(drawn, entry, receptive, image.shape, factor)


def sees_little(receptive: Mapping[str, Any], shape: Sequence[int]) -> bool:
    """Whether a unit sees so small a part of a picture that it could not be recognised alone."""
    size = receptive.get("size")
    return size is not None and any(float(size[axis]) < shape[axis] * CONTEXT for axis in (0, 1))


def _around(start: int, end: int, length: int) -> tuple[int, int]:
    """A stretch of `CONTEXT` of a side around a smaller one, moved inwards at the edge."""
    wide = max(end - start, round(length * CONTEXT))
    first = min(max((start + end - wide) // 2, 0), length - wide)
    return first, first + wide


def lit_up(picture: Bytes, strength: Floats, end: float) -> Bytes:
    """A picture dimmed where a map is small, and outlined where it is at least half of `end`."""
    share = np.clip(strength / (HALF * end), 0, 1) if end > 0 else np.zeros_like(strength)
    drawn = (picture * (DIMMED + (1 - DIMMED) * share[..., None])).round().astype(np.uint8)
    inside = share >= 1
    return drawn if inside.all() or not inside.any() else outlined(drawn, inside)


def colours(image: npt.NDArray[Any]) -> Bytes:
    """A picture of any number of channels as RGB: one is grey, of four the first three count, others are averaged."""
    pixels = np.asarray(image, np.float64)
    if pixels.shape[2] not in (1, 3, 4):
        pixels = pixels.mean(axis=2, keepdims=True)
    rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return np.asarray(np.clip(rgb, 0, MOST_VALUE).round().astype(np.uint8))


def _at_least_a_pixel(box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
    top, left = min(max(int(box[0]), 0), shape[0] - 1), min(max(int(box[1]), 0), shape[1] - 1)
    return top, left, min(max(int(box[2]), top + 1), shape[0]), min(max(int(box[3]), left + 1), shape[1])


def _at_pixels(one: Floats, receptive: Mapping[str, Any], size: tuple[int, int]) -> Floats:
    """A map (h, w) at every pixel, linear between the centres of the receptive fields."""
    down, across = (
        _weights(one.shape[axis], size[axis], float(receptive["start"][axis]), float(receptive["stride"][axis]))
        for axis in (0, 1)
    )
    return np.asarray(down @ one @ across.T)


def _weights(places: int, pixels: int, start: float, stride: float) -> Floats:
    """Matrix (pixels, places) whose rows weigh the two nearest centres."""
    at = np.clip((np.arange(pixels) - start) / (stride or 1.0), 0, places - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(places)[None])))


def _padded(
    drawn: Bytes, entry: Mapping[str, Any], receptive: Mapping[str, Any], shape: Sequence[int], factor: int
) -> Bytes:
    """The part as large as a whole receptive field, where that fits into the picture."""
    size = receptive.get("size")
    if size is None:
        return drawn
    wanted = [min(int(size[axis]), shape[axis]) * factor for axis in (0, 1)]
    missing = [max(0, wanted[axis] - drawn.shape[axis]) for axis in (0, 1)]
    before = []
    for axis in (0, 1):
        centre = float(receptive["start"][axis]) + float(receptive["stride"][axis]) * int(entry["place"][axis])
        beyond = int(entry["box"][axis]) - (centre - (float(size[axis]) - 1) / 2)
        before.append(min(max(0, round(beyond * factor)), missing[axis]))
    room = tuple((before[axis], missing[axis] - before[axis]) for axis in (0, 1))
    return np.asarray(np.pad(drawn, (*room, (0, 0)), constant_values=OUTSIDE))


def patch_image(
    context: Context, name: str, case: str, image: Bytes, one: Floats, entry: Mapping[str, Any],
    receptive: Mapping[str, Any], end: float,
) -> Image:  # fmt: skip
    """The patch as a file, with what is in it in words."""
    data = jpeg(patch(image, one, entry, receptive, end), SMALLEST_SIDE)
    top, left, bottom, right = entry["box"]
    alt = context.label("alt.patch").format(
        case=case, value=context.numbers.plain(float(entry["value"])), place=place_of_largest(context, one),
        height=context.numbers.count(int(bottom) - int(top)), width=context.numbers.count(int(right) - int(left)),
    )  # fmt: skip
    return Image(name, "image/jpeg", data, alt)


def made_image(context: Context, name: str, title: str, one: npt.NDArray[np.floating], side: int) -> Image:
    """A picture (channels, rows, columns) in [0, 1] that was made from noise, as a file."""
    pixels = colours(np.moveaxis(np.asarray(one, np.float64), 0, 2) * MOST_VALUE)
    spread = context.numbers.plain(float(pixels.std()))
    alt = context.label("alt.made").format(
        title=title, brightness=context.numbers.plain(float(pixels.mean())), spread=spread,
        width=context.numbers.count(pixels.shape[1]), height=context.numbers.count(pixels.shape[0]),
    )  # fmt: skip
    return Image(name, "image/jpeg", jpeg(pixels, side), alt)
