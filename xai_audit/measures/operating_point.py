"""What calls at a declared threshold are worth: found and missed cases, and what a call means where few have it.

Sensitivity and specificity are of the audited cases; the predictive values at a declared prevalence p follow from them
by Bayes' rule (Altman and Bland, BMJ 1994): PPV = se p / (se p + (1 - sp)(1 - p)), NPV = sp (1 - p) / (sp (1 - p) +
(1 - se) p). Both rise with se and with sp, so that from intervals of se and sp, each at a confidence of 1 - a / 2, the
worst and best corners hold the predictive value with confidence 1 - a at least (Bonferroni), however the two depend on
each other, also where the audited cases show no false call at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import CONFIDENCE, Interval, percentile, wilson
from xai_audit.measures.measured import Measured, Options
from xai_audit.measures.performance import negative_predictive_value, precision, sensitivity, specificity
from xai_audit.measures.predictions import Predictions

JOINT = 1 - (1 - CONFIDENCE) / 2
"""Confidence of each of the two intervals that a predictive value is made of."""
NO_ENDS = "Sensitivity or specificity has no interval, and so has what follows from them."


def operating_point(
    predictions: Predictions, options: Options, prevalences: Sequence[float], rng: np.random.Generator
) -> Measured:
    """Sensitivity, specificity and predictive values of the audited cases, then both at each prevalence.

    Values at a prevalence are `ppv_at` and `npv_at` with the prevalence as label; their interval is `corners`.
    """
    parts = {
        "sensitivity": sensitivity(predictions, options, rng),
        "specificity": specificity(predictions, options, rng),
        "positive_predictive_value": precision(predictions, options, rng),
        "negative_predictive_value": negative_predictive_value(predictions, options, rng),
    }
    values, arrays = [], {}
    for name, found in parts.items():
        value = found.values[0]
        draws = None if value.draws is None else f"draws:{name}"
        if value.draws is not None:
            arrays[str(draws)] = found.arrays[value.draws]
        values.append(replace(value, name=name, draws=draws))
    se, sp = values[:2]
    ends = [_at(value, arrays) for value in (se, sp)]
    further = [one for prevalence in prevalences for one in _predictive(prevalence, se, sp, ends, predictions.n)]
    details: dict[str, Any] = {**parts["sensitivity"].details, "prevalences": list(prevalences), "each": JOINT}
    return Measured((*values, *further), arrays, details)


def predictive_values(se: float, sp: float, prevalence: float) -> tuple[float, float]:
    """Positive and negative predictive value; NaN where no case would be called, or none left alone."""
    called, left = se * prevalence + (1 - sp) * (1 - prevalence), sp * (1 - prevalence) + (1 - se) * prevalence
    ppv = se * prevalence / called if called > 0 else float("nan")
    return ppv, sp * (1 - prevalence) / left if left > 0 else float("nan")


def _at(value: Value, arrays: dict[str, NDArray[np.float64]]) -> Interval | None:
    """The interval of a share at the joint confidence."""
    if value.interval == "wilson" and value.successes is not None and value.trials is not None:
        return wilson(value.successes, value.trials, JOINT)
    if value.interval == "bootstrap" and value.draws is not None and value.estimate is not None:
        return percentile(arrays[value.draws], value.estimate, JOINT)
    return None


def _predictive(
    prevalence: float, se: Value, sp: Value, ends: Sequence[Interval | None], n: int
) -> tuple[Value, Value]:
    """Both predictive values at a prevalence, from the estimates and from the corners of their intervals."""
    if se.estimate is None or sp.estimate is None:
        reason = se.reason or sp.reason
        return tuple(
            Value(name, None, None, None, n, "share", status="undefined", reason=reason, label=f"{prevalence:g}")
            for name in ("ppv_at", "npv_at")
        )  # type: ignore[return-value]
    middle = predictive_values(se.estimate, sp.estimate, prevalence)
    first, second = ends
    worst = best = None
    if first is not None and second is not None:
        worst = predictive_values(first.low, second.low, prevalence)
        best = predictive_values(first.high, second.high, prevalence)
    made = [
        _value(name, middle[k], None if worst is None or best is None else (worst[k], best[k]), n, prevalence)
        for k, name in enumerate(("ppv_at", "npv_at"))
    ]
    return made[0], made[1]


def _value(name: str, number: float, ends: tuple[float, float] | None, n: int, prevalence: float) -> Value:
    label = f"{prevalence:g}"
    if np.isnan(number):
        return Value(name, None, None, None, n, "share", status="undefined", label=label,
                     reason="At this threshold the model makes no such call.")  # fmt: skip
    if ends is None or np.isnan(ends).any():
        return Value(name, number, None, None, n, "share", label=label, reason=NO_ENDS)
    return Value(name, number, min(ends[0], number), max(ends[1], number), n, "share", interval="corners", label=label)
