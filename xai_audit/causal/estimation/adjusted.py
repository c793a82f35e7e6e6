"""Adjusted means under each setting of a treatment with levels: by cells where all is levels, else by AIPW."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.aipw import arms, mean_of_scores
from xai_audit.causal.estimation.robust import Estimate
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names


@dataclass(frozen=True, eq=False)
class Arm:
    """Units under one setting, and what is expected of all under it."""

    is_in: NDArray[np.bool_]
    y: Array
    share: Array
    """(rows,) probability of the setting, given the set."""
    expected: Array
    """(rows,) mean of the outcome under the setting, given the set."""
    cells: NDArray[np.int64] | None
    """(rows,) combination of levels of the set; None where it holds a range."""

    def mean(self, sample: Sample) -> Estimate:
        """The outcome's mean had all units been under the setting."""
        gap = np.where(self.is_in, (self.y - self.expected) / self.share, 0.0)
        return mean_of_scores(sample, self.expected + gap)


def is_two_level(y: Array) -> bool:
    """Whether an outcome is 0 or 1."""
    return bool(np.isin(y, (0.0, 1.0)).all())


def outcome_of(asked: Asked, sample: Sample) -> Array:
    """The number whose mean the first amount is about, (rows,)."""
    if asked.on not in sample.levels:
        return np.asarray(sample.columns[asked.on], np.float64)
    return np.asarray(asked.outcomes()[0][1][sample.columns[asked.on]])


def two_arms(asked: Asked, sample: Sample, given: Names) -> tuple[Arm, Arm] | None:
    """Reference and alternative with a set adjusted for; None where a treatment is a range or a cell is empty."""
    settings = [asked.reference, asked.alternative]
    if not all(sample.is_discrete(name) for name in asked.treatments):
        return None
    y = outcome_of(asked, sample)
    if all(sample.is_discrete(name) for name in given):
        cells = cells_of(sample, given)
        found = [_by_cells(sample, y, setting, cells) for setting in settings]
        return None if found[0] is None or found[1] is None else (found[0], found[1])
    try:
        made = arms(sample, y, settings, given, asked.rng("folds"))
    except Refusal:
        return None
    first, second = (Arm(arm.is_in, y, arm.share.values, arm.expected.values, None) for arm in made)
    return first, second


def cells_of(sample: Sample, names: Names) -> NDArray[np.int64]:
    """Number of each row's combination of levels, (rows,)."""
    code = np.zeros(sample.n, np.int64)
    for name in names:
        code = code * len(sample.levels[name]) + sample.columns[name]
        code = np.unique(code, return_inverse=True)[1]
    return code


def _by_cells(sample: Sample, y: Array, setting: dict[str, float], cells: NDArray[np.int64]) -> Arm | None:
    is_in = np.logical_and.reduce([sample.columns[name] == place for name, place in setting.items()])
    units = np.bincount(cells, sample.weights)
    seen = np.bincount(cells, sample.weights * is_in, minlength=len(units))
    if (seen[units > 0] <= 0).any():
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cells, sample.weights * is_in * y, minlength=len(units)) / seen
        share = seen / units
    return Arm(is_in, y, share[cells], mean[cells], cells)
