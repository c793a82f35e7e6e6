"""Bounds when an unmeasured cause may change the odds of treatment by a factor (Tan, JASA 2006; Dorn and Guo, JASA
2023): the marginal sensitivity model, in closed form for one group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tilt:
    """The largest mean that the outcome can have among units that were not under the setting."""

    mean: float
    pull: Array
    """(units,) v (y - q) + q of those that were under it: its mean is `mean`, and it gives the sampling error."""


def largest(y: Array, weights: Array, factor: float) -> Tilt:
    """The largest mean of v y over weights v in [1 / factor, factor] of mean 1: the top 1 / (1 + factor) of the mass
    weighs `factor`, the rest 1 / `factor`.

    Raises ValueError for a factor below 1.
    """
    if factor < 1:
        raise ValueError("a factor is 1 or more")
    order = np.argsort(-y, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    q = float(y[order][min(int(np.searchsorted(mass, 1 / (1 + factor) - 1e-12)), len(y) - 1)])
    pull = np.where(y > q, factor, 1 / factor) * (y - q) + q
    return Tilt(float(weights @ pull / weights.sum()), pull)


def smallest(y: Array, weights: Array, factor: float) -> Tilt:
    """The smallest mean, by the same rule turned over."""
    turned = largest(-y, weights, factor)
    return Tilt(-turned.mean, -turned.pull)


def largest_share(p: Array, factor: float) -> tuple[Array, Array]:
    """The same for an outcome of 0 and 1 with probability p: min(factor p, 1 - (1 - p) / factor), and its slope."""
    below = p < 1 / (1 + factor)
    value = np.where(below, factor * p, 1 - (1 - p) / factor)
    return value, np.where(below, factor, 1 / factor)
