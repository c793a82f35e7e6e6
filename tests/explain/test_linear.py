"""The regression behind lime: METHODS' numbers, other libraries' numbers, and errors that cover what they should."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from lime.lime_base import LimeBase
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import pairwise_distances

from xai_audit.explain.lime import draw
from xai_audit.explain.lime_settings import LimeSettings
from xai_audit.explain.linear import Fit, kernel, weighted_ridge
from xai_audit.spec.methods import Slic

ALL = np.array(list(product([True, False], repeat=4)))
"""The 16 rows of four superpixels."""
WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])


def fitted(rows: np.ndarray, y: np.ndarray, width: float | None = 0.25, alpha: float = 1.0) -> Fit:
    found = weighted_ridge(rows, y, kernel(rows, width), alpha, np.arange(len(rows)))
    assert found is not None
    return found


def test_known_answer_of_sixteen_rows() -> None:
    """METHODS 5, lime."""
    found = fitted(ALL, ALL @ WEIGHTS)
    np.testing.assert_allclose(found.coefficients, [0.038606, 0.105367, 0.172127, 0.238887], rtol=0, atol=5e-7)
    assert found.intercept == pytest.approx(0.290735, abs=5e-7)
    assert found.r2 == pytest.approx(0.823293, abs=5e-7)


def test_known_answer_of_the_rows_sixty_four_times() -> None:
    rows = np.tile(ALL, (64, 1))
    found = fitted(rows, rows @ WEIGHTS)
    np.testing.assert_allclose(found.coefficients, [0.098064, 0.197293, 0.296521, 0.395749], rtol=0, atol=5e-7)


def test_without_a_penalty_an_additive_target_is_found_exactly() -> None:
    found = fitted(ALL, ALL @ WEIGHTS + 0.7, alpha=0.0)
    np.testing.assert_allclose(found.coefficients, WEIGHTS, rtol=0, atol=1e-12)
    assert (found.intercept, found.r2) == (pytest.approx(0.7, abs=1e-12), pytest.approx(1.0, abs=1e-12))


def interacting(rows: np.ndarray) -> np.ndarray:
    return rows @ WEIGHTS + 0.5 * rows[:, 0] * rows[:, 1] - 0.3 * rows[:, 2] * rows[:, 3]


def test_equal_to_the_normal_equations_written_out() -> None:
    """A second implementation: an intercept column that is not penalised, no centring."""
    rng = np.random.default_rng(0)
    rows, y, pi = rng.random((40, 6)) < 0.5, rng.normal(size=40), rng.random(40)
    X = np.hstack([np.ones((40, 1)), rows])
    beta = np.linalg.solve(X.T @ (pi[:, None] * X) + 0.3 * np.diag([0, *[1] * 6]), X.T @ (pi * y))
    found = weighted_ridge(rows, y, pi, 0.3, np.arange(40))
    assert found is not None
    np.testing.assert_allclose([found.intercept, *found.coefficients], beta, rtol=0, atol=1e-12)
    left = y - X @ beta
    wanted = 1 - (pi * left**2).sum() / (pi * (y - np.average(y, weights=pi)) ** 2).sum()
    assert found.r2 == pytest.approx(wanted, abs=1e-12)


def test_equal_to_scikit_learn_and_to_the_lime_package() -> None:
    """The own fit of lime 0.2.0.1 on the same rows: coefficients, intercept, R2 and local prediction to 1e-10."""
    rows = np.random.default_rng(1).integers(0, 2, (200, 9)).astype(bool)
    rows[0] = True
    y = interacting(rows[:, :4]) + 0.1 * rows[:, 8]
    found = fitted(rows, y)
    ridge = Ridge(alpha=1.0).fit(rows, y, sample_weight=kernel(rows, 0.25))
    np.testing.assert_allclose(found.coefficients, ridge.coef_, rtol=0, atol=1e-10)
    distances = pairwise_distances(rows.astype(float), rows[:1].astype(float), metric="cosine").ravel()
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=0)
    given = (rows.astype(float), np.stack([y], axis=1), distances, 0, 9)
    intercept, exp, score, local = base.explain_instance_with_data(*given, feature_selection="none")
    theirs = np.array([value for _, value in sorted(exp)])
    np.testing.assert_allclose(found.coefficients, theirs, rtol=0, atol=1e-10)
    assert found.intercept == pytest.approx(intercept, abs=1e-10)
    assert found.r2 == pytest.approx(score, abs=1e-10)
    assert found.intercept + found.coefficients.sum() == pytest.approx(local[0], abs=1e-10)


def test_the_kernel_is_lime_s() -> None:
    """Distance of the full row 0, of the empty row 1 (where the cosine is 0 / 0), and the width in the exponent."""
    rows = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_allclose(kernel(rows, 0.25), [1, np.exp(-(0.5**2) / 0.125), np.exp(-1 / 0.125)], rtol=1e-15)
    np.testing.assert_array_equal(kernel(rows, None), 1)


def test_rows_that_do_not_tell_players_apart_give_no_fit() -> None:
    rows = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]], bool)
    assert weighted_ridge(rows, rows @ WEIGHTS[:3], np.ones(4), 0.0, np.arange(4)) is None
    assert weighted_ridge(rows, rows @ WEIGHTS[:3], np.ones(4), 1.0, np.arange(4)) is not None


def test_a_flat_target_has_no_coefficients_and_says_so() -> None:
    found = fitted(ALL, np.full(16, 3.0))
    assert found.is_flat
    assert (found.intercept, found.r2) == (pytest.approx(3.0), 0.0)
    assert not found.coefficients.any()
    assert not found.standard_errors.any()
    assert not fitted(ALL, 3.0 + 1e-6 * (ALL @ WEIGHTS)).is_flat


# Standard errors


def test_hc2_is_that_of_the_textbook() -> None:
    """X'X^-1 X' diag(e^2 / (1 - h)) X X'X^-1, on the whole design with its intercept (MacKinnon and White 1985)."""
    rng = np.random.default_rng(2)
    rows = rng.random((60, 5)) < 0.5
    y = rng.normal(size=60) * (1 + rows[:, 0])
    X = np.hstack([np.ones((60, 1)), rows])
    bread = np.linalg.inv(X.T @ X)
    e = y - LinearRegression().fit(rows, y).predict(rows)
    h = np.diag(X @ bread @ X.T)
    wanted = np.sqrt(np.diag(bread @ (X.T * (e**2 / (1 - h))) @ X @ bread))[1:]
    found = weighted_ridge(rows, y, np.ones(60), 0.0, np.arange(60))
    assert found is not None
    np.testing.assert_allclose(found.standard_errors, wanted, rtol=1e-10)


def test_cr2_is_that_of_the_textbook() -> None:
    """Scores X_g' W_g^1/2 (I - H_gg)^-1/2 W_g^1/2 e_g of pairs, by an eigen decomposition of each block."""
    rng = np.random.default_rng(3)
    half = rng.random((30, 5)) < 0.5
    rows = np.stack([half, ~half], 1).reshape(60, 5)
    y, pi = rng.normal(size=60) + rows @ np.arange(5.0), rng.random(60) + 0.2
    X = np.sqrt(pi)[:, None] * np.hstack([np.ones((60, 1)), rows])
    penalty = 0.4 * np.diag([0, *[1] * 5])
    bread = np.linalg.inv(X.T @ X + penalty)
    e = np.sqrt(pi) * y - X @ (bread @ (X.T @ (np.sqrt(pi) * y)))
    meat = np.zeros((6, 6))
    for start in range(0, 60, 2):
        block = slice(start, start + 2)
        values, vectors = np.linalg.eigh(np.eye(2) - X[block] @ bread @ X[block].T)
        score = X[block].T @ (vectors / np.sqrt(values) @ vectors.T) @ e[block]
        meat += np.outer(score, score)
    found = weighted_ridge(rows, y, pi, 0.4, np.repeat(np.arange(30), 2))
    assert found is not None
    np.testing.assert_allclose(found.standard_errors, np.sqrt(np.diag(bread @ meat @ bread))[1:], rtol=1e-9)


def settings(samples: int, is_paired: bool) -> LimeSettings:
    return LimeSettings(Slic(), "superpixel_mean", samples, None, 0.0, is_paired)


def game(players: int) -> Callable[[np.ndarray], np.ndarray]:
    """A probability of weights and pairs: curved, as nets are."""
    rng = np.random.default_rng(players)
    w = 2 * rng.normal(size=players) / np.sqrt(players)
    pairs = np.triu(rng.normal(size=(players, players)) * (rng.random((players, players)) < 0.2), 1) / np.sqrt(players)
    return lambda z: 1 / (1 + np.exp(-3 * (z @ w + np.einsum("ni,ij,nj->n", z, pairs, z) - 0.3)))


@pytest.mark.parametrize(
    ("is_paired", "width", "alpha", "players", "samples"),
    [(False, 0.25, 1.0, 20, 200), (True, None, 0.0, 20, 200), (True, 0.25, 1.0, 20, 200), (False, 0.25, 1.0, 12, 600)],
)
def test_intervals_cover_what_other_draws_give(
    is_paired: bool, width: float | None, alpha: float, players: int, samples: int
) -> None:
    """Of 150 draws times the players: 95 % intervals hold the mean over draws in 92.5 to 97 %; errors are 8 % right."""
    f, found = game(players), []
    for seed in range(150):
        drawn = draw(settings(samples, is_paired), players, seed)
        rows = drawn.rows
        fit = weighted_ridge(rows, f(rows.astype(float)), kernel(rows, width), alpha, drawn.blocks)
        assert fit is not None
        found.append((fit.coefficients, fit.standard_errors))
    b, errors = (np.stack(part) for part in zip(*found, strict=True))
    told = np.sqrt((errors**2).mean() / b.var(0, ddof=1).mean())
    covered = (np.abs(b - b.mean(0)) <= 1.96 * errors).mean()
    assert 0.92 < told < 1.08
    assert 0.925 <= covered <= 0.97


def test_the_usual_formula_would_not_cover_pairs() -> None:
    """The negative control: variance times (Z'PZ)^-1 is too wide by half for pairs, for it takes them for strangers."""
    f, b, usual = game(20), [], []
    for seed in range(60):
        drawn = draw(settings(200, is_paired=True), 20, seed)
        rows = drawn.rows.astype(float)
        y = f(rows)
        fit = weighted_ridge(drawn.rows, y, np.ones(200), 0.0, drawn.blocks)
        assert fit is not None
        b.append(fit.coefficients)
        Z = rows - rows.mean(0)
        left = ((y - y.mean() - Z @ fit.coefficients) ** 2).sum() / (200 - 21)
        usual.append(left * np.diag(np.linalg.inv(Z.T @ Z)))
    assert np.sqrt(np.mean(usual) / np.stack(b).var(0, ddof=1).mean()) > 1.3
