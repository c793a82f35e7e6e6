"""Ridge and logistic vectors are what the textbook and scikit-learn give, in float64, however many are made at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler

from xai_audit.concepts.classifiers import Standardised, right_answers, unit_normals, weights
from xai_audit.errors import StepError

TIGHT = 1e-10  # METHODS 9: float64


def images(units: int, count: int = 90, seed: int = 0) -> np.ndarray:
    """Activations of different sizes and means, correlated with each other."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((count, units)) @ rng.standard_normal((units, units))
    return np.abs(mixed) * rng.uniform(0.1, 30, units) + rng.uniform(0, 5, units)


def pairs(size: int, count: int = 90, number: int = 7) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(count)[: 2 * size] for _ in range(number)])


def of_sklearn(data: np.ndarray, rows: np.ndarray, model: object) -> tuple[np.ndarray, np.ndarray]:
    """Weights in standardised units and the unit normal in the data's own, by scikit-learn alone."""
    scaler = StandardScaler().fit(data)
    y = np.repeat([1, 0], len(rows) // 2)
    w = model.fit(scaler.transform(data[rows]), y).coef_.ravel()
    normal = w / scaler.scale_
    return w, normal / np.linalg.norm(normal)


@pytest.mark.parametrize("units", [5, 59, 60, 61, 200], ids=lambda units: f"{units} units, 60 images")
def test_ridge_is_that_of_scikit_learn(units: int) -> None:
    data, chosen = images(units), pairs(30)
    standard = Standardised.of(data)
    found, normals = weights(standard, chosen, "ridge"), unit_normals(standard, chosen, "ridge")
    for rows, w, normal in zip(chosen, found, normals, strict=True):
        theirs, direction = of_sklearn(data, rows, RidgeClassifier(alpha=1.0, solver="svd"))
        np.testing.assert_allclose(w, theirs, rtol=0, atol=TIGHT)
        np.testing.assert_allclose(normal, direction, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("units", [4, 150])
def test_ridge_solves_its_normal_equations(units: int) -> None:
    """Second implementation: the stacked least squares [X; I] w = [y; 0] with a column of ones that is not shrunk."""
    data, (rows, *_) = images(units), pairs(30)
    z = (data - data.mean(0)) / data.std(0)
    y = np.repeat([1.0, -1.0], 30)
    left = np.block([[z[rows], np.ones((60, 1))], [np.eye(units), np.zeros((units, 1))]])
    w = np.linalg.lstsq(left, np.concatenate([y, np.zeros(units)]), rcond=None)[0][:units]
    np.testing.assert_allclose(weights(Standardised.of(data), rows[None], "ridge")[0], w, rtol=0, atol=TIGHT)


def test_both_systems_give_one_vector() -> None:
    """With as many units as images either system may be solved; dropping or adding one image changes which."""
    data = images(60)
    wide = np.concatenate([data, np.zeros((90, 1))], axis=1)  # 61 units: the dual system, the same vectors
    primal = unit_normals(Standardised.of(data[:, :59]), pairs(30), "ridge")
    dual = unit_normals(Standardised.of(np.pad(data[:, :59], ((0, 0), (0, 2)))), pairs(30), "ridge")
    np.testing.assert_allclose(dual[:, :59], primal, rtol=0, atol=TIGHT)
    assert (dual[:, 59:] == 0).all()
    assert (unit_normals(Standardised.of(wide), pairs(30), "ridge")[:, 60] == 0).all()


def test_logistic_is_that_of_scikit_learn() -> None:
    data, chosen = images(6), pairs(30, number=3)
    for rows, normal in zip(chosen, unit_normals(Standardised.of(data), chosen, "logistic"), strict=True):
        _, direction = of_sklearn(data, rows, LogisticRegression(C=1.0, max_iter=10_000, tol=1e-10))
        np.testing.assert_allclose(normal, direction, rtol=0, atol=2e-3)  # L-BFGS stops at a gradient of 1e-4


def test_a_logistic_fit_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai_audit.concepts.classifiers.STEPS", 1)
    with pytest.raises(StepError, match=r"expected a fit within 1 steps\. Use `classifier: ridge`"):
        weights(Standardised.of(images(6)), pairs(30), "logistic")


def test_vectors_point_to_the_concept_and_have_length_one() -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((80, 12))
    data[:30, 3] += 4
    chosen = np.stack([np.concatenate([np.arange(30), 30 + rng.permutation(50)[:30]]) for _ in range(4)])
    for kind in ("ridge", "logistic"):
        normals = unit_normals(Standardised.of(data), chosen, kind)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=TIGHT)
        assert (normals[:, 3] > 0.7).all()
        swapped = unit_normals(Standardised.of(data), np.roll(chosen, 30, axis=1), kind)
        np.testing.assert_allclose(swapped, -normals, atol=1e-4 if kind == "logistic" else TIGHT)


@pytest.mark.parametrize("level", [0.0, 0.1, 1e6])
def test_a_unit_that_does_not_vary_has_no_weight(level: float) -> None:
    """0.1 has no exact float: its mean differs from it by rounding, which standardising would blow up."""
    data = images(5).astype(np.float32)
    data[:, 2] = level
    normals = unit_normals(Standardised.of(data), pairs(30), "ridge")
    assert (normals[:, 2] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=TIGHT)


def test_where_nothing_varies_there_is_no_vector_and_half_is_right() -> None:
    data, chosen = Standardised.of(np.ones((90, 4))), pairs(30)
    assert (unit_normals(data, chosen, "ridge") == 0).all()
    assert (right_answers(data, chosen, "ridge") == 30).all()


@pytest.mark.parametrize("size", [30, 33])
@pytest.mark.parametrize("units", [3, 80])
def test_held_out_answers_are_those_of_five_scikit_learn_fits(size: int, units: int) -> None:
    data, chosen = images(units), pairs(size, number=5)
    data[:25] += 0.3 * data.std(0)
    z = StandardScaler().fit_transform(data)
    counted = []
    for rows in chosen:
        y, right = np.repeat([1, 0], size), 0
        for fold in range(5):
            out = np.tile(np.arange(size) % 5 == fold, 2)
            fitted = RidgeClassifier(alpha=1.0, solver="svd").fit(z[rows[~out]], y[~out])
            right += int((fitted.predict(z[rows[out]]) == y[out]).sum())
        counted.append(right)
    assert right_answers(Standardised.of(data), chosen, "ridge").tolist() == counted


def test_held_out_accuracy_is_that_of_chance_on_chance_and_of_the_concept_on_a_concept() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 50))
    chosen = np.stack([rng.permutation(400)[:60] for _ in range(100)])
    assert abs(right_answers(Standardised.of(noise), chosen, "ridge").mean() / 60 - 0.5) < 0.03
    noise[:30] += 3 * np.eye(50)[0]
    own = np.stack([np.concatenate([np.arange(30), 30 + rng.permutation(370)[:30]]) for _ in range(20)])
    assert right_answers(Standardised.of(noise), own, "ridge").mean() / 60 > 0.75


def test_fits_made_together_are_those_made_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data, chosen = Standardised.of(images(80)), pairs(30)
    together = weights(data, chosen, "ridge")
    monkeypatch.setattr("xai_audit.concepts.classifiers._CELLS", 1)
    np.testing.assert_allclose(weights(data, chosen, "ridge"), together, rtol=0, atol=TIGHT)
