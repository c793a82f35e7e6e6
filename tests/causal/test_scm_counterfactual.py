"""One unit in another world: abduction, action and prediction apart, closed forms, enumeration, bounds and refusals."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest

from tests.causal.causal_asking import asked, causal_of, sample_of
from tests.causal.test_scm_given import BEARING, COATING
from xai_audit.causal.answering import answer
from xai_audit.causal.linear import LinearMechanism, LinearModel
from xai_audit.causal.scm.counterfactual import abduct, act, predict
from xai_audit.causal.scm.gumbel import gumbel_max
from xai_audit.causal.scm.reading import read_model

UNIT = {"load": 4, "oil": 5, "temp": 37, "wear": 17, "noise": 75}
RNG = np.random.default_rng(0)


def bearing(given=UNIT, do=None, on="noise", **changes):
    query = {"ask": "counterfactual", "given": given, "do": do or {"oil": 8}, "on": on, "through": [], **changes}
    return asked(causal_of(BEARING), "total", **query)


def model():
    return read_model(bearing()).model


def test_abduction_finds_the_noises_and_their_round_trip():
    found = abduct(model(), UNIT, ("temp", "wear", "noise"), RNG)
    assert [float(found.noises[name][0]) for name in ("temp", "wear", "noise")] == pytest.approx([3, 0.75, 1])
    assert found.weights.tolist() == [1.0]
    assert max(found.round_trip.values()) < 1e-12


def test_action_cuts_what_is_set_off_from_its_causes():
    after = act(model(), {"temp": 30.0})
    assert after.graph.parents_of("temp") == () and "temp" not in after.mechanisms
    assert after.graph.parents_of("wear") == ("load", "temp")


def test_prediction_moves_descendants_with_the_noises_they_had():
    needed = ("temp", "wear", "noise")
    found = abduct(model(), UNIT, needed, RNG)
    world = predict(act(model(), {"oil": 8.0}), found, {"oil": 8.0}, needed)
    assert [float(world[name][0]) for name in needed] == pytest.approx([31, 15.5, 72])


def test_the_bearing_in_another_world():
    found = answer(bearing())
    assert found.outcome == "identified" and found.amounts[0].standing == "exact"
    assert found.amounts[0].estimate == pytest.approx(72, abs=1e-9)
    assert found.unit["noises"] == pytest.approx({"load": 1, "oil": 0, "temp": 3, "wear": 0.75, "noise": 1})
    assert found.unit["other_world"] == pytest.approx({"oil": 8, "temp": 31, "wear": 15.5, "noise": 72})


def test_setting_the_value_seen_gives_back_the_facts():
    assert answer(bearing(do={"oil": 5})).amounts[0].estimate == pytest.approx(75, abs=1e-9)
    assert answer(bearing(do={"oil": [5, 8]})).amounts[0].estimate == pytest.approx(-3, abs=1e-9)


def test_what_the_change_does_not_reach_keeps_its_fact():
    assert answer(bearing(do={"wear": 3}, on="temp")).amounts[0].estimate == pytest.approx(37)


def test_facts_known_in_part_give_the_exact_posterior_mean():
    facts = {"load": 4, "wear": 17, "noise": 76}
    each = causal_of(BEARING).mechanisms
    made = {k: LinearMechanism(m.intercept, m.weights, *m.noise.normal) for k, m in each.items()}
    truth = LinearModel(bearing().graph, made).counterfactual(facts, {"oil": 8}).of("temp")[0]
    assert answer(bearing(facts, on="temp")).amounts[0].estimate == pytest.approx(truth, abs=1e-9)


def test_importance_sampling_agrees_with_the_exact_posterior():
    text = BEARING.replace(
        "{kind: linear, intercept: 5, weights: {load: 0.5, temp: 0.25}, noise: {normal: [0, 1]}}",
        '{kind: additive, call: "m:wear", noise: {normal: [0, 1]}}',
    )
    facts, do = {"load": 4, "wear": 17}, {"oil": 8}
    exact = answer(bearing(facts, do, "wear")).amounts[0].estimate
    query = {"ask": "counterfactual", "given": facts, "do": do, "on": "wear"}
    found = answer(
        asked(causal_of(text), "total", calls={"wear": lambda load, temp: 5 + 0.5 * load + 0.25 * temp}, **query)
    )
    (amount,) = found.amounts
    assert amount.standing == "analytic" and 0 < amount.standard_error < 0.05
    assert abs(amount.estimate - exact) < 4 * amount.standard_error
    far = answer(
        asked(
            causal_of(text), "total", calls={"wear": lambda load, temp: 5 + 0.5 * load + 0.25 * temp},
            **{**query, "given": {"load": 4, "wear": 60}},
        )
    )  # fmt: skip
    assert far.outcome == "refused" and "effective units" in far.reason


def test_facts_that_contradict_a_mechanism_are_refused_by_its_name():
    text = BEARING.replace("weights: {wear: 2}, noise: {normal: [0, 0.5]}", "weights: {wear: 2}, noise: 0")
    query = {"ask": "counterfactual", "given": UNIT, "do": {"oil": 8}, "on": "noise"}
    found = answer(asked(causal_of(text), "total", **query))
    assert found.outcome == "refused" and "the mechanism of 'noise'" in found.reason
    fine = answer(asked(causal_of(text), "total", **{**query, "given": {**UNIT, "noise": 74}}))
    assert fine.amounts[0].estimate == pytest.approx(71)


def test_an_unknown_mechanism_on_the_way_is_refused_by_name_and_one_off_the_way_is_not_needed():
    causal = causal_of(
        BEARING.replace(
            "  temp:  {kind: linear, intercept: 20, weights: {load: 6, oil: -2}, noise: {normal: [0, 3]}}\n", ""
        )
    )
    query = {"ask": "counterfactual", "given": UNIT, "on": "noise"}
    found = answer(asked(causal, "total", do={"oil": 8}, **query))
    assert found.outcome == "refused" and "'temp', whose mechanism is unknown" in found.reason
    assert answer(asked(causal, "total", do={"temp": 33}, **query)).amounts[0].estimate == pytest.approx(73)


def test_a_row_of_the_data_is_a_unit():
    causal = causal_of(BEARING)
    sample = sample_of(causal, {name: [value, value + 1] for name, value in UNIT.items()})
    query = {"ask": "counterfactual", "do": {"oil": 8}, "on": "noise"}
    found = answer(asked(causal, "total", sample, given={"row": "case 0"}, **query))
    assert found.amounts[0].estimate == pytest.approx(72)
    lost = answer(asked(causal, "total", sample, given={"row": "case 7"}, **query))
    assert lost.outcome == "refused" and "no row 'case 7'" in lost.reason


def coating(**changes):
    facts = {"shift": "night", "humidity": "damp", "coating": "old", "defect": 1}
    query = {"ask": "counterfactual", "given": facts, "do": {"coating": "new"}, "on": "defect", **changes}
    return asked(causal_of(COATING), "total", **query)


def test_tables_fix_margins_and_not_joint_responses():
    strict = answer(coating())
    assert strict.outcome == "refused" and "margins, not joint responses" in strict.reason
    found = answer(coating(if_not_identified="bounds"))
    assert found.outcome == "bounded"
    assert found.amounts[0].bounds == (pytest.approx(0, abs=1e-9), pytest.approx(0.75, abs=1e-9))
    point = answer(coating(assume=[{"monotone": "coating -> defect", "direction": "decreasing"}]))
    assert point.outcome == "identified" and point.amounts[0].estimate == pytest.approx(0.75, abs=1e-9)
    against = answer(coating(assume=[{"monotone": "coating -> defect", "direction": "increasing"}]))
    assert against.outcome == "refused" and "do not allow" in against.reason


def test_facts_known_in_part_bound_a_table():
    found = answer(coating(given={"shift": "night", "coating": "old", "defect": 1}, if_not_identified="bounds"))
    old, new, p = np.array([0.12, 0.40]), np.array([0.08, 0.30]), np.array([0.3, 0.7])
    ends = (p @ np.maximum(0, old + new - 1) / (p @ old), p @ np.minimum(old, new) / (p @ old))
    assert found.amounts[0].bounds == (pytest.approx(ends[0], abs=1e-9), pytest.approx(ends[1], abs=1e-9))


def test_gumbel_max_stands_inside_the_bounds_as_one_choice():
    found = answer(coating(assume=["gumbel_max"]))
    assert found.outcome == "bounded"
    (chosen,) = found.alternatives
    assert "one admissible choice" in chosen.by
    # of two levels it is the coupling in which the fewest units change: the upper end
    assert chosen.amount.estimate == pytest.approx(found.amounts[0].bounds[1], abs=1e-9)
    partly = answer(coating(assume=["gumbel_max"], given={"coating": "old", "defect": 1}))
    assert partly.alternatives[0].amount.estimate == pytest.approx(partly.amounts[0].bounds[1], abs=1e-9)
    against = answer(coating(assume=["gumbel_max", {"monotone": "coating -> defect", "direction": "decreasing"}]))
    assert against.amounts[0].estimate == pytest.approx(0.75) and len(against.alternatives) == 1
    assert not answer(coating(if_not_identified="bounds")).alternatives


def test_gumbel_max_in_closed_form_is_the_model_of_shared_gumbel_noise():
    rng = np.random.default_rng(3)
    for n in (2, 3, 5):
        p, q = rng.dirichlet(np.ones(n), 2)
        noise = rng.gumbel(size=(400_000, n))
        before, after = (np.log(p) + noise).argmax(1), (np.log(q) + noise).argmax(1)
        for level in range(n):
            seen = after[before == level]
            drawn = np.bincount(seen, minlength=n) / len(seen)
            assert np.abs(drawn - gumbel_max(p, q, level)).max() < 4 * np.sqrt(0.25 / len(seen))
    same = gumbel_max(np.array([0.2, 0.8]), np.array([0.2, 0.8]), 0)
    assert same.tolist() == [1.0, 0.0]


def settled(seed):
    """Chance in three roots of their own, x -> m -> y and x -> y settled by 0/1 rows."""
    rng = np.random.default_rng(seed)
    parents = {"ux": [], "um": [], "uy": [], "x": ["ux"], "m": ["um", "x"], "y": ["m", "uy", "x"]}
    levels = {"ux": 2, "um": 3, "uy": 3, "x": 2, "m": 2, "y": 3}
    tables, mechanisms = {}, {}
    for name, above in parents.items():
        if not above:
            p = rng.dirichlet(np.ones(levels[name]))
            mechanisms[name] = {"kind": "table", "p": [float(v) for v in p[:-1]] + [float(1 - p[:-1].sum())]}
            tables[name] = np.array(mechanisms[name]["p"])
            continue
        function = rng.integers(levels[name], size=[levels[one] for one in above])
        if name == "x":
            function = np.array([0, 1])
        tables[name] = function
        rows = [
            {
                "when": dict(zip(above, where, strict=True)),
                "p": [float(k == function[where]) for k in range(levels[name])],
            }
            for where in product(*(range(levels[one]) for one in above))
        ]
        mechanisms[name] = {"kind": "table", "parents": above, "rows": rows}
    spec = {
        "variables": {n: {"role": "context", "domain": {"levels": list(range(k))}} for n, k in levels.items()},
        "edges": [f"{a} -> {b}" for b, above in parents.items() for a in above],
        "mechanisms": mechanisms,
        "queries": [{"id": "unit", "ask": "counterfactual", "do": {"x": 1}, "on": "y", "given": {}}],
    }
    return causal_of(json.dumps(spec)), tables


@pytest.mark.parametrize("seed", range(6))
def test_tables_of_zeros_and_ones_are_exact_by_enumerating_exogenous_states(seed):
    """The twin network's truth: the facts fix the law of the exogenous roots, which both worlds share."""
    causal, tables = settled(seed)

    def world(ux, um, uy, do=None):
        x = int(tables["x"][ux]) if do is None else do
        m = int(tables["m"][um, x])
        return x, m, int(tables["y"][m, uy, x])

    states = [
        (s, tables["ux"][s[0]] * tables["um"][s[1]] * tables["uy"][s[2]]) for s in product(range(2), range(3), range(3))
    ]
    for x, y in product(range(2), range(3)):
        kept = [(s, p) for s, p in states if (world(*s)[0], world(*s)[2]) == (x, y)]
        found = answer(asked(causal, "unit", given={"x": x, "y": y}))
        if not kept:
            assert found.outcome == "refused" and "mechanism of 'y'" in found.reason
            continue
        total = sum(p for _, p in kept)
        truth = sum(p * world(*s, do=1)[2] for s, p in kept) / total
        assert found.outcome == "identified" and found.amounts[0].estimate == pytest.approx(truth, abs=1e-12)
        again = answer(asked(causal, "unit", given={"x": x, "y": y}, do={"x": x}))
        assert again.amounts[0].estimate == pytest.approx(y, abs=1e-12)


LOAN = """
variables: {group: {role: protected, domain: {levels: [0, 1]}}, job: {role: mediator, domain: {levels: [0, 1]}},
  income: {role: mediator, domain: {range: [0, 200]}}, score: {role: outcome, domain: {range: [-99, 99]}}}
edges: [group -> job, job -> income, income -> score, group -> score]
mechanisms:
  group: {kind: table, p: [0.5, 0.5]}
  job: {kind: table, parents: [group], rows: [{when: {group: 0}, p: [0.6, 0.4]}, {when: {group: 1}, p: [0.3, 0.7]}]}
  income: {kind: linear, intercept: 30, weights: {job: 20}, noise: {normal: [0, 5]}}
  score: {kind: linear, intercept: 0, weights: {income: 0.1, group: 1}, noise: 0}
queries:
  - {id: unit, ask: counterfactual, given: {group: 0, job: 0, income: 33, score: 3.3}, do: {group: 1}, on: score, if_not_identified: bounds}
"""  # noqa: E501


def test_a_table_before_linear_equations_is_bounded_where_all_facts_are_known():
    """Job stays 0 with a chance between (0.3 + 0.6 - 1)+ / 0.6 and 0.3 / 0.6: Frechet limits."""
    found = answer(asked(causal_of(LOAN), "unit"))
    assert found.amounts[0].bounds == (pytest.approx(4.3 + 0.5 * 2), pytest.approx(4.3 + 2))
    told = answer(asked(causal_of(LOAN), "unit", assume=[{"monotone": "group -> job", "direction": "increasing"}]))
    assert told.amounts[0].estimate == pytest.approx(5.3)
    partly = answer(asked(causal_of(LOAN), "unit", given={"group": 0, "score": 3.3}))
    assert partly.outcome == "refused" and "not known of job" in partly.reason


def test_mixed_facts_known_in_part_are_exact_where_no_table_is_open():
    """Of a unit with score 3.3 and group 0, job is not known: a mixture over it."""
    found = answer(asked(causal_of(LOAN), "unit", given={"group": 0, "score": 3.3}, do={"income": 50}))
    assert found.amounts[0].estimate == pytest.approx(5.0, abs=1e-9)


TORCH = """
variables: {x: {role: treatment, domain: {range: [-9, 9]}}, y: {role: outcome, domain: {range: [-99, 99]}}}
edges: [x -> y]
mechanisms:
  x: {kind: linear, intercept: 0, weights: {}, noise: {normal: [0, 1]}}
  y: {kind: torch, call: "m:Flow", abduct: inverse}
queries: [{id: unit, ask: counterfactual, given: {x: 1, y: 7}, do: {x: 2}, on: y}]
"""


def flow(drift=0.0):
    """Y = x^2 + exp(x) * noise."""
    import torch

    class Flow(torch.nn.Module):
        def forward(self, parents, noise):
            return parents**2 + torch.exp(parents) * noise

        def inverse(self, parents, values):
            return (values[:, None] - parents**2) / torch.exp(parents) + drift

    return Flow


def test_a_torch_mechanism_is_abducted_by_its_inverse_and_its_round_trip_told():
    found = answer(asked(causal_of(TORCH), "unit", calls={"y": flow()}))
    noise = 6 / np.e
    assert found.amounts[0].estimate == pytest.approx(4 + np.e**2 * noise, rel=1e-6)
    assert found.unit["round_trip"]["y"] < 1e-4
    assert found.unit["noises"]["y"] == pytest.approx(noise)


def test_an_inverse_that_does_not_come_back_is_refused_with_the_error():
    found = answer(asked(causal_of(TORCH), "unit", calls={"y": flow(0.1)}))
    assert found.outcome == "refused" and "gives back a value 0.27" in found.reason
    without = answer(asked(causal_of(TORCH.replace(", abduct: inverse", "")), "unit", calls={"y": flow()}))
    assert without.outcome == "refused" and "has no abduction" in without.reason


def test_importing_the_structural_models_loads_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, xai_audit.causal.scm.given, xai_audit.causal.scm.recourse, xai_audit.causal.scm.torch_mechanism, "
        "xai_audit.causal.scm.fitted, xai_audit.causal.scm.fairness; "
        "print([one for one in ('torch', 'sklearn', 'statsmodels') if one in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
