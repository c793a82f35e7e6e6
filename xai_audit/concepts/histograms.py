"""Histograms of a stream of values whose range is not known before: exact counts from one look.

Bins are 2^e wide and begin at whole multiples of it. Where the range outgrows them e rises, and bins are put together
in whole: a value of bin floor(v / 2^e) is in bin floor(v / 2^(e + 1)). So edges and counts depend on the values alone,
not on the order or the batches in which they came.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BINS = 64
FINEST, DIGITS = -1000, 24
"""Smallest exponent of a bin's width; no bin is narrower than 2^-24 of the largest absolute value, a float32's step."""
MOST_SHIFT = 62
"""By how many digits a bin's number of 64 is shifted at most: all beyond are the same."""
CHUNK = 2**20
"""Values that are sorted into bins at a time."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Histograms:
    """Counts of each unit's values, in bins that all slices share: memory does not grow with the number of cases."""

    def __init__(self, units: int, slices: Sequence[str], bins: int = BINS) -> None:
        self.slices, self.bins = tuple(slices), bins
        self.counts: Counts = np.zeros((len(slices), units, bins), np.int64)
        """(slices, units, bins)"""
        self._low: Floats = np.full(units, np.inf)
        self._high: Floats = np.full(units, -np.inf)
        self._exponents: Counts = np.full(units, FINEST, np.int64)
        self._first: Counts = np.zeros(units, np.int64)

    def take(self, values: Tensor, inside: npt.NDArray[np.bool_]) -> None:
        """Some cases: finite values (cases, units, places), and which slices each case is in, (slices, cases)."""
        self._widen(_numbers(values.amin((0, 2))), _numbers(values.amax((0, 2))))
        scale = torch.as_tensor(np.ldexp(1.0, -self._exponents), device=values.device)[:, None]
        rows = torch.as_tensor(np.arange(len(self._first)) * self.bins - self._first, device=values.device)[:, None]
        kinds, kind_of = np.unique(inside.T, axis=0, return_inverse=True)
        for number, kind in enumerate(kinds):
            if kind.any():
                members = torch.as_tensor(np.flatnonzero(kind_of.reshape(-1) == number), device=values.device)
                self.counts[kind] += self._counted(values[members], scale, rows)

    def _counted(self, values: Tensor, scale: Tensor, rows: Tensor) -> Counts:
        counts = np.zeros(self.counts.shape[1:], np.int64)
        step = max(1, CHUNK // values[0].numel())
        for start in range(0, len(values), step):
            bins = (values[start : start + step].double() * scale).floor_().long() + rows
            counts += _whole(bins.flatten().bincount(minlength=counts.size)).reshape(counts.shape)
        return counts

    def _widen(self, low: Floats, high: Floats) -> None:
        """Take a unit's smallest and largest value among those that are counted, and put bins together where needed."""
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        exponents = _fitting(self._low, self._high, self.bins)
        first, shift = _bin_of(self._low, exponents), exponents - self._exponents
        for unit in np.flatnonzero((shift > 0) | (first != self._first)):
            held = np.flatnonzero(self.counts[:, unit].any(0))
            places = ((self._first[unit] + held) >> min(int(shift[unit]), MOST_SHIFT)) - first[unit]
            before = self.counts[:, unit, held]
            self.counts[:, unit] = 0
            for row, counts in enumerate(before):
                np.add.at(self.counts[row, unit], places, counts)
        self._exponents, self._first = exponents, first

    @property
    def edges(self) -> Floats:
        """(units, bins + 1): a value v is in bin b where edges[b] <= v < edges[b + 1]."""
        return np.ldexp((self._first[:, None] + np.arange(self.bins + 1)).astype(np.float64), self._exponents[:, None])


def _fitting(low: Floats, high: Floats, bins: int) -> Counts:
    """Smallest exponents at which [low, high] falls into so many bins."""
    largest = np.maximum(np.abs(low), np.abs(high))
    exponents = np.where(largest > 0, np.frexp(largest)[1] - DIGITS, FINEST).astype(np.int64)
    exponents = np.maximum(exponents, FINEST)
    while (too_narrow := _bin_of(high, exponents) - _bin_of(low, exponents) >= bins).any():
        exponents = exponents + too_narrow
    return exponents


def _bin_of(value: Floats, exponents: Counts) -> Counts:
    return np.asarray(np.floor(np.ldexp(value, -exponents)).astype(np.int64))


def _numbers(values: Tensor) -> Floats:
    return np.asarray(values.double().cpu())


def _whole(counts: Tensor) -> Counts:
    return np.asarray(counts.cpu())
