"""Grad-CAM: known answers of METHODS 2, and a second plain implementation in float64."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.explain.cam import grad_cam
from xai_audit.explain.maps import Maps
from xai_audit.explain.passes import Needs, PassCounter, run_pass
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.spec.schema import GradCam, Layer, TargetSpec, TokenLayout, Tokens

METHOD = GradCam(use="grad_cam", layer="conv")


def layer_of(model: AuditedModel, layer: Layer) -> SpatialLayer:
    found = resolve_layers(model, {"it": layer})["it"]
    assert isinstance(found, SpatialLayer)
    return found


def cam(model: AuditedModel, images: Tensor, layer: Layer | None = None, target: TargetSpec | None = None) -> Maps:
    place = layer_of(model, layer or Layer(path="conv"))
    target = target or TargetSpec()
    return grad_cam(run_pass(model, images, target, Needs((place.path,)), PassCounter()), METHOD, place)


def test_weights_of_a_gap_net_are_its_head_over_the_number_of_places() -> None:
    """METHODS 2: W = (1, 2, -1), n = 4 -> w = (.25, .5, -.25)."""
    net = nets.seeded(nets.GapNet).double()
    with torch.no_grad():
        net.head.weight[0] = torch.tensor([1.0, 2.0, -1.0])
    model = nets.audit(net, size=(2, 2))
    maps = cam(model, torch.rand(2, 3, 2, 2, dtype=torch.float64), target=TargetSpec(**{"class": 0}))
    np.testing.assert_allclose(maps.extras["weights"], [[0.25, 0.5, -0.25]] * 2, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_map_of_a_gap_net_sums_to_the_score_without_its_bias(dtype: torch.dtype, tolerance: float) -> None:
    model = nets.audit(nets.seeded(nets.GapNet).to(dtype))
    images = torch.from_numpy(nets.pixels()).to(dtype)
    scores, bias = model.scores(images), model.module.head.bias
    best = scores.argmax(1)
    maps = cam(model, images)
    wanted = (scores.amax(1) - bias[best]).detach().numpy()
    np.testing.assert_allclose(maps.raw.sum((1, 2)), wanted, rtol=0, atol=tolerance)
    weights = (model.module.head.weight[best] / 256).detach().numpy()
    np.testing.assert_allclose(maps.extras["weights"], weights, rtol=0, atol=tolerance)


def test_the_sum_breaks_on_a_flat_net() -> None:
    """The negative control: only a GAP head promises the sum."""
    model = nets.audit(nets.seeded(nets.FlatNet))
    images = torch.from_numpy(nets.pixels())
    scores = model.scores(images)
    left = scores.amax(1) - model.module.head.bias[scores.argmax(1)]
    assert np.abs(cam(model, images).raw.sum((1, 2)) - left.detach().numpy()).min() > 1e-3


def plain(net: nn.Module, layer: nn.Module, x: Tensor, c: int) -> np.ndarray:
    """Grad-CAM of one image by loops over channels, with `.backward()` on a copy of the map."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: (kept.append(output.detach().clone()), None)[1])
    score = net(x[None])[0, c]
    handle.remove()

    def replaced(A: Tensor) -> Tensor:
        handle = layer.register_forward_hook(lambda module, inputs, output: A.clone())
        score = net(x[None])[0, c]
        handle.remove()
        return score

    A = kept[0].requires_grad_()
    again = replaced(A)
    assert torch.equal(again.detach(), score.detach())
    again.backward()
    total = np.zeros(A.shape[2:])
    for k in range(A.shape[1]):
        total += A.grad[0, k].numpy().sum() / A.grad[0, k].numel() * A[0, k].detach().numpy()
    return total


@pytest.mark.parametrize("path", ["conv1", "norm1", "conv2", "norm2"])
def test_equal_to_a_plain_implementation_though_relu_and_add_work_in_place(path: str) -> None:
    net = nets.seeded(nets.ResidualNet).double()
    model = nets.audit(net)
    images = torch.from_numpy(nets.pixels()).double()
    raw = cam(model, images, Layer(path=path)).raw
    for image, map_ in zip(images, raw, strict=True):
        wanted = plain(net, net.get_submodule(path), image, int(model.scores(image[None]).argmax()))
        np.testing.assert_allclose(map_, wanted, rtol=0, atol=1e-10)


def test_what_a_hook_keeps_is_not_overwritten_in_place() -> None:
    model = nets.audit(nets.seeded(nets.ResidualNet))
    place = layer_of(model, Layer(path="norm1"))
    result = run_pass(model, torch.from_numpy(nets.pixels()), TargetSpec(), Needs(("norm1",)), PassCounter())
    assert result.activation(place).min() < 0


def test_token_and_channels_last_layouts_equal_their_plain_form() -> None:
    net = nets.seeded(lambda: nets.TokenNet(2)).double()
    model = nets.audit(net, size=(32, 48))
    images = torch.from_numpy(nets.pixels(2, size=(32, 48))).double()
    layout = TokenLayout(tokens=Tokens(prefix=2, grid=(4, 6)))
    maps = cam(model, images, Layer(path="blocks.1.norm1", layout=layout), TargetSpec(**{"class": 1}))
    x = net.patches(images).flatten(2).transpose(1, 2)
    x = torch.cat([net.first.expand(2, -1, -1), x], 1) + net.positions
    last = net.blocks[1]
    x = net.blocks[0](x)
    A = last.norm1(x).detach().requires_grad_()
    y = x + last.attention(A, A, A, need_weights=False)[0]
    y = y + last.mlp(last.norm2(y))
    (g,) = torch.autograd.grad(net.head(y[:, 0])[:, 1].sum(), A)
    wanted = torch.einsum("nk,nlk->nl", g[:, 2:].mean(1), A[:, 2:]).reshape(2, 4, 6)
    np.testing.assert_allclose(maps.raw, wanted.detach().numpy(), rtol=0, atol=1e-10)


def test_map_is_signed_before_its_relu() -> None:
    raw = cam(nets.audit(nets.seeded(nets.GapNet)), torch.from_numpy(nets.pixels())).raw
    assert raw.min() < 0 < raw.max()
