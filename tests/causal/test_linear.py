"""Linear models: the bearing of CAUSAL.md 2.2 C, and a second implementation by simulation of single units."""

from __future__ import annotations

import numpy as np
import pytest

from xai_audit.causal.linear import LinearMechanism as M
from xai_audit.causal.linear import LinearModel
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph

GRAPH = Graph.of(
    ["load", "oil", "temp", "wear", "noise"],
    [("load", "temp"), ("oil", "temp"), ("load", "wear"), ("temp", "wear"), ("wear", "noise")],
)
BEARING = LinearModel(
    GRAPH,
    {
        "load": M(3, {}, 0, 0.5),
        "oil": M(5, {}, 0, 1),
        "temp": M(20, {"load": 6, "oil": -2}, 0, 3),
        "wear": M(5, {"load": 0.5, "temp": 0.25}, 0, 1),
        "noise": M(40, {"wear": 2}, 0, 0.5),
    },
)
UNIT = {"load": 4, "oil": 5, "temp": 37, "wear": 17, "noise": 75}


def test_one_unit_and_such_units_are_different_questions():
    noises = BEARING.noises(UNIT)
    assert [noises.of(name)[0] for name in ("temp", "wear", "noise")] == pytest.approx([3, 0.75, 1], abs=1e-9)
    after = BEARING.counterfactual(UNIT, {"oil": 8})
    assert [after.of(name)[0] for name in ("temp", "wear", "noise")] == pytest.approx([31, 15.5, 72], abs=1e-9)
    assert after.of("noise")[1] == pytest.approx(0, abs=1e-6)
    assert BEARING.law({"oil": 8}).given({"load": 4}).of("noise")[0] == pytest.approx(68, abs=1e-9)


def test_total_direct_and_path_effects_are_sums_of_path_products():
    assert BEARING.effect("load", "wear") == pytest.approx(2.0)
    assert BEARING.effect("load", "wear", [("load", "wear")]) == pytest.approx(0.5)
    assert BEARING.effect("load", "wear", [("load", "temp"), ("temp", "wear")]) == pytest.approx(1.5)


def test_setting_what_is_seen_changes_nothing():
    after = BEARING.counterfactual(UNIT, {"oil": 5})
    assert [after.of(name)[0] for name in UNIT] == pytest.approx(list(UNIT.values()), abs=1e-9)


def test_part_of_the_facts_gives_a_law_and_not_a_point():
    after = BEARING.counterfactual({"noise": 75}, {"oil": 8})
    rng = np.random.default_rng(0)
    e = rng.normal(size=(400_000, 5)) * [0.5, 1, 3, 1, 0.5]

    def run(oil):
        load = 3 + e[:, 0]
        temp = 20 + 6 * load - 2 * oil + e[:, 2]
        wear = 5 + 0.5 * load + 0.25 * temp + e[:, 3]
        return 40 + 2 * wear + e[:, 4]

    near = np.abs(run(5 + e[:, 1]) - 75) < 0.05
    there = run(8.0)[near]
    mean, sd = after.of("noise")
    assert mean == pytest.approx(there.mean(), abs=4 * there.std() / np.sqrt(near.sum()))
    assert sd == pytest.approx(there.std(), rel=0.1)


def test_facts_that_cannot_occur_are_refused():
    certain = LinearModel(Graph.of("ab", [("a", "b")]), {"a": M(0, {}, 0, 1), "b": M(1, {"a": 2})})
    assert certain.counterfactual({"b": 5}, {"a": 0}).of("b")[0] == pytest.approx(1)
    with pytest.raises(Refusal, match="cannot produce"):
        certain.noises({"a": 1, "b": 4})
