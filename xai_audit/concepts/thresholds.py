"""The highest values of each unit, exact, from values that come in portions (Bau et al., CVPR 2017, section 2.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_ROOM = 512
"""Values a unit that wait, at least, before they are sorted out."""


def rank_of(quantile: float, total: int) -> int:
    """Rank of the threshold T with P(a > T) = q among all values: floor(q n) + 1, the largest being 1."""
    return math.floor(round(quantile * total, 6)) + 1


class HighestValues:
    """The `count` largest values of each unit, whatever the order and the portions in which they come.

    Holds a quarter more than `count` values a unit, 512 more at least, and no other: exact, as nothing is binned or
    sampled.
    """

    def __init__(self, units: int, count: int, dtype: np.dtype[np.floating]) -> None:
        self._count = count
        self._room = max(count // 4, LEAST_ROOM)
        self._values = np.empty((units, count + self._room), dtype)
        self._filled = np.zeros(units, np.int64)
        self._bar = np.full(units, -np.inf, dtype)
        """The `count`-th largest so far: only what exceeds it can change the answer."""

    def add(self, values: NDArray[np.floating]) -> None:
        """More values, (units, any number), all finite."""
        for start in range(0, values.shape[1], self._room):
            self._add(values[:, start : start + self._room])

    def _add(self, values: NDArray[np.floating]) -> None:
        higher = values > self._bar[:, None]
        if int((self._filled + np.count_nonzero(higher, axis=1)).max()) > self._values.shape[1]:
            self._sort_out()
            higher = values > self._bar[:, None]
        counts = np.count_nonzero(higher, axis=1)
        units, places = np.nonzero(higher)
        within = np.arange(len(units)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._values[units, self._filled[units] + within] = values[units, places]
        self._filled += counts

    def _sort_out(self) -> None:
        """Keep the largest, and raise the bar; one unit after the other, in place."""
        for unit, filled in enumerate(self._filled.tolist()):
            if filled > self._count:
                own = self._values[unit, :filled]
                own.partition(filled - self._count)
                self._values[unit, : self._count] = own[filled - self._count :].copy()
                self._filled[unit] = self._count
            if filled >= self._count:
                self._bar[unit] = self._values[unit, : self._count].min()

    def settle(self) -> Thresholds:
        """The thresholds, once every value was added; at least `count` a unit."""
        self._sort_out()
        top = self._values[:, : self._count]
        return Thresholds(self._bar.copy(), top.max(axis=1), np.count_nonzero(top > self._bar[:, None], axis=1))


def bytes_of(units: int, count: int, itemsize: int) -> int:
    """Memory of the highest values of some units."""
    return units * (count + max(count // 4, LEAST_ROOM)) * itemsize


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Of each unit: the threshold, its largest value, and how many values exceed the threshold; (units,) each."""

    values: NDArray[np.floating]
    largest: NDArray[np.floating]
    above: NDArray[np.int64]

    @property
    def is_silent(self) -> NDArray[np.bool_]:
        """Units that never exceed their threshold: constant ones, dead ones, and those saturated too often."""
        return np.asarray(self.largest <= self.values)
