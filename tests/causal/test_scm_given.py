"""Answers from given mechanisms: CAUSAL.md 2.2 A and C, brute enumeration, mixed models, and refusals that say why."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.causal.causal_asking import asked, causal_of
from xai_audit.causal.answering import answer
from xai_audit.causal.scm import given

COATING = """
variables:
  {shift: {role: context, domain: {levels: [day, night]}}, humidity: {role: confounder, domain: {levels: [dry, damp]}},
   coating: {role: treatment, domain: {levels: [old, new]}}, defect: {role: outcome, domain: {levels: [0, 1]}}}
edges: [shift -> humidity, shift -> coating, humidity -> defect, coating -> defect]
mechanisms:
  shift:    {kind: table, p: [0.6, 0.4]}
  humidity: {kind: table, parents: [shift], rows: [{when: {shift: day}, p: [0.8, 0.2]}, {when: {shift: night}, p: [0.3, 0.7]}]}
  coating:  {kind: table, parents: [shift], rows: [{when: {shift: day}, p: [0.75, 0.25]}, {when: {shift: night}, p: [0.2, 0.8]}]}
  defect: {kind: table, parents: [coating, humidity], rows: [
    {when: {coating: old, humidity: dry}, p: [0.88, 0.12]}, {when: {coating: old, humidity: damp}, p: [0.60, 0.40]},
    {when: {coating: new, humidity: dry}, p: [0.92, 0.08]}, {when: {coating: new, humidity: damp}, p: [0.70, 0.30]}]}
queries:
  - {id: crude, ask: association, do: {coating: [old, new]}, on: defect}
  - {id: total, ask: ate, do: {coating: [old, new]}, on: defect}
  - {id: night, ask: interventional, do: {coating: new}, given: {shift: night}, on: defect}
  - {id: treated, ask: att, do: {coating: [old, new]}, on: defect}
  - {id: by_humidity, ask: cate, do: {coating: [old, new]}, given: [humidity], on: defect}
  - {id: backwards, ask: ate, do: {defect: [0, 1]}, on: humidity}
  - {id: needed, ask: pn_ps, do: {coating: [new, old]}, on: defect}
"""  # noqa: E501
BEARING = """
variables:
  {load: {role: cause, domain: {range: [1, 5]}}, oil: {role: cause, domain: {range: [0, 10]}},
   temp: {role: mediator, domain: {range: [0, 120]}}, wear: {role: outcome, domain: {range: [0, 100]}},
   noise: {role: outcome, domain: {range: [0, 200]}}}
edges: [load -> temp, oil -> temp, load -> wear, temp -> wear, wear -> noise]
mechanisms:
  load:  {kind: linear, intercept: 3, weights: {}, noise: {normal: [0, 0.5]}}
  oil:   {kind: linear, intercept: 5, weights: {}, noise: {normal: [0, 1]}}
  temp:  {kind: linear, intercept: 20, weights: {load: 6, oil: -2}, noise: {normal: [0, 3]}}
  wear:  {kind: linear, intercept: 5, weights: {load: 0.5, temp: 0.25}, noise: {normal: [0, 1]}}
  noise: {kind: linear, intercept: 40, weights: {wear: 2}, noise: {normal: [0, 0.5]}}
queries:
  - {id: such_units, ask: interventional, given: {load: 4}, do: {oil: 8}, on: noise}
  - {id: split, ask: nde, do: {load: [4, 5]}, through: [temp], on: wear}
  - {id: other_half, ask: nie, do: {load: [4, 5]}, through: [temp], on: wear}
  - {id: path, ask: path_effect, do: {load: [4, 5]}, paths: ["load -> temp -> wear"], on: wear}
  - {id: held, ask: cde, do: {load: [4, 5]}, hold: {temp: 30}, on: wear}
  - {id: total, ask: ate, do: {temp: [30, 40]}, on: noise}
"""


def numbers(found):
    return {(one.name, one.label): one.estimate for one in found.amounts}


def only(found):
    assert found.outcome == "identified", found.reason
    return found.amounts[0].estimate


@pytest.mark.parametrize(
    ("query", "truth"),
    [
        ("crude", 0.1988936170212766 - 0.1971320754716981),
        ("total", -0.064),
        ("night", 0.234),
        ("treated", 0.2 * 0 + (0.15 * -0.04 * 0.8 + 0.15 * -0.1 * 0.2 + 0.32 * -0.04 * 0.3 + 0.32 * -0.1 * 0.7) / 0.47),
    ],
)
def test_the_coating_line(query, truth):
    found = answer(asked(causal_of(COATING), query))
    assert only(found) == pytest.approx(truth, abs=1e-9)
    assert all(one.standing == "exact" for one in found.amounts)
    if query != "crude":
        assert found.details["computed_two_ways"] and found.details["gap"] <= 1e-9


def test_both_minimal_sets_give_the_total_and_the_crude_contrast_stands_beside_it():
    found = answer(asked(causal_of(COATING), "total"))
    assert found.adjustment_sets.sets == (("humidity",), ("shift",))
    assert {one.by: one.amount.estimate for one in found.alternatives} == {
        "{humidity}": pytest.approx(-0.064, abs=1e-12),
        "{shift}": pytest.approx(-0.064, abs=1e-12),
    }
    assert found.association.estimate == pytest.approx(0.0017615415, abs=1e-9)


def test_effects_by_group_have_one_number_a_level():
    found = numbers(answer(asked(causal_of(COATING), "by_humidity")))
    assert found == {
        ("conditional", "humidity dry"): pytest.approx(-0.04),
        ("conditional", "humidity damp"): pytest.approx(-0.10),
    }


def test_without_a_directed_path_the_answer_is_exactly_zero():
    found = answer(asked(causal_of(COATING), "backwards"))
    assert {one.estimate for one in found.amounts} == {0.0}
    assert "no directed path leads from defect to humidity" in found.reason


def test_two_ways_that_differ_fail(monkeypatch):
    honest = given.amounts_of
    monkeypatch.setattr(
        given, "amounts_of", lambda *a: [given.exact(x.name, x.estimate + 1e-6, x.label) for x in honest(*a)]
    )
    found = answer(asked(causal_of(COATING), "total"))
    assert found.outcome == "failed" and not found.amounts
    assert "differ by 1e-06" in found.reason


@pytest.mark.parametrize(
    ("query", "truth"),
    [("such_units", 68.0), ("split", 0.5), ("other_half", 1.5), ("path", 1.5), ("held", 0.5), ("total", 5)],
)
def test_the_bearing(query, truth):
    assert only(answer(asked(causal_of(BEARING), query))) == pytest.approx(truth, abs=1e-9)


def test_natural_effects_have_five_parts_and_their_identity():
    found = answer(asked(causal_of(BEARING), "split"))
    parts = {name: value for (name, _), value in numbers(found).items()}
    assert parts == pytest.approx({"nde": 0.5, "total": 2, "nie": 1.5, "nde_reversed": -0.5, "nie_reversed": -1.5})
    assert parts["total"] == pytest.approx(parts["nde"] - parts["nie_reversed"])
    assert any("nde + nie = total" in one for one in found.warnings)


def interaction(rng):
    """X -> m -> y, x -> y, c -> all, with random tables: nde and nie do not add up."""

    def table(name, parents):
        rows = []
        for levels in product((0, 1), repeat=len(parents)):
            p = float(rng.uniform(0.1, 0.9))
            rows.append({"when": dict(zip(parents, levels, strict=True)), "p": [1 - p, p]})
        return {"kind": "table", "parents": parents, "rows": rows} if parents else {"kind": "table", "p": rows[0]["p"]}

    parents = {"c": [], "x": ["c"], "m": ["c", "x"], "y": ["c", "m", "x"]}
    return {
        "variables": {name: {"role": "context", "domain": {"levels": [0, 1]}} for name in parents},
        "edges": [f"{a} -> {b}" for b, above in parents.items() for a in above],
        "mechanisms": {name: table(name, above) for name, above in parents.items()},
        "queries": [
            {"id": "nde", "ask": "nde", "do": {"x": [0, 1]}, "through": ["m"], "on": "y"},
            {"id": "path", "ask": "path_effect", "do": {"x": [0, 1]}, "paths": ["x -> m -> y"], "on": "y"},
        ],
    }


def chance(spec, name, levels):
    one = spec["mechanisms"][name]
    return (
        one["p"][1]
        if "p" in one
        else next(row["p"][1] for row in one["rows"] if all(levels[k] == v for k, v in row["when"].items()))
    )


@pytest.mark.parametrize("seed", range(5))
def test_natural_effects_of_random_tables_are_those_of_units_with_their_own_noises(seed):
    rng = np.random.default_rng(seed)
    spec = interaction(rng)
    import json

    causal = causal_of(json.dumps(spec))
    found = answer(asked(causal, "nde"))

    # every unit: c, and uniform noises of m and y; the mean of y(x, m(x')) by integrating over them
    def mean(x, x_of_m):
        total = 0.0
        for c in (0, 1):
            p_c = chance(spec, "c", {}) if c else 1 - chance(spec, "c", {})
            p_m = chance(spec, "m", {"c": c, "x": x_of_m})
            for m, p in ((0, 1 - p_m), (1, p_m)):
                total += p_c * p * chance(spec, "y", {"c": c, "m": m, "x": x})
        return total

    parts = {name: value for (name, _), value in numbers(found).items()}
    assert parts["nde"] == pytest.approx(mean(1, 0) - mean(0, 0), abs=1e-12)
    assert parts["nie"] == pytest.approx(mean(0, 1) - mean(0, 0), abs=1e-12)
    assert parts["total"] == pytest.approx(mean(1, 1) - mean(0, 0), abs=1e-12)
    assert parts["nie_reversed"] == pytest.approx(mean(1, 0) - mean(1, 1), abs=1e-12)
    assert only(answer(asked(causal, "path"))) == pytest.approx(mean(0, 1) - mean(0, 0), abs=1e-12)
    assert not any("nde + nie = total" in one for one in found.warnings)
    assert found.details["gap"] <= 1e-12


WITNESS = """
variables: {x: {role: treatment, domain: {range: [0, 1]}}, w: {role: mediator, domain: {range: [-9, 9]}},
  m: {role: mediator, domain: {range: [-9, 9]}}, y: {role: outcome, domain: {range: [-9, 9]}}}
edges: [x -> w, w -> m, w -> y, m -> y]
mechanisms:
  x: {kind: linear, intercept: 0, weights: {}, noise: {normal: [0, 1]}}
  w: {kind: linear, intercept: 0, weights: {x: 2}, noise: {normal: [0, 1]}}
  m: {kind: linear, intercept: 0, weights: {w: 3}, noise: {normal: [0, 1]}}
  y: {kind: linear, intercept: 0, weights: {w: 1, m: 1}, noise: {normal: [0, 1]}}
queries:
  - {id: path, ask: path_effect, do: {x: [0, 1]}, paths: ["x -> w -> m -> y"], on: y}
  - {id: split, ask: nde, do: {x: [0, 1]}, through: [m], on: y}
"""


@pytest.mark.parametrize("query", ["path", "split"])
def test_a_recanting_witness_is_refused_by_name_and_the_total_given(query):
    found = answer(asked(causal_of(WITNESS), query))
    assert found.outcome == "refused" and not found.amounts
    assert "'w'" in found.reason and "recanting witness" in found.reason
    assert found.details["total"][0]["estimate"] == pytest.approx(8)


LATENT = """
variables: {u: {role: context, domain: {levels: [0, 1]}, source: unmeasured}, x: {role: treatment, domain: {levels: [0, 1]}},
  y: {role: outcome, domain: {levels: [0, 1]}}}
edges: [u -> x, u -> y, x -> y]
mechanisms:
  u: {kind: table, p: [0.5, 0.5]}
  x: {kind: table, parents: [u], rows: [{when: {u: 0}, p: [0.9, 0.1]}, {when: {u: 1}, p: [0.2, 0.8]}]}
  y: {kind: table, parents: [u, x], rows: [{when: {u: 0, x: 0}, p: [0.9, 0.1]}, {when: {u: 0, x: 1}, p: [0.8, 0.2]},
    {when: {u: 1, x: 0}, p: [0.5, 0.5]}, {when: {u: 1, x: 1}, p: [0.3, 0.7]}]}
queries: [{id: total, ask: ate, do: {x: [0, 1]}, on: y}]
"""  # noqa: E501


def test_an_unmeasured_cause_with_its_own_mechanism_is_answered_and_says_what_it_rests_on():
    found = answer(asked(causal_of(LATENT), "total"))
    assert only(found) == pytest.approx(0.5 * 0.1 + 0.5 * 0.2, abs=1e-12)
    assert found.association.estimate != pytest.approx(0.15, abs=0.05)
    assert any("unmeasured" in one for one in found.warnings)
    assert not found.details["computed_two_ways"]


MIXED = """
variables: {z: {role: confounder, domain: {levels: [1, 2, 4]}}, x: {role: treatment, domain: {levels: [0, 1]}},
  m: {role: mediator, domain: {range: [-99, 99]}}, y: {role: outcome, domain: {range: [-99, 99]}}}
edges: [z -> x, z -> m, x -> m, m -> y, x -> y]
mechanisms:
  z: {kind: table, p: [0.2, 0.5, 0.3]}
  x: {kind: table, parents: [z], rows: [{when: {z: 1}, p: [0.9, 0.1]}, {when: {z: 2}, p: [0.5, 0.5]}, {when: {z: 4}, p: [0.1, 0.9]}]}
  m: {kind: linear, intercept: 1, weights: {z: 2, x: 3}, noise: {normal: [0, 2]}}
  y: {kind: linear, intercept: 0, weights: {m: 0.5, x: 1}, noise: {normal: [1, 1]}}
queries:
  - {id: total, ask: ate, do: {x: [0, 1]}, on: y}
  - {id: crude, ask: association, do: {x: [0, 1]}, on: y}
  - {id: treated, ask: att, do: {x: [0, 1]}, on: y}
  - {id: seen, ask: interventional, do: {x: 1}, given: {m: 8}, on: z}
  - {id: after, ask: interventional, do: {x: 1}, given: {m: 8}, on: y}
"""  # noqa: E501


def test_tables_and_linear_equations_together_are_exact():
    causal = causal_of(MIXED)
    assert only(answer(asked(causal, "total"))) == pytest.approx(2.5, abs=1e-9)
    assert only(answer(asked(causal, "treated"))) == pytest.approx(2.5, abs=1e-9)
    p, x1, z = np.array([0.2, 0.5, 0.3]), np.array([0.1, 0.5, 0.9]), np.array([1, 2, 4])
    means = [((p * w) @ (1 + 2 * z) / (p @ w)) * 0.5 for w in (x1, 1 - x1)]
    assert only(answer(asked(causal, "crude"))) == pytest.approx(means[0] - means[1] + 2.5, abs=1e-9)
    # P(z | do(x = 1), m = 8) by Bayes with densities of m ~ Normal(4 + 2 z, 2)
    density = p * np.exp(-0.5 * ((8 - 4 - 2 * z) / 2) ** 2)
    assert only(answer(asked(causal, "seen"))) == pytest.approx(density @ z / density.sum(), abs=1e-9)
    assert only(answer(asked(causal, "after"))) == pytest.approx(0.5 * 8 + 1 + 1, abs=1e-9)


def square(z):
    return z**2


CURVED = """
variables: {z: {role: confounder, domain: {range: [-9, 9]}}, x: {role: treatment, domain: {range: [-9, 99]}},
  y: {role: outcome, domain: {range: [-99, 99]}}}
edges: [z -> x, z -> y, x -> y]
mechanisms:
  z: {kind: linear, intercept: 0, weights: {}, noise: {normal: [1, 2]}}
  x: {kind: additive, call: "m:square", noise: {normal: [0, 1]}}
  y: {kind: linear, intercept: 0, weights: {z: 1, x: 2}, noise: {normal: [0, 1]}}
queries:
  - {id: value, ask: interventional, do: {z: 2}, on: y}
  - {id: mean, ask: interventional, do: {x: 3}, on: y}
  - {id: total, ask: ate, do: {z: [0, 3]}, on: y}
"""


@pytest.mark.parametrize(("query", "truth"), [("value", 2 + 2 * 4), ("mean", 1 + 6), ("total", 3 + 2 * 9)])
def test_other_mechanisms_are_simulated_with_their_error(query, truth):
    found = answer(asked(causal_of(CURVED), query, calls={"x": square}))
    (amount,) = found.amounts
    assert amount.standing == "analytic"
    assert abs(amount.estimate - truth) <= 4 * amount.standard_error + 1e-9
    assert amount.standard_error < 0.02


def test_probabilities_of_necessity_and_sufficiency_are_bounds_and_points_where_monotone():
    """Old coating as the cause of a defect: with an answer that never rises when new, both are points."""
    causal = causal_of(COATING)
    found = answer(asked(causal, "needed"))
    assert found.outcome == "bounded"
    ends = {one.name: one.bounds for one in found.amounts}
    # by humidity h the two rates are old_h and new_h: Frechet limits of each, averaged over humidity
    p_h, old, new = np.array([0.6, 0.4]), np.array([0.12, 0.40]), np.array([0.08, 0.30])
    assert ends["both"] == (pytest.approx(p_h @ (old - new)), pytest.approx(p_h @ np.minimum(old, 1 - new)))
    told = answer(asked(causal, "needed", assume=[{"monotone": "coating -> defect", "direction": "decreasing"}]))
    assert told.outcome == "identified"
    ends = {one.name: one.bounds for one in told.amounts}
    assert ends["both"] == (pytest.approx(0.064), pytest.approx(0.064))
    p_old = np.array([0.6 * 0.75 * 0.8 + 0.4 * 0.2 * 0.3, 0.6 * 0.75 * 0.2 + 0.4 * 0.2 * 0.7])
    assert ends["necessity"] == (pytest.approx(p_old @ (old - new) / (p_old @ old)),) * 2


def test_a_trial_that_contradicts_the_mechanisms_is_refused():
    found = answer(asked(causal_of(COATING), "needed", experimental={"alt": 0.5}))
    assert found.outcome == "refused" and "a trial rate of 0.5" in found.reason


def test_facts_that_never_occur_are_refused_by_the_mechanism_that_contradicts_them():
    text = LATENT.replace("{when: {u: 0}, p: [0.9, 0.1]}", "{when: {u: 0}, p: [1.0, 0.0]}").replace(
        ", source: unmeasured", ""
    )
    told = answer(asked(causal_of(text), "total", ask="association", given={"u": 0}))
    assert told.outcome == "refused" and "the mechanism of 'x'" in told.reason
