"""Refuters: each passes on a sound estimate and fails on a planted fault; rules, draws and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from causal.measured import question
from scipy.special import expit

from xai_audit.causal.answer import Answer, analytic, bounded, refused
from xai_audit.causal.answering import answer
from xai_audit.causal.estimation.continuous import answer_continuous
from xai_audit.causal.estimation.refuters import NOTE, _dealt, as_units, rule_text
from xai_audit.causal.estimation.tested import with_tests
from xai_audit.spec.causal import Refuter

EDGES = ["z -> x", "z -> y", "x -> y"]


def rule(kind, **limits):
    return {"kind": kind, "draws": 40, **({"at_most": 0.05, "absolute": True} | limits)}


def lines(*rules, edges=EDGES, n=1_500, extra=None, **keys):
    rng = np.random.default_rng(0)
    z = rng.normal(size=n)
    x = z + rng.normal(size=n)
    data = {"z": z, "x": x, "y": 2 * x + z + rng.normal(size=n)} | (extra(rng, z, x) if extra else {})
    return question(edges, data, on="y", do={"x": [0, 1]}, assume=["linear"], checks={"refuters": list(rules)}, **keys)


def counts(*rules):
    data = {"z": [0, 0, 0, 0, 1, 1, 1, 1], "t": [0, 0, 1, 1, 0, 0, 1, 1], "y": [0, 1, 0, 1, 0, 1, 0, 1]}
    return question(
        ["z -> t", "z -> y", "t -> y"], data, levels={"z": [0, 1], "t": [0, 1], "y": [0, 1]}, on="y", do={"t": [0, 1]},
        weights=[400, 100, 120, 80, 90, 60, 300, 350], checks={"refuters": list(rules)},
    )  # fmt: skip


DRAWN = ("placebo_treatment", "random_common_cause", "subset")


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("make", [lines, counts])
def test_a_sound_estimate_passes(kind, make):
    found = answer(make(rule(kind)))
    (one,) = found.refuters
    assert (one["verdict"], one["draws"]) == ("pass", 40) and one["note"] == NOTE and "not proof" in NOTE
    assert one["rule"] == "the size of the number is at most 0.05"
    draws = found.arrays[one["array"]]
    assert draws.shape == (40,) and one["estimate"] == pytest.approx(draws.mean()) and draws.std() > 0
    assert one["spread"][0] < one["spread"][1] < one["spread"][2]


def faulty(asked, estimate):
    made = Answer("identified", (analytic("total", 2.0, 0.1, 100, 0.05),), set_used=("z",))
    return with_tests(asked, made, estimate).refuters[0]


def test_an_estimator_that_does_not_look_at_the_treatment_fails_the_placebo():
    found = faulty(lines(rule("placebo_treatment")), lambda sample, treatment, on, more: 2.0)
    assert found["verdict"] == "fail" and found["estimate"] == 2.0 and found["as_large"] == 1.0


def test_an_estimator_that_a_random_variable_moves_fails_the_random_common_cause():
    found = faulty(lines(rule("random_common_cause")), lambda sample, treatment, on, more: 2.0 + 0.5 * len(more))
    assert found["verdict"] == "fail" and found["estimate"] == pytest.approx(0.5)


def test_an_estimator_that_grows_with_the_rows_fails_the_subset():
    found = faulty(lines(rule("subset")), lambda sample, treatment, on, more: 2.0 * sample.n / 1_500)
    assert found["verdict"] == "fail" and found["estimate"] == pytest.approx(-0.4)


def test_placebos_of_a_line_are_each_the_effect_of_the_dealt_treatment():
    asked = lines(rule("placebo_treatment"))
    found = answer(asked)
    rng = asked.rng("placebo_treatment")
    order = rng.permutation(asked.sample.n)
    x, z, y = (asked.sample.values(name) for name in "xzy")
    slope = np.linalg.lstsq(np.column_stack([np.ones(len(x)), z, x[order]]), y, rcond=None)[0][2]
    assert found.arrays["refuter:0"][0] == pytest.approx(slope, rel=1e-9)


def test_a_treatment_of_whole_clusters_is_dealt_to_whole_clusters():
    clusters = np.repeat(np.arange(30), 5)
    of_cluster = np.random.default_rng(0).normal(size=30)
    asked = question(
        ["x -> y"], {"x": of_cluster[clusters], "y": np.zeros(150)}, clusters=clusters, on="y", do={"x": [0, 1]}
    )
    dealt = asked.sample.values("x")[_dealt(asked.sample, ("x",), np.random.default_rng(1))]
    assert all(len(np.unique(dealt[clusters == one])) == 1 for one in range(30))
    assert np.array_equal(np.sort(dealt), np.sort(asked.sample.values("x"))) and not np.array_equal(
        dealt, asked.sample.values("x")
    )


def test_a_table_of_counts_is_written_out_unit_by_unit():
    units = as_units(counts().sample)
    assert units.n == 1_500 == units.n_clusters and np.all(units.weights == 1)
    shares = question(["x -> y"], {"x": [0.0, 1.0], "y": [0.0, 1.0]}, weights=[0.5, 1.5], on="y", do={"x": [0, 1]})
    with pytest.raises(ValueError, match="not counts"):
        as_units(shares.sample)


CONTROLLED = [*EDGES, "z -> flu"]


def control(hidden):
    return lambda rng, z, x: {"flu": z + hidden * x + rng.normal(size=len(z))}


def test_a_negative_control_outcome_passes_when_clean_and_fails_when_something_was_missed():
    given = rule("negative_control_outcome", at_most=0.1)
    keys = {"edges": CONTROLLED, "roles": {"flu": "negative_control"}}
    (clean,) = answer(lines(given, extra=control(0.0), **keys)).refuters
    (missed,) = answer(lines(given, extra=control(0.8), **keys)).refuters
    assert (clean["verdict"], missed["verdict"]) == ("pass", "fail") and clean["control"] == "flu"
    assert clean["low"] < 0 < clean["high"] and missed["estimate"] == pytest.approx(0.8, abs=0.1)


def test_a_negative_control_exposure_likewise():
    given = rule("negative_control_exposure", at_most=0.1)
    keys = {"edges": CONTROLLED, "roles": {"flu": "negative_control"}}
    (clean,) = answer(lines(given, extra=control(0.0), **keys)).refuters
    assert clean["verdict"] == "pass"

    def missed(rng, z, x):
        u = rng.normal(size=len(z))
        return {"flu": z + u, "y": 2 * x + z + 2 * u + rng.normal(size=len(z))}

    assert answer(lines(given, extra=missed, **keys)).refuters[0]["verdict"] == "fail"


def test_an_interval_across_the_limit_is_undecided_and_no_control_is_not_applicable():
    given = rule("negative_control_outcome", at_most=0.001)
    keys = {"edges": CONTROLLED, "roles": {"flu": "negative_control"}}
    assert answer(lines(given, extra=control(0.0), **keys)).refuters[0]["verdict"] == "undecided"
    assert answer(lines(given)).refuters[0]["verdict"] == "not_applicable"
    open_path = keys | {"edges": [*CONTROLLED, "x <-> flu"]}
    assert answer(lines(given, extra=control(0.0), **open_path)).refuters[0]["verdict"] == "not_applicable"


def test_aipw_is_tested_by_the_same_rules():
    rng = np.random.default_rng(2)
    z = rng.normal(size=500)
    t = (rng.random(500) < expit(z)).astype(int)
    data = {"z": z, "t": t, "y": 2.0 * t + z + rng.normal(size=500)}
    rules = [rule("placebo_treatment"), rule("subset", draws=5, at_most=0.2), rule("random_common_cause", draws=5)]
    asked = question(["z -> t", "z -> y", "t -> y"], data, levels={"t": [0, 1]}, on="y", do={"t": [0, 1]},
                     checks={"refuters": rules})  # fmt: skip
    found = answer_continuous(asked, None, None)
    assert [one["verdict"] for one in found.refuters] == ["pass"] * 3
    assert found.arrays["refuter:0"].std() == pytest.approx(
        2 * np.std(2.0 * t + rng.normal(size=500)) / np.sqrt(500), rel=0.6
    )


def test_an_answer_without_a_point_comes_back_as_it_is():
    asked = lines(rule("subset"))
    no = refused("why")
    assert with_tests(asked, no, None) is no
    between = Answer("bounded", (bounded("total", -1, 1, 0.05),))
    assert with_tests(asked, between, None) is between


def test_the_exact_law_has_no_units_to_draw_again():
    asked = question(["x -> y"], {"x": [0, 0, 1, 1], "y": [0, 1, 0, 1]}, levels={"x": [0, 1], "y": [0, 1]}, law=True,
                     weights=[0.3, 0.2, 0.1, 0.4], on="y", do={"x": [0, 1]},
                     checks={"refuters": [rule("subset")]})  # fmt: skip
    (one,) = answer(asked).refuters
    assert one["verdict"] == "not_applicable" and "exact" in one["note"]


def test_rules_in_words():
    assert rule_text(Refuter(kind="subset", between=(-1, 1))) == "the number is between -1 and 1"
    assert rule_text(Refuter(kind="subset", at_least=0.5)) == "the number is at least 0.5"
