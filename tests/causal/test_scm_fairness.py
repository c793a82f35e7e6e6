"""Counterfactual fairness: units after abduction, groups, unfair paths, bounds of open tables, an audited model."""

from __future__ import annotations

import numpy as np
import pytest

from tests.causal.causal_asking import asked, causal_of, sample_of
from xai_audit.causal.answering import answer

PAY = """
variables: {sex: {role: protected, domain: {levels: [f, m]}, source: {column: sex}},
  hours: {role: mediator, domain: {range: [0, 99]}, source: {column: hours}},
  skill: {role: cause, domain: {range: [-9, 9]}, source: {column: skill}},
  score: {role: model_output, source: {model: {class: good}}}}
edges: [sex -> hours, skill -> hours, hours -> score, sex -> score, skill -> score]
mechanisms:
  hours: {kind: additive, call: "m:hours", noise: {normal: [0, 2]}}
  score: {kind: model}
queries:
  - {id: fair, ask: counterfactual_fairness, do: {sex: [f, m]}, on: score, unfair_paths: ["sex -> score"], tolerance: 3}
"""


def hours(sex, skill):
    return 30 + 4.0 * (sex == "m") * (1 + skill) + skill


def score(cases, features):
    """Quadratic in hours, with a direct part of sex, and a feature that the graph does not hold."""
    return 0.01 * features["hours"] ** 2 + 1.0 * (features["sex"] == "m") * (features["skill"] > 0) + 0.1 * cases


CALLS = {"hours": hours, "model": score}


def data(n=400):
    rng = np.random.default_rng(2)
    sex = np.where(rng.random(n) < 0.4, "f", "m")
    skill = rng.normal(size=n)
    return {"sex": sex, "skill": skill, "hours": hours(sex, skill) + rng.normal(0, 2, n)}


def truth(columns):
    noise = columns["hours"] - hours(columns["sex"], columns["skill"])
    after = {s: hours(np.full(len(noise), s), columns["skill"]) + noise for s in "fm"}
    direct = 1.0 * (columns["skill"] > 0)
    return 0.01 * (after["m"] ** 2 - after["f"] ** 2) + direct, direct


def test_each_unit_changes_by_what_its_own_noise_says():
    causal, columns = causal_of(PAY), data()
    found = answer(asked(causal, "fair", sample_of(causal, columns), CALLS))
    total, direct = truth(columns)
    assert found.outcome == "identified"
    assert found.arrays["changes:total"][:, 0] == pytest.approx(total, abs=1e-9)
    assert found.arrays["changes:unfair_paths"][:, 0] == pytest.approx(direct, abs=1e-9)
    numbers = {(one.name, one.label): one for one in found.amounts}
    assert numbers["total", ""].estimate == pytest.approx(total.mean())
    for sex in "fm":
        assert numbers["total", f"sex {sex}"].estimate == pytest.approx(total[columns["sex"] == sex].mean())
    assert numbers["total", ""].low < total.mean() < numbers["total", ""].high
    assert found.details["beyond_tolerance"]["units"] == 0  # of the unfair path: at most 1
    assert found.details["distribution"]["quantiles"]["0.5"] == pytest.approx(np.median(total))


def test_the_contested_sentences_stand_beside_every_answer():
    causal = causal_of(PAY)
    for sample, given in ((sample_of(causal, data()), {}), (None, {"sex": "f", "skill": 1, "hours": 32})):
        found = answer(asked(causal, "fair", sample, CALLS, given=given))
        text = " ".join(found.warnings)
        assert "is contested" in text and "Leaving the protected column out" in text
        assert "calls unfair: sex -> score" in text


def test_one_unit_is_answered_from_its_facts():
    found = answer(asked(causal_of(PAY), "fair", None, CALLS, given={"sex": "f", "skill": 1, "hours": 32}))
    numbers = {one.name: one.estimate for one in found.amounts}
    assert numbers == {"total": pytest.approx(0.01 * (40**2 - 32**2) + 1), "unfair_paths": pytest.approx(1.0)}


def test_setting_what_a_unit_has_changes_nothing():
    causal, columns = causal_of(PAY), data(50)
    found = answer(asked(causal, "fair", sample_of(causal, columns), CALLS, do={"sex": ["m", "m"]}, unfair_paths=[]))
    assert np.abs(found.arrays["changes:total"]).max() == 0


def test_no_path_is_exactly_zero():
    text = PAY.replace("sex -> hours, ", "").replace("sex -> score, ", "").replace('"sex -> score"', "")
    text = text.replace('call: "m:hours", noise: {normal: [0, 2]}', 'call: "m:hours", noise: {normal: [0, 2]}')
    found = answer(asked(causal_of(text), "fair", None, CALLS))
    assert found.amounts[0].estimate == 0 and "no directed path" in found.reason


BRANCH = """
variables: {script: {role: protected, domain: {levels: [0, 1]}}, branch: {role: mediator, domain: {levels: [0, 1]}},
  score: {role: outcome, domain: {range: [-9, 9]}}}
edges: [script -> branch, branch -> score]
mechanisms:
  script: {kind: table, p: [0.5, 0.5]}
  branch: {kind: table, parents: [script], rows: [{when: {script: 0}, p: [0.7, 0.3]}, {when: {script: 1}, p: [0.4, 0.6]}]}
  score: {kind: linear, intercept: 1, weights: {branch: 2}, noise: {normal: [0, 1]}}
queries: [{id: fair, ask: counterfactual_fairness, do: {script: [0, 1]}, on: score}]
"""  # noqa: E501


def test_an_open_table_is_refused_for_a_unit_and_bounded_when_asked():
    unit = {"script": 0, "branch": 0, "score": 1.5}
    strict = answer(asked(causal_of(BRANCH), "fair", given=unit))
    assert strict.outcome == "refused" and "joint responses" in strict.reason and "branch" in strict.reason
    found = answer(asked(causal_of(BRANCH), "fair", given=unit, if_not_identified="bounds"))
    # branch becomes 1 in a share between (0.6 - 0.3) / 0.7 and 0.6 / 0.7 of such units
    assert found.amounts[0].bounds == (pytest.approx(2 * 0.3 / 0.7), pytest.approx(2 * 0.6 / 0.7))
    causal = causal_of(BRANCH)
    sample = sample_of(causal, {"script": [0, 1, 0], "branch": [0, 1, 1], "score": [1, 3, 3]})
    many = answer(asked(causal, "fair", sample, if_not_identified="bounds"))
    assert many.outcome == "bounded"
    assert many.arrays["changes:total"][0].tolist() == pytest.approx([2 * 0.3 / 0.7, 2 * 0.6 / 0.7])


def test_without_units_the_population_of_the_mechanisms_answers():
    found = answer(asked(causal_of(BRANCH), "fair"))
    assert found.amounts[0].estimate == pytest.approx(2 * 0.3)
    assert any("Single units are not shown" in one for one in found.warnings)
