"""Agreement of answers with labels beyond chance: Cohen's kappa, R2, and what has none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, r2_score

from xai_audit.measures.predictions import Predictions
from xai_audit.measures.skill import skill


def answers(
    labels: np.ndarray, chosen: np.ndarray, classes: int = 3, clusters: np.ndarray | None = None
) -> Predictions:
    probabilities = np.eye(classes)[chosen] * 0.8 + 0.2 / classes
    names = tuple(f"class{k}" for k in range(classes))
    return Predictions("single_label", names, labels, np.log(probabilities), probabilities, clusters)


def test_equal_to_scikit_learn_and_right_answers_are_1() -> None:
    random = np.random.default_rng(0)
    labels, chosen = random.integers(0, 3, 90), random.integers(0, 3, 90)
    chosen[:45] = labels[:45]
    found = skill(answers(labels, chosen), random)
    assert found["estimate"] == pytest.approx(cohen_kappa_score(labels, chosen), abs=1e-12)
    assert 0.2 < found["low"] < found["estimate"] < found["high"] < 0.8
    assert skill(answers(labels, labels), random)["estimate"] == pytest.approx(1)


def test_one_answer_for_all_has_no_skill_and_its_interval_says_so() -> None:
    labels = np.arange(60) % 3
    found = skill(answers(labels, np.zeros(60, dtype=int)), np.random.default_rng(0))
    assert found["estimate"] == pytest.approx(0, abs=1e-12)
    assert found["low"] == pytest.approx(0, abs=1e-12) and found["high"] == pytest.approx(0, abs=1e-12)


def test_chance_reaches_zero() -> None:
    random = np.random.default_rng(1)
    found = skill(answers(random.integers(0, 3, 300), random.integers(0, 3, 300)), random)
    assert found["low"] < 0 < found["high"] and abs(found["estimate"]) < 0.15


def test_one_label_only_has_no_number() -> None:
    labels = np.zeros(30, dtype=int)
    assert skill(answers(labels, np.arange(30) % 3), np.random.default_rng(0))["estimate"] is None


def test_a_regression_is_judged_by_r2() -> None:
    random = np.random.default_rng(2)
    y = random.normal(size=(50, 1))
    guess = y + random.normal(size=(50, 1)) * 0.5
    part = Predictions("regression", ("value",), y, guess, None)
    found = skill(part, random)
    assert found["measure"] == "r2" and found["estimate"] == pytest.approx(r2_score(y, guess), abs=1e-12)
    assert found["low"] < found["estimate"] < found["high"]


def test_several_labels_are_judged_together() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, (40, 3))
    probabilities = np.where(random.random((40, 3)) < 0.8, labels, 1 - labels) * 0.8 + 0.1
    part = Predictions(
        "multi_label", ("a", "b", "c"), labels, np.log(probabilities / (1 - probabilities)), probabilities
    )
    wanted = cohen_kappa_score(labels.ravel(), (probabilities >= 0.5).astype(int).ravel())
    assert skill(part, random)["estimate"] == pytest.approx(wanted, abs=1e-12)
