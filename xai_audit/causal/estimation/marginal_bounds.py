"""The marginal sensitivity model on adjusted arms: bounds of a contrast, with their sampling error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm

from xai_audit.causal.estimation.adjusted import Arm, is_two_level
from xai_audit.causal.estimation.aipw import mean_of_scores
from xai_audit.causal.estimation.robust import Estimate, standard_error
from xai_audit.causal.marginal import Tilt, largest, largest_share, smallest
from xai_audit.causal.sample import Array, Sample


def marginal_bounds(sample: Sample, arms: tuple[Arm, Arm], factor: float, alpha: float) -> dict[str, Any]:
    """What an unmeasured cause that changes the odds of each setting by at most `factor` leaves of alternative minus
    reference; low and high cover the bounds with their sampling error.

    Raises ValueError for an outcome of many values adjusted for a range: its law in each group is not known.
    """
    reference, alternative = arms
    low = _mean(sample, alternative, factor, is_largest=False) - _mean(sample, reference, factor, is_largest=True)
    high = _mean(sample, alternative, factor, is_largest=True) - _mean(sample, reference, factor, is_largest=False)
    half = 0.0 if sample.is_law else float(norm.ppf(1 - alpha / 2))
    errors = (0.0, 0.0) if sample.is_law else (standard_error(sample, low), standard_error(sample, high))
    return {
        "factor": factor,
        "bounds": [low.value, high.value],
        "low": low.value - half * errors[0],
        "high": high.value + half * errors[1],
        "holds_zero": low.value <= 0 <= high.value,
    }


def _mean(sample: Sample, arm: Arm, factor: float, *, is_largest: bool) -> Estimate:
    """1(in) y + 1(out) T(cell) + 1(in) (1 - e) / e (pull - T), averaged over units (Dorn and Guo 2023, section 3)."""
    if arm.cells is None:
        T, pull = _by_share(arm, factor, is_largest=is_largest)
    else:
        T, pull = _by_cells(sample, arm, factor, largest if is_largest else smallest)
    odds = (1 - arm.share) / arm.share
    return mean_of_scores(sample, np.where(arm.is_in, arm.y + odds * (pull - T), T))


def _by_cells(
    sample: Sample, arm: Arm, factor: float, extreme: Callable[[Array, Array, float], Tilt]
) -> tuple[Array, Array]:
    assert arm.cells is not None
    T, pull = np.zeros(sample.n), np.zeros(sample.n)
    for cell in np.unique(arm.cells[sample.weights > 0]):
        rows = arm.cells == cell
        seen = rows & arm.is_in & (sample.weights > 0)
        tilt = extreme(arm.y[seen], sample.weights[seen], factor)
        T[rows] = tilt.mean
        pull[seen] = tilt.pull
    return T, pull


def _by_share(arm: Arm, factor: float, *, is_largest: bool) -> tuple[Array, Array]:
    if not is_two_level(arm.y):
        raise ValueError("With a range in the set it is defined for an outcome of 0 and 1.")
    p = np.clip(arm.expected, 0.0, 1.0)
    if is_largest:
        value, slope = largest_share(p, factor)
        return value, value + slope * (arm.y - p)
    value, slope = largest_share(1 - p, factor)
    return 1 - value, 1 - value + slope * (arm.y - p)
