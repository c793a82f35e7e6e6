"""Small changes of a picture against closed forms: shifts, quarter turns, twice the size, grey beyond the border."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from xai_audit.concepts.transforms import Changes, Moves


def moves(first=(0, 0), scale=1.0, degrees=0.0, last=(0, 0)) -> Moves:
    return Moves(
        torch.tensor([first], dtype=torch.float64),
        torch.tensor([scale], dtype=torch.float64),
        torch.tensor([degrees], dtype=torch.float64),
        torch.tensor([last], dtype=torch.float64),
    )


def picture(height=6, width=6, channels=2) -> Tensor:
    return torch.rand((1, channels, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def applied(x: Tensor, kinds=None, **how) -> Tensor:
    return Changes.of(tuple(x.shape[2:]), kinds).apply(x, moves(**how).maps(tuple(x.shape[2:])))


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_shift_moves_pixels_down_and_to_the_right_with_grey_behind(which):
    x = picture(5, 7)
    y = applied(x, **{which: (1, 2)})
    assert torch.allclose(y[:, :, 1:, 2:], x[:, :, :-1, :-2], atol=1e-12)
    assert torch.allclose(y[:, :, 0], torch.tensor(0.5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(y[:, :, :, :2], torch.tensor(0.5, dtype=torch.float64), atol=1e-12)


def test_without_pad_the_border_goes_on():
    x = picture()
    y = applied(x, ("jitter",), first=(0, 2))
    assert torch.allclose(y[:, :, :, 2:], x[:, :, :, :-2], atol=1e-12)
    assert torch.allclose(y[:, :, :, :2], x[:, :, :, :1].expand(-1, -1, -1, 2), atol=1e-12)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_those_of_rot90(quarters):
    x = picture()
    assert torch.allclose(applied(x, degrees=90.0 * quarters), torch.rot90(x, quarters, (2, 3)), atol=1e-12)


def test_a_shift_before_a_turn_is_turned_and_one_after_is_not():
    x = torch.full((1, 1, 7, 7), 0.5, dtype=torch.float64)
    x[0, 0, 3, 3] = 1.0
    before, after = applied(x, first=(0, 2), degrees=90.0), applied(x, degrees=90.0, last=(0, 2))
    assert [divmod(int(y.argmax()), 7) for y in (before, after)] == [(1, 3), (3, 5)]


def test_twice_the_size_has_the_means_of_neighbours_in_between():
    """Place i of the result shows place (i - 2.5) / 2 + 2.5 of a row of 6."""
    x = torch.arange(6, dtype=torch.float64).expand(1, 1, 6, 6) / 10
    wanted = ((torch.arange(6, dtype=torch.float64) - 2.5) / 2 + 2.5) / 10
    assert torch.allclose(applied(x, scale=2.0)[0, 0, 2], wanted, atol=1e-12)


def test_half_the_size_has_grey_around():
    y = applied(torch.ones((1, 1, 8, 8), dtype=torch.float64), scale=0.5)[0, 0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 2:6] = True
    assert torch.allclose(y[inside], torch.tensor(1.0, dtype=torch.float64))
    far = torch.ones(8, 8, dtype=torch.bool)
    far[1:7, 1:7] = False
    assert torch.allclose(y[far], torch.tensor(0.5, dtype=torch.float64))


def test_each_picture_has_its_own_changes_and_a_gradient():
    x = torch.cat([picture(), picture()]).requires_grad_()
    maps = torch.cat([moves(degrees=90.0).maps((6, 6)), moves(first=(1, 0)).maps((6, 6))])
    y = Changes.of((6, 6)).apply(x, maps)
    assert torch.allclose(y[:1], applied(x[:1], degrees=90.0)) and torch.allclose(y[1:], applied(x[1:], first=(1, 0)))
    (g,) = torch.autograd.grad(y[0].sum() + 2 * y[1].sum(), x)
    assert torch.allclose(g[0], torch.ones(2, 6, 6, dtype=torch.float64))
    assert torch.allclose(g[1, :, :5], torch.full((2, 5, 6), 2.0, dtype=torch.float64)) and not g[1, :, 5].any()


DISTANCES = [
    ((224, 300), (12, 8, 4)),
    ((128, 128), (12, 8, 4)),
    ((64, 90), (6, 4, 2)),
    ((28, 28), (3, 2, 1)),
    ((8, 8), (1, 1, 1)),
]


@pytest.mark.parametrize(("size", "distances"), DISTANCES)
def test_distances_shrink_with_pictures_below_128_pixels(size, distances):
    changes = Changes.of(size)
    assert (changes.pad, changes.jitter, changes.last_jitter) == distances
    assert (changes.scale, changes.rotate) == ((0.9, 1.1), 10.0)


def test_only_the_kinds_that_are_named_are_made():
    assert Changes.of((64, 64), ()).is_none and Changes.of((64, 64), ("pad",)).is_none
    assert Changes.of((64, 64), ("rotate", "pad")).record() == {"pad": 6, "rotate": 10.0}
    x = picture()
    assert Changes.of((6, 6), ()).apply(x, moves(first=(3, 3)).maps((6, 6))) is x


def test_draws_fill_their_ranges_and_do_not_hang_on_what_is_left_out():
    stream = torch.Generator().manual_seed
    every = Changes.of((224, 224)).drawn(4000, stream(2))
    turned = Changes.of((224, 224), ("rotate",)).drawn(4000, stream(2))
    assert sorted(set(every.first.flatten().tolist())) == list(range(-4, 5))
    assert sorted(set(every.last.flatten().tolist())) == list(range(-2, 3))
    assert 0.9 <= every.scale.min() < 0.902 and 1.098 < every.scale.max() < 1.1
    assert -10 <= every.degrees.min() < -9.9 and 9.9 < every.degrees.max() < 10
    assert math.isclose(float(every.scale.mean()), 1.0, abs_tol=0.004)  # 4 standard errors of 0.2 / sqrt(12 * 4000)
    assert torch.equal(turned.degrees, every.degrees)
    assert not turned.first.any() and not turned.last.any() and bool((turned.scale == 1).all())
