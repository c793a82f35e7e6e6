"""The layer of each method: named or found, spatial, reached by the target; asked of the net before any pass counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from xai_audit.errors import ModelError, Refusal
from xai_audit.explain.method_layers import method_layers
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import (
    AblationCam,
    EigenCam,
    GradCam,
    LayerMethod,
    Saliency,
    TargetSpec,
    TokenLayout,
    Tokens,
)
from xai_audit.spec.schema import Model


def grad_cam(**more: Any) -> GradCam:
    return GradCam(use="grad_cam", **more)


def found(model: AuditedModel, method: LayerMethod, spec: Model | None = None) -> SpatialLayer | Refusal:
    return method_layers([method], model, spec or nets.model_spec())[method.label]


def tokens(prefix: int, grid: tuple[int, int]) -> TokenLayout:
    return TokenLayout(tokens=Tokens(prefix=prefix, grid=grid))


def of_torchvision(name: str, size: tuple[int, int] = (64, 64), **more: Any) -> AuditedModel:
    return nets.audit(nets.seeded(lambda: getattr(models, name)(num_classes=3, **more)), size=size)


class Mixer(nn.Module):
    """Tokens without attention: two norms a block, the first before the tokens are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.blocks = nn.Conv2d(3, 8, 8, 8), nn.ModuleList([MixerBlock(), MixerBlock()])
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class MixerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.places, self.channels = nn.Linear(24, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.places(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


@pytest.mark.parametrize(
    ("name", "path", "channels", "grid"),
    [
        ("resnet18", "layer4", 512, (2, 2)),
        ("densenet121", "features", 1024, (2, 2)),
        ("efficientnet_b0", "features", 1280, (2, 2)),
        ("convnext_tiny", "features", 768, (2, 2)),
        ("mobilenet_v3_small", "features", 576, (2, 2)),
        ("squeezenet1_1", "classifier.2", 3, (3, 3)),
        ("alexnet", "features.11", 256, (3, 3)),  # the last one before its pooling, though that leaves places too
    ],
)
def test_default_of_convolutional_nets(name: str, path: str, channels: int, grid: tuple[int, int]) -> None:
    assert found(of_torchvision(name), grad_cam()) == SpatialLayer(path, "nchw", channels, grid)


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_default_of_a_vision_transformer(prefix: int) -> None:
    """The first norm of the last block: its second norm's patches do not reach a head that reads the class token."""
    model = nets.audit(nets.seeded(lambda: nets.TokenNet(prefix)), size=(32, 48))
    wanted = SpatialLayer("blocks.1.norm1", tokens(prefix, (4, 6)), 8, (4, 6))
    assert found(model, grad_cam()) == wanted


@pytest.mark.parametrize(("size", "grid"), [((64, 64), (2, 2)), ((72, 100), (3, 4))])
def test_default_of_swin(size: tuple[int, int], grid: tuple[int, int]) -> None:
    found_layer = found(of_torchvision("swin_t", size), grad_cam())
    assert found_layer == SpatialLayer("features.7.1.norm2", "nhwc", 768, grid)


def test_default_of_tokens_without_attention() -> None:
    model = nets.audit(nets.seeded(Mixer), size=(32, 48))
    wanted = SpatialLayer("blocks.1.norm1", tokens(0, (4, 6)), 8, (4, 6))
    assert found(model, grad_cam()) == wanted


def test_default_of_segmentation_is_before_the_classes() -> None:
    model = nets.audit(nets.seeded(nets.PlacesNet), task="segmentation")
    assert found(model, grad_cam()) == SpatialLayer("body", "nchw", 5, (16, 16))


@pytest.mark.parametrize("cuts", [False, True])
def test_default_of_detection(cuts: bool) -> None:
    """A layer that runs once for each image of a list is none: it gives one row an image, one at a time."""
    many = found(nets.audit(nets.QuarterDetector(cuts), task="detection"), EigenCam(use="eigen_cam"))
    assert isinstance(many, Refusal)
    make = models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    net = nets.seeded(lambda: make(weights=None, weights_backbone=None, num_classes=3, min_size=64, max_size=64))
    model = nets.audit(net, task="detection", size=(64, 64))
    layer = found(model, EigenCam(use="eigen_cam"))
    assert isinstance(layer, SpatialLayer)
    assert layer.path.startswith("backbone.")


def test_a_net_without_modules_has_no_default_and_says_so() -> None:
    refusal = found(nets.audit(nets.seeded(nets.FunctionalNet)), grad_cam())
    with pytest.raises(Refusal, match="found no modules; expected a layer with several rows or columns"):
        raise refusal  # type: ignore[misc]


def test_a_net_without_places_names_its_last_modules() -> None:
    refusal = found(nets.audit(nets.seeded(nets.LinearNet)), grad_cam())
    with pytest.raises(Refusal, match=r"no module whose output has places \(the last modules: head\)"):
        raise refusal  # type: ignore[misc]


# A layer that is named


def test_names_of_the_spec_and_paths() -> None:
    model, spec = of_torchvision("resnet18"), nets.model_spec(layers={"last": "layer4.1"})
    methods = [grad_cam(layer="last"), EigenCam(use="eigen_cam", layer="layer3"), Saliency(use="saliency")]
    layers = method_layers(methods, model, spec)
    assert layers == {
        "grad_cam": SpatialLayer("layer4.1", "nchw", 512, (2, 2)),
        "eigen_cam": SpatialLayer("layer3", "nchw", 256, (4, 4)),
    }


def test_no_forward_without_a_method_that_reads_a_layer() -> None:
    assert method_layers([Saliency(use="saliency")], nets.audit(nets.FailingNet()), nets.model_spec()) == {}


def test_unknown_path() -> None:
    with pytest.raises(ModelError, match="Did you mean 'layer4'"):
        found(of_torchvision("resnet18"), grad_cam(layer="layer44"))


class TwoHeads(nn.Module):
    """The first score reads one branch, the second the other."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.left(x).mean((1, 2, 3)), self.right(x).mean((1, 2, 3))], 1)


@pytest.mark.parametrize(
    ("layer", "class_", "is_reached"), [("left", 0, 1), ("left", 1, 0), ("right", 0, 0), ("right", 1, 1)]
)
def test_reach_is_of_the_target(layer: str, class_: int, is_reached: int) -> None:
    model = nets.audit(nets.seeded(TwoHeads), width=2)
    layer_found = found(model, grad_cam(layer=layer, target=TargetSpec(**{"class": class_})))
    assert isinstance(layer_found, SpatialLayer) == bool(is_reached)
    by_default = found(model, grad_cam(target=TargetSpec(**{"class": class_})))
    assert isinstance(by_default, SpatialLayer)
    assert by_default.path == ("left", "right")[class_]


@pytest.mark.parametrize("path", ["blocks.1.norm2", "blocks.1"])
def test_the_end_of_a_transformer_with_a_class_token_is_refused(path: str) -> None:
    model = nets.audit(nets.seeded(nets.TokenNet), size=(32, 48))
    refusal = found(model, grad_cam(layer=path, layout=tokens(1, (4, 6))))
    with pytest.raises(Refusal, match=f"layer '{path}'.*no gradient reaches this layer.*`norm1` of the last block"):
        raise refusal  # type: ignore[misc]
    mean = nets.audit(nets.seeded(lambda: nets.TokenNet(0)), size=(32, 48))
    assert isinstance(found(mean, grad_cam(layer=path, layout=tokens(0, (4, 6)))), SpatialLayer)


def test_methods_that_need_no_gradient_are_not_refused_for_it() -> None:
    model = nets.audit(nets.seeded(nets.TokenNet), size=(32, 48))
    method = EigenCam(use="eigen_cam", layer="blocks.1.norm2", layout=tokens(1, (4, 6)))
    assert isinstance(found(model, method), SpatialLayer)


class Shut(nn.Module):
    """A rectifier that opens for nothing but white: for noise its gradient is 0 everywhere."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.conv, self.weight = nn.Conv2d(3, 1, 1), weight
        nn.init.constant_(self.conv.weight, 1 / 3)
        nn.init.constant_(self.conv.bias, -0.999)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.conv(x)).sum((1, 2, 3))
        return torch.stack([z, -z], 1)


def test_a_rectifier_that_noise_does_not_open_is_no_reason_to_refuse() -> None:
    assert isinstance(found(nets.audit(Shut(), width=2), grad_cam(layer="conv")), SpatialLayer)


@pytest.mark.parametrize("make", [nets.DetachedNet, nets.NanNet])
def test_nets_without_a_gradient_keep_their_layer(make: Callable[[], nn.Module]) -> None:
    """What has no gradient at all is refused by the pass, in its own words; ablation_cam may do without."""
    layer = found(nets.audit(nets.seeded(make)), AblationCam(use="ablation_cam", layer="net.conv"))
    assert isinstance(layer, SpatialLayer)


def test_two_images_tell_the_axis_of_cases() -> None:
    class Windows(nn.Module):
        """Cuts each image in four, as windows of attention do."""

        def __init__(self) -> None:
            super().__init__()
            self.cut, self.conv = nn.Identity(), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            parts = torch.cat([x[..., :8, :8], x[..., 8:, :8], x[..., :8, 8:], x[..., 8:, 8:]])
            return self.conv(parts).reshape(4, len(x), -1).mean((0, 2))[:, None].expand(-1, 3)

    refusal = found(nets.audit(nets.seeded(Windows)), grad_cam(layer="conv"))
    with pytest.raises(Refusal, match="it gives 8 rows for 2 images"):
        raise refusal  # type: ignore[misc]


def test_the_net_is_left_as_found() -> None:
    net = nets.seeded(nets.ResidualNet).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = torch.get_rng_state()
    found(nets.audited(net, nets.model_spec()), grad_cam())
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(torch.get_rng_state(), state)
