"""Placebos of equal size, made of the very change that an operator made: void places, or no order among its pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xai_audit.causal.operators.regions import Floats, Masks, Region

TRIES = 400
"""Places that are tried for a change before it is said that none is free."""
LARGE = 0.5
"""A mask that covers more of the picture than this is a background, which a placebo may touch."""


class NoPlace(ValueError):
    """No place is free for a change of this size."""


def random_region(
    image: Floats, change: Floats, masks: Masks, rng: np.random.Generator, parameters: Mapping[str, object]
) -> Floats:
    """The change moved to a place drawn by chance that touches neither its own nor any small mask.

    Raises NoPlace where none of 400 places is free.
    """
    moved = _boxed(change)
    if moved is None:
        return image.copy()
    taken = _taken(change, masks)
    height, width = moved.shape[:2]
    for _ in range(TRIES):
        y = int(rng.integers(image.shape[0] - height + 1))
        x = int(rng.integers(image.shape[1] - width + 1))
        if not taken[y : y + height, x : x + width].any():
            made = image.copy()
            made[y : y + height, x : x + width] += moved
            return made
    raise NoPlace(f"no free place for a change of {height} x {width} pixels")


def outside_view(
    image: Floats, change: Floats, masks: Masks, rng: np.random.Generator, parameters: Mapping[str, object]
) -> Floats:
    """The sizes of the change, strewn over pixels at the picture's border that no small mask holds.

    The border is the outermost pixels, as many as the change has. Raises NoPlace where there are fewer.
    """
    changed = np.abs(change).max(2) > 0
    height, width = changed.shape
    y, x = np.mgrid[:height, :width]
    depth = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)).astype(np.float64)
    depth[_taken(change, masks)] = np.inf
    order = np.argsort(depth, axis=None, kind="stable")[: int(changed.sum())]
    if not np.isfinite(depth.ravel()[order]).all():
        raise NoPlace(f"fewer than {int(changed.sum())} pixels are free outside what the picture shows")
    made = image.copy().reshape(-1, image.shape[2])
    made[order] += change[changed]
    return made.reshape(image.shape)


def random_recolour(
    image: Floats, change: Floats, masks: Masks, rng: np.random.Generator, parameters: Mapping[str, object]
) -> Floats:
    """The pixels of the change shuffled over the whole picture: as much change, in no order."""
    order = rng.permutation(change.shape[0] * change.shape[1])
    return np.asarray(image + change.reshape(-1, change.shape[2])[order].reshape(change.shape))


def _taken(change: Floats, masks: Masks) -> Region:
    """(H, W): where the change is, or a mask that is no background."""
    taken = np.abs(change).max(2) > 0
    for mask in masks.values():
        if mask.mean() <= LARGE:
            taken = taken | mask
    return np.asarray(taken)


def _boxed(change: Floats) -> Floats | None:
    """The smallest box that holds the change, (h, w, C); None where nothing changed."""
    changed = np.abs(change).max(2) > 0
    if not changed.any():
        return None
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return change[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
