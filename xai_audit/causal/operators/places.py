"""Operators that move pixels: blur, crop and rotate. Pictures (H, W, C) in [0, 1] go in and out."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from xai_audit.causal.operators.patches import Rng, Row
from xai_audit.causal.operators.regions import Floats, Masks, inside


def blur(image: Floats, masks: Masks, row: Row, value: float, rng: Rng, mask: str | None = None) -> Floats:
    """Gaussian blur of `value` pixels, everywhere or inside a mask."""
    if value == 0:
        return image.copy()
    made = np.asarray(ndimage.gaussian_filter(image, (value, value, 0), mode="nearest"))
    return made if mask is None else inside(masks[mask], image, made)


def crop(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """A share `value` of each side cut away around the centre, and the rest drawn out to the old size."""
    height, width = image.shape[:2]
    return _sampled(image, np.array([[1 - value, 0], [0, 1 - value]]), (height, width)) if value else image.copy()


def rotate(image: Floats, masks: Masks, row: Row, value: float, rng: Rng) -> Floats:
    """Turned by `value` degrees about the centre, against the clock; edges are drawn out."""
    if value == 0:
        return image.copy()
    angle = np.deg2rad(value)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return _sampled(image, turn, image.shape[:2])


def _sampled(image: Floats, matrix: Floats, size: tuple[int, ...]) -> Floats:
    """Each channel read at matrix (place - centre) + centre, between pixels by a straight line."""
    centre = (np.array(size) - 1) / 2
    planes = [
        ndimage.affine_transform(image[:, :, c], matrix, centre - matrix @ centre, order=1, mode="nearest")
        for c in range(image.shape[2])
    ]
    return np.stack(planes, axis=2)
