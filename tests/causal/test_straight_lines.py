"""Answers by straight lines: closed forms, statsmodels as a second implementation, and lines that the data bend."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from causal.measured import question
from scipy import stats

from xai_audit.causal.estimation.anderson_rubin import two_stage
from xai_audit.causal.estimation.by_lines import placebo_slopes
from xai_audit.causal.estimation.continuous import answer_continuous
from xai_audit.graphs.identify import identify

CONFOUNDED = ["z -> x", "z -> y", "x -> y"]


def confounded(n=800, seed=0, effect=2.0, curve=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.8 * z + rng.normal(size=n)
    y = effect * x + curve * x**2 - 1.5 * z + rng.normal(size=n) * (1 + 0.5 * np.abs(z))
    return {"z": z, "x": x, "y": y}


def answered(asked):
    found = identify(asked.graph, (asked.on,), asked.treatments) if asked.query.do else None
    return answer_continuous(asked, found, None)


def test_the_adjusted_slope_and_its_hc3_error_are_those_of_statsmodels():
    data = confounded()
    found = answered(question(CONFOUNDED, data, on="y", do={"x": [0, 3]}, assume=["linear"]))
    fit = sm.OLS(data["y"], sm.add_constant(np.column_stack([data["x"], data["z"]]))).fit(cov_type="HC3", use_t=True)
    (one,) = found.amounts
    assert found.outcome == "identified" and found.set_used == ("z",) and one.name == "total"
    assert one.estimate == pytest.approx(3 * fit.params[1], rel=1e-10)
    assert one.standard_error == pytest.approx(3 * fit.bse[1], rel=1e-10)
    raw = np.polyfit(data["x"], data["y"], 1)[0]
    assert found.association.name == "association" and found.association.estimate == pytest.approx(3 * raw, rel=1e-9)
    assert (one.low, one.high) == pytest.approx(tuple(3 * fit.conf_int()[1]), rel=1e-9)


def test_errors_by_cluster_are_those_of_statsmodels():
    data = confounded()
    clusters = np.arange(800) // 16
    found = answered(question(CONFOUNDED, data, clusters=clusters, on="y", do={"x": [0, 1]}, assume=["linear"]))
    X = sm.add_constant(np.column_stack([data["x"], data["z"]]))
    fit = sm.OLS(data["y"], X).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    (one,) = found.amounts
    assert one.standard_error == pytest.approx(fit.bse[1], rel=1e-10)
    assert (one.dof, found.n_clusters) == (49, 50)
    assert (one.low, one.high) == pytest.approx(tuple(fit.conf_int()[1]), rel=1e-9)


def test_a_row_that_stands_for_three_units_counts_as_three_rows():
    data = {name: np.round(column, 1) for name, column in confounded(300).items()}
    tripled = {name: np.repeat(column, 3) for name, column in data.items()}
    ask = {"on": "y", "do": {"x": [0, 1]}, "assume": ["linear"]}
    (one,) = answered(question(CONFOUNDED, data, weights=[3] * 300, **ask)).amounts
    (other,) = answered(question(CONFOUNDED, tripled, **ask)).amounts
    assert (one.estimate, one.standard_error, one.dof) == pytest.approx(
        (other.estimate, other.standard_error, other.dof), rel=1e-10
    )


def test_the_mean_under_a_setting_is_the_mean_moved_along_the_slope():
    data = confounded()
    (one,) = answered(question(CONFOUNDED, data, "interventional", on="y", do={"x": 1.5}, assume=["linear"])).amounts
    X = sm.add_constant(np.column_stack([data["x"], data["z"]]))
    fit = sm.OLS(data["y"], X).fit(cov_type="HC3")
    moved = np.column_stack([np.ones(800), np.full(800, 1.5), data["z"]])
    assert one.name == "value"
    assert one.estimate == pytest.approx((moved @ fit.params).mean(), rel=1e-10)
    known_mix = moved.mean(axis=0)
    of_line = known_mix @ fit.cov_params() @ known_mix
    of_mix = np.var(data["z"] * fit.params[2]) / 800
    assert one.standard_error == pytest.approx(np.sqrt(of_line + of_mix), rel=0.01)


def test_a_condition_after_the_setting_moves_the_mean_by_what_it_tells():
    rng = np.random.default_rng(3)
    n = 40_000
    w = rng.normal(2, 1, n)
    z = 0.5 * w + rng.normal(size=n)
    x = z + rng.normal(size=n)
    y = 2 * x + z + 0.3 * w + rng.normal(size=n)
    edges = ["w -> z", "z -> x", "z -> y", "x -> y", "w -> y"]
    asked = question(edges, {"w": w, "z": z, "x": x, "y": y}, "interventional", on="y", do={"x": 1}, given={"w": 3},
                     assume=["linear"])  # fmt: skip
    (one,) = answered(asked).amounts
    assert one.name == "value"
    assert one.estimate == pytest.approx(2 * 1 + 0.5 * 3 + 0.3 * 3, abs=4 * one.standard_error)


def test_the_test_of_the_line_is_printed_and_a_declared_line_that_bends_is_said_loudly():
    straight = answered(question(CONFOUNDED, confounded(), on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert [test["name"] for test in straight.details["linear_tests"]] == [
        "RESET", "treatment curve", "residual independence",
    ]  # fmt: skip
    assert not straight.details["linear_contradicted"] and straight.warnings == ()
    bent = answered(question(CONFOUNDED, confounded(curve=0.5), on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert bent.outcome == "identified" and "contradict the declared straight line" in bent.warnings[0]


def test_reset_is_the_wald_test_of_squares_and_cubes():
    data = confounded(curve=0.1)
    found = answered(question(CONFOUNDED, data, on="y", do={"x": [0, 1]}, assume=["linear"]))
    X = sm.add_constant(np.column_stack([data["x"], data["z"]]))
    fitted = sm.OLS(data["y"], X).fit().fittedvalues
    fitted = (fitted - fitted.mean()) / fitted.std()
    larger = sm.OLS(data["y"], np.column_stack([X, fitted**2, fitted**3])).fit(cov_type="HC3", use_t=True)
    wald = larger.f_test(np.eye(5)[3:])
    assert found.details["linear_tests"][0]["F"] == pytest.approx(float(wald.fvalue), rel=1e-6)
    assert found.details["linear_tests"][0]["p"] == pytest.approx(float(wald.pvalue), rel=1e-6)


def test_a_line_that_nobody_declared_is_an_answer_only_while_the_data_bear_it():
    straight = answered(question(CONFOUNDED, confounded(), on="y", do={"x": [0, 1]}))
    assert straight.outcome == "identified" and "not declared" in straight.assumptions[0]
    bent = answered(question(CONFOUNDED, confounded(curve=0.5), on="y", do={"x": [0, 1]}))
    assert (bent.outcome, bent.amounts) == ("no_estimator", ())
    assert (
        "contradict a straight line" in bent.reason
        and "assume: [linear]" in bent.next_step
        and "bins" in bent.next_step
    )


def test_no_line_is_drawn_beyond_the_data_unless_declared():
    ask = {"on": "y", "do": {"x": [0, 50]}}
    assert answered(question(CONFOUNDED, confounded(), **ask)).outcome == "unsupported"
    declared = answered(question(CONFOUNDED, confounded(), **ask, assume=["linear"]))
    assert declared.outcome == "identified" and "beyond the data" in declared.warnings[0]


def test_a_treatment_that_follows_from_the_set_has_no_slope():
    data = confounded()
    found = answered(question(CONFOUNDED, data | {"x": 2 * data["z"]}, on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert found.outcome == "unsupported" and "follows from the others" in found.reason


def test_the_front_door_is_a_product_of_two_slopes():
    rng = np.random.default_rng(1)
    n = 4_000
    u = rng.normal(size=n)
    x = u + rng.normal(size=n)
    m = 0.7 * x + rng.normal(size=n)
    y = 1.5 * m + 2 * u + rng.normal(size=n)
    found = answered(question(["x -> m", "m -> y", "x <-> y"], {"x": x, "m": m, "y": y}, on="y", do={"x": [0, 1]},
                              assume=["linear"]))  # fmt: skip
    (one,) = found.amounts
    a = sm.OLS(m, sm.add_constant(x)).fit(cov_type="HC3")
    b = sm.OLS(y, sm.add_constant(np.column_stack([m, x]))).fit(cov_type="HC3")
    assert one.estimate == pytest.approx(a.params[1] * b.params[1], rel=1e-10)
    sobel = np.sqrt((b.params[1] * a.bse[1]) ** 2 + (a.params[1] * b.bse[1]) ** 2)
    assert one.standard_error == pytest.approx(sobel, rel=0.05)
    assert abs(one.estimate - 1.05) < 4 * one.standard_error


def test_without_a_declared_line_the_front_door_of_ranges_has_no_estimator():
    data = confounded()
    asked = question(["x -> m", "m -> y", "x <-> y"], {"x": data["x"], "m": data["z"], "y": data["y"]}, on="y",
                     do={"x": [0, 1]})  # fmt: skip
    found = answered(asked)
    assert found.outcome == "no_estimator" and "assume: [linear]" in found.next_step and "bins" in found.next_step


def mediated(n=5_000, interaction=0.0):
    rng = np.random.default_rng(2)
    c = rng.normal(size=n)
    x = 0.5 * c + rng.normal(size=n)
    m = 0.8 * x + c + rng.normal(size=n)
    y = 0.6 * x + 1.2 * m + interaction * x * m - c + rng.normal(size=n)
    return {"c": c, "x": x, "m": m, "y": y}


MEDIATED = ["c -> x", "c -> m", "c -> y", "x -> m", "m -> y", "x -> y"]


def test_direct_and_indirect_effects_add_up_without_interaction():
    ask = {"on": "y", "do": {"x": [0, 2]}, "through": ["m"], "assume": ["linear", "no_interaction"]}
    found = answered(question(MEDIATED, mediated(), "nde", **ask))
    by_name = {one.name: one for one in found.amounts}
    assert found.amounts[0].name == "nde"
    for name, truth in (("nde", 1.2), ("nie", 1.92), ("total", 3.12), ("nde_reversed", -1.2), ("nie_reversed", -1.92)):
        assert abs(by_name[name].estimate - truth) < 4 * by_name[name].standard_error
    total = by_name["nde"].estimate + by_name["nie"].estimate
    assert by_name["total"].estimate == pytest.approx(total, rel=1e-12)
    assert found.warnings == ()
    interacting = answered(question(MEDIATED, mediated(interaction=0.3), "nde", **ask))
    assert any("no_interaction" in warning for warning in interacting.warnings)


def test_a_part_without_a_path_is_exactly_zero_by_the_graph():
    ask = {"on": "y", "do": {"x": [0, 2]}, "through": ["m"], "assume": ["linear", "no_interaction"]}
    found = answered(question([edge for edge in MEDIATED if edge != "x -> y"], mediated(), "nie", **ask))
    direct = next(one for one in found.amounts if one.name == "nde")
    assert (direct.standing, direct.estimate) == ("exact", 0.0)


def test_products_of_slopes_need_both_assumptions_and_no_unmeasured_cause():
    ask = {"on": "y", "do": {"x": [0, 2]}, "through": ["m"]}
    for assume in ([], ["linear"]):
        found = answered(question(MEDIATED, mediated(), "nie", **ask, assume=assume))
        assert found.outcome == "no_estimator" and "no_interaction" in found.next_step
    spoilt = answered(question([*MEDIATED, "m <-> y"], mediated(), "nie", **ask, assume=["linear", "no_interaction"]))
    assert spoilt.outcome == "refused" and "m -> y" in spoilt.reason


def test_a_path_effect_is_the_product_along_it():
    ask = {"on": "y", "do": {"x": [0, 1]}, "paths": ["x -> m -> y"], "assume": ["linear"]}
    (one,) = answered(question(MEDIATED, mediated(), "path_effect", **ask)).amounts
    assert one.name == "path_specific" and abs(one.estimate - 0.96) < 4 * one.standard_error


def instrumented(n=2_000, strength=1.0, seed=4):
    rng = np.random.default_rng(seed)
    u, z = rng.normal(size=n), rng.normal(size=n)
    x = strength * z + u + rng.normal(size=n)
    return {"z": z, "x": x, "y": 1.5 * x + 2 * u + rng.normal(size=n)}


IV = ["z -> x", "x -> y", "x <-> y"]


def test_an_instrument_answers_only_under_a_declared_line():
    data = instrumented()
    assert answered(question(IV, data, on="y", do={"x": [0, 1]})).outcome == "refused"
    found = answered(question(IV, data, on="y", do={"x": [0, 1]}, assume=["linear"]))
    (one,) = found.amounts
    z = data["z"] - data["z"].mean()
    assert found.pattern == "instrument" and one.estimate == pytest.approx((z @ data["y"]) / (z @ data["x"]), rel=1e-10)
    assert abs(one.estimate - 1.5) < 4 * one.standard_error
    assert found.details["instruments"][0]["F"] > 100 and found.warnings == ()
    crude = np.polyfit(data["x"], data["y"], 1)[0]
    assert abs(crude - one.estimate) > 10 * one.standard_error


def test_the_anderson_rubin_interval_holds_exactly_the_slopes_that_its_test_keeps():
    asked = question(IV, instrumented(strength=0.08), on="y", do={"x": [0, 1]}, assume=["linear"])
    sample = asked.sample
    ends = two_stage(sample, sample.values("y"), "x", "z", ()).robust_set(0.05)
    for end in (ends.low, ends.high):
        gap = sample.values("y") - end * sample.values("x")
        fit = sm.OLS(gap, sm.add_constant(sample.values("z"))).fit(cov_type="HC3", use_t=True)
        assert fit.pvalues[1] == pytest.approx(0.05, abs=1e-6)


def test_a_weak_instrument_widens_and_a_useless_one_gives_no_number():
    weak = answered(question(IV, instrumented(400, 0.18, seed=8), on="y", do={"x": [0, 1]}, assume=["linear"]))
    first = weak.details["instruments"][0]
    (one,) = weak.amounts
    assert 4 < first["F"] < 10 and "weak" in weak.warnings[0]
    assert [one.low, one.high] == first["anderson_rubin"]
    half = stats.t.ppf(0.975, one.dof) * one.standard_error
    assert one.estimate - half <= one.low and one.high <= one.estimate + half + 1e-12
    useless = answered(question(IV, instrumented(strength=0.0), on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert useless.outcome == "no_estimator" and "hardly moves" in useless.reason


def test_an_exact_law_gives_an_exact_slope():
    z = np.array([0.0, 0, 1, 1, 2, 2])
    x = np.array([0.0, 1, 1, 2, 1, 3])
    asked = question(CONFOUNDED, {"z": z, "x": x, "y": 2 * x - z}, weights=np.full(6, 1 / 6), law=True, on="y",
                     do={"x": [0, 1]}, assume=["linear"])  # fmt: skip
    (one,) = answered(asked).amounts
    assert (one.standing, one.low, one.high) == ("exact", one.estimate, one.estimate)
    assert one.estimate == pytest.approx(2, abs=1e-9)


def test_an_exact_law_that_bends_contradicts_a_line_without_any_sampling_error():
    z = np.array([0.0, 0, 1, 1, 2, 2, 3, 3])
    x = np.array([0.0, 1, 1, 2, 1, 3, 0, 4])
    keys = {"weights": np.full(8, 1 / 8), "law": True, "on": "y", "do": {"x": [0, 1]}}
    straight = answered(question(CONFOUNDED, {"z": z, "x": x, "y": 2 * x - z}, **keys))
    bent = answered(question(CONFOUNDED, {"z": z, "x": x, "y": 2 * x - z + 0.1 * x**2}, **keys))
    assert (straight.outcome, bent.outcome) == ("identified", "no_estimator")


def test_every_valid_set_stands_beside_and_a_set_that_disagrees_is_a_finding():
    rng = np.random.default_rng(5)
    n = 3_000
    s = rng.normal(size=n)
    z = s + rng.normal(size=n)
    x = s + rng.normal(size=n)
    edges = ["s -> z", "s -> x", "z -> y", "x -> y"]
    good = {"s": s, "z": z, "x": x, "y": x + z + rng.normal(size=n)}
    found = answered(question(edges, good, on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert [one.by for one in found.alternatives] == ["{s}", "{z}"] and found.warnings == ()
    bad = good | {"y": good["y"] + 2 * s}
    broken = answered(question(edges, bad, on="y", do={"x": [0, 1]}, assume=["linear"]))
    assert any("finding against the graph" in warning for warning in broken.warnings)


def test_placebo_slopes_are_those_of_one_regression_each():
    asked = question(CONFOUNDED, confounded(200), on="y", do={"x": [0, 1]})
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(200, 3))
    X = np.column_stack([np.ones(200), asked.sample.values("z")])
    found = placebo_slopes(asked.sample, asked.sample.values("y"), X, columns)
    each = [sm.OLS(asked.sample.values("y"), np.column_stack([X, c])).fit().params[2] for c in columns.T]
    assert found == pytest.approx(each, rel=1e-10)


@pytest.mark.slow
def test_intervals_of_slopes_and_products_hold_the_truth_as_often_as_they_say():
    ask = {"on": "y", "do": {"x": [0, 1]}, "assume": ["linear"]}
    door = ["x -> m", "m -> y", "x <-> y"]
    held = np.zeros(2)
    for seed in range(500):
        (slope,) = answered(question(CONFOUNDED, confounded(150, seed), **ask)).amounts
        rng = np.random.default_rng(10_000 + seed)
        u = rng.normal(size=200)
        x = u + rng.normal(size=200)
        m = 0.7 * x + rng.normal(size=200)
        data = {"x": x, "m": m, "y": 1.5 * m + 2 * u + rng.normal(size=200)}
        (path,) = answered(question(door, data, **ask)).amounts
        held += [slope.low <= 2.0 <= slope.high, path.low <= 1.05 <= path.high]
    assert (held / 500 >= 0.93).all() and (held / 500 <= 0.97).all()
