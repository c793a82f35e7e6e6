"""Intervals that a verdict can compute again at another confidence, and the one-sided tests that agree with them.

An interval of confidence c leaves (1 - c) / 2 on either side. For both kinds, an end of the interval meets a limit
exactly when the one-sided p-value against that limit is at most (1 - c) / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 2000
FEW_CLUSTERS = 20
"""Fewer independent units than this make a bootstrap interval too narrow: a warning."""
LEAST_CLUSTERS = 5
"""With fewer there is no bootstrap interval at all, so that no criterion can pass on one."""
Side = Literal["above", "below"]
"""Which side of the limit is claimed."""
_NORMAL = NormalDist()
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Interval:
    """Two ends, low at most high."""

    low: float
    high: float


def few_clusters(count: int) -> tuple[str, ...]:
    """What is to be said of so few independent units; nothing of enough."""
    if count >= FEW_CLUSTERS:
        return ()
    return (f"Only {count} independent units: intervals from fewer than {FEW_CLUSTERS} are too narrow.",)


def tail(confidence: float) -> float:
    """The share that an interval leaves on either side."""
    return (1 - confidence) / 2


def wilson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (Wilson, JASA 1927; Brown, Cai, DasGupta, Statistical Science 2001, eq. 4).

    Exactly 0 below no success and exactly 1 above no failure. Raises ValueError unless 0 <= successes <= trials > 0.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = _NORMAL.inv_cdf(1 - tail(confidence))
    centre = (successes + z**2 / 2) / (trials + z**2)
    half = z / (trials + z**2) * math.sqrt(successes * (trials - successes) / trials + z**2 / 4)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)


def percentile(draws: NDArray[np.float64], estimate: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Percentile interval of bootstrap draws (Efron and Tibshirani 1993, section 13.3), widened to hold the estimate.

    The ends are the k-th smallest and k-th largest draw, k = floor((B + 1)(1 - c) / 2), never values in between. The
    estimate lies outside them where the statistic is biased under resampling, as ECE is. None where B draws are too
    few for the confidence (k = 0).
    """
    k = math.floor((len(draws) + 1) * tail(confidence) + _ROUNDING)
    if k == 0:
        return None
    ordered = np.sort(draws)
    return Interval(min(float(ordered[k - 1]), estimate), max(float(ordered[-k]), estimate))


def score_p(successes: int, trials: int, limit: float, side: Side) -> float:
    """One-sided p of the score test that the share lies on `side` of the limit; the test that `wilson` inverts."""
    if side == "below":
        return score_p(trials - successes, trials, 1 - limit, "above")
    if limit <= 0:
        return 0.0
    if limit >= 1:
        return 1.0
    spread = math.sqrt(limit) * math.sqrt(1 - limit) / math.sqrt(trials)  # each root above 0 for every limit above 0
    z = (successes / trials - limit) / spread
    return 0.5 * math.erfc(z / math.sqrt(2))


def student(estimate: float, standard_error: float, dof: int | None, confidence: float = CONFIDENCE) -> Interval:
    """The estimate, and a quantile times its standard error on either side: of Student's t with `dof`, else normal."""
    from scipy.stats import norm
    from scipy.stats import t as students

    at = 1 - tail(confidence)
    half = float(norm.ppf(at) if dof is None else students.ppf(at, dof)) * standard_error
    return Interval(estimate - half, estimate + half)


def t_p(estimate: float, standard_error: float, dof: int | None, limit: float, side: Side) -> float:
    """One-sided p that the number lies on `side` of the limit; the test that `student` inverts."""
    from scipy.stats import norm
    from scipy.stats import t as students

    distance = estimate - limit if side == "above" else limit - estimate
    if standard_error == 0:
        return 0.0 if distance >= 0 else 1.0
    z = distance / standard_error
    return float(norm.sf(z) if dof is None else students.sf(z, dof))


def bootstrap_p(draws: NDArray[np.float64], limit: float, side: Side) -> float:
    """(1 + draws on the wrong side) / (draws + 1) (Davison and Hinkley 1997, section 4.2)."""
    wrong = draws < limit if side == "above" else draws > limit
    return float((1 + np.count_nonzero(wrong)) / (len(draws) + 1))


def is_met(p: float, confidence: float) -> bool:
    """Whether a one-sided p reaches the level of an interval of this confidence."""
    return p <= tail(confidence) * (1 + _ROUNDING)


def benjamini_hochberg(p_values: list[float]) -> list[float]:
    """Adjusted p-values in the given order (Benjamini and Hochberg, JRSS B 1995)."""
    m = len(p_values)
    adjusted = [0.0] * m
    lowest = 1.0
    ordered = sorted(range(m), key=p_values.__getitem__)
    for rank, index in reversed(list(enumerate(ordered, start=1))):
        lowest = min(lowest, m / rank * p_values[index])
        adjusted[index] = lowest
    return adjusted


def holm(p_values: list[float]) -> list[float]:
    """Adjusted p-values in the given order (Holm, Scandinavian Journal of Statistics 1979)."""
    m = len(p_values)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, index in enumerate(sorted(range(m), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
