"""Shapley estimators on games: METHODS 5's known answers, a second implementation over all orders, honest errors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_audit.explain.shapley.designs import Design, draw
from xai_audit.explain.shapley.exact import all_coalitions, exact, from_table
from xai_audit.explain.shapley.games import Array, Coalition, Estimate, Game, Playing, play
from xai_audit.explain.shapley.interactions import covariance, shapley_of_covariance
from xai_audit.explain.shapley.kernel import kernel
from xai_audit.explain.shapley.permutation import permutation
from xai_audit.explain.shapley.regression import PLAIN, Control, fitted, linear_map
from xai_audit.explain.shapley.through_shap import package

SAMPLINGS = ("leverage", "stratified", "kernel")


def table_game(v: Array) -> Game:
    """The game whose worths are listed, bit i of a coalition's number for player i."""
    return lambda z: v[(z.astype(np.int64) << np.arange(z.shape[1])).sum(1)]


def random_table(players: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=2**players)


def interacting(players: int, seed: int, orders: tuple[int, ...] = (1, 2, 3, 4), terms: int = 40) -> Game:
    """A sum of products over random sets: singles, pairs, triples and fours."""
    random = np.random.default_rng(seed)
    sets = [random.choice(players, order, replace=False) for order in orders for _ in range(terms)]
    sizes = random.normal(size=len(sets))
    return lambda z: sum(c * z[:, s].all(1) for c, s in zip(sizes, sets, strict=True)) + 0.0


def in_every_order(game: Game, players: int) -> Array:
    """Mean marginal effect over all orders of joining: Shapley's own definition, by loops."""
    total = np.zeros(players)
    for order in permutations(range(players)):
        present = np.zeros((players + 1, players), bool)
        for place, player in enumerate(order):
            present[place + 1 :, player] = True
        total[list(order)] += np.diff(game(present))
    return total / factorial(players)


def glove(z: Coalition) -> Array:
    return np.minimum(z[:, 0] * 1.0 + z[:, 1], z[:, 2])


def quota(weights: tuple[int, ...], needed: int) -> Game:
    return lambda z: (z @ np.array(weights) >= needed).astype(float)


@pytest.mark.parametrize(
    ("game", "wanted"),
    [
        (glove, (1 / 6, 1 / 6, 2 / 3)),
        (quota((1, 1, 1), 2), (1 / 3, 1 / 3, 1 / 3)),
        (quota((1, 1, 1), 3), (1 / 3, 1 / 3, 1 / 3)),
        (quota((3, 1, 1, 1), 4), (3 / 4, 1 / 12, 1 / 12, 1 / 12)),
    ],
    ids=["glove", "majority", "and", "weighted majority"],
)
@pytest.mark.parametrize("mode", ["exact", "kernel"])
def test_known_games(game: Game, wanted: tuple[float, ...], mode: str) -> None:
    players = len(wanted)
    found = play(exact(players) if mode == "exact" else kernel(players, 64, 0.0, "leverage", 0), game)
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-10)
    assert found.is_exact
    assert found.evaluations == 2**players
    np.testing.assert_array_equal(found.standard_errors, 0)


def test_a_linear_game_gives_its_weights_and_a_pair_is_halved() -> None:
    w = np.array([0.5, -2.0, 3.0, 0.0])
    np.testing.assert_allclose(play(exact(4), lambda z: z @ w + 7).values, w, atol=1e-12)
    found = play(exact(4), lambda z: z @ w + 3.0 * z[:, 1] * z[:, 3]).values
    np.testing.assert_allclose(found, w + np.array([0, 1.5, 0, 1.5]), atol=1e-12)


@pytest.mark.parametrize("players", [1, 2, 5, 6])
def test_exact_equals_the_mean_over_every_order(players: int) -> None:
    game = table_game(random_table(players))
    np.testing.assert_allclose(play(exact(players), game).values, in_every_order(game, players), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("players", [2, 3, 7, 12])
def test_kernel_with_every_coalition_is_exact(players: int, sampling: str) -> None:
    v = random_table(players)
    found = play(kernel(players, 2**players, 0.0, sampling, 1), table_game(v))
    np.testing.assert_allclose(found.values, from_table(v), rtol=0, atol=1e-8)
    assert found.is_exact


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_additive_game_of_forty_players_is_exact_from_400_pairs(sampling: str) -> None:
    w = np.random.default_rng(3).normal(size=40)
    found = play(kernel(40, 802, 0.0, sampling, 5), lambda z: z @ w - 2)
    np.testing.assert_allclose(found.values, w, rtol=0, atol=1e-10)
    assert found.standard_errors is not None
    assert found.standard_errors.max() < 1e-10


def test_additive_games_stop_at_the_first_test() -> None:
    w = np.random.default_rng(3).normal(size=40)
    for playing in (kernel(40, 4096, 0.01, "leverage", 5), permutation(40, 4096, 0.01, 5)):
        found = play(playing, lambda z: z @ w)
        assert found.evaluations <= 256
        assert found.has_converged
        np.testing.assert_allclose(found.values, w, rtol=0, atol=1e-10)


def test_float32_answers_of_an_additive_game_stay_within_float32() -> None:
    """METHODS 9: 4,096 evaluations of M = 40, relative error below 1e-5."""
    w = np.random.default_rng(4).normal(size=40).astype(np.float32)
    found = play(kernel(40, 2048, 0.0, "leverage", 5), lambda z: (z.astype(np.float32) @ w).astype(np.float64))
    assert np.linalg.norm(found.values - w) < 1e-5 * np.linalg.norm(w)


TABLES = st.integers(2, 6).flatmap(
    lambda players: st.lists(st.floats(-100, 100, width=32), min_size=2**players, max_size=2**players)
)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(0, 5), st.floats(-3, 3))
def test_axioms_hold_on_random_games(worths: list[float], which: int, times: float) -> None:
    """Efficiency, dummy, symmetry and linearity."""
    v = np.array(worths)
    players = len(v).bit_length() - 1
    z, i = all_coalitions(players), which % players
    numbers = np.arange(len(v))
    close = {"rtol": 0, "atol": 1e-9}
    np.testing.assert_allclose(from_table(v).sum(), v[-1] - v[0], **close)
    dummy = v[numbers & ~(1 << i)]  # worth never depends on player i
    np.testing.assert_allclose(from_table(dummy)[i], 0, **close)
    j = (i + 1) % players
    swapped = (numbers & ~((1 << i) | (1 << j))) | (z[:, i].astype(int) << j) | (z[:, j].astype(int) << i)
    alike = from_table(v + v[swapped])
    np.testing.assert_allclose(alike[i], alike[j], **close)
    other = np.sin(numbers)
    np.testing.assert_allclose(from_table(v + times * other), from_table(v) + times * from_table(other), **close)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(SAMPLINGS), st.sampled_from([64, 200, 500]))
def test_sampled_values_add_up_and_stay_within_the_cap(seed: int, sampling: str, evaluations: int) -> None:
    game, asked = interacting(12, seed), []

    def counted(z: Coalition) -> Array:
        asked.append(z)
        return game(z)

    for playing in (kernel(12, evaluations, 0.01, sampling, seed), permutation(12, evaluations, 0.01, seed)):
        asked.clear()
        found = play(playing, counted)
        assert abs(found.gap) < 1e-10
        rows = np.concatenate(asked)
        assert len(rows) == found.evaluations <= evaluations


def test_pairs_are_complements_and_none_comes_twice() -> None:
    for sampling in SAMPLINGS:
        design = draw(9, 200, sampling, 4)
        np.testing.assert_array_equal(design.rows[::2], ~design.rows[1::2])
        assert len(np.unique(design.rows, axis=0)) == 400
        assert not design.rows.all(1).any()


def test_small_sizes_are_whole_where_their_sets_fit() -> None:
    """Nine players, 200 of 255 pairs: sizes 1 and 8 have nine sets each."""
    design = draw(9, 200, "leverage", 4)
    sizes = np.minimum(design.half.sum(1), 9 - design.half.sum(1))
    assert (sizes == 1).sum() == 9
    weights = design.weights[sizes == 1]
    np.testing.assert_allclose(weights, 2 / (1 * 8) / 9)


def test_weights_of_all_pairs_are_the_kernel() -> None:
    """mu(s) = (M - 1) / (C(M, s) s (M - s))"""
    design = draw(5, 99, "leverage", 0)
    assert design.is_whole
    s = design.half.sum(1)
    mu = {1: 4 / (5 * 4), 2: 4 / (10 * 6), 3: 4 / (10 * 6), 4: 4 / (5 * 4)}
    np.testing.assert_allclose(design.weights / design.weights[0], np.array([mu[k] for k in s]) / mu[s[0]])


def test_without_interactions_it_is_the_kernel_regression_of_the_paper() -> None:
    """A second implementation: all rows and complements, weights mu / probability, the last variable eliminated."""
    players, game = 10, interacting(10, 3)
    design = draw(players, 150, "leverage", 2)
    v = game(design.rows)
    empty, full = game(np.array([[False] * players, [True] * players]))
    z, weights = design.rows.astype(float), np.repeat(design.weights, 2)
    x = z[:, :-1] - z[:, -1:]
    y = v - empty - z[:, -1] * (full - empty)
    root = np.sqrt(weights)[:, None]
    plain = np.linalg.lstsq(x * root, y * root[:, 0], rcond=None)[0]
    wanted = np.append(plain, full - empty - plain.sum())
    answers = np.append((v[::2] - v[1::2]) / 2, (full - empty) / 2)
    found, _ = linear_map(fitted(design, PLAIN)).estimate(answers)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)  # the constraint is held to 1e-10 of a variance


def test_the_interactions_have_their_shapley_values_in_closed_form() -> None:
    z = all_coalitions(7)
    x = 2.0 * z - 1
    for a in (0.05, 0.3, 0.6):
        games = covariance(x, x[3:9], a)
        for place in range(6):
            wanted = from_table(games[:, place])
            np.testing.assert_allclose(shapley_of_covariance(x[3:9], a)[:, place], wanted, rtol=0, atol=1e-12)


def test_the_jackknife_is_that_of_fits_without_each_block() -> None:
    """The closed form of a block left out equals fitting again without it."""
    players, game = 8, interacting(8, 5)
    design, control = draw(players, 100, "leverage", 2), Control(1.5, 0.3)
    v = game(design.rows)
    ends = game(np.array([[False] * players, [True] * players]))
    answers = np.append((v[::2] - v[1::2]) / 2, (ends[1] - ends[0]) / 2)
    values, errors = linear_map(fitted(design, control)).estimate(answers)
    parts = [_refitted(design, np.arange(100) % 20 != block, control, answers) for block in range(20)]
    np.testing.assert_allclose(errors, np.sqrt(19 / 20 * ((parts - np.mean(parts, 0)) ** 2).sum(0)), rtol=1e-5)
    assert values.shape == (players,)


def _refitted(design: Design, kept: np.ndarray, control: Control, answers: Array) -> Array:
    """Generalised least squares and the interactions' mean, with plain inverses, on some of the pairs."""
    x = np.vstack([2.0 * design.half[kept] - 1, np.ones(design.players)])
    y = answers[np.append(kept, True)]
    a = control.of(design.players)
    noise = design.weights.mean() / design.weights[kept] * control.noise
    sigma = covariance(x, x, a) + np.diag(np.append(noise, 0) + 1e-10)
    inverse, h = np.linalg.inv(sigma), x / 2
    beta = np.linalg.solve(h.T @ inverse @ h, h.T @ inverse @ y)
    return beta + shapley_of_covariance(x, a) @ inverse @ (y - h @ beta)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("evaluations", [256, 1024])
def test_three_standard_errors_cover_95_of_100_errors(sampling: str, evaluations: int) -> None:
    """METHODS 9, on games of 14 players with terms of one to four."""
    inside, players = [], 14
    for seed in range(12):
        game = interacting(players, seed)
        truth = from_table(game(all_coalitions(players)))
        found = play(kernel(players, evaluations, 0.0, sampling, seed + 100), game)
        assert found.standard_errors is not None
        inside.append(np.abs(found.values - truth) <= 3 * found.standard_errors + 1e-12)
    assert np.mean(inside) >= 0.95


def test_permutation_errors_cover_as_well() -> None:
    inside, players = [], 14
    for seed in range(20):
        game = interacting(players, seed)
        truth = from_table(game(all_coalitions(players)))
        found = play(permutation(players, 1024, 0.0, seed), game)
        inside.append(np.abs(found.values - truth) <= 3 * np.asarray(found.standard_errors) + 1e-12)
    assert np.mean(inside) >= 0.95


def test_standard_errors_are_of_the_size_of_the_errors() -> None:
    """Not so wide that they say nothing: on rough games within a factor 3 of the root mean squared error."""
    ratios = []
    for seed in range(8):
        v = random_table(12, seed)
        found = play(kernel(12, 400, 0.0, "leverage", seed), table_game(v))
        error = np.sqrt(((found.values - from_table(v)) ** 2).mean())
        ratios.append(np.sqrt((np.asarray(found.standard_errors) ** 2).mean()) / error)
    assert 1 / 3 < np.median(ratios) < 3


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (lambda seed: kernel(6, 34, 0.0, "leverage", seed), 1 / 3),
        (lambda seed: permutation(6, 34, 0.0, seed), 0.0),
    ],
    ids=["kernel", "permutation"],
)
def test_mean_over_seeds_is_the_exact_value(make: Callable[[int], Playing], allowed: float) -> None:
    """Permutation is unbiased; the regression's bias, on a game of pure noise, is below a third of one draw's error."""
    v = random_table(6, 11)
    truth = from_table(v)
    draws = np.stack([play(make(seed), table_game(v)).values for seed in range(400)])
    spread = draws.std(0) / np.sqrt(len(draws))
    bias = np.abs(draws.mean(0) - truth)
    assert (bias <= 4 * spread + allowed * draws.std(0)).all()


def test_error_falls_below_half_of_shaps_kernel_explainer() -> None:
    """On smooth games, at 300 queries; shap's is run with l1_reg off."""
    ratios = []
    for seed in range(5):
        game = smooth(12, seed)
        truth = from_table(game(all_coalitions(12)))
        ours = play(kernel(12, 300, 0.0, "leverage", seed), game).values
        theirs = kernel_explainer(game, 12, 300, l1_reg=False)
        ratios.append(np.linalg.norm(ours - truth) / np.linalg.norm(theirs - truth))
    assert np.median(ratios) < 0.5


def smooth(players: int, seed: int) -> Game:
    """A small net of tanh units."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(players, 20)) * 0.3, random.normal(size=20)
    return lambda z: np.tanh(z @ first - 0.3) @ second


def kernel_explainer(game: Game, players: int, queries: int, **settings: object) -> Array:
    state = np.random.get_state()
    np.random.seed(0)
    try:
        explainer = package().KernelExplainer(lambda rows: game(np.asarray(rows) > 0.5), np.zeros((1, players)))
        found = explainer.shap_values(np.ones((1, players)), nsamples=queries, silent=True, **settings)
    finally:
        np.random.set_state(state)
    return np.asarray(found[0], np.float64)


def test_l1_reg_of_shap_drops_players_without_a_word() -> None:
    """METHODS 5: its default keeps ten features of a linear model, and the sum still matches; l1_reg=False is exact."""
    w = np.random.default_rng(0).normal(size=40) + 2
    game = lambda z: z @ w  # noqa: E731
    lasso = kernel_explainer(game, 40, 1000, l1_reg="num_features(10)")
    assert np.count_nonzero(lasso) == 10
    assert lasso.sum() == pytest.approx(w.sum(), abs=1e-6)
    assert np.abs(lasso - w).max() > 1
    np.testing.assert_allclose(kernel_explainer(game, 40, 1000, l1_reg=False), w, atol=1e-6)
    np.testing.assert_allclose(play(kernel(40, 1000, 0.0, "leverage", 0), game).values, w, atol=1e-10)


def test_many_pairs_are_corrected_by_what_the_fit_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the pairs that one model takes, the later ones correct it: errors still cover, and still fall."""
    monkeypatch.setattr("xai_audit.explain.shapley.kernel.MOST_PAIRS", 300)
    monkeypatch.setattr("xai_audit.explain.shapley.kernel.LEAD", 200)
    game = interacting(13, 1)
    truth = from_table(game(all_coalitions(13)))
    found = play(kernel(13, 3000, 0.0, "leverage", 0), game)
    fewer = play(kernel(13, 400, 0.0, "leverage", 0), game)
    assert (np.abs(found.values - truth) <= 3 * np.asarray(found.standard_errors) + 1e-12).mean() >= 0.9
    assert np.linalg.norm(found.values - truth) < np.linalg.norm(fewer.values - truth)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    game = interacting(16, 0)
    ran: Callable[[int], Estimate] = lambda seed: play(kernel(16, 300, 0.0, "leverage", seed), game)  # noqa: E731
    np.testing.assert_array_equal(ran(4).values, ran(4).values)
    assert (ran(4).values != ran(5).values).any()
