"""Answers by an instrument, under declared straight lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from xai_audit.causal.answer import Alternative, Amount, Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.anderson_rubin import WEAK, TwoStage, two_stage
from xai_audit.causal.estimation.by_edges import change_of
from xai_audit.causal.estimation.by_lines import errors_named
from xai_audit.causal.estimation.columns import is_number
from xai_audit.causal.estimation.refuters import Again
from xai_audit.causal.estimation.robust import amount, degrees_of_freedom
from xai_audit.causal.estimation.tested import with_tests
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.instruments import instruments


def by_instrument(asked: Asked) -> Answer | None:
    """Two-stage least squares by the first instrument of the graph; None where there is none.

    A weak first stage takes the Anderson-Rubin interval; where that has no end there is no number.
    """
    sample = asked.sample
    assert sample is not None
    if len(asked.treatments) > 1 or not asked.is_contrast:
        return None
    (x,) = asked.treatments
    usable = [one for one in instruments(asked.graph, x, asked.on)
              if one.name in sample.columns and is_number(sample, one.name)]  # fmt: skip
    if not usable:
        return None
    y, change = sample.values(asked.on), change_of(asked, sample, x)
    found = [two_stage(sample, y, x, one.name, one.given) for one in usable]
    first = found[0]
    made = _instrumented(asked, sample, first, change)
    details = {"instruments": [_instrument_details(one, asked.query.alpha, change) for one in found]}
    if made is None:
        return Answer(
            "no_estimator", details=details,
            reason=f"The instrument {first.instrument} hardly moves {x} (F = {first.F:.3g}): any slope fits.",
            next_step="Find a stronger instrument, or more data.",
        )  # fmt: skip
    beside = [(one, _instrumented(asked, sample, one, change)) for one in found]
    answer = Answer(
        "identified", (made,), estimator="two-stage least squares, " + errors_named(sample), pattern="instrument",
        alternatives=tuple(Alternative(f"instrument {one.instrument}", number) for one, number in beside if number),
        details=details, warnings=_weakness(first),
        assumptions=(f"{first.instrument} reaches {asked.on} only through {x}"
                     f"{' once ' + ', '.join(first.given) + ' is known' if first.given else ''}.",),
    )  # fmt: skip
    return with_tests(asked, answer, _again_by_instrument(asked, first))


def _again_by_instrument(asked: Asked, first: TwoStage) -> Again:
    def again(sample: Sample, treatment: str, on: str, more: Names) -> float:
        if treatment not in asked.treatments or on != asked.on:
            raise ValueError("an instrument is for the treatment and outcome of the query only")
        given = sorted_names((*first.given, *more))
        stages = two_stage(sample, sample.values(on), treatment, first.instrument, given)
        return stages.slope.value * change_of(asked, sample, treatment)

    return again


def _instrumented(asked: Asked, sample: Sample, stages: TwoStage, change: float) -> Amount | None:
    made = amount(sample, asked.part, stages.slope * change, asked.query.alpha)
    if sample.is_law or not stages.is_weak:
        return made
    ends = stages.robust_set(asked.query.alpha)
    if ends.low is None or ends.high is None:
        return None
    low, high = sorted((ends.low * change, ends.high * change))
    dof = degrees_of_freedom(sample, stages.slope.parameters)
    critical = float(stats.t.ppf(1 - asked.query.alpha / 2, dof))
    assert made.estimate is not None
    error = max(high - made.estimate, made.estimate - low) / critical
    return replace(made, low=low, high=high, standard_error=error, dof=dof)


def _weakness(stages: TwoStage) -> tuple[str, ...]:
    if not stages.is_weak:
        return ()
    return (
        f"The instrument {stages.instrument} is weak (first-stage F = {stages.F:.3g}, below {WEAK:g}): the interval is "
        "that of Anderson and Rubin, which stays right.",
    )


def _instrument_details(stages: TwoStage, alpha: float, change: float) -> dict[str, Any]:
    ends = None if stages.sample.is_law else stages.robust_set(alpha)
    robust = (
        None
        if ends is None or ends.low is None or ends.high is None
        else sorted((ends.low * change, ends.high * change))
    )
    return {
        "instrument": stages.instrument, "given": list(stages.given), "F": stages.F if np.isfinite(stages.F) else None,
        "effect_on_treatment": stages.first.value, "effect_on_outcome": stages.reduced.value,
        "is_weak": stages.is_weak, "anderson_rubin": robust,
    }  # fmt: skip
