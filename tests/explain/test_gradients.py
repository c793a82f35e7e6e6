"""Gradient maps: known answers of METHODS 3, finite differences, and the same net with its rectifiers written out."""

from __future__ import annotations

from collections.abc import Callable

import nets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from xai_audit.errors import Refusal, StepError
from xai_audit.explain import gradients
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.passes import Needs, PassCounter, PassResult, Request, run_pass
from xai_audit.explain.stages import reduce
from xai_audit.model.audited import AuditedModel
from xai_audit.registry import Rule
from xai_audit.spec.methods import (
    Baseline,
    Blur,
    Deconvnet,
    GuidedBackprop,
    InputXGradient,
    Method,
    Saliency,
    Sample,
    TargetSpec,
)

CLASS1 = TargetSpec(**{"class": 1})
RULES: dict[str, Rule] = {"guided_backprop": "guided", "deconvnet": "deconvnet"}


def raw(
    model: AuditedModel,
    images: Tensor,
    method: Method | None = None,
    target: TargetSpec | None = None,
    sources: FillSources | None = None,
) -> np.ndarray:
    method = method or Saliency(use="saliency")
    request = Request(target or TargetSpec(), RULES.get(method.use, "plain"), Needs(input_gradient=True))
    (result,) = run_pass(model, images, [request], PassCounter())
    assert isinstance(result, PassResult)
    maps = getattr(gradients, method.use)(result, method, None, sources or FillSources())
    return maps.raw.numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_gradient_of_a_linear_net_is_its_weights(dtype: torch.dtype, tolerance: float) -> None:
    net = nets.seeded(nets.LinearNet).to(dtype)
    weights = net.head.weight[1].detach().view(3, 16, 16)
    images = torch.from_numpy(nets.pixels()).to(dtype)
    found = raw(nets.audit(net), images, target=CLASS1)
    np.testing.assert_allclose(found, np.stack([weights.numpy()] * 4), rtol=0, atol=tolerance)


def test_gradient_is_per_unit_of_pixel_value() -> None:
    net = nets.seeded(nets.LinearNet).double()
    std = (0.5, 0.25, 0.125)
    found = raw(nets.audit(net, std=std), torch.from_numpy(nets.pixels()).double(), target=CLASS1)
    weights = net.head.weight[1].detach().view(3, 16, 16).numpy() / np.array(std).reshape(3, 1, 1)
    np.testing.assert_allclose(found[0], weights, rtol=0, atol=1e-10)


def test_equal_to_finite_differences() -> None:
    model = nets.audit(nets.seeded(nets.SmoothNet).double())
    image = torch.from_numpy(nets.pixels(1)).double()
    found = raw(model, image, target=TargetSpec(**{"kind": "prob", "class": 2}))
    step = 1e-5
    for place in [(0, 0, 0), (1, 7, 9), (2, 15, 15)]:
        moved = [image.clone(), image.clone()]
        for sign, copy in zip((1, -1), moved, strict=True):
            copy[(0, *place)] += sign * step
        up, down = (model.scores(copy).softmax(1)[0, 2].item() for copy in moved)
        assert found[(0, *place)] == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_the_map_is_the_largest_absolute_value_over_channels() -> None:
    found = raw(nets.audit(nets.seeded(nets.GapNet)), torch.from_numpy(nets.pixels()))
    np.testing.assert_array_equal(reduce(found, "max_abs"), np.abs(found).max(1))
    assert (found < 0).any()


IMAGES = torch.from_numpy(nets.pixels(2)).double()
SOURCES = FillSources((0.1, 0.2, 0.3), {"a": nets.pixels(1, seed=9)[0]})
BASELINES: list[tuple[Baseline, Callable[[np.ndarray], np.ndarray]]] = [
    ("black", lambda x: np.zeros_like(x)),
    ("grey", lambda x: np.full_like(x, 0.5)),
    ("mean_colour", lambda x: np.broadcast_to(np.reshape([0.1, 0.2, 0.3], (3, 1, 1)), x.shape)),
    (Sample(sample="a"), lambda x: np.broadcast_to(SOURCES.samples["a"], x.shape)),
    (Blur(blur=2.0), lambda x: np.stack([gaussian_filter(i, (0, 2, 2), mode="reflect") for i in x])),
]


@pytest.mark.parametrize(("baseline", "absent"), BASELINES, ids=[str(baseline) for baseline, _ in BASELINES])
def test_input_x_gradient_of_a_linear_net_is_weight_times_difference(
    baseline: Baseline, absent: Callable[[np.ndarray], np.ndarray]
) -> None:
    """METHODS 3: f = w.x + b: w * (x - x'), in pixel space whatever mean and std are; its sum is y(x) - y(x')."""
    net = nets.seeded(nets.LinearNet).double()
    model = nets.audit(net, mean=(0.4, 0.5, 0.6), std=(0.5, 0.25, 0.2))
    method = InputXGradient(use="input_x_gradient", baseline=baseline)
    found = raw(model, IMAGES, method, CLASS1, SOURCES)
    away = absent(IMAGES.numpy())
    weights = net.head.weight[1].detach().view(3, 16, 16).numpy() / np.reshape((0.5, 0.25, 0.2), (3, 1, 1))
    np.testing.assert_allclose(found, weights * (IMAGES.numpy() - away), rtol=0, atol=1e-10)
    change = model.scores(IMAGES)[:, 1] - model.scores(torch.from_numpy(away.astype(np.float64)))[:, 1]
    np.testing.assert_allclose(found.sum((1, 2, 3)), change.detach().numpy(), rtol=0, atol=1e-9)


def test_input_x_gradient_of_a_linear_net_is_occlusion_of_one_pixel() -> None:
    model = nets.audit(nets.seeded(nets.LinearNet).double())
    found = raw(model, IMAGES, InputXGradient(use="input_x_gradient"), CLASS1)
    for place in [(0, 0), (7, 9), (15, 15)]:
        covered = IMAGES.clone()
        covered[:, :, place[0], place[1]] = 0
        change = (model.scores(IMAGES) - model.scores(covered))[:, 1].detach().numpy()
        np.testing.assert_allclose(found[:, :, place[0], place[1]].sum(1), change, rtol=0, atol=1e-10)


def test_a_baseline_that_is_not_there_is_refused() -> None:
    model = nets.audit(nets.seeded(nets.LinearNet))
    with pytest.raises(Refusal, match="case 'b'"):
        raw(model, IMAGES.float(), InputXGradient(use="input_x_gradient", baseline=Sample(sample="b")), CLASS1, SOURCES)


class Three(nn.Module):
    """y = 2 r1 - 3 r2 + 5 r3, r = relu(x), on one row of three pixels."""

    def __init__(self, rectify: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.rectify = rectify
        self.register_buffer("weights", torch.tensor([2.0, -3.0, 5.0], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        y = (self.rectify(x.flatten(1) * 1) * self.weights).sum(1, keepdim=True)
        return torch.cat([y, -y], 1)


class ReusedRelu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.act(x[:, :2]), self.act(x[:, 2:])], 1)


def in_a_view(x: Tensor) -> Tensor:
    F.relu(x[:, 1:], inplace=True)  # the first pixel and its signal are above 0 in any case
    return x


RECTIFIERS: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "F.relu in place, by position": lambda x: F.relu(x, True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda x: x.relu(),
    "Tensor.relu_": lambda x: x.relu_(),
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(inplace=True),
    "one module twice": ReusedRelu(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp, by position": lambda x: torch.clamp(x, 0.0),
    "clip_": lambda x: x.clip_(min=0),
    "clamp_min": lambda x: x.clamp_min(0),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "threshold in place": nn.Threshold(0, 0, inplace=True),
    "in a view": in_a_view,
}


@pytest.mark.parametrize("form", RECTIFIERS)
def test_known_answer_of_the_rules_in_every_form_of_a_rectifier(form: str) -> None:
    """METHODS 3: x = (1, 2, -1): gradient (2, -3, 0), guided (2, 0, 0), deconvnet (2, 0, 5)."""
    model = nets.audit(Three(RECTIFIERS[form]), width=2, size=(1, 3), channels=1)
    x = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64).view(1, 1, 1, 3)
    first = TargetSpec(**{"class": 0})
    rules: tuple[Rule, ...] = ("guided", "plain", "deconvnet")
    results = run_pass(model, x, [Request(first, rule, Needs(input_gradient=True)) for rule in rules], PassCounter())
    found = {
        rule: result.input_gradient.flatten().tolist()
        for rule, result in zip(rules, results, strict=True)
        if isinstance(result, PassResult) and result.input_gradient is not None
    }
    assert found == {"plain": [2, -3, 0], "guided": [2, 0, 0], "deconvnet": [2, 0, 5]}
    assert raw(model, x, GuidedBackprop(use="guided_backprop"), first).flatten().tolist() == [2, 0, 0]
    assert raw(model, x, Deconvnet(use="deconvnet"), first).flatten().tolist() == [2, 0, 5]


def by_hand(net: nn.Module, x: Tensor, c: int, rule: str) -> Tensor:
    """The rule in ResidualNet, one operation after another, by torch's own backward of each linear piece."""

    def back(function: Callable[[Tensor], Tensor], at: Tensor, R: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        (g,) = torch.autograd.grad(function(at), at, R)
        return g

    def rectifier(a: Tensor, R: Tensor) -> Tensor:
        return R.clamp(min=0) * ((a > 0) if rule == "guided" else 1)

    a1 = net.norm1(net.conv1(x))
    r1 = a1.clamp(min=0)
    r2 = (net.norm2(net.conv2(r1)) + r1).clamp(min=0)
    R = back(lambda t: net.head(t.mean((2, 3)))[:, c], r2, torch.ones(len(x), dtype=x.dtype))
    R = rectifier(r2, R)
    R = back(lambda t: net.norm2(net.conv2(t)), r1, R) + R
    return back(lambda t: net.norm1(net.conv1(t)), x, rectifier(r1, R))


@pytest.mark.parametrize(
    "method", [GuidedBackprop(use="guided_backprop"), Deconvnet(use="deconvnet")], ids=lambda method: method.use
)
def test_rules_in_a_residual_net_equal_the_backward_written_out(method: Method) -> None:
    net = nets.seeded(nets.ResidualNet).double()
    found = raw(nets.audit(net), IMAGES, method, CLASS1)
    wanted = by_hand(net, IMAGES, 1, RULES[method.use]).numpy()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert np.abs(found - raw(nets.audit(net), IMAGES, target=CLASS1)).max() > 1e-4  # the negative control


@pytest.mark.parametrize("use", ["saliency", "input_x_gradient", "guided_backprop", "deconvnet"])
def test_without_a_gradient_of_the_pixels_there_is_no_map(use: str) -> None:
    model = nets.audit(nets.seeded(nets.GapNet))
    (result,) = run_pass(model, IMAGES.float(), [Request(TargetSpec())], PassCounter())
    method = InputXGradient(use="input_x_gradient") if use == "input_x_gradient" else Saliency(use="saliency")
    with pytest.raises(StepError, match="no gradient of the pixels"):
        getattr(gradients, use)(result, method, None, FillSources())
