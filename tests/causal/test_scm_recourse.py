"""Recourse: CAUSAL.md 2.2 C, brute force on random linear models, directions, levels, searches, groups and a model."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.causal.causal_asking import asked, causal_of, sample_of
from tests.causal.test_scm_given import BEARING
from xai_audit.causal.answering import answer
from xai_audit.causal.scm.actions import moves_of, target_of
from xai_audit.causal.scm.reading import read_model
from xai_audit.causal.scm.recourse_linear import Program, cheapest_linear
from xai_audit.causal.scm.recourse_search import Spending, search
from xai_audit.causal.scm.unit_world import UnitWorld

UNIT = {"load": 4, "oil": 5, "temp": 37, "wear": 17, "noise": 75}
ACTIONS = BEARING.replace("domain: {range: [1, 5]}", "domain: {range: [1, 5]}, actionable: decrease").replace(
    "domain: {range: [0, 10]}", "domain: {range: [0, 10]}, actionable: true"
)


def fix(text=ACTIONS, sample=None, **changes):
    query = {"ask": "recourse", "given": UNIT, "do": {}, "on": "wear", "target": {"at_most": 15},
             "cost": {"oil": 1, "load": 6}, "k": 2, **changes}  # fmt: skip
    return asked(causal_of(text), "total", sample, **query)


def changes(item):
    return {name: one["to"] for name, one in item["changes"].items()}


def test_the_bearing_is_kept_quiet_by_oil_first_and_by_load_next():
    found = answer(fix())
    assert [changes(one) for one in found.items] == [{"oil": pytest.approx(9)}, {"load": pytest.approx(3)}]
    assert [one["cost"] for one in found.items] == pytest.approx([4, 6])
    assert all(one["verified"] and one["reaches"] == pytest.approx(15) for one in found.items)
    assert found.items[0]["descendants"]["temp"] == pytest.approx(29)  # held at 37, oil would be useless
    assert "mixed-integer" in found.estimator


def test_costs_are_one_over_the_range_where_none_is_given():
    found = answer(fix(cost={}, k=1))
    assert found.items[0]["cost"] == pytest.approx(min(4 / 10, 1 / 4))
    assert changes(found.items[0]) == {"load": pytest.approx(3)}


def test_directions_and_what_nobody_can_change_are_kept():
    up = ACTIONS.replace("actionable: true", "actionable: decrease").replace(
        "[1, 5]}, actionable: decrease", "[1, 5]}, actionable: increase"
    )
    none = answer(fix(up))
    assert none.outcome == "identified" and not none.items
    assert none.reason.startswith("None found within") and none.amounts[0].estimate == 0
    fixed = answer(fix(BEARING))
    assert fixed.outcome == "refused" and "no actionable cause" in fixed.reason


def test_together_when_neither_is_enough():
    found = answer(fix(target={"at_most": 12.5}, k=3))
    both, load = found.items  # oil alone reaches 14.5 at most; no third: {oil} is not enough
    assert changes(both) == {"oil": pytest.approx(10), "load": pytest.approx(3)} and both["cost"] == pytest.approx(11)
    assert changes(load) == {"load": pytest.approx(1.75)} and load["cost"] == pytest.approx(13.5)
    assert any("2 of 3 answers" in one for one in found.warnings)


def test_a_target_that_is_met_needs_nothing():
    found = answer(fix(target={"at_most": 20}))
    assert found.amounts[0].estimate == 0 and "nothing needs to change" in found.reason


def random_linear(rng):
    names = ["a", "b", "c", "d", "y"]
    lines, edges = [], []
    for k, name in enumerate(names):
        weights = {one: round(float(rng.normal()), 2) for one in names[:k] if rng.random() < 0.7}
        edges += [f"{one} -> {name}" for one in weights]
        lines.append(f"  {name}: {{kind: linear, intercept: 0, weights: {weights}, noise: {{normal: [0, 1]}}}}")
    how = {name: rng.choice(["true", "increase", "decrease"]) for name in names[:4]}
    variables = "\n".join(
        f"  {name}: {{role: cause, domain: {{range: [-3, 3]}}, actionable: {how.get(name, 'false')}}}" for name in names
    )
    causal = f"variables:\n{variables}\nedges: {edges}\nmechanisms:\n" + "\n".join(lines).replace("'", "")
    return causal.replace("'", "") + "\nqueries: [{id: total, ask: ate, do: {a: [0, 1]}, on: y}]"


@pytest.mark.parametrize("seed", range(8))
def test_the_program_is_as_cheap_as_every_set_solved_alone(seed):
    """Second implementation: each set of variables as a linear program with its own effects, by scipy's linprog."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    text = random_linear(rng)
    unit = {name: round(float(rng.uniform(-2, 2)), 2) for name in "abcdy"}
    weights = {name: round(float(rng.uniform(0.2, 3)), 2) for name in "abcd"}
    query = asked(
        causal_of(text), "total", ask="recourse", given=unit, do={}, cost=weights, target={"at_least": unit["y"] + 1.5}
    )
    model = read_model(query).model
    moves = moves_of(query, model, unit)
    world = UnitWorld(model, {k: float(v) for k, v in unit.items()}, "y", tuple(m.name for m in moves))
    found = cheapest_linear(world, moves, target_of(query), 3)
    program = Program(world, moves, 1.5)
    best = {}
    for size in range(1, len(moves) + 1):
        for chosen in combinations(moves, size):
            effects = program.effects([m.name for m in chosen])
            e = np.array([effects[m.name] for m in chosen])
            c = np.array([m.weight for m in chosen])
            limits = [(0, m.high - m.now) for m in chosen] + [(0, m.now - m.low) for m in chosen]
            solved = linprog(np.r_[c, c], A_ub=[-np.r_[e, -e]], b_ub=[-1.5], bounds=limits)
            if solved.status == 0:
                best[frozenset(m.name for m in chosen)] = solved.fun
    assert bool(found) == bool(best)
    if found:
        assert found[0].cost == pytest.approx(min(best.values()), abs=1e-7)
        assert [one.cost for one in found] == sorted(one.cost for one in found)
        assert not any(a.names <= b.names for a, b in combinations(found, 2))
        for one in found:
            do = {name: np.array([value]) for name, value in one.changes}
            assert world.values(do)[0] >= unit["y"] + 1.5 - 1e-9


def test_a_search_comes_close_to_the_exact_answer_and_counts_its_questions():
    query = fix()
    model = read_model(query).model
    facts = {name: float(value) for name, value in UNIT.items()}
    moves = moves_of(query, model, facts)
    world = UnitWorld(model, facts, "wear", ("load", "oil"))
    spending = Spending(20_000, None)
    found = search(world, moves, target_of(query), lambda values: values, spending)
    cheapest = {tuple(sorted(one.names)): one.cost for one in found}
    assert cheapest["oil",] == pytest.approx(4, abs=1e-6) and cheapest["load",] == pytest.approx(6, abs=1e-6)
    assert 0 < spending.spent <= 20_000


CREDIT = """
variables:
  group: {role: protected, domain: {levels: [a, b]}, source: {column: group}}
  plan: {role: cause, domain: {levels: [none, basic, full], ordered: true}, actionable: increase, source: {column: plan}}
  saving: {role: cause, domain: {range: [0, 10]}, actionable: increase, source: {column: saving}}
  score: {role: model_output, source: {model: {class: good, output: probability}}}
edges: [group -> saving, plan -> score, saving -> score]
mechanisms:
  saving: {kind: linear, intercept: 2, weights: {}, noise: {normal: [0, 1]}}
queries: [{id: total, ask: recourse, on: score, target: {at_least: 0.5}, k: 2}]
""".replace("intercept: 2, weights: {}", "intercept: 2, weights: {}")  # noqa: E501


def model_score(cases, changes_):
    """A step in the plan and a saturating part: nothing linear."""
    plan = np.array([{"none": 0, "basic": 1, "full": 2}[one] for one in changes_["plan"]])
    return 0.1 * plan + 0.6 * np.tanh(changes_["saving"] / 5)


def test_an_audited_model_is_asked_for_its_own_score():
    text = CREDIT.replace(
        "  saving: {kind: linear, intercept: 2, weights: {}, noise: {normal: [0, 1]}}", "  score: {kind: model}"
    )
    query = asked(
        causal_of(text), "total", calls={"model": model_score}, given={"group": "a", "plan": "none", "saving": 3}
    )
    found = answer(query)
    assert found.outcome == "identified" and "search" in found.estimator
    need = 5 * np.arctanh(0.5 / 0.6)
    alone = next(one for one in found.items if set(one["changes"]) == {"saving"})
    assert changes(alone)["saving"] == pytest.approx(need, abs=1e-6)
    assert all(one["verified"] for one in found.items)
    assert found.details["evaluations"] > 0


def test_a_search_that_finds_nothing_says_within_what():
    text = CREDIT.replace(
        "  saving: {kind: linear, intercept: 2, weights: {}, noise: {normal: [0, 1]}}", "  score: {kind: model}"
    )
    given = {"group": "a", "plan": "none", "saving": 3}
    query = asked(
        causal_of(text), "total", calls={"model": model_score}, given=given, target={"at_least": 0.95},
        budget={"evaluations": 500},
    )  # fmt: skip
    found = answer(query)
    assert not found.items and "None found within 500 questions" in found.reason
    assert found.details["evaluations"] <= 500


def test_success_rate_and_cost_by_group_over_all_units():
    text = ACTIONS.replace(
        "load: {role: cause", "line: {role: protected, domain: {levels: [old, new]}}, load: {role: cause"
    )
    rng = np.random.default_rng(1)
    n = 60
    line = np.where(np.arange(n) % 3 == 0, "old", "new")
    load, oil = rng.uniform(3, 5, n), np.where(line == "old", 9.0, 4.0)
    temp = 20 + 6 * load - 2 * oil + np.where(line == "old", 30, 6)
    wear = 5 + 0.5 * load + 0.25 * temp
    data = {"line": line, "load": load, "oil": oil, "temp": temp, "wear": wear, "noise": 40 + 2 * wear}
    causal = causal_of(text)
    query = asked(
        causal, "total", sample_of(causal, data), ask="recourse", do={}, on="wear", target={"at_most": 10},
        cost={"oil": 1, "load": 6},
    )  # fmt: skip
    found = answer(query)
    rates = {one.label: one for one in found.amounts if one.name == "success_rate"}
    room = wear - 10 <= 0.5 * np.minimum(10 - oil, 10) + 2 * (load - 1) + 1e-12
    for level in ("old", "new"):
        assert rates[f"line {level}"].estimate == pytest.approx(room[line == level].mean())
        assert rates[f"line {level}"].low < rates[f"line {level}"].high
    assert rates[""].estimate == pytest.approx(room.mean())
    costs = {one.label: one.estimate for one in found.amounts if one.name == "cost"}
    assert costs[""] == pytest.approx(np.nanmean(found.arrays["costs"]))
    assert found.details["units"] == n


def test_levels_are_chosen_among_levels():
    text = """
variables: {p: {role: cause, domain: {levels: [0, 2, 5]}, actionable: true}, r: {role: cause, domain: {range: [0, 4]}, actionable: true},
  y: {role: outcome, domain: {range: [-99, 99]}}}
edges: [p -> y, r -> y]
mechanisms: {p: {kind: table, p: [0.5, 0.3, 0.2]}, r: {kind: linear, intercept: 0, weights: {}, noise: {normal: [0, 1]}},
  y: {kind: linear, intercept: 0, weights: {p: 1, r: 1}, noise: {normal: [0, 1]}}}
queries: [{id: total, ask: recourse, given: {p: 0, r: 1, y: 1}, on: y, target: {at_least: 4.5}, cost: {p: 1, r: 1.5}, k: 3}]
"""  # noqa: E501
    found = answer(asked(causal_of(text), "total"))
    first, *others = found.items
    assert changes(first) == {"p": 2, "r": pytest.approx(2.5)} and first["cost"] == pytest.approx(2 + 1.5 * 1.5)
    assert [changes(one) for one in others] == [{"p": 5}]
    assert others[0]["cost"] == pytest.approx(5)
