"""Fitted mechanisms: known answers, tests on held-out rows with planted faults, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.causal.causal_asking import asked, causal_of, sample_of
from xai_audit.causal.answering import answer
from xai_audit.causal.scm.fitted import fit
from xai_audit.causal.scm.logistic import Logistic
from xai_audit.causal.scm.mechanisms import Scored
from xai_audit.errors import Refusal

TEXT = """
variables: {z: {role: confounder, domain: {levels: [low, high]}, source: {column: z}},
  x: {role: treatment, domain: {range: [-99, 99]}, source: {column: x}},
  y: {role: outcome, domain: {range: [-999, 999]}, source: {column: y}},
  d: {role: outcome, domain: {levels: [0, 1]}, source: {column: d}}}
edges: [z -> d, x -> y, x -> d]
mechanisms: {z: {kind: fit, family: table}, x: {kind: fit, family: linear}, y: {kind: fit, family: linear}, d: {kind: fit, family: logistic}}
queries:
  - {id: unit, ask: counterfactual, given: {x: 1, y: 4}, do: {x: 3}, on: y}
  - {id: total, ask: ate, do: {x: [0, 1]}, on: y, answer_by: mechanisms}
"""  # noqa: E501


def data(n=3000, curve=0.0, seed=0):
    rng = np.random.default_rng(seed)
    z, x = rng.random(n) < 0.3, rng.normal(1, 2, n)
    y = 1 + 2 * x + curve * x**2 + rng.normal(0, 1.5, n)
    logit = -0.5 + 0.8 * x - 1.0 * z + curve * (x**2 - 3)
    d = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    return {"z": np.where(z, "high", "low"), "x": x, "y": y, "d": d}


def fitted(name, columns, text=TEXT):
    causal = causal_of(text)
    query = asked(causal, "unit", sample_of(causal, columns))
    return fit(query, query.graph, name)


def test_a_table_is_the_shares_and_an_equation_least_squares():
    columns = data()
    table = fitted("z", columns).mechanism
    assert table.factor.values == pytest.approx([np.mean(columns["z"] == "low"), np.mean(columns["z"] == "high")])
    line = fitted("y", columns).mechanism
    slope, intercept = np.polyfit(columns["x"], columns["y"], 1)
    assert (line.intercept, line.weights["x"]) == (pytest.approx(intercept), pytest.approx(slope))
    left = columns["y"] - intercept - slope * columns["x"]
    assert line.sd == pytest.approx(np.sqrt(left @ left / (len(left) - 2)))


def test_a_logistic_fit_is_the_maximum_of_the_likelihood():
    import statsmodels.api as sm

    columns = data()
    found = fitted("d", columns).mechanism
    X = np.stack([np.ones(3000), columns["x"], columns["z"] == "low"], 1).astype(float)
    truth = sm.Logit(columns["d"], X).fit(disp=0).params
    assert found.coefficients[:, 1] - found.coefficients[:, 0] == pytest.approx(truth, abs=1e-4)


def test_the_right_family_passes_its_held_out_tests_and_a_wrong_one_fails():
    fine, bent = fitted("y", data()).report["tests"], fitted("y", data(curve=0.3)).report["tests"]
    assert fine["residuals"]["x"]["mean_p"] > 0.01 and fine["residuals"]["x"]["size_p"] > 0.01
    assert bent["residuals"]["x"]["mean_p"] < 1e-6
    assert 0.8 < fine["r_squared"] < 1
    fine, bent = fitted("d", data()).report["tests"], fitted("d", data(curve=0.4)).report["tests"]
    assert fine["calibration"]["1"]["p"] > 0.01 and fine["residuals"]["x"]["mean_p"] > 0.01
    assert bent["residuals"]["x"]["mean_p"] < 1e-2


def test_a_counterfactual_on_a_fit_has_an_interval_that_holds_the_truth():
    causal = causal_of(TEXT)
    found = answer(asked(causal, "unit", sample_of(causal, data(800))))
    (amount,) = found.amounts
    assert amount.standing == "draws" and amount.low < 4 + 2 * 2 < amount.high
    assert amount.high - amount.low < 0.5
    assert found.details["fits"]["y"]["held_out_rows"] == 240
    total = answer(asked(causal, "total", sample_of(causal, data(800))))
    assert total.amounts[0].low < 2 < total.amounts[0].high


@pytest.mark.parametrize("learner", ["gradient_boosting", "nearest_neighbours", "linear"])
def test_additive_learners_find_a_curve_and_their_noise(learner):
    text = TEXT.replace("y: {kind: fit, family: linear}", f"y: {{kind: additive, fit: {{learner: {learner}}}}}")
    curve = 0.0 if learner == "linear" else 0.3
    found = fitted("y", data(2000, curve), text)
    at = {"x": np.array([-1.0, 1.0, 3.0])}
    truth = 1 + 2 * at["x"] + curve * at["x"] ** 2
    assert found.mechanism.without_noise(at, 3) == pytest.approx(truth, abs=1.3)
    assert np.std(found.mechanism.noise.residuals) == pytest.approx(1.5, rel=0.15)
    assert found.report["learner"] == learner


def test_a_fit_that_an_unmeasured_cause_spoils_is_refused():
    text = TEXT.replace("edges: [", "edges: [x <-> y, ")
    causal = causal_of(text)
    found = answer(asked(causal, "unit", sample_of(causal, data(100))))
    assert found.outcome == "refused" and "an unmeasured cause joins" in found.reason


def test_a_combination_that_never_occurs_is_refused_and_not_smoothed():
    text = TEXT.replace("z -> d, x -> y, x -> d", "z -> d").replace(
        "d: {kind: fit, family: logistic}", "d: {kind: fit, family: table}"
    )
    columns = data(100)
    columns["z"] = np.full(100, "low")
    causal = causal_of(text)
    found = answer(asked(causal, "total", sample_of(causal, columns), do={"z": ["low", "high"]}, on="d"))
    assert found.outcome == "refused" and "no row with z high" in found.reason


def test_a_logistic_mechanism_says_that_it_tells_no_noise_and_a_score_that_it_has_no_density():
    logistic = Logistic("x", np.zeros((1, 2)), (), {})
    assert not logistic.can_abduct
    with pytest.raises(Refusal, match=r"causal\.mechanisms\.x"):
        logistic.abduct({}, np.zeros(1, np.int64))
    scored = Scored(lambda cases, changes: np.zeros(len(cases)), np.zeros(1, np.int64))
    assert not scored.has_density
    with pytest.raises(Refusal, match="density"):
        scored.log_prob({}, np.zeros(1))
