"""Tables: the coating line of CAUSAL.md 2.2 A, exact where causes settle effects, and bounds that models reach."""

from __future__ import annotations

from itertools import product as every

import numpy as np
import pytest
from scipy.optimize import linprog

from xai_audit.causal.discrete import DiscreteModel, counterfactual, monotone_answers
from xai_audit.causal.factors import Factor
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph

GRAPH = Graph.of(
    ["shift", "humidity", "coating", "defect"],
    [("shift", "humidity"), ("shift", "coating"), ("humidity", "defect"), ("coating", "defect")],
)
LINE = DiscreteModel(
    GRAPH,
    {
        "shift": Factor(("shift",), np.array([0.6, 0.4])),
        "humidity": Factor(("humidity", "shift"), np.array([[0.8, 0.3], [0.2, 0.7]])),
        "coating": Factor(("coating", "shift"), np.array([[0.75, 0.2], [0.25, 0.8]])),
        # coating (old, new), defect, humidity (dry, damp)
        "defect": Factor(
            ("coating", "defect", "humidity"), np.array([[[0.88, 0.60], [0.12, 0.40]], [[0.92, 0.70], [0.08, 0.30]]])
        ),
    },
)
FACTS = {"shift": 1, "humidity": 1, "coating": 0, "defect": 1}


def decreasing(name, response):
    return name != "defect" or bool((np.diff(response, axis=0) <= 0).all())


def test_laws_of_the_coating_line():
    total = [LINE.law(["defect"], {"coating": level}).values[1] for level in (0, 1)]
    assert total == pytest.approx([0.232, 0.168], abs=1e-12)
    night = LINE.law(["defect", "shift"], {"coating": 1}).at({"shift": 1})
    assert night.values[1] / night.values.sum() == pytest.approx(0.234, abs=1e-12)
    joint = LINE.law(["coating", "defect"])
    crude = joint.values[:, 1] / joint.values.sum(1)
    assert crude[1] - crude[0] == pytest.approx(0.0017615415, abs=1e-9)


def test_a_unit_is_bounded_and_a_monotone_answer_makes_it_a_point():
    found = counterfactual(LINE, FACTS, {"coating": 1}, "defect", (0, 1))
    assert (found.low, found.high) == (pytest.approx(0, abs=1e-9), pytest.approx(0.75, abs=1e-9))
    point = counterfactual(LINE, FACTS, {"coating": 1}, "defect", (0, 1), decreasing)
    assert (point.low, point.high) == (pytest.approx(0.75, abs=1e-9), pytest.approx(0.75, abs=1e-9))


def test_setting_what_is_seen_changes_nothing():
    found = counterfactual(LINE, FACTS, {"coating": 0}, "defect", (0, 1))
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))


def test_causes_that_settle_their_effects_give_a_point():
    graph = Graph.of("uxy", [("u", "y"), ("x", "y")])
    xor = np.zeros((2, 2, 2))
    for u in (0, 1):
        for x in (0, 1):
            xor[u, x, u ^ x] = 1
    model = DiscreteModel(
        graph,
        {"u": Factor(("u",), np.array([0.3, 0.7])), "x": Factor(("x",), np.array([0.5, 0.5])),
         "y": Factor(("u", "x", "y"), xor)},
    )  # fmt: skip
    found = counterfactual(model, {"x": 0, "y": 1}, {"x": 1}, "y", (0, 1))
    assert (found.low, found.high) == (0.0, 0.0)


CHAIN = Graph.of("xmy", [("x", "m"), ("m", "y")])


def chain(seed):
    rng = np.random.default_rng(seed)
    each = {"x": Factor(("x",), rng.dirichlet([1, 1]))}
    each["m"] = Factor(("m", "x"), rng.dirichlet([1, 1], size=2).T)
    each["y"] = Factor(("m", "y"), rng.dirichlet([1, 1], size=2))
    return DiscreteModel(CHAIN, each)


@pytest.mark.parametrize("seed", range(10))
def test_bounds_over_two_open_variables_hold_all_models_and_are_reached(seed):
    model, facts = chain(seed), {"x": 0, "m": 1, "y": 1}
    found = counterfactual(model, facts, {"x": 1}, "y", (0, 1))
    p, q = model.tables["m"].values[1], model.tables["y"].values[:, 1]  # P(m=1|x), P(y=1|m)
    reached = []
    # one coupling a variable: how often both answers are 1, between its Frechet limits
    for a in np.linspace(max(0, p[0] + p[1] - 1), min(p[0], p[1]), 41):
        for b in np.linspace(max(0, q[0] + q[1] - 1), min(q[0], q[1]), 41):
            stays = a / p[0]
            reached.append(stays + (1 - stays) * b / q[1])
    assert found.low == pytest.approx(min(reached), abs=1e-9)
    assert found.high == pytest.approx(max(reached), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_hold_where_the_mediator_is_not_known_and_are_reached(seed):
    model = chain(seed)
    found = counterfactual(model, {"x": 0, "y": 1}, {"x": 1}, "y", (0, 1))
    p, q = model.tables["m"].values[1], model.tables["y"].values[:, 1]
    ends = []
    for a in (max(0, p[0] + p[1] - 1), min(p[0], p[1])):  # P(m = 1 in both worlds)
        for b in (max(0, q[0] + q[1] - 1), min(q[0], q[1])):  # P(y = 1 at both mediators)
            both = (a * q[1], (1 - p[0] - p[1] + a) * q[0], (p[0] + p[1] - 2 * a) * b)
            ends.append(sum(both) / (p[0] * q[1] + (1 - p[0]) * q[0]))
    assert (found.low, found.high) == pytest.approx((min(ends), max(ends)), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_with_a_direct_and_an_indirect_way_are_those_of_the_response_types(seed):
    rng = np.random.default_rng(seed)
    m, y = rng.dirichlet([1, 1], size=2).T, rng.dirichlet([1, 1], size=(2, 2))  # (m, x), (m, x, y)
    graph = Graph.of("xmy", [("x", "m"), ("m", "y"), ("x", "y")])
    tables = {"x": Factor(("x",), np.full(2, 0.5)), "m": Factor(("m", "x"), m), "y": Factor(("m", "x", "y"), y)}
    found = counterfactual(DiscreteModel(graph, tables), {"x": 1, "y": 1}, {"x": 0}, "y", (0, 1))
    types = list(every((0, 1), repeat=4))  # answers of y at 2 m + x
    matrix = [[float(one[k] == level) for one in types] for k in range(4) for level in (0, 1)]
    wanted, happens = y.reshape(8), m[1, 1] * y[1, 1, 1] + m[0, 1] * y[0, 1, 1]
    ends = []
    for a in (max(0, m[1, 1] + m[1, 0] - 1), min(m[1, 1], m[1, 0])):
        pairs = {(1, 1): a, (1, 0): m[1, 1] - a, (0, 1): m[1, 0] - a, (0, 0): 1 - m[1, 1] - m[1, 0] + a}
        costs = [sum(w * one[2 * i + 1] * one[2 * j] for (i, j), w in pairs.items()) for one in types]
        for sign in (1, -1):
            ends.append(sign * linprog(sign * np.array(costs), A_eq=matrix, b_eq=wanted).fun / happens)
    assert (found.low, found.high) == pytest.approx((min(ends), max(ends)), abs=1e-9)


def test_monotone_answers_make_it_a_point_and_an_impossible_one_is_refused():
    model = DiscreteModel(
        CHAIN,
        {
            "x": Factor(("x",), np.full(2, 0.5)),
            "m": Factor(("m", "x"), np.array([[0.7, 0.2], [0.3, 0.8]])),
            "y": Factor(("m", "y"), np.array([[0.8, 0.2], [0.1, 0.9]])),
        },
    )
    rising = monotone_answers(CHAIN, [("x", "m", True), ("m", "y", True)])
    found = counterfactual(model, {"x": 1, "y": 1}, {"x": 0}, "y", (0, 1), rising)
    assert (found.low, found.high) == pytest.approx(((0.3 * 0.9 + 0.7 * 0.2) / (0.8 * 0.9 + 0.2 * 0.2),) * 2, abs=1e-9)
    falling = monotone_answers(CHAIN, [("x", "m", False)])
    with pytest.raises(Refusal, match="no model with these tables"):
        counterfactual(model, {"x": 1, "y": 1}, {"x": 0}, "y", (0, 1), falling)


def test_facts_of_probability_zero_are_refused():
    sure = DiscreteModel(
        Graph.of("ab", [("a", "b")]), {"a": Factor(("a",), np.array([0.5, 0.5])), "b": Factor(("a", "b"), np.eye(2))}
    )
    with pytest.raises(Refusal, match="never produce"):
        counterfactual(sure, {"a": 0, "b": 1}, {"a": 1}, "b", (0, 1))
