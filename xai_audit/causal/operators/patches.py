"""Operators on a region: paste, remove, set, inpaint, occlude, and another picture's background.

Each takes a picture (H, W, C) in [0, 1], masks (H, W), the case's row, the value and random numbers, and gives a
picture that is not clipped yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xai_audit.causal.operators.regions import Floats, Masks, from_surroundings, inside, mixed, region_of

Row = Mapping[str, Any]
Rng = np.random.Generator


def paste_patch(image: Floats, masks: Masks, row: Row, value: float, rng: Rng, level: float, **where: Any) -> Floats:
    """A flat patch of grey `level` laid over the region, as opaque as `value`."""
    region = region_of(image.shape[:2], masks, **where)
    return inside(region, image, mixed(image, level, value))


def remove_patch(image: Floats, masks: Masks, row: Row, value: float, rng: Rng, **where: Any) -> Floats:
    """What the region shows, fading into its surroundings: 1 leaves it, 0 takes it away."""
    region = region_of(image.shape[:2], masks, **where)
    if value == 1 or not region.any():
        return image.copy()
    return inside(region, image, mixed(image, from_surroundings(image, region), 1 - value))


def set_patch(
    image: Floats, masks: Masks, row: Row, value: float, rng: Rng, level: float, present: Any = None, **where: Any
) -> Floats:
    """The region between its surroundings (0) and a flat patch of grey `level` (1), whatever it shows now.

    Where the case's own value, `present`, is the one asked for, the picture is left as it is.
    """
    region = region_of(image.shape[:2], masks, **where)
    if not region.any() or (present is not None and present == value):
        return image.copy()
    below = from_surroundings(image, region) if value < 1 else image
    return inside(region, image, mixed(below, level, value))


def inpaint(image: Floats, masks: Masks, row: Row, value: float, rng: Rng, **where: Any) -> Floats:
    """The region filled in from its surroundings, as opaque as `value`."""
    return remove_patch(image, masks, row, 1 - value, rng, **where)


def occlusion(
    image: Floats, masks: Masks, row: Row, value: float, rng: Rng, level: float, mask: str | None = None
) -> Floats:
    """A grey rectangle over a share `value` of the picture, or of the box around a mask, at a place drawn by chance."""
    top, left, height, width = _box(image.shape[:2], masks, mask)
    side = np.sqrt(value)
    tall, wide = int(np.rint(side * height)), int(np.rint(side * width))
    down, across = rng.random(2)
    y, x = top + int(down * (height - tall + 1)), left + int(across * (width - wide + 1))
    made = image.copy()
    made[y : y + tall, x : x + wide] = level
    return made


def background_swap(
    image: Floats, masks: Masks, row: Row, value: float, rng: Rng, donor: tuple[Floats, Masks], **where: Any
) -> Floats:
    """What lies outside the region faded into another picture, whose own region is filled in from its surroundings."""
    region = region_of(image.shape[:2], masks, **where)
    theirs, their_masks = donor
    their_region = region_of(theirs.shape[:2], their_masks, **where)
    scene = from_surroundings(theirs, their_region) if their_region.any() else theirs
    return inside(region, mixed(image, scene, value), image)


def _box(size: tuple[int, ...], masks: Masks, mask: str | None) -> tuple[int, int, int, int]:
    """Top, left, height, width of a mask's box, or of the picture."""
    if mask is None or not masks[mask].any():
        return 0, 0, size[0], size[1]
    rows, columns = np.flatnonzero(masks[mask].any(1)), np.flatnonzero(masks[mask].any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
