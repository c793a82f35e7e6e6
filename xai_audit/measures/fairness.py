"""How often a group of people gets the favourable answer, how often rightly, and what the model said beforehand.

Each measure gives its number on a slice and sets it beside the reference slice: a difference, and where both are rates
a ratio (the adverse impact ratio, where the measure is the selection rate). Intervals of both resample the cases of
the two slices together, so that a case in both, or a cluster with cases in both, counts in both each time that it is
drawn. A measure finds gaps; whether a gap is unlawful or unfair is not a question that it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import CONFIDENCE
from xai_audit.measures.measured import Estimate, Measured, Options, gather
from xai_audit.measures.performance import PROBABILITIES_MISSING, describe
from xai_audit.measures.predictions import OneAgainstRest, Predictions
from xai_audit.measures.ratios import Part, independent_clusters, ratios
from xai_audit.measures.resampling import clusters_with, resampled_sums

IS_REFERENCE = "This slice is the reference itself: there is nothing to compare."


@dataclass(frozen=True, eq=False)
class Groups:
    """Every case of two slices, which may overlap: the slice that is measured, and the reference."""

    predictions: Predictions
    """Of each case that is in one of the two, or in both."""
    inside: NDArray[np.bool_]
    """(cases,): the case is in the slice that is measured."""
    reference: NDArray[np.bool_]
    """(cases,): the case is in the reference slice."""
    name: str
    reference_name: str
    least: int = 1
    """A slice with fewer cases is compared with nothing."""

    @property
    def own(self) -> Predictions:
        """The cases of the slice that is measured."""
        return self.predictions.of(np.flatnonzero(self.inside))

    @property
    def is_reference(self) -> bool:
        """Whether the slice is the reference."""
        return self.name == self.reference_name


@dataclass(frozen=True, eq=False)
class _Rate:
    """A mean over some of the cases: the sum of `parts` over the number of `wholes`."""

    name: str
    parts: NDArray[np.float64]
    """(cases,)"""
    wholes: NDArray[np.bool_]
    """(cases,): the cases that the mean is over."""
    nobody: str
    """What a slice without such a case lacks, in words."""


def selection_rate(groups: Groups, options: Options, rng: np.random.Generator) -> Measured:
    """Share of cases that get the favourable answer; its ratio to the reference is the adverse impact ratio."""
    asked = _question(groups.predictions, options)
    every = np.ones(groups.predictions.n, dtype=bool)
    rate = _Rate("selection_rate", asked.called.astype(np.float64), every, "case")
    return _compared_rates(groups, rate, _question(groups.own, options), options, rng)


def equal_opportunity(groups: Groups, options: Options, rng: np.random.Generator) -> Measured:
    """Share of cases whose label is the favourable one that get it: the true positive rate (Hardt et al. 2016)."""
    asked = _question(groups.predictions, options)
    nobody = f"case with label {asked.label!r}"
    rate = _Rate("equal_opportunity", (asked.truth & asked.called).astype(np.float64), asked.truth, nobody)
    return _compared_rates(groups, rate, _question(groups.own, options), options, rng)


def calibration_by_group(groups: Groups, options: Options, rng: np.random.Generator) -> Measured:
    """Mean stated probability of the favourable label, less the share of cases that have it, by slice.

    Above 0 the model expects more than happens. -1 to 1; calibration in the large (Steyerberg 2010). `stated` and
    `happened` are the two means. A ratio of gaps would say nothing, so that only the difference is compared.
    """
    own = groups.own
    asked, everyone = _question(own, options), _question(groups.predictions, options)
    details = _details(groups, own, options, asked)
    if asked.probability is None or everyone.probability is None:
        missing = Estimate("calibration_by_group", np.nan, own.n, "difference", undefined_because=PROBABILITIES_MISSING)
        return gather((missing,), details, own.clusters)
    every, each = np.ones(groups.predictions.n, dtype=bool), np.ones(own.n, dtype=bool)
    happened = ratios(
        "happened", [Part("", asked.truth, each, each, "")], own, rng, is_share=True, is_mean_wanted=False
    )
    rate = _Rate("calibration_by_group", everyone.probability - everyone.truth, every, "case")
    found = (
        *_means(asked, asked.probability, own, rng),
        *happened,
        *_comparisons(groups, rate, rng, with_ratio=False),
    )
    return _with_itself(groups, gather(found, details, own.clusters), with_ratio=False)


def _question(predictions: Predictions, options: Options) -> OneAgainstRest:
    return predictions.questions(options)[0]


def _compared_rates(
    groups: Groups, rate: _Rate, asked: OneAgainstRest, options: Options, rng: np.random.Generator
) -> Measured:
    """A share on the slice, with Wilson's interval where cases are independent, and its comparisons."""
    own = groups.own
    within = groups.inside
    part = Part(
        "", rate.parts[within].astype(np.int8), rate.wholes[within], rate.wholes[within], _nobody(rate, groups.name)
    )
    share = ratios(rate.name, [part], own, rng, is_share=True, is_mean_wanted=False)
    details = _details(groups, own, options, asked)
    details["counts"] = {
        slice_name: [int(rate.parts[cases & rate.wholes].sum()), int((cases & rate.wholes).sum())]
        for slice_name, cases in ((groups.name, groups.inside), (groups.reference_name, groups.reference))
    }
    found = gather((*share, *_comparisons(groups, rate, rng, with_ratio=True)), details, own.clusters)
    return _with_itself(groups, found, with_ratio=True)


def _details(groups: Groups, own: Predictions, options: Options, asked: OneAgainstRest) -> dict[str, Any]:
    return {
        **describe(own, options),
        "positive": asked.label,
        "reference": groups.reference_name,
        "is_reference": groups.is_reference,
        "reference_n": int(groups.reference.sum()),
        "in_both": int((groups.inside & groups.reference).sum()),
    }


def _nobody(rate: _Rate, name: str) -> str:
    return f"There is no {rate.nobody} in slice {name!r}."


def _means(
    asked: OneAgainstRest, probability: NDArray[np.float64], own: Predictions, rng: np.random.Generator
) -> tuple[Estimate, Estimate]:
    """Mean of what was stated less what happened, and of what was stated, over the same resamples."""
    clusters = independent_clusters(own)
    columns = np.stack([probability - asked.truth, probability, np.ones(own.n)], axis=1)
    sums = resampled_sums(columns, clusters, rng)
    independent = clusters_with(clusters, np.ones(own.n, dtype=bool))
    gap, stated = (
        Estimate(name, float(columns[:, k].mean()), own.n, unit, draws=sums[:, k] / sums[:, 2], independent=independent)
        for k, (name, unit) in enumerate((("calibration_by_group", "difference"), ("stated", "share")))
    )
    return gap, stated


def _comparisons(groups: Groups, rate: _Rate, rng: np.random.Generator, *, with_ratio: bool) -> tuple[Estimate, ...]:
    """Difference and ratio of the slice's rate and the reference's; nothing for the reference itself."""
    if groups.is_reference:
        return ()
    columns = [
        column
        for cases in (groups.inside, groups.reference)
        for column in (rate.parts * (cases & rate.wholes), cases & rate.wholes)
    ]
    stacked = np.stack(columns, axis=1).astype(np.float64)
    whole = stacked.astype(np.int8) if (stacked == np.rint(stacked)).all() else stacked
    clusters = independent_clusters(groups.predictions)
    drawn = resampled_sums(whole, clusters, rng)
    sums = stacked.sum(axis=0)
    why = _why_not(groups, rate, sums)
    parts = ("difference", "ratio") if with_ratio else ("difference",)
    return tuple(_comparison(part, groups, rate, sums, drawn, clusters, why) for part in parts)


def _comparison(
    part: str,
    groups: Groups,
    rate: _Rate,
    sums: NDArray[np.float64],
    drawn: NDArray[np.float64],
    clusters: NDArray[np.int64] | None,
    why: str,
) -> Estimate:
    compare = _difference if part == "difference" else _ratio
    number = float(compare(sums))
    if not why and np.isnan(number):
        why = f"The rate in the reference slice {groups.reference_name!r} is 0, and nothing is a multiple of 0."
    rests_on = [clusters_with(clusters, cases & rate.wholes) for cases in (groups.inside, groups.reference)]
    return Estimate(
        part,
        np.nan if why else number,
        int(sums[1]),
        part,
        groups.reference_name,
        undefined_because=why,
        draws=None if why else compare(drawn),
        independent=min(rests_on),
    )


def _why_not(groups: Groups, rate: _Rate, sums: NDArray[np.float64]) -> str:
    """Why the two slices cannot be compared; empty where they can."""
    for name, cases, count in (
        (groups.name, groups.inside, sums[1]),
        (groups.reference_name, groups.reference, sums[3]),
    ):
        if count == 0:
            return _nobody(rate, name)
        if min(int(cases.sum()), int(count)) < groups.least:
            return f"Slice {name!r} has fewer than {groups.least} cases to compare."
    return ""


def _difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    own, reference = _rates(sums)
    return own - reference


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    own, reference = _rates(sums)
    above_0 = reference > 0
    return np.where(above_0, own / np.where(above_0, reference, 1.0), np.nan)


def _rates(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rate of the slice and of the reference from the four sums (..., 4); NaN where there is nobody."""
    both = [
        np.where(sums[..., k + 1] > 0, sums[..., k] / np.where(sums[..., k + 1] > 0, sums[..., k + 1], 1.0), np.nan)
        for k in (0, 2)
    ]
    return both[0], both[1]


def _with_itself(groups: Groups, found: Measured, *, with_ratio: bool) -> Measured:
    """The reference beside itself: 0 and 1 by construction, said as such and without an interval."""
    if not groups.is_reference:
        return found
    label = groups.reference_name
    n = found.values[0].n
    same = [("difference", 0.0), ("ratio", 1.0)] if with_ratio else [("difference", 0.0)]
    values = tuple(
        Value(name, number, None, None, n, name, CONFIDENCE, label=label, reason=IS_REFERENCE) for name, number in same
    )
    return Measured((*found.values, *values), found.arrays, found.details, found.rows)
