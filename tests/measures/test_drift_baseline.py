"""Drift baselines: closed forms of both distances, their laws in simulation, and controls."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi2, ks_2samp, kstwobign

from xai_audit.errors import StepError
from xai_audit.measures.drift_baseline import (
    OTHER,
    Monitored,
    as_json,
    distance,
    drift_baseline,
    export_text,
    ks_distance,
    ks_trigger,
    psi,
    psi_trigger,
    psi_trigger_of_part,
    reference_of,
)


def numbers(values, name="x") -> Monitored:
    return Monitored(name, np.asarray(values, float))


def test_psi_of_two_bins_is_its_closed_form():
    """From halves to 0.8 and 0.2: 0.3 ln 1.6 - 0.3 ln 0.4 = 0.3 ln 4."""
    assert psi(np.array([0.5, 0.5]), np.array([0.8, 0.2])) == pytest.approx(0.3 * math.log(4), abs=1e-12)
    assert psi(np.array([0.1, 0.9]), np.array([0.1, 0.9])) == 0.0


def test_psi_is_the_sum_of_both_kullback_leibler_divergences():
    draw = np.random.default_rng(0)
    p, q = draw.dirichlet(np.full(7, 20)), draw.dirichlet(np.full(7, 20))
    both = float((p * np.log(p / q)).sum() + (q * np.log(q / p)).sum())
    assert psi(p, q) == pytest.approx(both, abs=1e-12)


def test_ks_distance_agrees_with_scipy():
    draw = np.random.default_rng(1)
    first, second = draw.normal(size=130).round(1), draw.normal(0.3, 1, size=75).round(1)
    assert ks_distance(first, second) == pytest.approx(ks_2samp(first, second).statistic, abs=1e-12)
    assert math.isnan(ks_distance(first, np.array([np.nan])))


def test_triggers_are_their_laws():
    assert psi_trigger(10, 1000, 500, 0.01) == pytest.approx(chi2.ppf(0.99, 9) * 0.003, abs=1e-12)
    assert psi_trigger(1, 1000, 500, 0.01) is None
    exact = kstwobign.ppf(0.99) * math.sqrt(0.003)  # Kolmogorov's law; ours keeps the first term of its series
    assert ks_trigger(1000, 500, 0.01) == pytest.approx(exact, rel=1e-4)


def test_bins_are_tenths_of_the_reference_and_count_all_cases():
    made = reference_of(numbers(np.arange(1000)))
    assert len(made.edges) == 9
    assert made.shares == pytest.approx([0.1] * 10, abs=1e-12)
    assert made.quantiles[0] == 0
    assert made.quantiles[25] == pytest.approx(499.5)


def test_the_baseline_lies_at_no_distance_from_itself():
    draw = np.random.default_rng(2)
    variable = numbers(np.where(draw.random(400) < 0.1, np.nan, draw.normal(size=400)))
    assert distance(reference_of(variable), variable) == pytest.approx(0.0, abs=1e-12)


def test_distance_agrees_with_a_plain_count():
    draw = np.random.default_rng(3)
    before, after = draw.normal(size=300), draw.normal(0.5, 1.2, size=200)
    made = reference_of(numbers(before))
    edges = [-np.inf, *made.edges, np.inf]
    found = 0.0
    for low, high in pairwise(edges):
        p = max(float(np.mean((before > low) & (before <= high))), 0.0005)
        q = max(float(np.mean((after > low) & (after <= high))), 0.0005)
        found += (q - p) * math.log(q / p)
    assert distance(made, numbers(after)) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("kind", ["number", "category"])
def test_windows_without_change_stay_below_the_trigger_as_often_as_it_says(kind):
    """Negative control: 600 pairs of baseline and window from one law, alpha 0.05; 0.05 plus and minus 0.03."""
    draw, beyond = np.random.default_rng(4), 0
    for _ in range(600):
        if kind == "number":
            before, after = numbers(draw.normal(size=400)), numbers(draw.normal(size=300))
        else:
            names, weights = tuple("abcde"), [0.5, 0.3, 0.15, 0.04, 0.01]
            before, after = (
                Monitored("x", draw.choice(5, size, p=weights).astype(float), names) for size in (400, 300)
            )
        made = reference_of(before, window=300, alpha=0.05)
        beyond += distance(made, after) > made.psi_trigger
    assert 0.02 <= beyond / 600 <= 0.08


def test_a_part_of_the_reference_is_held_to_its_own_law():
    """Halves drawn by chance from the reference itself: 600 of them, alpha 0.05; 0.05 plus and minus 0.03."""
    draw, beyond, as_window = np.random.default_rng(6), 0, 0
    for _ in range(600):
        values = draw.normal(size=800)
        made, half = reference_of(numbers(values), window=400), numbers(values[:400])
        bins = len(made.shares)
        beyond += distance(made, half) > psi_trigger_of_part(bins, 800, 400, 0.05)
        as_window += distance(made, half) > psi_trigger(bins, 800, 400, 0.05)
    assert 0.02 <= beyond / 600 <= 0.08
    assert as_window <= 2, "the law of a later window sees next to nothing here"
    assert psi_trigger_of_part(10, 800, 800, 0.05) == 0
    assert psi_trigger_of_part(10, 800, 49, 0.05) is None
    assert psi_trigger_of_part(1, 800, 400, 0.05) is None


def test_a_window_that_moved_goes_beyond_both_triggers():
    """Positive control: a shift by half a standard deviation in windows of 300."""
    draw = np.random.default_rng(5)
    before = draw.normal(size=400)
    made = reference_of(numbers(before), window=300)
    for _ in range(20):
        after = draw.normal(0.5, 1, size=300)
        assert distance(made, numbers(after)) > made.psi_trigger
        assert ks_distance(before, after) > made.ks_trigger


def test_missing_values_have_a_bin_of_their_own():
    draw = np.random.default_rng(6)
    before = draw.normal(size=400)
    made = reference_of(numbers(before))
    gone = np.where(np.arange(300) < 60, np.nan, draw.normal(size=300))
    assert not made.has_missing
    assert distance(made, numbers(gone)) > made.psi_trigger
    with_gaps = reference_of(numbers(np.where(np.arange(400) % 5 == 0, np.nan, before)))
    assert with_gaps.has_missing
    assert with_gaps.shares[-1] == pytest.approx(0.2)


def test_rare_categories_share_a_bin_and_unknown_ones_fall_into_it():
    codes = np.repeat([0, 1, 2, 3], [200, 190, 5, 5]).astype(float)
    made = reference_of(Monitored("x", codes, tuple("abcd")), window=300)
    assert made.labels == ("a", "b", OTHER)
    assert made.shares == pytest.approx([0.5, 0.475, 0.025])
    later = Monitored("x", np.repeat([0, 1, 2], [100, 100, 100]).astype(float), ("a", "b", "new"))
    assert distance(made, later) > made.psi_trigger


def test_a_constant_and_a_variable_without_values_tell_nothing():
    made = reference_of(numbers(np.ones(100)))
    assert made.edges == ()
    assert made.psi_trigger is None
    empty = reference_of(numbers(np.full(100, np.nan)))
    assert (empty.psi_trigger, empty.ks_trigger, empty.quantiles) == (None, None, ())
    with pytest.raises(StepError, match="not finite"):
        reference_of(numbers([1.0, np.inf]))
    with pytest.raises(StepError, match="no case"):
        reference_of(numbers([]))


def test_the_measure_gives_triggers_by_variable_and_an_export_that_reads_back():
    draw = np.random.default_rng(7)
    variables = [numbers(draw.normal(size=200)), Monitored("y", draw.integers(0, 2, 200).astype(float), ("a", "b"))]
    found = drift_baseline(variables, 200, 0.01)
    named = {(each.name, each.label): each.estimate for each in found.values}
    assert named["drift_baseline", ""] == 200
    assert named["psi_trigger", "y"] == pytest.approx(chi2.ppf(0.99, 1) * (1 / 200 + 1 / 200))
    assert ("ks_trigger", "y") not in named
    read = json.loads(export_text(found.details))
    assert read["format"] == 1
    assert read["variables"] == [as_json(reference_of(each, 200, 0.01)) for each in variables]
    assert export_text(found.details) == export_text(drift_baseline([replace(v) for v in variables], 200, 0.01).details)
