"""ask: sensitivity: how strong an unmeasured cause would have to be to explain a published number (section 7)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scipy.stats import norm

from xai_audit.causal.answer import Amount, Answer, analytic, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.sensitivity import e_values, robustness
from xai_audit.causal.tipping import tipping
from xai_audit.spec.causal import Published

_RATIO = "From the published risk ratio and its interval; nothing was converted."
_WORDS = {
    "e_value": "An unmeasured cause tied to treatment and outcome by risk ratios of {point:.3g} each, beyond what was "
    "adjusted for, could explain the number away; {limit:.3g} each would do to move its interval to 1.",
    "robustness_value": "An unmeasured cause that explains {value:.3g} of what is left of both treatment and outcome "
    "could bring the number to 0; {value_at_alpha:.3g} would do to bring its interval there.",
}


def published_number(asked: Asked) -> Answer:
    """E-values of a risk ratio with interval, or robustness values of an estimate with error and degrees of freedom.

    The amount is the published number as it stands: it was not estimated here.
    """
    inputs = asked.query.inputs
    if inputs is None:
        return refused("No published number is given.", "Give `inputs: {risk_ratio, low, high}`.")
    if inputs.risk_ratio is not None:
        return _of_ratio(inputs, asked.query.alpha)
    if inputs.estimate is not None and inputs.standard_error is not None and inputs.dof is not None:
        return _of_estimate(inputs.estimate, inputs.standard_error, inputs.dof, asked.query.alpha)
    return refused(
        "The inputs are not whole: a risk ratio comes with low and high, an estimate with standard_error and dof.",
        "Give `inputs: {risk_ratio, low, high}` or `inputs: {estimate, standard_error, dof}`.",
    )


def _of_ratio(inputs: Published, alpha: float) -> Answer:
    ratio, low, high = inputs.risk_ratio, inputs.low, inputs.high
    assert ratio is not None
    if low is None or high is None or not low <= ratio <= high:
        return refused(
            "The interval does not hold the risk ratio.", "Give low and high with low <= risk_ratio <= high."
        )
    found = e_values(ratio, low, high)
    error = max(high - ratio, ratio - low) / float(norm.ppf(1 - alpha / 2))  # so that no other interval is narrower
    made = Amount(
        "published", "analytic", ratio, low, high, "risk ratio", standard_error=error, confidence=1 - alpha
    )  # fmt: skip
    entry = {"risk_ratio": ratio, "low": low, "high": high, **asdict(found), "converted": _RATIO}
    return _answer((made,), {"e_value": entry}, _WORDS["e_value"].format(**asdict(found)))


def _of_estimate(estimate: float, standard_error: float, dof: int, alpha: float) -> Answer:
    found = robustness(estimate, standard_error, dof, alpha=alpha)
    made = analytic("published", estimate, standard_error, dof, alpha)
    cases = [asdict(one) for one in tipping(estimate, made.low, made.high, is_share=False)]
    entry = {**asdict(found), "estimate": estimate, "standard_error": standard_error, "dof": dof, "of": "Published."}
    sensitivity = {"robustness_value": entry, "tipping_point": {"unit": "units", "cases": cases}}
    return _answer((made,), sensitivity, _WORDS["robustness_value"].format(**asdict(found)))


def _answer(amounts: tuple[Amount, ...], sensitivity: dict[str, Any], text: str) -> Answer:
    return Answer(
        "identified", amounts, estimator="published; closed-form sensitivity", estimand_text=text,
        sensitivity=sensitivity, warnings=("The number was published elsewhere and is not estimated here.",),
    )  # fmt: skip
