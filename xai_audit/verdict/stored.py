"""Whether a stored value holds together, and its interval at any confidence from what was stored beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import Interval, percentile, student, wilson

Draws = NDArray[np.float64]
_ROUNDING = 1e-9


def fault_of(value: Value, draws: Draws | None) -> str:
    """What is wrong with a value, in a sentence; empty where nothing is.

    The stored interval must follow from the stored counts or draws, at the stored confidence.
    """
    if value.interval == "bounds":
        return _fault_of_bounds(value, draws)
    if not _is_finite(value.estimate):
        return "The estimate is not a finite number."
    if not _is_count(value.n):
        return "The number of cases is not a count."
    if value.interval == "none":
        return "" if value.low is None and value.high is None else "The interval has ends but no origin."
    if not (_is_finite(value.low) and _is_finite(value.high) and _is_finite(value.confidence)):
        return "An end of the interval is not a finite number."
    return _fault_of_origin(value, draws) or _fault_of_ends(value, draws)


def interval_at(value: Value, draws: Draws | None, confidence: float) -> Interval | None:
    """The interval at a confidence; None where the value has none, or too few draws for this confidence."""
    if value.interval == "wilson" and value.successes is not None and value.trials is not None:
        return wilson(value.successes, value.trials, confidence)
    if value.interval == "bootstrap" and draws is not None and value.estimate is not None:
        return percentile(draws, value.estimate, confidence)
    if value.interval == "analytic" and value.estimate is not None and value.standard_error is not None:
        return student(value.estimate, value.standard_error, value.dof, confidence)
    if value.interval == "exact" and value.estimate is not None:
        return Interval(value.estimate, value.estimate)
    if value.interval == "bounds" and value.bounds is not None:
        return _around(value.bounds, draws, confidence)
    return None


def _around(bounds: tuple[float, float], draws: Draws | None, confidence: float) -> Interval | None:
    """What covers the whole set that the data leave open; the set itself where there is no sampling error."""
    if draws is None:
        return Interval(*bounds)
    ends = [percentile(draws[side], bounds[side], confidence) for side in (0, 1)]
    low, high = ends
    return None if low is None or high is None else Interval(low.low, high.high)


def _fault_of_bounds(value: Value, draws: Draws | None) -> str:
    """Of bounds there is no estimate; what covers them follows from them, and from draws of both ends if sampled."""
    if value.estimate is not None or value.bounds is None or len(value.bounds) != 2:
        return "Bounds have two ends and no estimate."
    if not all(map(_is_finite, (*value.bounds, value.low, value.high, value.confidence))):
        return "An end of the bounds is not a finite number."
    if not _is_count(value.n) or not 0 < value.confidence < 1:
        return "The number of cases is not a count, or the confidence not between 0 and 1."
    if value.bounds[0] > value.bounds[1] + _slack(value.bounds[1]):
        return "The lower bound is above the upper one."
    if value.draws is not None:
        if draws is None or draws.ndim != 2 or draws.shape[0] != 2 or draws.shape[1] == 0:
            return "The draws behind the interval are missing."
        if not np.isfinite(draws).all():
            return "A draw behind the interval is not a finite number."
    again = _around(value.bounds, draws, value.confidence)
    assert value.low is not None and value.high is not None
    if again is None or not (_agree(again.low, value.low) and _agree(again.high, value.high)):
        return "The interval does not follow from what was stored beside it."
    return ""


def _fault_of_origin(value: Value, draws: Draws | None) -> str:
    assert value.estimate is not None
    if value.interval == "wilson":
        successes, trials = value.successes, value.trials
        if successes is None or trials is None or not (_is_count(successes) and _is_count(trials)):
            return "The counts behind the interval are missing."
        if not 0 <= successes <= trials or trials == 0:
            return f"{successes} of {trials} is no share."
        return "" if _agree(value.estimate, successes / trials) else "The estimate does not follow from its counts."
    if value.interval == "exact":
        return "" if value.low == value.high == value.estimate else "An exact number has no interval beside itself."
    if value.interval == "analytic":
        error = value.standard_error
        has_error = error is not None and _is_finite(error) and error >= 0
        has_dof = value.dof is None or (_is_count(value.dof) and value.dof > 0)
        return "" if has_error and has_dof else "The standard error behind the interval is missing."
    if value.interval != "bootstrap":
        return f"The interval is of unknown kind {value.interval!r}."
    if draws is None or draws.ndim != 1 or len(draws) == 0:
        return "The draws behind the interval are missing."
    return "" if np.isfinite(draws).all() else "A draw behind the interval is not a finite number."


def _fault_of_ends(value: Value, draws: Draws | None) -> str:
    assert value.estimate is not None and value.low is not None and value.high is not None
    if value.low > value.high:
        return "The interval's low end is above its high end."
    if value.estimate < value.low - _slack(value.low) or value.estimate > value.high + _slack(value.high):
        return "The estimate lies outside its interval."
    if not 0 < value.confidence < 1:
        return "The confidence is not between 0 and 1."
    again = interval_at(value, draws, value.confidence)
    if again is None or not (_agree(again.low, value.low) and _agree(again.high, value.high)):
        return "The interval does not follow from what was stored beside it."
    return ""


def _is_finite(number: Any) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _agree(a: float, b: float) -> bool:
    return abs(a - b) <= _slack(b)


def _slack(number: float) -> float:
    return _ROUNDING * max(1.0, abs(number))
