"""SmoothGrad: known answers of METHODS 3, and a second plain implementation."""

from __future__ import annotations

import answering
import nets
import numpy as np
import pytest
import torch

from xai_audit.errors import Refusal
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Case, NoisyPoints, Question
from xai_audit.explain.smooth_grad import smooth_grad
from xai_audit.spec.methods import Saliency, SmoothGrad


def explained(
    image: np.ndarray, f: answering.Function, seed: int = 0, asked: list[Question] | None = None, **spec: object
) -> Maps:
    method = SmoothGrad(use="smooth_grad", **spec)
    return answering.explained(smooth_grad, method, image, f, seed=seed, asked=asked)


@pytest.mark.parametrize("noise", [0.01, 0.15, 3.0])
@pytest.mark.parametrize("samples", [1, 7, 50])
def test_linear_function_gives_its_weights(noise: float, samples: int) -> None:
    rng = np.random.default_rng(0)
    image, w = rng.random((2, 3, 4)), rng.normal(size=(2, 3, 4))
    f = lambda x: (x * torch.from_numpy(w)).sum((1, 2, 3))  # noqa: E731
    found = explained(image, f, noise=noise, samples=samples)
    np.testing.assert_allclose(found.raw[0], w, rtol=0, atol=1e-10)
    squared = explained(image, f, noise=noise, samples=samples, square=True)
    np.testing.assert_allclose(squared.raw[0], w**2, rtol=0, atol=1e-10)


def test_noise_has_the_variance_that_is_asked() -> None:
    """Of sum x^3 / 3: mean gradient x^2 + sigma^2, here over 400 x 300 draws; sigma is 0.5 of the range 0.8."""
    image = np.full((1, 20, 20), 0.5)
    image[0, 0, :2] = 0.1, 0.9
    found = explained(image, lambda x: (x**3 / 3).sum((1, 2, 3)), noise=0.5, samples=300)
    assert found.extras["sigma"][0] == pytest.approx(0.4)
    excess = (found.raw[0] - image**2).mean()
    error = np.sqrt(2 * 0.4**4 + 4 * 0.4**2 * 0.5**2) / np.sqrt(400 * 300)  # of the mean of (x + e)^2
    assert abs(excess - 0.4**2) < 4 * error


def test_noise_is_not_clipped() -> None:
    """The sum of |x| of a white image but one pixel: with noise of 3 signs change, which clipping to 0 would hide."""
    image = np.ones((1, 8, 8))
    image[0, 0, 0] = 0
    found = explained(image, lambda x: x.abs().sum((1, 2, 3)), noise=3.0, samples=60)
    assert (found.raw < 0.9).mean() > 0.9


def test_constant_image_gives_the_gradient_and_says_so() -> None:
    asked: list[Question] = []
    image = np.full((1, 3, 3), 0.25)
    found = explained(image, lambda x: (x**2).sum((1, 2, 3)), asked=asked)
    np.testing.assert_allclose(found.raw[0], 0.5, rtol=0, atol=1e-10)
    assert [len(question) for question in asked if isinstance(question, NoisyPoints)] == [1]
    assert list(found.counts.values()) == [1]
    told = explained(np.arange(9.0).reshape(1, 3, 3) / 9, lambda x: (x**2).sum((1, 2, 3)))
    assert list(told.counts.values()) == [0]


def test_seed_alone_decides() -> None:
    image = nets.pixels(1, size=(6, 6))[0].astype(np.float64)
    f = lambda x: (x**3).sum((1, 2, 3))  # noqa: E731
    state = torch.random.get_rng_state()
    one, again, other = (explained(image, f, seed).raw for seed in (5, 5, 2**62))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    assert torch.equal(torch.random.get_rng_state(), state)


def test_equal_to_a_plain_implementation() -> None:
    net = nets.seeded(nets.SmoothNet).double()
    image = nets.pixels(1)[0].astype(np.float64)
    total = np.zeros_like(image)
    for k in range(6):
        noise = torch.empty(image.shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(40 + k))
        x = (torch.from_numpy(image) + 0.15 * (image.max() - image.min()) * noise)[None].requires_grad_()
        total += torch.autograd.grad(net(x)[0, 1], x)[0][0].numpy() ** 2
    found = explained(image, lambda x: net(x)[:, 1], seed=40, samples=6, square=True)
    np.testing.assert_allclose(found.raw[0], total / 6, rtol=0, atol=1e-10)


def test_another_method_is_refused() -> None:
    with pytest.raises(Refusal, match="use saliency"):
        next(smooth_grad(Case(np.zeros((1, 2, 2)), 0.0), Saliency(use="saliency")))
