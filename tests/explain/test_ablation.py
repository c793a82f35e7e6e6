"""Ablation-CAM: known answers of METHODS 2, and a second plain implementation by loops in float64."""

from __future__ import annotations

from collections.abc import Callable

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal, StepError
from xai_audit.explain.ablation import ablation_cam
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Ablations, Answered, Case
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import AblationCam, Occlusion


def explained(
    A: Tensor, f: Callable[[Tensor], Tensor], *, affine: bool = False, denominator: str = "abs"
) -> tuple[Maps, list[int]]:
    """The maps of one activation (channels, height, width) for a function of it, and how many rows were asked for."""
    A = A.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(A), A)
    A = A.detach()
    layer = SpatialLayer("conv", "nchw", len(A), (A.shape[1], A.shape[2]))
    pixels, value = np.zeros((3, 4, 4)), float(f(A))
    case = Case(pixels, value, layer=layer, activation=A, gradient=gradient, tail_is_affine=affine)
    asking = ablation_cam(case, AblationCam(use="ablation_cam", denominator=denominator))
    question, asked = next(asking), []
    while True:
        assert isinstance(question, Ablations) and question.layer is layer
        rows = [without(A, channel) for channel in question.channels.tolist()]
        asked.append(len(rows))
        try:
            question = asking.send(Answered(np.array([float(f(row)) for row in rows])))
        except StopIteration as stop:
            return stop.value, asked


def without(A: Tensor, channel: int) -> Tensor:
    edited = A.clone()
    edited[channel] = 0
    return edited


def activation(channels: int = 4, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(channels, 3, 5)))


W = torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64)


@pytest.mark.parametrize("affine", [True, False])
def test_gap_net_loses_weight_times_mean(affine: bool) -> None:
    """METHODS: y - y_k = W_ck mean(A_k), whether in closed form or channel by channel."""
    A = activation()
    found, asked = explained(A, lambda A: W @ A.mean((1, 2)) + 3, affine=affine)
    y = float(W @ A.mean((1, 2)) + 3)
    losses = (W * A.mean((1, 2))).numpy()
    np.testing.assert_allclose(found.extras["weights"], losses[None], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.raw[0], np.einsum("k,khw->hw", losses / abs(y), A.numpy()), rtol=0, atol=1e-10)
    assert asked == ([2] if affine else [4])


@pytest.mark.parametrize("affine", [True, False])
def test_flat_net_loses_the_sum_of_weight_times_activation(affine: bool) -> None:
    A, weight = activation(), activation(seed=1)
    found, _ = explained(A, lambda A: (weight * A).sum() - 1, affine=affine)
    np.testing.assert_allclose(found.extras["weights"][0], (weight * A).sum((1, 2)), rtol=0, atol=1e-10)


def test_weights_keep_their_sign_where_the_target_is_negative() -> None:
    """METHODS: W >= 0, A >= 0 and a negative bias that makes y < 0; the paper's / y would turn the map around."""
    A = activation().abs()
    found, _ = explained(A, lambda A: W.abs() @ A.mean((1, 2)) - 100)
    assert (found.extras["weights"] >= 0).all()
    assert (found.raw >= 0).all()
    assert found.raw.max() > 0


def test_a_tail_that_is_not_affine_is_run_channel_by_channel() -> None:
    """A second implementation by loops."""
    A = activation(5)
    weight = activation(5, seed=2)

    def f(A: Tensor) -> Tensor:
        return (weight * A).sum().tanh() + A.relu().mean((1, 2)).prod() + 0.7

    found, asked = explained(A, f)
    y, raw, losses = float(f(A)), np.zeros((3, 5)), []
    for k in range(5):
        edited = A.numpy().copy()
        edited[k] = 0
        losses.append(y - float(f(torch.from_numpy(edited))))
        for i in range(3):
            for j in range(5):
                raw[i, j] += losses[k] / abs(y) * float(A[k, i, j])
    np.testing.assert_allclose(found.raw[0], raw, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.extras["weights"][0], losses, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.extras["divisor"], [abs(y)], rtol=0, atol=1e-10)
    assert asked == [5]


def test_a_closed_form_that_is_wrong_is_replaced_by_runs_and_told() -> None:
    A = activation()
    found, asked = explained(A, lambda A: (A.mean((1, 2)) ** 2).sum(), affine=True)
    np.testing.assert_allclose(found.extras["weights"][0], A.mean((1, 2)) ** 2, rtol=0, atol=1e-10)
    assert asked == [2, 4]
    assert [text for text, n in found.counts.items() if n] == [
        "In {n} of {cases} cases the closed form did not agree with two runs: every channel was run."
    ]


@pytest.mark.parametrize(
    ("denominator", "bias", "divisor", "is_told"),
    [("abs", 2.0, 2.0, False), ("none", 2.0, 1.0, False), ("abs", 0.0, 1.0, True), ("none", 0.0, 1.0, False)],
)
def test_weights_are_divided_as_asked_unless_the_target_is_small(
    denominator: str, bias: float, divisor: float, is_told: bool
) -> None:
    A = activation()
    A -= A.mean((1, 2), keepdim=True) - 1e-9
    found, _ = explained(A, lambda A: W @ A.mean((1, 2)) + bias, denominator=denominator)
    np.testing.assert_allclose(found.extras["divisor"], [divisor], rtol=0, atol=1e-8)
    weights = found.extras["weights"][0] / found.extras["divisor"]
    np.testing.assert_allclose(found.raw[0], np.tensordot(weights, A.numpy(), 1), rtol=0, atol=1e-12)
    told = [text for text, n in found.counts.items() if n]
    assert bool(told) is is_told and all("smaller than 1e-06" in text for text in told)
    assert found.parameters == {"denominator": denominator}


def test_a_single_channel_is_enough() -> None:
    found, asked = explained(activation(1), lambda A: A.mean() + 5, affine=True)
    assert asked == [1]
    assert found.raw.shape == (1, 3, 5)


def test_activations_below_zero_are_ablated_to_zero() -> None:
    """SiLU and GELU: grad-cam writes min(A) - 1e7 there, and its weights reach 1e6."""
    A = nn.functional.gelu(activation())
    found, _ = explained(A, lambda A: W @ A.mean((1, 2)) + 3)
    assert abs(found.extras["weights"]).max() < 1


def test_a_case_without_a_layer_fails_and_another_method_is_refused() -> None:
    case = Case(nets.pixels(1)[0], 1.0)
    with pytest.raises(StepError, match="no layer"):
        next(ablation_cam(case, AblationCam(use="ablation_cam")))
    with pytest.raises(Refusal, match="use ablation_cam"):
        next(ablation_cam(case, Occlusion(use="occlusion")))
