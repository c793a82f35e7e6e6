"""Answers by straight lines: slopes adjusted for a set of covariates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from xai_audit.causal.answer import Alternative, Amount, Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.agreement import braces, disagreement
from xai_audit.causal.estimation.columns import is_number, number_of, outcome_columns
from xai_audit.causal.estimation.groups_of import groups
from xai_audit.causal.estimation.linear_path import Slopes, adjusted_slopes
from xai_audit.causal.estimation.linear_tests import LinearTests, linear_tests
from xai_audit.causal.estimation.refuters import Again, Placebos
from xai_audit.causal.estimation.robust import Estimate, Fit, amount, constant, is_clustered
from xai_audit.causal.estimation.tested import with_tests
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.measures.intervals import few_clusters

_CURVED = "The data contradict a straight line ({tests}), and none was declared: one slope would not be the answer."


def by_lines(asked: Asked, sets: AdjustmentSets) -> Answer:
    """The answer by regression on each adjustment set; the first is the answer, the others stand beside it."""
    sample = asked.sample
    assert sample is not None
    x = sorted_names((*asked.treatments, *asked.query.hold))
    if not all(is_number(sample, name) for name in x):
        named = ", ".join(name for name in x if not is_number(sample, name))
        return Answer("no_estimator", reason=f"A straight line needs numbers, and {named} has named levels.",
                      next_step="Give its levels as numbers, or declare bins for the ranges.")  # fmt: skip
    used = sets.sets[0]
    first = _slopes(asked, sample, sample_outcome(asked, sample)[0][1], used)
    tests = linear_tests(first.fit, [first.columns.names.index(name) for name in asked.treatments])
    outside = _outside(asked, sample)
    if not asked.is_assumed("linear"):
        if tests.contradicts:
            return _contradicted(first, tests, sets)
        if outside:
            return Answer("unsupported", reason=f"No case lies near what is asked: {outside}.",
                          next_step="Ask about values that are seen.", details=_details(first.fit, tests))  # fmt: skip
    answer = Answer(
        "identified",
        _amounts(asked, sample, used),
        estimator="straight-line regression, " + errors_named(sample),
        adjustment_sets=sets,
        set_used=used,
        alternatives=_alternatives(asked, sample, sets),
        overlap=_support(asked, sample, first),
        warnings=_warnings(asked, sample, tests, outside, sets),
        next_step=""
        if asked.is_assumed("linear")
        else "Declare `assume: [linear]` to make the straight line a stated assumption.",
        assumptions=() if asked.is_assumed("linear") else (_UNDECLARED,),
        details=_details(first.fit, tests),
    )
    return with_tests(asked, answer, *_again(asked, used))


_UNDECLARED = "Effects are straight lines: this was not declared; the data do not contradict it."


def errors_named(sample: Sample) -> str:
    """Which standard errors a regression has."""
    return "errors by cluster" if is_clustered(sample) else "HC3 errors"


def sample_outcome(asked: Asked, sample: Sample) -> list[tuple[str, Array]]:
    """(label, column) of what is asked about."""
    return outcome_columns(sample, asked.on, asked.outcomes())


def _slopes(asked: Asked, sample: Sample, y: Array, given: Names, more: Names = ()) -> Slopes:
    x = sorted_names((*asked.treatments, *asked.query.hold))
    conditions = [name for name in asked.query.given if name not in given]
    straight = [name for name in given if asked.is_assumed("linear") and is_number(sample, name)]
    return adjusted_slopes(sample, y, x, sorted_names((*given, *conditions, *more)), straight)


def sides_of(asked: Asked, sample: Sample) -> tuple[dict[str, float], dict[str, float]]:
    """Both settings as numbers, with what is held in both."""
    sides = ({**side, **asked.hold} for side in (asked.reference, asked.alternative))
    first, second = ({name: number_of(sample, name, at) for name, at in side.items()} for side in sides)
    return first, second


def _amounts(asked: Asked, sample: Sample, given: Names) -> tuple[Amount, ...]:
    """One number an outcome (named levels), and of cate one a group."""
    found = []
    for group, part in groups(asked, sample):
        for label, y in sample_outcome(asked, part):
            one = _number(asked, part, _slopes(asked, part, y, given), given)
            found.append(amount(part, asked.part, one, asked.query.alpha, ", ".join(t for t in (group, label) if t)))
    return tuple(found)


def _number(asked: Asked, sample: Sample, slopes: Slopes, given: Names) -> Estimate:
    reference, alternative = sides_of(asked, sample)
    if asked.is_contrast:
        return slopes.change(reference, alternative)
    value = slopes.value(reference)
    if not asked.given:
        return value
    return value + _shift(asked, sample, slopes, given)


def _shift(asked: Asked, sample: Sample, slopes: Slopes, given: Names) -> Estimate:
    """How far the conditions move the mean: their own slopes, and through what they tell of the adjustment set."""
    conditions = tuple(asked.given)
    others = [name for name in given if name not in conditions]
    straight = {name: number_of(sample, name, value) for name, value in asked.given.items()}
    if not all(is_number(sample, name) for name in conditions):
        raise Refusal("given", "named levels", "numbers", "Give the levels as numbers, or declare bins.")
    moved = constant(0.0, sample.n)
    columns = slopes.columns
    outer = [place for name in others for place in columns.places(name)]
    for name in conditions:
        if columns.places(name) and columns.names[columns.places(name)[0]] != name:
            raise Refusal("given", f"{name} with levels", "a range", "Assume linear, or declare bins.")
    for name in conditions:
        centre = float(sample.weights @ sample.values(name)) / sample.units
        rate = slopes.fit.estimate(name)
        for place in outer:
            told = adjusted_slopes(sample, columns.X[:, place], conditions, ())
            rate = rate + slopes.fit.estimate(columns.names[place]) * told.of(name)
        distance = Estimate(straight[name] - centre, -(sample.values(name) - centre) / sample.units)
        moved = moved + rate * distance
    return moved


def _alternatives(asked: Asked, sample: Sample, sets: AdjustmentSets) -> tuple[Alternative, ...]:
    found = []
    for given in sets.sets:
        try:
            found.append(Alternative(braces(given), _amounts(asked, sample, given)[0]))
        except Refusal:
            continue
    return tuple(found)


def _warnings(asked: Asked, sample: Sample, tests: LinearTests, outside: str, sets: AdjustmentSets) -> tuple[str, ...]:
    found = []
    if tests.contradicts:
        found.append(
            f"The data contradict the declared straight line ({_shown(tests)}): the number is a best line, and the "
            "change differs along it."
        )
    if outside:
        found.append(f"The line is drawn beyond the data: {outside}.")
    if is_clustered(sample):
        found += few_clusters(sample.n_clusters)
    found += _disagreeing(asked, sample, sets)
    return tuple(found)


def _disagreeing(asked: Asked, sample: Sample, sets: AdjustmentSets) -> list[str]:
    if sample.is_law or len(sets.sets) < 2 or asked.query.ask == "cate":
        return []
    y = sample_outcome(asked, sample)[0][1]
    by_set = {}
    for given in sets.sets:
        try:
            by_set[given] = _number(asked, sample, _slopes(asked, sample, y, given), given)
        except Refusal:
            continue
    return disagreement(sample, by_set)


def _shown(tests: LinearTests) -> str:
    return "; ".join(f"{test.name} p = {test.p:.2g}" for test in tests.tests if test.tests_form)


def _contradicted(first: Slopes, tests: LinearTests, sets: AdjustmentSets) -> Answer:
    return Answer(
        "no_estimator",
        reason=_CURVED.format(tests=_shown(tests)),
        next_step="Declare `bins` for the ranges that are needed, or `assume: [linear]` if a best line will do.",
        adjustment_sets=sets,
        set_used=sets.sets[0],
        details=_details(first.fit, tests),
    )


def _details(fit: Fit, tests: LinearTests) -> dict[str, Any]:
    return {
        "coefficients": [
            {"column": name, "estimate": one.value} for name, one in zip(fit.columns, fit.estimates(), strict=True)
        ],
        "dof": fit.dof,
        "linear_tests": [asdict(test) for test in tests.tests],
        "linear_p": tests.p_form,
        "linear_contradicted": tests.contradicts,
    }


def _outside(asked: Asked, sample: Sample) -> str:
    """Settings that lie outside what is seen."""
    found = []
    for side in sides_of(asked, sample):
        for name, at in side.items():
            values = sample.values(name)[sample.weights > 0]
            low, high = float(values.min()), float(values.max())
            if not low <= at <= high:
                found.append(f"{name} = {at:g}, seen from {low:g} to {high:g}")
    return "; ".join(dict.fromkeys(found))


def _support(asked: Asked, sample: Sample, slopes: Slopes) -> dict[str, Any]:
    """Share of the treatment's variance that the set leaves, range seen, share of units beyond the settings."""
    min_cell = asked.causal.checks.overlap.min_cell
    left = {}
    for name in asked.treatments:
        place = slopes.columns.names.index(name)
        spread = sample.weights @ slopes.fit.X[:, place] ** 2
        left[name] = float(1 / (slopes.fit.bread[place, place] * spread))
    ranges = {name: [float(sample.values(name).min()), float(sample.values(name).max())] for name in asked.treatments}
    return {
        "cells": [], "thin": 0, "empty": 0, "min_cell": min_cell, "effective_n": min(left.values()) * sample.units,
        "outside_support": 1.0 if _outside(asked, sample) else 0.0, "variance_left": left, "seen": ranges,
    }  # fmt: skip


def _again(asked: Asked, given: Names) -> tuple[Again, Placebos | None]:
    """The first number again, and for many placebo treatments at once."""

    def again(sample: Sample, treatment: str, on: str, more: Names) -> float:
        if treatment not in asked.treatments or on != asked.on:
            raise ValueError("a straight line is estimated again for the treatment and outcome of the query only")
        _, part = next(iter(groups(asked, sample)))
        y = sample_outcome(asked, part)[0][1]
        return _number(asked, part, _slopes(asked, part, y, given, more), given).value

    def placebos(sample: Sample, columns: Array) -> Array:
        (x,) = asked.treatments
        reference, alternative = sides_of(asked, sample)
        y = sample_outcome(asked, sample)[0][1]
        X = _slopes(asked, sample, y, given).columns
        others = [place for place, name in enumerate(X.of) if name != x]
        return placebo_slopes(sample, y, X.X[:, others], columns) * (alternative[x] - reference[x])

    is_one = len(asked.treatments) == 1 and asked.is_contrast and asked.query.ask != "cate"
    return again, placebos if is_one else None


def placebo_slopes(sample: Sample, y: Array, X: Array, columns: Array) -> Array:
    """Slope of y on each column (rows, draws) with X in the regression, (draws,): y is freed of X once (Frisch and
    Waugh, Econometrica 1933)."""
    scale = np.sqrt(sample.weights)
    basis, _ = np.linalg.qr(X * scale[:, None])
    y_left = y * scale - basis @ (basis.T @ (y * scale))
    weighed = columns * scale[:, None]
    inside = basis.T @ weighed
    return np.asarray(
        (y_left @ weighed) / (np.einsum("ij,ij->j", weighed, weighed) - np.einsum("ij,ij->j", inside, inside))
    )


def association_line(asked: Asked) -> Answer:
    """The raw slope, or the difference of raw means; a contrast and never an effect."""
    sample = asked.sample
    assert sample is not None
    numbers = all(is_number(sample, name) for name in asked.treatments)
    given = sorted_names(name for name in asked.query.given if name != "row")
    if not numbers or given or not asked.is_contrast:
        return Answer("no_estimator", reason="A raw contrast of a range needs numbers and no conditions.",
                      next_step="Declare `bins`.")  # fmt: skip
    found = []
    for label, y in sample_outcome(asked, sample):
        slopes = adjusted_slopes(sample, y, asked.treatments, ())
        found.append(amount(sample, "association", slopes.change(*sides_of(asked, sample)), asked.query.alpha, label))
    return Answer("identified", tuple(found), estimator="raw straight line, " + errors_named(sample))
