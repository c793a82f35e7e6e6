"""Every method on every kind of net of METHODS 7: maps of the right shape, or the refusal that is meant."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nets
import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.vgg import cfgs, make_layers

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explain import Batch, Explained, explain_by_pass, explain_by_queries, method_layers
from xai_audit.model.state import state_digest
from xai_audit.spec.schema import GradCam, Occlusion, Saliency


@dataclass(frozen=True)
class Kind:
    """A net, its spec, a layer and the grid of the layer's map."""

    make: Callable[[], nn.Module]
    layer: str
    grid: tuple[int, int]
    layout: Any = None
    spec: dict[str, Any] = field(default_factory=dict)


def vit(prefix: int) -> Kind:
    layout = {"tokens": {"prefix": prefix, "grid": (4, 6)}}
    return Kind(lambda: nets.TokenNet(prefix), "blocks.1.norm1", (4, 6), layout, {"size": (32, 48)})


def vgg11_trunk() -> nn.Module:
    """VGG-11 without its wide linear layers; every ReLU works in place."""
    return nn.Sequential(make_layers(cfgs["A"]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3))


KINDS = {
    "gap": Kind(nets.GapNet, "conv", (16, 16)),
    "flat": Kind(nets.FlatNet, "conv", (16, 16)),
    "residual": Kind(nets.ResidualNet, "conv2", (8, 8)),
    "resnet18": Kind(lambda: resnet18(num_classes=3), "layer3", (4, 4), None, {"size": (64, 64)}),
    "vgg11": Kind(vgg11_trunk, "0.10", (8, 8), None, {"size": (64, 64)}),
    "smooth": Kind(nets.SmoothNet, "body.3", (8, 8)),
    "vit0": vit(0),
    "vit1": vit(1),
    "vit2": vit(2),
    "vit5": vit(5),
    "nhwc": Kind(nets.ChannelsLastNet, "stage1", (4, 4), "nhwc"),
    "multi_label": Kind(nets.GapNet, "conv", (16, 16), None, {"task": "multi_label"}),
    "binary": Kind(lambda: nets.GapNet(outputs=1), "conv", (16, 16), None, {"task": "binary_logit"}),
    "regression": Kind(nets.GapNet, "conv", (16, 16), None, {"task": "regression"}),
    "dict": Kind(lambda: nets.Giving(lambda s: {"out": s, "aux": s}), "net.conv", (16, 16), None, {"output": "out"}),
    "tuple": Kind(lambda: nets.Giving(lambda s: (s, s)), "net.conv", (16, 16), None, {"output": 1}),
    "object": Kind(lambda: nets.Giving(nets.Output), "net.conv", (16, 16)),
    "grey": Kind(
        lambda: nets.GapNet(channels=1), "conv", (16, 16), None, {"channels": 1, "mean": (0.5,), "std": (0.2,)}
    ),
    "shared": Kind(nets.SharedActivation, "conv2", (12, 12)),
    "frozen": Kind(lambda: nets.ResidualNet().requires_grad_(False), "conv2", (8, 8)),
    "half": Kind(lambda: nets.ResidualNet().half(), "conv2", (8, 8)),
    "bfloat16": Kind(lambda: nets.ResidualNet().bfloat16(), "conv2", (8, 8)),
    "double": Kind(lambda: nets.ResidualNet().double(), "conv2", (8, 8)),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_every_method_on_every_kind(name: str, training: bool) -> None:
    kind = KINDS[name]
    model, spec = nets.audit(nets.seeded(kind.make), **kind.spec), nets.model_spec(**kind.spec)
    model.module.train(training)
    before = state_digest(model.module)
    height, width = spec.input.size
    channels = spec.input.channels
    images = nets.pixels(2, channels, spec.input.size)
    methods = [
        GradCam.model_validate({"use": "grad_cam", "layer": kind.layer, "layout": kind.layout}),
        Saliency(use="saliency"),
        Occlusion(use="occlusion", window=min(height, width) // 2, stride=min(height, width) // 4, baseline="grey"),
    ]
    batches = [Batch((0, 1), images)]
    layers = method_layers(methods, model, spec)
    found = {
        **explain_by_pass(model, methods, batches, layers).outcomes,
        **explain_by_queries(model, methods, batches, FillSources()).outcomes,
    }
    shapes = {"grad_cam": (2, *kind.grid), "saliency": (2, channels, height, width), "occlusion": (2, height, width)}
    for label, outcome in found.items():
        assert isinstance(outcome, Explained), outcome
        assert outcome.raw.shape == shapes[label]
        assert outcome.raw.any()
        assert np.isfinite(outcome.raw).all()
    assert model.module.training == training
    assert state_digest(model.module) == before


def test_train_mode_explains_as_eval_mode() -> None:
    """Dropout and batch statistics would otherwise move the map."""
    images = [Batch((0, 1), nets.pixels(2))]
    found = []
    for training in (False, True):
        model = nets.audit(nets.seeded(nets.ResidualNet))
        model.module.train(training)
        outcome = explain_by_pass(model, [Saliency(use="saliency")], images, {}).outcomes["saliency"]
        assert isinstance(outcome, Explained)
        found.append(outcome.raw)
    np.testing.assert_array_equal(*found)


def test_a_functional_net_needs_no_modules_for_saliency_and_occlusion() -> None:
    model = nets.audit(nets.seeded(nets.FunctionalNet))
    batches = [Batch((0, 1), nets.pixels(2))]
    methods = [Saliency(use="saliency"), Occlusion(use="occlusion", window=8, baseline="black")]
    found = {
        **explain_by_pass(model, methods, batches, {}).outcomes,
        **explain_by_queries(model, methods, batches, FillSources()).outcomes,
    }
    assert all(isinstance(outcome, Explained) for outcome in found.values())


@pytest.mark.parametrize("signs", [(1, 0), (0, 1)])
def test_the_two_classes_of_one_logit_have_opposite_maps(signs: tuple[int, int]) -> None:
    model = nets.audit(nets.seeded(lambda: nets.GapNet(outputs=1)), task="binary_logit")
    raws = []
    for which in signs:
        method = GradCam.model_validate({"use": "grad_cam", "layer": "conv", "target": {"class": which}})
        layers = method_layers([method], model, nets.model_spec("binary_logit"))
        outcome = explain_by_pass(model, [method], [Batch((0,), nets.pixels(1))], layers).outcomes["grad_cam"]
        assert isinstance(outcome, Explained)
        raws.append(outcome.raw)
    np.testing.assert_array_equal(raws[0], -raws[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_near_full_precision(dtype: torch.dtype) -> None:
    images, methods = (
        [Batch((0, 1), nets.pixels(2))],
        [Saliency.model_validate({"use": "saliency", "target": {"class": 0}})],
    )
    raws = []
    for precision in (torch.float32, dtype):
        outcome = explain_by_pass(nets.audit(nets.seeded(nets.SmoothNet).to(precision)), methods, images, {}).outcomes[
            "saliency"
        ]
        assert isinstance(outcome, Explained)
        raws.append(outcome.raw.ravel())
    assert np.corrcoef(*raws)[0, 1] > 0.99


def test_a_scripted_net_is_explained_without_layers_and_refused_with_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated in newer versions of torch
        module = torch.jit.script(nets.seeded(nets.GapNet))
    model = nets.audit(module)
    batches = [Batch((0, 1), nets.pixels(2))]
    methods = [
        GradCam(use="grad_cam", layer="conv"),
        Saliency(use="saliency"),
        Occlusion(use="occlusion", window=8, baseline="black"),
    ]
    layers = method_layers(methods, model, nets.model_spec())
    found = {
        **explain_by_pass(model, methods, batches, layers).outcomes,
        **explain_by_queries(model, methods, batches, FillSources()).outcomes,
    }
    assert isinstance(found["grad_cam"], Refusal)
    assert isinstance(found["saliency"], Explained)
    assert isinstance(found["occlusion"], Explained)
