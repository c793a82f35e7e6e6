"""Where an operator works: inside a mask, or in a box given in shares of the picture's sides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.imputation import impute

Floats = NDArray[np.float64]
Region = NDArray[np.bool_]
Masks = Mapping[str, Region]


def region_of(
    size: tuple[int, int],
    masks: Masks,
    mask: str | None = None,
    top: float | None = None,
    left: float | None = None,
    height: float | None = None,
    width: float | None = None,
) -> Region:
    """(H, W): the mask, or the box; KeyError for a mask that there is not. A mask may hold no pixel."""
    if mask is not None:
        return np.asarray(masks[mask], np.bool_)
    if top is None or left is None or height is None or width is None:
        raise ValueError("neither a mask nor a whole box")
    y, x = (np.arange(size[0]) + 0.5) / size[0], (np.arange(size[1]) + 0.5) / size[1]
    rows, columns = (y > top) & (y < top + height), (x > left) & (x < left + width)
    return np.asarray(rows[:, None] & columns[None, :])


def mixed(image: Floats, other: Floats | float, share: float) -> Floats:
    """(1 - share) image + share other; exactly the image at share 0."""
    return np.asarray((1 - share) * image + share * np.asarray(other, np.float64))


def inside(region: Region, image: Floats, other: Floats) -> Floats:
    """`other` in the region, the image elsewhere, (H, W, C)."""
    return np.where(region[:, :, None], other, image)


def from_surroundings(image: Floats, region: Region) -> Floats:
    """The region filled in from its neighbours, (H, W, C). ValueError where nothing is left to fill it from."""
    if region.all():
        raise ValueError("the region is the whole picture: nothing is left to fill it from")
    return np.moveaxis(impute(np.moveaxis(image, 2, 0), region), 0, 2)
