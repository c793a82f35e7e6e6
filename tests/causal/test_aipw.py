"""AIPW: agreement with closed forms, double robustness, coverage, overlap and clusters."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from causal.measured import question
from scipy.special import expit

from xai_audit.causal.estimation.aipw import Arm, mean_of_scores
from xai_audit.causal.estimation.continuous import answer_continuous
from xai_audit.causal.estimation.nuisances import Predicted, folds_by_cluster
from xai_audit.causal.estimation.robust import amount
from xai_audit.errors import Refusal
from xai_audit.graphs.identify import identify

EDGES = ["z -> t", "z -> y", "t -> y"]
LEVELS = {"t": ["old", "new"]}


def world(n=1_000, seed=0, effect=2.0, modified=0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    t = (rng.random(n) < expit(0.8 * z)).astype(int)
    y = (effect + modified * z) * t + np.sin(2 * z) + z**2 + rng.normal(size=n)
    return {"z": z, "t": t, "y": y}


def answered(asked):
    return answer_continuous(asked, identify(asked.graph, (asked.on,), asked.treatments), None)


def ask(data, kind="ate", **keys):
    keys = {"on": "y", "do": {"t": ["old", "new"]}} | keys
    return answered(question(EDGES, data, kind, levels=LEVELS | keys.pop("levels", {}), **keys))


def test_a_curved_confounder_is_adjusted_for_where_a_line_would_mislead():
    found = ask(world(4_000))
    (one,) = found.amounts
    assert found.outcome == "identified" and found.estimator.startswith("AIPW") and one.name == "total"
    assert abs(one.estimate - 2.0) < 4 * one.standard_error < 0.25
    assert found.overlap["truncated"] == 0.0 and len(found.overlap["calibration"]) == 10
    for band in found.overlap["calibration"]:
        assert abs(band["predicted"] - band["seen"]) < 4 * np.sqrt(0.25 / band["units"])


def test_with_nothing_to_adjust_for_it_is_the_difference_of_means():
    rng = np.random.default_rng(1)
    n = 2_000
    t = rng.integers(0, 2, n)
    y = t + rng.normal(size=n)
    (one,) = answered(question(["t -> y"], {"t": t, "y": y}, levels={"t": [0, 1]}, on="y", do={"t": [0, 1]})).amounts
    plain = y[t == 1].mean() - y[t == 0].mean()
    error = np.sqrt(y[t == 1].var() / (t == 1).sum() + y[t == 0].var() / (t == 0).sum())
    assert one.estimate == pytest.approx(plain, abs=0.1 * error)
    assert one.standard_error == pytest.approx(error, rel=0.02)


def test_att_and_cate_answer_for_their_own_units():
    data = world(4_000, modified=1.0)
    data["g"] = (data["z"] > 0).astype(int)
    truth = 2 + data["z"][data["t"] == 1].mean()
    (treated,) = ask(data, "att").amounts
    assert treated.name == "total_among_treated" and abs(treated.estimate - truth) < 4 * treated.standard_error
    edges = [*EDGES, "z -> g"]
    groups = answered(question(edges, data, "cate", levels=LEVELS | {"g": ["low", "high"]}, on="y",
                               do={"t": ["old", "new"]}, given=["g"])).amounts  # fmt: skip
    assert [one.label for one in groups] == ["g low", "g high"]
    for one, rows in zip(groups, (data["g"] == 0, data["g"] == 1), strict=True):
        assert abs(one.estimate - 2 - data["z"][rows].mean()) < 4 * one.standard_error


def test_the_mean_under_one_setting_and_a_condition_after_it():
    data = world(3_000)
    data["g"] = (data["z"] > 0).astype(int)
    keys = {"levels": LEVELS | {"g": [0, 1]}, "on": "y", "do": {"t": "new"}}
    (value,) = answered(question([*EDGES, "z -> g"], data, "interventional", **keys)).amounts
    truth = 2 + np.sin(2 * data["z"]) + data["z"] ** 2
    assert value.name == "value" and abs(value.estimate - truth.mean()) < 4 * value.standard_error
    (high,) = answered(question([*EDGES, "z -> g"], data, "interventional", **keys, given={"g": 1})).amounts
    assert high.name == "value" and abs(high.estimate - truth[data["g"] == 1].mean()) < 4 * high.standard_error


def test_three_levels_are_contrasted_in_pairs():
    rng = np.random.default_rng(3)
    n = 4_000
    z = rng.normal(size=n)
    t = np.argmax(rng.gumbel(size=(n, 3)) + np.outer(z, [0, 0.5, 1.0]), axis=1)
    y = np.array([0.0, 1.0, 3.0])[t] + z + rng.normal(size=n)
    (one,) = answered(question(EDGES, {"z": z, "t": t, "y": y}, levels={"t": ["a", "b", "c"]}, on="y",
                               do={"t": ["a", "c"]})).amounts  # fmt: skip
    assert abs(one.estimate - 3.0) < 4 * one.standard_error


def test_rows_of_a_cluster_stay_together_and_widen_the_interval():
    clusters = np.repeat(np.arange(40), 25)
    folds = folds_by_cluster(clusters, np.random.default_rng(0))
    assert all(len(np.unique(folds[clusters == one])) == 1 for one in range(40)) and len(np.unique(folds)) == 5
    data = world(1_000)
    data = {name: np.repeat(column[:250], 4) for name, column in data.items()}
    alone, together = ask(data).amounts[0], ask(data, clusters=np.repeat(np.arange(250), 4)).amounts[0]
    assert together.standard_error == pytest.approx(2 * alone.standard_error, rel=0.25)
    with pytest.raises(Refusal, match="sampling units"):
        folds_by_cluster(np.arange(4), np.random.default_rng(0))


def test_a_setting_that_some_units_never_get_is_unsupported():
    rng = np.random.default_rng(4)
    z = np.concatenate([rng.normal(-6, 1, 500), rng.normal(6, 1, 500)])
    t = (z > 0).astype(int)
    t[:3] = 1 - t[:3]
    found = ask({"z": z, "t": t, "y": z + t + rng.normal(size=1_000)})
    assert found.outcome == "unsupported" and not found.amounts and found.overlap["effective_n"] < 20


def test_the_same_seed_gives_the_same_number():
    assert ask(world()).amounts[0].estimate == ask(world()).amounts[0].estimate


def test_every_set_stands_beside():
    rng = np.random.default_rng(5)
    n = 1_500
    s = rng.normal(size=n)
    z = s + rng.normal(size=n)
    t = (rng.random(n) < expit(s)).astype(int)
    y = 1.0 * t + z + rng.normal(size=n)
    found = answered(question(["s -> z", "s -> t", "z -> y", "t -> y"], {"s": s, "z": z, "t": t, "y": y},
                              levels=LEVELS, on="y", do={"t": ["old", "new"]}))  # fmt: skip
    assert [one.by for one in found.alternatives] == ["{s}", "{z}"] and found.warnings == ()
    assert all(abs(one.amount.estimate - 1.0) < 4 * one.amount.standard_error for one in found.alternatives)


@pytest.mark.slow
def test_boosted_trees_are_taken_where_they_predict_held_out_rows_best():
    rng = np.random.default_rng(6)
    z = rng.uniform(0, 8, 6_000)
    t = (rng.random(6_000) < np.where(np.floor(z) % 2, 0.7, 0.3)).astype(int)
    y = t + 3 * (np.floor(z) % 2) + rng.normal(size=6_000)
    found = ask({"z": z, "t": t, "y": y})
    assert found.overlap["learners"][0] == {"share": "boosted trees", "outcome": "boosted trees"}
    assert abs(found.amounts[0].estimate - 1) < 4 * found.amounts[0].standard_error
    losses = found.details["learners"][0]["outcome"]
    assert losses["boosted trees"] == min(losses.values()) and len(losses) == 3


def test_scikit_learn_is_loaded_only_when_it_is_used():
    code = (
        "import sys, xai_audit.causal.estimation.continuous, xai_audit.causal.published\n"
        "heavy = {'sklearn', 'statsmodels', 'sympy', 'dowhy', 'pgmpy', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    bad = subprocess.run([sys.executable, "-c", "import sklearn\n" + code], capture_output=True, text=True, check=False)
    assert bad.returncode and "sklearn" in bad.stderr


def test_the_interval_holds_the_truth_as_often_as_it_says_where_shares_and_means_are_known():
    """2,000 draws: the error of a share of 95 % is 0.5 %."""
    held = []
    base = question(EDGES, world(400), levels=LEVELS, on="y", do={"t": ["old", "new"]}).sample
    for seed in range(2_000):
        data = world(400, seed)
        sample = replace(base, columns=data)
        e, curve = expit(0.8 * data["z"]), np.sin(2 * data["z"]) + data["z"] ** 2
        old, new = (
            Arm(sample, data["t"] == t, data["y"], Predicted(np.abs(1 - t - e), "", {}),
                Predicted(curve + 2.0 * t, "", {}))
            for t in (0, 1)
        )  # fmt: skip
        one = amount(sample, "total", mean_of_scores(sample, new.scores - old.scores), 0.05)
        held.append(one.low <= 2.0 <= one.high)
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.slow
def test_what_is_learnt_makes_the_interval_no_narrower_than_it_should_be():
    """40 draws by the whole estimator, no refuters: with coverage of 95 %, fewer than 34 hold the truth in 1 of 300."""
    none = {"refuters": []}
    amounts = [ask(world(400, seed), checks=none).amounts[0] for seed in range(40)]
    assert sum(one.low <= 2.0 <= one.high for one in amounts) >= 34
    errors = np.array([(one.estimate - 2.0) / one.standard_error for one in amounts])
    assert 0.7 < errors.std() < 1.35 and abs(errors.mean()) < 0.5
