"""Saliency: known answers of METHODS 3, and finite differences in float64."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch

from xai_audit.explain.gradients import saliency
from xai_audit.explain.passes import Needs, PassCounter, run_pass
from xai_audit.explain.stages import reduce
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.schema import Saliency, TargetSpec

METHOD = Saliency(use="saliency")


def raw(model: AuditedModel, images: torch.Tensor, target: TargetSpec | None = None) -> np.ndarray:
    target = target or TargetSpec()
    return saliency(run_pass(model, images, target, Needs((), True), PassCounter()), METHOD, None).raw


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_gradient_of_a_linear_net_is_its_weights(dtype: torch.dtype, tolerance: float) -> None:
    net = nets.seeded(nets.LinearNet).to(dtype)
    weights = net.head.weight[1].detach().view(3, 16, 16)
    images = torch.from_numpy(nets.pixels()).to(dtype)
    found = raw(nets.audit(net), images, TargetSpec(**{"class": 1}))
    np.testing.assert_allclose(found, np.stack([weights.numpy()] * 4), rtol=0, atol=tolerance)


def test_gradient_is_per_unit_of_pixel_value() -> None:
    net = nets.seeded(nets.LinearNet).double()
    std = (0.5, 0.25, 0.125)
    found = raw(nets.audit(net, std=std), torch.from_numpy(nets.pixels()).double(), TargetSpec(**{"class": 1}))
    weights = net.head.weight[1].detach().view(3, 16, 16).numpy() / np.array(std).reshape(3, 1, 1)
    np.testing.assert_allclose(found[0], weights, rtol=0, atol=1e-10)


def test_equal_to_finite_differences() -> None:
    model = nets.audit(nets.seeded(nets.SmoothNet).double())
    image = torch.from_numpy(nets.pixels(1)).double()
    found = raw(model, image, TargetSpec(**{"kind": "prob", "class": 2}))
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
