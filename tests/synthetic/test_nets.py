"""The hand-compiled nets do what they say, by another way of computing it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from xai_audit.synthetic import nets
from xai_audit.synthetic.planted import BACKGROUND, planted


def shapley(value, players: int) -> list[float]:
    """Mean effect of joining, over every order of joining."""
    orders = list(itertools.permutations(range(players)))
    totals = np.zeros(players)
    for order in orders:
        present = torch.zeros(1, players)
        before = float(value(present)[0])
        for player in order:
            present[0, player] = 1
            after = float(value(present)[0])
            totals[player] += after - before
            before = after
    return list(totals / len(orders))


@pytest.mark.parametrize(
    ("game", "players", "truth"),
    [
        (nets.glove, 3, [1 / 6, 1 / 6, 2 / 3]),
        (nets.all_of, 3, [1 / 3] * 3),
        (nets.majority, 3, [1 / 3] * 3),
        (nets.weighted_majority, 4, [3 / 4, 1 / 12, 1 / 12, 1 / 12]),
    ],
)
def test_games_have_the_shapley_values_that_they_name(game, players: int, truth: list[float]) -> None:
    assert shapley(game, players) == pytest.approx(truth, abs=1e-6)


def test_a_game_as_a_net_gives_its_value() -> None:
    rows = torch.tensor([[1.0, 0, 1], [1, 1, 0], [0, 0, 1]])
    assert nets.Game(nets.glove)(rows[:, None, None, :])[:, 0].tolist() == [1, 0, 0]


def test_linear_and_pooled_and_flattened_follow_their_formulas() -> None:
    random = np.random.default_rng(0)
    x, w = random.random((2, 3, 4, 4)), random.normal(size=(2, 3, 4, 4))
    image, weight = torch.tensor(x), torch.tensor(w)
    bias = torch.tensor([0.5, -1.0], dtype=torch.float64)
    expected = (x[:, None] * w[None]).sum((2, 3, 4)) + bias.numpy()
    assert nets.Linear(weight, bias)(image).detach().numpy() == pytest.approx(expected, abs=1e-12)
    kernel = nets.identity_kernel(3, torch.float64)
    flat = nets.Flattened(kernel, weight.reshape(2, -1), bias)(image)
    assert flat.detach().numpy() == pytest.approx(expected, abs=1e-12)
    pooled = nets.MeanPooled(kernel, weight[:, :, 0, 0], bias)(image)
    means = x.mean((2, 3)) @ w[:, :, 0, 0].T + bias.numpy()
    assert pooled.detach().numpy() == pytest.approx(means, abs=1e-12)


def test_a_compiled_tree_answers_as_its_tests_say() -> None:
    root = nets.Split(0, 0.5, nets.Split(1, 0.3, 0, 1), nets.Split(2, 0.7, 2, 0))
    rows = np.random.default_rng(1).random((200, 3))
    expected = [(0 if b < 0.3 else 1) if a < 0.5 else (2 if c < 0.7 else 0) for a, b, c in rows]
    scores = nets.CompiledTree(root, 3)(torch.tensor(rows)[:, None, None, :])
    assert scores.argmax(1).tolist() == expected
    assert scores.sum(1).tolist() == [1] * 200


def test_a_region_reader_sees_its_region_alone() -> None:
    images = planted(6, 16)
    net = nets.RegionReader(torch.tensor(images.patch, dtype=torch.float32))
    pixels = torch.tensor(images.pixels)
    scores = net(pixels)
    assert scores.argmax(1).tolist() == images.labels.tolist()
    elsewhere = pixels.clone()
    elsewhere[:, :, ~images.patch] = 0.9
    assert torch.allclose(net(elsewhere), scores, atol=1e-5)
    margin = 20 * (images.pixels[:, :, images.patch].mean((1, 2)) - 0.5)
    assert (scores[:, 1] - scores[:, 0]).detach().numpy() == pytest.approx(margin, abs=1e-4)


def test_quarters_cover_the_image_once() -> None:
    masks = nets.quadrants(6)
    assert (masks.sum(0) == 1).all() and masks.flatten(1).sum(1).tolist() == [9] * 4


@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.75, 1.0])
def test_planted_images_say_where_the_cause_is(agreement: float) -> None:
    images = planted(40, 32, agreement=agreement)
    assert images.labels.sum() == 20
    assert (images.labels == images.token_says).sum() == round(agreement * 40)
    bright = images.pixels[:, :, images.patch].mean((1, 2)) > 0.5
    assert (bright == (images.labels == 1)).all()
    token = images.pixels[:, :, images.token].mean((1, 2)) > 0.5
    assert (token == (images.token_says == 1)).all()
    rest = ~(images.patch | images.token)
    assert math.isclose(float(images.pixels[:, :, rest].mean()), BACKGROUND, abs_tol=0.01)
    assert not (images.patch & images.token).any()


def test_planted_images_are_the_same_for_the_same_seed() -> None:
    assert (planted(3, 16, seed=4).pixels == planted(3, 16, seed=4).pixels).all()
    assert (planted(3, 16, seed=4).pixels != planted(3, 16, seed=5).pixels).any()


def test_an_image_too_small_for_its_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        planted(2, 16, side=12)
