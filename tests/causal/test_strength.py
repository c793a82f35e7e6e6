"""Sensitivity of answers: published benchmarks, closed forms, a linear program and planted hidden causes."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from causal.measured import question
from scipy.optimize import linprog

from xai_audit.causal.answering import answer
from xai_audit.causal.marginal import largest, largest_share, smallest
from xai_audit.causal.published import published_number
from xai_audit.causal.sensitivity import benchmark, e_value
from xai_audit.causal.tipping import tipping


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (1, (0.009164287, 0.1246409, 0.07522030, 0.02187331, 0.032282966)),
        (2, (0.018328573, 0.2493240, 0.05291481, 0.02034995, 0.012968035)),
        (3, (0.027492860, 0.3740505, 0.03039602, 0.01867013, -0.006253282)),
    ],
)
def test_benchmarks_of_the_published_example(times, expected):
    # Cinelli and Hazlett 2020, Darfur: a confounder 1, 2, 3 times as strong as being female (package sensemakr 0.1.4)
    found = benchmark((0.09731582, 0.02325654, 783), (0.009081062, 0.109033), times)
    made = (found.r2_treatment, found.r2_outcome, found.estimate, found.standard_error, found.low)
    assert made == pytest.approx(expected, abs=1e-4)


def test_a_benchmark_that_would_explain_all_of_the_treatment_is_none():
    assert benchmark((1.0, 0.1, 100), (0.6, 0.1), 2) is None


def test_the_adjusted_estimate_is_that_of_the_regression_with_the_hidden_cause():
    """The bias formula is exact: with the true partial R2 of a hidden cause it gives the long regression."""
    rng = np.random.default_rng(0)
    n = 2_000
    z, u = rng.normal(size=(2, n))
    x = z + 0.5 * u + rng.normal(size=n)
    y = x + z + 0.8 * u + rng.normal(size=n)
    short = sm.OLS(y, sm.add_constant(np.column_stack([x, z]))).fit()
    full = sm.OLS(y, sm.add_constant(np.column_stack([x, z, u]))).fit()
    on_x = sm.OLS(x, sm.add_constant(np.column_stack([z, u]))).fit()
    r2_y = full.tvalues[3] ** 2 / (full.tvalues[3] ** 2 + full.df_resid)
    r2_x = on_x.tvalues[2] ** 2 / (on_x.tvalues[2] ** 2 + on_x.df_resid)
    bias = short.bse[1] * np.sqrt(short.df_resid) * np.sqrt(r2_y * r2_x / (1 - r2_x))
    assert short.params[1] - bias == pytest.approx(full.params[1], rel=1e-9)


def lines(*kinds, n=1_000, **keys):
    rng = np.random.default_rng(1)
    age, z = rng.normal(size=(2, n))
    x = 0.5 * age + z + rng.normal(size=n)
    y = 0.4 * x + age + z + rng.normal(size=n)
    edges = ["age -> x", "age -> y", "z -> x", "z -> y", "x -> y"]
    keys = {"ask": "ate", "do": {"x": [0, 2]}} | keys
    return question(edges, {"age": age, "z": z, "x": x, "y": y}, on="y", assume=["linear"],
                    checks={"sensitivity": list(kinds)}, **keys)  # fmt: skip


def test_robustness_and_benchmarks_come_from_the_classical_regression():
    asked = lines("robustness_value")
    found = answer(asked).sensitivity
    data = {name: asked.sample.values(name) for name in asked.sample.columns}
    fit = sm.OLS(data["y"], sm.add_constant(np.column_stack([data[k] for k in ("x", "age", "z")]))).fit()
    made = found["robustness_value"]
    assert made["estimate"] == pytest.approx(2 * fit.params[1], rel=1e-9)
    assert made["partial_r2"] == pytest.approx(fit.tvalues[1] ** 2 / (fit.tvalues[1] ** 2 + fit.df_resid), rel=1e-9)
    on_x = sm.OLS(data["x"], sm.add_constant(np.column_stack([data["age"], data["z"]]))).fit()
    shares = [t**2 / (t**2 + dof) for t, dof in ((on_x.tvalues[1], on_x.df_resid), (fit.tvalues[2], fit.df_resid))]
    line = (2 * fit.params[1], 2 * fit.bse[1], int(fit.df_resid))
    first = found["benchmarks"][0]
    assert (first["covariate"], first["times"]) == ("age", 1.0)
    assert first["estimate"] == pytest.approx(benchmark(line, tuple(shares), 1.0).estimate, rel=1e-9)
    assert [(one["covariate"], one["times"]) for one in found["benchmarks"]][:3] == [
        ("age", 1.0),
        ("age", 2.0),
        ("age", 3.0),
    ]


TABLE = {"z": [0, 0, 0, 0, 1, 1, 1, 1], "t": [0, 0, 1, 1, 0, 0, 1, 1], "y": [0, 1, 0, 1, 0, 1, 0, 1]}
UNITS = np.array([400, 100, 120, 80, 90, 60, 300, 350])
KINDS = ("e_value", "robustness_value", "tipping_point", "marginal")


def counts(*kinds, weights=UNITS, **keys):
    edges = keys.pop("edges", ["z -> t", "z -> y", "t -> y"])
    checks = {"sensitivity": list(kinds), "marginal_factors": [1, 2]}
    return question(edges, TABLE, levels={"z": [0, 1], "t": [0, 1], "y": [0, 1]}, on="y", do={"t": [0, 1]},
                    weights=weights, checks=checks, **keys)  # fmt: skip


def risks(weights):
    z = np.array([weights[:4].sum(), weights[4:].sum()]) / weights.sum()
    p = weights.reshape(2, 2, 2)
    return z @ (p[..., 1] / p.sum(axis=2))


def test_the_e_value_is_that_of_the_adjusted_risk_ratio():
    found = answer(counts("e_value")).sensitivity["e_value"]
    reference, alternative = risks(UNITS)
    assert found["risk_ratio"] == pytest.approx(alternative / reference, rel=1e-12)
    assert found["point"] == pytest.approx(e_value(alternative / reference), rel=1e-12)
    rng = np.random.default_rng(0)
    draws = np.array([np.divide(*risks(rng.multinomial(1_500, UNITS / 1_500))[::-1]) for _ in range(4_000)])
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=0.05)
    assert found["limit"] == pytest.approx(e_value(found["low"]))


def test_the_e_value_of_a_range_says_how_it_was_converted():
    asked = lines("e_value")
    found = answer(asked).sensitivity["e_value"]
    slope, sd = answer(asked).amounts[0].estimate, asked.sample.values("y").std()
    assert (
        found["risk_ratio"] == pytest.approx(np.exp(0.91 * slope / sd), rel=1e-9)
        and "exp(0.91 d)" in found["converted"]
    )


def test_the_tipping_point_speaks_in_units_of_the_outcome():
    found = answer(counts("tipping_point")).sensitivity["tipping_point"]
    reference, alternative = risks(UNITS)
    third = found["cases"][2]
    assert (third["shift"], third["change"]) == (0.3, pytest.approx((alternative - reference) / 0.3))
    assert third["sentence"].startswith("An unmeasured cause present in 30% more of the units with t = 1 than")
    assert f"raises y by {100 * (alternative - reference) / 0.3:.3g} points" in third["sentence"]
    assert not found["cases"][0]["is_possible"] and "no cause can" in found["cases"][0]["sentence"]


def test_a_cause_at_the_tipping_point_erases_the_effect():
    """Planted: treatment without effect, a hidden cause 0.3 more common under it that adds 0.4 to the outcome."""
    share, change = np.array([0.2, 0.5]), 0.4
    seen = 0.1 + change * share
    found = tipping(float(seen[1] - seen[0]), 0.05, 0.2, is_share=True)
    assert next(one.change for one in found if one.shift == 0.3) == pytest.approx(change)
    assert [one.change_to_limit for one in tipping(0.1, -0.1, 0.3, is_share=True)] == [None] * 4


@pytest.mark.parametrize("factor", [1.0, 1.7, 4.0])
def test_the_largest_mean_is_that_of_a_linear_program(factor):
    rng = np.random.default_rng(2)
    y, weights = np.round(rng.normal(size=30), 1), rng.integers(1, 5, 30).astype(float)
    p = weights / weights.sum()
    for find, sign in ((largest, -1), (smallest, 1)):
        best = linprog(sign * p * y, A_eq=p[None], b_eq=[1], bounds=[(1 / factor, factor)] * 30)
        tilt = find(y, weights, factor)
        assert tilt.mean == pytest.approx(sign * best.fun, abs=1e-9)
    with pytest.raises(ValueError, match="1 or more"):
        largest(y, weights, 0.5)


def test_two_levels_in_closed_form():
    p = np.array([0.1, 0.5, 0.9])
    for at, share in enumerate(p):
        tilt = largest(np.array([0.0, 1.0]), np.array([1 - share, share]), 2.0)
        assert largest_share(p, 2.0)[0][at] == pytest.approx(tilt.mean, abs=1e-12)


def test_marginal_bounds_hold_the_estimate_widen_and_cover_in_repetitions():
    one, two = answer(counts("marginal")).sensitivity["marginal"]
    estimate = answer(counts()).amounts[0].estimate
    assert one["factor"] == 1 and one["bounds"] == pytest.approx([estimate, estimate], abs=1e-12)
    assert two["low"] < two["bounds"][0] < estimate < two["bounds"][1] < two["high"]
    rng = np.random.default_rng(3)
    draws = []
    for _ in range(60):
        drawn = rng.multinomial(1_500, UNITS / 1_500)
        draws.append(answer(counts("marginal", weights=drawn)).sensitivity["marginal"][1]["bounds"][0])
    assert (two["bounds"][0] - two["low"]) / 1.96 == pytest.approx(np.std(draws), rel=0.3)


def test_marginal_bounds_hold_the_truth_of_a_planted_cause_within_the_factor():
    """A hidden two-level cause whose odds of treatment change by sqrt(2) either way: bounds at 2 hold the truth."""
    rng = np.random.default_rng(4)
    n = 40_000
    u, z = rng.integers(0, 2, (2, n))
    odds = 0.8 * np.where(u == 1, np.sqrt(2), 1 / np.sqrt(2)) * np.where(z == 1, 1.5, 1)
    t = (rng.random(n) < odds / (1 + odds)).astype(int)
    y = (rng.random(n) < 0.2 + 0.1 * t + 0.4 * u + 0.1 * z).astype(int)
    asked = question(["z -> t", "z -> y", "t -> y"], {"z": z, "t": t, "y": y}, on="y", do={"t": [0, 1]},
                     levels={"z": [0, 1], "t": [0, 1], "y": [0, 1]},
                     checks={"sensitivity": ["marginal"], "marginal_factors": [2]})  # fmt: skip
    found = answer(asked)
    assert not found.amounts[0].low <= 0.1 <= found.amounts[0].high
    (bounds,) = found.sensitivity["marginal"]
    assert bounds["bounds"][0] < 0.1 < bounds["bounds"][1]


def test_the_exact_law_has_no_error_in_its_sensitivity():
    found = answer(counts(*KINDS, weights=UNITS / 1_500, law=True)).sensitivity
    assert found["e_value"]["limit"] is None and "exact" in found["robustness_value"]["reason"]
    assert found["marginal"][1]["low"] == found["marginal"][1]["bounds"][0]


def test_an_answer_that_does_not_rest_on_adjustment_says_so_and_a_refused_one_gets_none():
    rng = np.random.default_rng(5)
    x, m = rng.normal(size=(2, 300))
    door = question(["x -> m", "m -> y", "x <-> y"], {"x": x, "m": m, "y": m}, on="y", do={"x": [0, 1]},
                    assume=["linear"], checks={"sensitivity": ["e_value"]})  # fmt: skip
    assert "does not rest on adjustment" in answer(door).sensitivity["e_value"]["reason"]
    bow = counts("e_value", edges=["z -> t", "z -> y", "t -> y", "t <-> y"])
    found = answer(bow)
    assert found.outcome == "refused" and found.amounts == () and found.sensitivity == {}


def published(**inputs):
    asked = question(["x -> y"], {"x": [0.0, 1.0], "y": [0.0, 1.0]}, "sensitivity", inputs=inputs)
    return published_number(asked)


def test_published_numbers():
    found = published(risk_ratio=3.9, low=1.8, high=8.7)
    made = found.sensitivity["e_value"]
    assert (made["point"], made["limit"]) == (pytest.approx(7.26, abs=5e-3), pytest.approx(3.0, abs=5e-3))
    assert (found.amounts[0].estimate, found.amounts[0].low, found.amounts[0].high) == (3.9, 1.8, 8.7)
    darfur = published(estimate=0.09731582, standard_error=0.02325654, dof=783)
    assert darfur.sensitivity["robustness_value"]["value"] == pytest.approx(0.13878, abs=1e-4)
    assert "0.139" in darfur.estimand_text
    assert published(risk_ratio=2.0).outcome == published(estimate=1.0).outcome == "refused"
    assert published(risk_ratio=2.0, low=2.5, high=3.0).outcome == "refused"
