"""Whether a stored value holds together, and its interval at any confidence from what was stored beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import Interval, percentile, wilson

Draws = NDArray[np.float64]
_ROUNDING = 1e-9


def fault_of(value: Value, draws: Draws | None) -> str:
    """What is wrong with a value, in a sentence; empty where nothing is.

    The stored interval must follow from the stored counts or draws, at the stored confidence.
    """
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
    return None


def _fault_of_origin(value: Value, draws: Draws | None) -> str:
    assert value.estimate is not None
    if value.interval == "wilson":
        successes, trials = value.successes, value.trials
        if successes is None or trials is None or not (_is_count(successes) and _is_count(trials)):
            return "The counts behind the interval are missing."
        if not 0 <= successes <= trials or trials == 0:
            return f"{successes} of {trials} is no share."
        return "" if _agree(value.estimate, successes / trials) else "The estimate does not follow from its counts."
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
