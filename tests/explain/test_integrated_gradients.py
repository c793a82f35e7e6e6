"""Integrated gradients: known answers of METHODS 3, completeness, steps, and a second plain implementation."""

from __future__ import annotations

import answering
import nets
import numpy as np
import pytest
import torch
from torch import Tensor

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.integrated_gradients import integrated_gradients
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Case, PathPoints, Question
from xai_audit.spec.methods import IntegratedGradients, Saliency


def explained(image: np.ndarray, f: answering.Function, asked: list[Question] | None = None, **spec: object) -> Maps:
    method = IntegratedGradients(use="integrated_gradients", **{"baseline": "black", **spec})
    return answering.explained(integrated_gradients, method, image, f, FillSources(mean_colour=(0.2,)), asked=asked)


def pair(first: float, second: float) -> np.ndarray:
    """An image of one channel with two pixels."""
    return np.array([[[first, second]]], np.float64)


def product(x: Tensor) -> Tensor:
    return x.flatten(1).prod(1)


def rectified(x: Tensor) -> Tensor:
    return (x.flatten(1).sum(1) - 1).relu()


def test_product() -> None:
    """The product x1 x2 at (2, 3) from 0 gives (3, 3): the gradient is linear in t, so the midpoint rule is exact."""
    found = explained(pair(2, 3), product)
    np.testing.assert_allclose(found.raw[0], [[[3, 3]]], rtol=0, atol=1e-10)
    assert found.extras["gap"][0] == pytest.approx(0, abs=1e-10)
    assert (found.extras["steps"][0], found.extras["converged"][0]) == (32, 1)
    assert found.extras["change"][0] == pytest.approx(6)


@pytest.mark.parametrize(("n", "wanted"), [(2, 0.5), (10, 0.5), (64, 0.5), (33, 16 / 33)])
def test_rectifier(n: int, wanted: float) -> None:
    """A rectifier, relu(x1 + x2 - 1) at (1, 1) from 0: 1/2 each at even n; 33 midpoints meet the kink: .4848."""
    found = explained(pair(1, 1), rectified, n_steps=n, max_steps=n, tolerance=1.0)
    np.testing.assert_allclose(found.raw[0], [[[wanted, wanted]]], rtol=0, atol=1e-10)
    assert found.extras["gap"][0] == pytest.approx(1 - 2 * wanted, abs=1e-10)


def test_linear_function_gives_weight_times_change_at_one_step() -> None:
    rng = np.random.default_rng(0)
    image, w = rng.random((1, 4, 5)), rng.normal(size=(1, 4, 5))
    f = lambda x: (x * torch.from_numpy(w)).sum((1, 2, 3)) + 3  # noqa: E731
    found = explained(image, f, baseline="mean_colour", n_steps=1)
    np.testing.assert_allclose(found.raw[0], w * (image - 0.2), rtol=0, atol=1e-10)


def kink(x: Tensor) -> Tensor:
    """Bends at 0.6 of the way from 0 to (1, 1), so that no number of steps that is a power of 2 is exact."""
    return (x.flatten(1).sum(1) - 1.2).relu()


def test_steps_are_doubled_until_the_gap_is_small_enough() -> None:
    """The error of n midpoints is at most 1.25 / n of the change: 4 steps give 0.5 of 0.4, 8 give 0.375."""
    asked: list[Question] = []
    found = explained(pair(1, 1), kink, asked, n_steps=4, max_steps=64, tolerance=0.1)
    points = [len(question) for question in asked if isinstance(question, PathPoints)]
    gaps = {n: abs(2 / n * np.sum((np.arange(n) + 0.5) / n > 0.6) - 0.8) / 0.8 for n in (4, 8, 16, 32, 64)}
    wanted = next(n for n, gap in gaps.items() if gap <= 0.1)
    assert points == [n for n in gaps if n <= wanted]
    assert found.extras["gap"][0] == pytest.approx(gaps[wanted], abs=1e-10)
    assert (found.extras["steps"][0], found.extras["converged"][0]) == (wanted, 1)
    assert not any(found.counts.values())


def test_what_does_not_converge_is_told_and_stays_within_its_passes() -> None:
    asked: list[Question] = []
    found = explained(pair(1, 1), kink, asked, n_steps=3, max_steps=13, tolerance=1e-9)
    assert [len(question) for question in asked if isinstance(question, PathPoints)] == [3, 6, 12]
    assert (found.extras["steps"][0], found.extras["converged"][0]) == (12, 0)
    assert [n for text, n in found.counts.items() if "did not converge" in text] == [1]


def test_ratio_of_no_change_is_undefined_and_said_to_be() -> None:
    """For x1 - x2 at (1, 1): relevances 1 and -1, no change from 0, an absolute gap of 0."""
    found = explained(pair(1, 1), lambda x: x[:, 0, 0, 0] - x[:, 0, 0, 1])
    np.testing.assert_allclose(found.raw[0], [[[1, -1]]], rtol=0, atol=1e-10)
    assert (found.extras["gap_is_absolute"][0], found.extras["converged"][0]) == (1, 1)
    assert found.extras["gap"][0] == pytest.approx(0, abs=1e-10)
    assert [n for text, n in found.counts.items() if "undefined" in text] == [1]


def test_gap_without_ratio_can_fail() -> None:
    """A wave of five periods has no change from 0 to 1; at the five midpoints its slope is the same, and steep."""
    found = explained(pair(1, 0), lambda x: (10 * torch.pi * x[:, 0, 0, 0]).sin(), n_steps=5, max_steps=5)
    assert found.extras["gap_is_absolute"][0] == 1
    assert found.extras["converged"][0] == 0


def test_image_equal_to_its_baseline_gives_zeros() -> None:
    found = explained(pair(0, 0), product)
    np.testing.assert_array_equal(found.raw, 0)
    assert (found.extras["gap"][0], found.extras["converged"][0]) == (0, 1)


def plain(image: np.ndarray, base: np.ndarray, f: answering.Function, n: int) -> np.ndarray:
    """A loop over midpoints, in float64."""
    total = np.zeros_like(image)
    for i in range(n):
        x = torch.from_numpy(base + (i + 0.5) / n * (image - base))[None].requires_grad_()
        total += torch.autograd.grad(f(x).sum(), x)[0][0].numpy()
    return (image - base) * total / n


def test_equal_to_a_plain_implementation() -> None:
    net = nets.seeded(nets.SmoothNet).double()
    image = nets.pixels(1)[0].astype(np.float64)
    f = lambda x: net(x)[:, 1]  # noqa: E731
    found = explained(image, f, n_steps=9, max_steps=9)
    np.testing.assert_allclose(found.raw[0], plain(image, np.zeros_like(image), f, 9), rtol=0, atol=1e-10)


def test_another_method_and_a_missing_baseline_are_refused() -> None:
    case = Case(pair(1, 1), 0.0)
    with pytest.raises(Refusal, match="use saliency"):
        next(integrated_gradients(case, Saliency(use="saliency")))
    with pytest.raises(Refusal, match="no mean colour"):
        next(integrated_gradients(case, IntegratedGradients(use="integrated_gradients")))
