"""Masks of a concept: from a file of two values, or from a box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.images import opened, whole_images_only
from xai_audit.errors import DataError

PLANE_MODES = ("1", "L", "P", "I;16")


def decode_mask(data: bytes, where: str) -> NDArray[np.bool_]:
    """The mask in an image file, (H, W); DataError unless it is one plane of two values, the lower one 0."""
    with whole_images_only(where):
        image = opened(data, where)
        if image.mode not in PLANE_MODES or getattr(image, "n_frames", 1) > 1:
            raise DataError(
                where,
                f"a mask of colour mode {image.mode}",
                "one plane of two values, 0 outside",
                "Save the mask as a 1-bit or grey PNG.",
            )
        plane = np.asarray(image)
    return not_empty(two_valued(plane, where), where)


def two_valued(plane: NDArray[np.generic], where: str) -> NDArray[np.bool_]:
    """The mask in a plane of numbers or booleans, (H, W): True where it is not 0; it may have no pixel."""
    values = np.unique(plane)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        shown = ", ".join(str(value) for value in values[:4].tolist()) + (", ..." if len(values) > 4 else "")
        raise DataError(
            where,
            f"{len(values)} values in a mask ({shown})",
            "two values, 0 outside and one other inside",
            "Threshold the mask and save it as PNG; JPEG blurs its edges.",
        )
    return np.asarray(plane != 0)


def box_mask(box: Sequence[float], size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The pixels whose centre lies in [xmin, xmax) x [ymin, ymax), (H, W) of `size`."""
    height, width = size
    x0, y0, x1, y1 = box
    shown = f"the box xmin {x0:g}, ymin {y0:g}, xmax {x1:g}, ymax {y1:g}"
    if not all(math.isfinite(edge) for edge in box):
        raise DataError(where, shown, "four numbers", "Fill in the box, or leave all four cells empty.")
    if x0 >= x1 or y0 >= y1:
        raise DataError(
            where, f"{shown}, which is inverted or empty", "xmin < xmax and ymin < ymax", "Correct the box."
        )
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        raise DataError(where, shown, f"a box inside the image of {width} x {height} pixels", "Correct the box.")
    across, down = np.arange(width) + 0.5, np.arange(height) + 0.5
    mask = ((down >= y0) & (down < y1))[:, None] & ((across >= x0) & (across < x1))[None, :]
    return not_empty(mask, where)


def found_in_box(box: Sequence[float] | NDArray[np.float64]) -> str:
    """What is wrong with a box whatever its picture, as `found ...; expected ...`; empty for nothing."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    shown = f"found the box xmin {x0:g}, ymin {y0:g}, xmax {x1:g}, ymax {y1:g}"
    if not all(math.isfinite(edge) for edge in (x0, y0, x1, y1)):
        return f"{shown}; expected four numbers"
    if x0 >= x1 or y0 >= y1:
        return f"{shown}, which is inverted or empty; expected xmin < xmax and ymin < ymax"
    return f"{shown}; expected a box inside the picture" if x0 < 0 or y0 < 0 else ""


def not_empty(mask: NDArray[np.bool_], where: str) -> NDArray[np.bool_]:
    """The mask, or DataError when no pixel is inside it."""
    if not mask.any():
        raise DataError(
            where,
            "a mask with no pixel inside",
            "at least one pixel",
            "Correct the mask; where a case has none, leave its cell in the table empty.",
        )
    return mask


def fits(mask: NDArray[np.bool_], size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The mask, or DataError when its size is not its image's (height, width)."""
    if mask.shape != size:
        raise DataError(
            where,
            f"a mask of {mask.shape[1]} x {mask.shape[0]} pixels",
            f"{size[1]} x {size[0]}, the size of its image",
            "Draw the mask on the image as it is stored.",
        )
    return mask
