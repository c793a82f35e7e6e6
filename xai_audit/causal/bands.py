"""Bands that cover a whole curve at once (Montiel Olea and Plagborg-Moller 2019, sup-t, from bootstrap draws)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def simultaneous_band(estimates: Floats, draws: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Low and high of each point, (points,): estimate +- q se, q the quantile of the largest |draw - estimate| / se.

    `draws` (resamples, points). A point that no resample moves has the estimate at both ends.
    """
    spread = draws.std(0, ddof=1)
    moves = spread > 1e-12 * np.maximum(1.0, np.abs(estimates))
    if not moves.any():
        return estimates.copy(), estimates.copy()
    largest = (np.abs(draws - draws.mean(0))[:, moves] / spread[moves]).max(1)
    half = np.where(moves, np.quantile(largest, confidence) * spread, 0.0)
    return estimates - half, estimates + half
