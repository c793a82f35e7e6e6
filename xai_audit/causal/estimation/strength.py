"""How strong an unmeasured cause would have to be to overturn an answer by adjustment (CAUSAL.md section 7)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.adjusted import is_two_level, outcome_of, two_arms
from xai_audit.causal.estimation.columns import Columns, columns_of, is_number
from xai_audit.causal.estimation.marginal_bounds import marginal_bounds
from xai_audit.causal.estimation.robust import Fit, amount, least_squares
from xai_audit.causal.sample import Array, Sample
from xai_audit.causal.sensitivity import benchmark, e_values, robustness
from xai_audit.causal.tipping import tipping
from xai_audit.errors import Refusal

TIMES = (1.0, 2.0, 3.0)
_ROOM = "Sensitivity says how far this answer can be pushed; it makes no answer of a refused one."


def strength(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Every declared analysis by name: its numbers, or the reason why it does not apply."""
    declared = asked.causal.checks.sensitivity
    if not declared:
        return {}
    reason = _does_not_apply(asked, answer)
    made: dict[str, Any] = {"note": _ROOM}
    for kind in declared:
        if reason:
            made[kind] = {"reason": reason}
            continue
        try:
            made |= _ANALYSES[kind](asked, answer)
        except (Refusal, ValueError, ZeroDivisionError) as refused:
            made[kind] = {"reason": str(refused)}
    return made


def _does_not_apply(asked: Asked, answer: Answer) -> str:
    if answer.set_used is None:
        return "It is about causes that adjustment missed, and this answer does not rest on adjustment."
    if not asked.is_contrast or asked.query.ask not in ("ate", "interventional") or asked.query.given:
        return "It is defined for the total effect in all units."
    return ""


def _e_value(asked: Asked, answer: Answer) -> dict[str, Any]:
    sample = asked.sample
    assert sample is not None and answer.set_used is not None
    arms = two_arms(asked, sample, answer.set_used)
    y = outcome_of(asked, sample)
    if arms is None or not is_two_level(y):
        return {"e_value": _e_value_of_a_difference(answer, sample, y)}
    risks = [arm.mean(sample) for arm in arms]
    if min(risk.value for risk in risks) <= 0:
        return {"e_value": {"reason": "One of the two risks is 0, so there is no risk ratio."}}
    ratio = risks[1].value / risks[0].value
    low = high = ratio
    if not sample.is_law:
        both = risks[1] / risks[0]
        log = amount(
            sample, "log", type(both)(math.log(ratio), both.influence / ratio, both.parameters), asked.query.alpha
        )
        low, high = math.exp(log.low), math.exp(log.high)
    found = e_values(ratio, low, high)
    made = {
        "risk_ratio": ratio, "low": low, "high": high, "point": found.point,
        "limit": None if sample.is_law else found.limit,
        "converted": f"Risk ratio of the adjusted risks {risks[1].value:.4g} and {risks[0].value:.4g}; not converted.",
    }  # fmt: skip
    return {"e_value": made}


def _e_value_of_a_difference(answer: Answer, sample: Sample, y: Array) -> dict[str, Any]:
    """RR = exp(0.91 d) for a difference of d standard deviations (VanderWeele and Ding 2017, table 2)."""
    first = answer.amounts[0]
    mean = sample.weights @ y / sample.units
    sd = math.sqrt(float(sample.weights @ (y - mean) ** 2) / sample.units)
    assert first.estimate is not None
    ratio, low, high = (math.exp(0.91 * value / sd) for value in (first.estimate, first.low, first.high))
    found = e_values(ratio, low, high)
    text = (
        f"The difference in standard deviations of the outcome ({sd:.4g}) was turned into a risk ratio as exp(0.91 d)."
    )
    return {
        "risk_ratio": ratio, "low": low, "high": high, "point": found.point,
        "limit": None if sample.is_law else found.limit, "converted": text,
    }  # fmt: skip


def _robustness(asked: Asked, answer: Answer) -> dict[str, Any]:
    fit, columns, sample, change = _regression(asked, answer)
    slope, error, dof = fit.classical("treatment")
    line = slope * change, error * abs(change), dof
    found = robustness(*line, alpha=asked.query.alpha)
    assert answer.set_used is not None
    strongest = [
        {"covariate": name, **asdict(one)}
        for name in answer.set_used
        for times in TIMES
        if (one := benchmark(line, _partial_r2(fit, columns, sample, name), times, asked.query.alpha)) is not None
    ]
    made = {
        **asdict(found), "estimate": line[0], "standard_error": line[1], "dof": dof,
        "of": "Straight-line regression of the outcome on the treatment with the same adjustment set.",
    }  # fmt: skip
    return {"robustness_value": made, "benchmarks": strongest}


def _regression(asked: Asked, answer: Answer) -> tuple[Fit, Columns, Sample, float]:
    """Outcome on treatment and set; a treatment with levels is 1 at the alternative and 0 at the reference."""
    whole = asked.sample
    assert whole is not None and answer.set_used is not None
    if whole.is_law:
        raise ValueError("The law is stated as exact: there are no degrees of freedom.")
    if len(asked.treatments) > 1:
        raise ValueError("It is defined for one treatment.")
    (x,) = asked.treatments
    sample, change = whole, asked.alternative[x] - asked.reference[x]
    if whole.is_discrete(x) and not (asked.is_assumed("linear") and is_number(whole, x)):
        places = whole.columns[x]
        sample = whole.where((places == asked.reference[x]) | (places == asked.alternative[x]))
        treatment, change = (sample.columns[x] == asked.alternative[x]).astype(np.float64), 1.0
    else:
        treatment = sample.values(x)
        if whole.is_discrete(x):
            values = asked.values(x)
            assert values is not None
            change = float(values[int(asked.alternative[x])] - values[int(asked.reference[x])])
    columns = columns_of(sample, answer.set_used)
    y = outcome_of(asked, sample)
    fit = least_squares(
        sample, y, ("treatment", *columns.names), np.column_stack([treatment, columns.X]), "robustness_value"
    )
    return fit, columns, sample, change


def _partial_r2(fit: Fit, columns: Columns, sample: Sample, name: str) -> tuple[float, float]:
    """Share of what is left of the treatment, and of the outcome given the treatment, that one covariate explains."""
    own = columns.places(name)
    kept = [place for place in range(len(columns.names)) if place not in own]
    treatment = fit.X[:, 0]
    with_treatment = _gained(sample, treatment, columns.X, columns.X[:, kept])
    with_outcome = _gained(sample, fit.y, fit.X, np.column_stack([treatment, columns.X[:, kept]]))
    return with_treatment, with_outcome


def _gained(sample: Sample, y: Array, larger: Array, smaller: Array) -> float:
    without, within = _left(sample, y, smaller), _left(sample, y, larger)
    return max(0.0, 1 - within / without) if without > 0 else 0.0


def _left(sample: Sample, y: Array, X: Array) -> float:
    """Sum of squares that columns leave over."""
    scale = np.sqrt(sample.weights)
    basis, _ = np.linalg.qr(X * scale[:, None])
    rest = y * scale - basis @ (basis.T @ (y * scale))
    return float(rest @ rest)


def _tipping(asked: Asked, answer: Answer) -> dict[str, Any]:
    sample, first = asked.sample, answer.amounts[0]
    assert sample is not None and first.estimate is not None
    is_share = is_two_level(outcome_of(asked, sample)) and asked.on in sample.levels
    found = tipping(first.estimate, first.low, first.high, is_share)
    unit = "points" if is_share else (asked.causal.variables[asked.on].unit or "units")
    scale = 100.0 if is_share else 1.0
    shown = ", ".join(_setting(asked, name, 1) for name in asked.treatments)
    other = ", ".join(_setting(asked, name, 0) for name in asked.treatments)
    sentences = [
        f"An unmeasured cause present in {one.shift:.0%} more of the units with {shown} than of those with {other}, "
        f"alike in what is adjusted for, that {'raises' if one.change > 0 else 'lowers'} {asked.on} by "
        f"{abs(one.change) * scale:.3g} {unit} would erase this{'' if one.is_possible else ', which no cause can'}."
        for one in found
    ]
    cases = [{**asdict(one), "sentence": text} for one, text in zip(found, sentences, strict=True)]
    return {"tipping_point": {"unit": unit, "cases": cases}}


def _setting(asked: Asked, name: str, side: int) -> str:
    setting = asked.query.do[name]
    return f"{name} = {setting[side] if isinstance(setting, tuple) else setting}"


def _marginal(asked: Asked, answer: Answer) -> dict[str, Any]:
    sample = asked.sample
    assert sample is not None and answer.set_used is not None
    arms = two_arms(asked, sample, answer.set_used)
    if arms is None:
        return {"marginal": {"reason": "It is defined for a treatment with levels that is seen in every group."}}
    factors = asked.causal.checks.marginal_factors
    return {"marginal": [marginal_bounds(sample, arms, factor, asked.query.alpha) for factor in factors]}


_ANALYSES: dict[str, Callable[[Asked, Answer], dict[str, Any]]] = {
    "e_value": _e_value,
    "robustness_value": _robustness,
    "tipping_point": _tipping,
    "marginal": _marginal,
}
