"""How far changed pictures lie from those of the slice, in a space of simple statistics that is declared with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
EMBEDDING = (
    "image statistics: the grey of 8 x 8 fields, mean and spread of each channel, and the spread of differences "
    "between neighbouring pixels; each divided by its standard deviation over the slice"
)
QUANTILE = 0.99
"""A changed picture is off the slice where it lies farther from any other picture than this share of the slice's own
pictures do from each other."""
_FIELDS = 8
_FLOOR = 1e-3
"""Least standard deviation that a statistic is divided by: a thousandth of the range of grey."""


@dataclass(frozen=True, eq=False)
class Distances:
    """Distance of each changed picture to the nearest other case of the slice, and what is far."""

    of_slice: Floats
    """(n,) of the pictures as they are, each to its nearest other."""
    of_changed: Floats
    """(n, settings)"""
    limit: float

    @property
    def is_off(self) -> NDArray[np.bool_]:
        """(n,): whether any setting of a case lies off the slice."""
        return np.asarray((self.of_changed > self.limit * (1 + 1e-9)).any(1))


def statistics(image: Floats) -> Floats:
    """The embedding of one picture (H, W, C) in [0, 1]."""
    grey = image.mean(2)
    fields = _averages(grey.shape[0]) @ grey @ _averages(grey.shape[1]).T
    steps = [np.diff(grey, axis=axis).std() if grey.shape[axis] > 1 else 0.0 for axis in (0, 1)]
    return np.concatenate([fields.ravel(), image.mean((0, 1)), image.std((0, 1)), np.asarray(steps)])


@lru_cache(maxsize=8)
def _averages(length: int) -> Floats:
    """(fields, length): the mean over each of 8 parts of a side, or over each pixel of a shorter one."""
    parts = np.array_split(np.arange(length), min(_FIELDS, length))
    return np.stack([np.isin(np.arange(length), part) / len(part) for part in parts])


def distances(own: Floats, changed: Floats) -> Distances | None:
    """Distances in the embedding: `own` (n, d) of the slice, `changed` (n, settings, d). None below 10 cases."""
    if len(own) < 10:
        return None
    spread = np.maximum(own.std(0), _FLOOR)
    tree = cKDTree(own / spread)
    of_slice = tree.query(own / spread, k=2)[0][:, 1]
    flat = (changed / spread).reshape(-1, own.shape[1])
    found, places = tree.query(flat, k=2)
    case = np.repeat(np.arange(len(own)), changed.shape[1])
    nearest = np.where(places[:, 0] == case, found[:, 1], found[:, 0])
    return Distances(of_slice, nearest.reshape(changed.shape[:2]), float(np.quantile(of_slice, QUANTILE)))
