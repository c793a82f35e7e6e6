"""Measures of a picture without code of the user's: `measure: xai_audit.causal.operators.measures:mean_grey`.

Each takes a picture (H, W, C) in [0, 1] and its masks (H, W), and gives a number. `inside` and `outside` mean the union
of all masks of the case; a case without a masked pixel, or without one outside, has none: NaN.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from xai_audit.causal.operators.regions import Floats, Masks, Region


def mean_grey(image: Floats, masks: Masks) -> float:
    """Mean over pixels and channels."""
    return float(image.mean())


def spread_grey(image: Floats, masks: Masks) -> float:
    """Standard deviation of the grey of pixels."""
    return float(image.mean(2).std())


def sharpness(image: Floats, masks: Masks) -> float:
    """Standard deviation of the Laplacian of the grey: low in a blurred picture."""
    return float(ndimage.laplace(image.mean(2), mode="nearest").std())


def mean_inside(image: Floats, masks: Masks) -> float:
    """Mean grey inside the masks."""
    return _mean(image, _union(image, masks))


def mean_outside(image: Floats, masks: Masks) -> float:
    """Mean grey outside the masks."""
    return _mean(image, ~_union(image, masks))


def share_inside(image: Floats, masks: Masks) -> float:
    """Share of the picture that the masks cover."""
    return float(_union(image, masks).mean())


def _union(image: Floats, masks: Masks) -> Region:
    union = np.zeros(image.shape[:2], np.bool_)
    for mask in masks.values():
        union |= mask
    return union


def _mean(image: Floats, region: Region) -> float:
    return float(image[region].mean()) if region.any() else float("nan")
