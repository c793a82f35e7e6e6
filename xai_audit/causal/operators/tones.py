"""Operators on grey values: recolour inside or outside a region, brightness, contrast, fog and noise.

Pictures (H, W, C) in [0, 1] go in, pictures that are not clipped yet come out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xai_audit.causal.operators.patches import Rng, Row
from xai_audit.causal.operators.regions import Floats, Masks, Region, inside, mixed, region_of


def recolour_inside(
    image: Floats, masks: Masks, row: Row, value: float, rng: Rng, how: str = "shift", **where: Any
) -> Floats:
    """The region's mean grey set to `value`: by a shift that keeps its texture, or flat."""
    return _recoloured(image, region_of(image.shape[:2], masks, **where), value, how)


def recolour_outside(
    image: Floats, masks: Masks, row: Row, value: float, rng: Rng, how: str = "shift", **where: Any
) -> Floats:
    """The mean grey of all that lies outside the region set to `value`."""
    return _recoloured(image, ~region_of(image.shape[:2], masks, **where), value, how)


def brightness(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """`value` added to every pixel."""
    return image + value


def set_brightness(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """The picture's mean grey set to `value` by a shift."""
    return np.asarray(image + (value - image.mean()))


def contrast(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """Each channel's distance to its own mean, times `value`."""
    if value == 1:
        return image.copy()
    centre = image.mean((0, 1), keepdims=True)
    return np.asarray(centre + value * (image - centre))


def fog(image: Floats, masks: Masks, row: Row, value: float, rng: Rng, level: float) -> Floats:
    """(1 - value) of the picture and `value` of an even grey."""
    return mixed(image, level, value)


def noise(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """Normal noise of standard deviation `value` in pixel values, the same draw at every value."""
    return image + value * rng.standard_normal(image.shape)


def _recoloured(image: Floats, region: Region, value: float, how: str) -> Floats:
    if not region.any():
        return image.copy()
    if how == "flat":
        return inside(region, image, np.full_like(image, value))
    return inside(region, image, image + (value - image[region].mean()))
