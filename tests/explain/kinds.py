"""Every method for single cases on every kind of net of METHODS 7: one function makes the table of test and docs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import nets
import numpy as np
import timm
import torch
import torch.nn.functional as F
from asking import LAYERED, made, outcomes
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vgg import cfgs, make_layers
from torchvision.ops import MultiScaleRoIAlign

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.explain.explained import Explained, Outcome
from xai_audit.model.audited import AuditedModel
from xai_audit.spec.methods import Method
from xai_audit.spec.schema import Model

GRADIENT_CAMS = ("grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam", "hires_cam")
RECTIFIED = ("guided_backprop", "deconvnet")
GRADIENTS = (*GRADIENT_CAMS, "saliency", "input_x_gradient", "integrated_gradients", "smooth_grad", *RECTIFIED)
"""Methods that differentiate the target."""
USES = tuple(entry.name for entry in registry.METHODS if entry.shape != "fitter" and "image" in entry.inputs)
"""Methods that explain single images."""
SMALL: dict[str, dict[str, Any]] = {
    "score_cam": {"top_k": 4},
    "integrated_gradients": {"n_steps": 2, "max_steps": 4, "baseline": "grey"},
    "smooth_grad": {"samples": 2},
    "lime": {"samples": 16, "segments": {"grid": (2, 2)}},
    "shap": {"players": {"grid": (2, 2)}, "baseline": "grey"},
}
"""Parameters that keep the table cheap; they change no refusal."""


# Nets that tests/nets.py does not have


class Unet(nn.Module):
    """A U-Net of one step whose scores of places come as {'out'}."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, 2, 1)
        self.up, self.relu = nn.ConvTranspose2d(8, 6, 2, 2), nn.ReLU(inplace=True)
        self.head = nn.Conv2d(12, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        skip = self.relu(self.down(x))
        deep = self.relu(self.middle(skip))
        return {"out": self.head(torch.cat([skip, self.relu(self.up(deep))], 1))}


class ToyDetector(nn.Module):
    """List in, dicts out: one box a class around the places that answer to it, differentiable in its scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 1)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [self._detect(places) for places in self.head(F.relu(self.conv(torch.stack(images))))]

    def _detect(self, places: Tensor) -> dict[str, Tensor]:
        box = torch.tensor([2.0, 2.0, 12.0, 12.0]).expand(3, 4)
        return {
            "boxes": box + torch.arange(3.0)[:, None],
            "labels": torch.arange(3),
            "scores": places.mean((1, 2)).sigmoid(),
        }


class CutDetector(ToyDetector):
    """The same with scores that torch cannot differentiate."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [{key: value.detach() for key, value in entry.items()} for entry in super().forward(images)]


class GreyLeNet(nn.Module):
    """LeNet on one channel: a linear tail after flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Perceptron(nn.Module):
    """Linear layers on flattened pixels: no layer has places."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def vgg11_trunk() -> nn.Module:
    """VGG-11 without its wide linear layers; every ReLU works in place."""
    return nn.Sequential(make_layers(cfgs["A"]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3))


def compiled() -> nn.Module:
    """A net handed over as torch.compile gives it."""
    return torch.compile(nets.GapNet(), backend="eager")  # type: ignore[return-value]


class PartlyCompiled(nn.Module):
    """A net of which a part is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.compile(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), backend="eager")
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def scripted() -> nn.Module:
    """A net handed over as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scripting is deprecated in newer versions of torch
        return torch.jit.script(nets.GapNet().eval())  # type: ignore[no-any-return]


def trained_batch_norm(net: nn.Module) -> nn.Module:
    """Batch statistics that differ from 0 and 1, so that train mode would change maps."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return net


def small_vit() -> nn.Module:
    """Torchvision's ViT, small; its head begins with zeros, which no image could move."""
    net = models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=3)
    nn.init.normal_(net.heads.head.weight)
    return net


def small_swin(version: str) -> nn.Module:
    """Torchvision's Swin, small."""
    later = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2} if version == "2" else {}
    return SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=3, **later)


def small_convnext() -> nn.Module:
    """Torchvision's ConvNeXt, small."""
    return ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)], num_classes=3)


def small_mixer() -> nn.Module:
    """Timm's MLP-Mixer, small."""
    net = timm.models.mlp_mixer.MlpMixer(num_classes=3, img_size=64, patch_size=16, num_blocks=2, embed_dim=16)
    nn.init.normal_(net.head.weight)  # it begins with zeros
    return net


def small_efficientnet() -> nn.Module:
    """Torchvision's EfficientNet, small: SiLU and squeeze-excite."""
    blocks = [MBConvConfig(1, 3, 1, 8, 8, 1, 1.0, 1.0), MBConvConfig(4, 3, 2, 8, 16, 2, 1.0, 1.0)]
    return EfficientNet(blocks, 0.2, num_classes=3)


def small_regnet() -> nn.Module:
    """Torchvision's RegNet, small."""
    return RegNet(BlockParams.from_init_params(4, 8, 4.0, 2.0, 8), num_classes=3)


def small_resnet() -> nn.Module:
    """Torchvision's ResNet with one bottleneck a stage."""
    return models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=3)


def small_faster_rcnn() -> nn.Module:
    """Torchvision's Faster R-CNN on a narrow trunk, with a score threshold that lets random boxes through."""
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 4, 1), nn.ReLU())
    trunk.out_channels = 8  # type: ignore[assignment]
    anchors = AnchorGenerator(((16, 32),), ((1.0,),))
    return FasterRCNN(
        trunk,
        3,
        min_size=64,
        max_size=64,
        rpn_anchor_generator=anchors,
        box_roi_pool=MultiScaleRoIAlign(["0"], 4, 2),
        box_score_thresh=0.0,
        rpn_post_nms_top_n_test=8,
        box_detections_per_img=6,
    )


# The kinds


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of net, what the spec says of it and of its layer, and the methods that must refuse it."""

    words: str
    make: Callable[[], nn.Module]
    layer: str | None = None
    """None: the default."""
    layout: Any = None
    spec: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Method: part of what its refusal must say. Every other method must give maps."""
    may_be_zero: tuple[str, ...] = ()
    """Methods whose maps may be all zero here, for a reason said beside it."""
    training: bool = False
    grid: tuple[int, int] | None = None
    """Rows and columns of the layer's maps, where the test names them."""
    seed: int = 0

    @property
    def model_spec(self) -> Model:
        """The model's part of the spec."""
        return nets.model_spec(**self.spec)

    def audited(self) -> AuditedModel:
        """The net with weights of a seed, in train mode if the kind says so."""
        model = nets.audit(nets.seeded(self.make, self.seed), **self.spec)
        model.module.train(self.training)
        return model

    def methods(self) -> list[Method]:
        """All methods that explain single images, with small parameters."""
        return [self._method(use) for use in USES]

    def _method(self, use: str) -> Method:
        words: dict[str, Any] = {"use": use, **SMALL.get(use, {})}
        if use in LAYERED and self.layer is not None:
            words |= {"layer": self.layer, "layout": self.layout}
        if use == "occlusion":
            side = min(self.model_spec.input.size)
            words |= {"window": side // 2, "stride": side // 4, "baseline": "grey"}
        return made(words)

    def images(self) -> np.ndarray:
        """Two images."""
        given = self.model_spec.input
        return nets.pixels(2, given.channels, given.size)


def refusing(methods: tuple[str, ...], text: str) -> dict[str, str]:
    """The same refusal for several methods."""
    return dict.fromkeys(methods, text)


NO_RECTIFIER = refusing(RECTIFIED, "no ReLU executed")
NO_LAYER = refusing(LAYERED, "model.layers")
NO_GRADIENT = refusing(GRADIENTS, "differentiate")


def not_a_rectifier(name: str) -> dict[str, str]:
    """Guided backpropagation is undefined for an activation."""
    return refusing(RECTIFIED, f"activations other than ReLU: {name} (")


def timm_net(name: str, **more: Any) -> Callable[[], nn.Module]:
    """A timm net with random weights."""
    return partial(timm.create_model, name, pretrained=False, num_classes=3, **more)


def vit(prefix: int) -> Kind:
    layout = {"tokens": {"prefix": prefix, "grid": (4, 6)}}
    words = f"ViT with {prefix} prefix token{'s' * (prefix != 1)}, grid 4 x 6"
    return Kind(
        words,
        lambda: nets.TokenNet(prefix),
        "blocks.1.norm1",
        layout,
        {"size": (32, 48)},
        not_a_rectifier("GELU"),
        grid=(4, 6),
    )


SIDE = {"size": (64, 64)}
DETECTION = {"task": "detection"}
GROUPS: dict[str, dict[str, Kind]] = {
    "Convolutional nets": {
        "gap": Kind("conv, mean over places, linear", nets.GapNet, "conv", refused=NO_RECTIFIER, grid=(16, 16)),
        "flat": Kind("conv, flatten, linear", nets.FlatNet, "conv", refused=NO_RECTIFIER, grid=(16, 16)),
        "residual": Kind("in-place ReLU, residual add", nets.ResidualNet, "conv2", grid=(8, 8)),
        "resnet18": Kind("ResNet-18", lambda: models.resnet18(num_classes=3), "layer3", spec=SIDE, grid=(4, 4)),
        "vgg11": Kind("VGG-11, in-place ReLU", vgg11_trunk, "0.10", spec={"size": (32, 32)}, grid=(4, 4)),
        "smooth": Kind("SiLU and GELU", nets.SmoothNet, "body.3", refused=not_a_rectifier("SiLU"), grid=(8, 8)),
        "shared": Kind("one ReLU module used twice", nets.SharedActivation, "conv2", grid=(12, 12)),
        "functional": Kind("no modules inside", nets.FunctionalNet, refused=NO_LAYER),
        "grey": Kind(
            "one channel: LeNet",
            GreyLeNet,
            "features.3",
            spec={"channels": 1, "mean": (0.5,), "std": (0.2,)},
            grid=(4, 4),
        ),
        "perceptron": Kind("linear layers on flattened pixels", Perceptron, refused=NO_LAYER),
    },
    "Tokens": {
        "vit0": vit(0),
        "vit1": vit(1),
        "vit2": vit(2),
        "vit5": vit(5),
        "nhwc": Kind(
            "Swin-like, channels last",
            nets.ChannelsLastNet,
            "stage1",
            "nhwc",
            refused=not_a_rectifier("GELU"),
            grid=(4, 4),
        ),
    },
    "Tasks and forms of output": {
        "multi_label": Kind(
            "several labels", nets.GapNet, "conv", spec={"task": "multi_label"}, refused=NO_RECTIFIER, grid=(16, 16)
        ),
        "binary": Kind(
            "one logit",
            lambda: nets.GapNet(outputs=1),
            "conv",
            spec={"task": "binary_logit"},
            refused=NO_RECTIFIER,
            grid=(16, 16),
        ),
        "regression": Kind(
            "regression", nets.GapNet, "conv", spec={"task": "regression"}, refused=NO_RECTIFIER, grid=(16, 16)
        ),
        "dict": Kind(
            "a dict",
            lambda: nets.Giving(lambda s: {"out": s, "aux": s}),
            "net.conv",
            spec={"output": "out"},
            refused=NO_RECTIFIER,
            grid=(16, 16),
        ),
        "tuple": Kind(
            "a tuple",
            lambda: nets.Giving(lambda s: (s, s)),
            "net.conv",
            spec={"output": 1},
            refused=NO_RECTIFIER,
            grid=(16, 16),
        ),
        "object": Kind(
            "an object with .logits", lambda: nets.Giving(nets.Output), "net.conv", refused=NO_RECTIFIER, grid=(16, 16)
        ),
        "unet": Kind("segmentation: U-Net with {'out'}", Unet, "middle", spec={"task": "segmentation"}, grid=(8, 8)),
        "lraspp": Kind(
            "segmentation: torchvision LR-ASPP",
            partial(models.segmentation.lraspp_mobilenet_v3_large, weights=None, weights_backbone=None, num_classes=3),
            spec={"task": "segmentation", **SIDE},
            refused=not_a_rectifier("Hardswish"),
        ),
        "toy_detector": Kind("detection: differentiable scores", ToyDetector, "conv", spec=DETECTION, grid=(16, 16)),
        "cut_detector": Kind(
            "detection: scores cut off", CutDetector, "conv", spec=DETECTION, refused=NO_GRADIENT, grid=(16, 16)
        ),
        "faster_rcnn": Kind(
            "detection: torchvision Faster R-CNN",
            small_faster_rcnn,
            "backbone.3",
            spec={**DETECTION, **SIDE},
            grid=(4, 4),
        ),
    },
    "Precision and state": {
        "frozen": Kind("frozen parameters", lambda: nets.ResidualNet().requires_grad_(False), "conv2", grid=(8, 8)),
        "train": Kind(
            "train mode, batch norm and dropout",
            lambda: trained_batch_norm(nets.ResidualNet()),
            "conv2",
            training=True,
            grid=(8, 8),
        ),
        "half": Kind("float16 weights", lambda: nets.ResidualNet().half(), "conv2", grid=(8, 8)),
        "bfloat16": Kind("bfloat16 weights", lambda: nets.ResidualNet().bfloat16(), "conv2", grid=(8, 8)),
        "double": Kind("float64 weights", lambda: nets.ResidualNet().double(), "conv2", grid=(8, 8)),
        "compiled": Kind(
            "torch.compile: its original is audited", compiled, "conv", refused=NO_RECTIFIER, grid=(16, 16)
        ),
        "partly_compiled": Kind(
            "torch.compile of a part: it is run as written",
            PartlyCompiled,
            "body._orig_mod.0",
            refused=refusing(RECTIFIED, "compiled"),
            grid=(16, 16),
        ),
        "scripted": Kind("TorchScript", scripted, refused=NO_LAYER | NO_RECTIFIER),
        "cut": Kind(
            "scores cut off from the image",
            nets.DetachedNet,
            "net.conv",
            refused=NO_GRADIENT | NO_RECTIFIER,
            grid=(16, 16),
        ),
    },
    "torchvision, default layer": {
        "tv_resnet": Kind("ResNet with bottlenecks", small_resnet, spec=SIDE),
        "tv_densenet": Kind("DenseNet", lambda: models.DenseNet(4, (2, 2), 8, num_classes=3), spec=SIDE),
        "tv_googlenet": Kind("GoogLeNet", lambda: models.GoogLeNet(3, aux_logits=False, init_weights=False), spec=SIDE),
        "tv_squeezenet": Kind("SqueezeNet", lambda: models.squeezenet1_1(num_classes=3), spec=SIDE),
        "tv_shufflenet": Kind("ShuffleNet", lambda: models.shufflenet_v2_x0_5(num_classes=3), spec=SIDE),
        "tv_mobilenet2": Kind(
            "MobileNetV2", lambda: models.MobileNetV2(3, 0.25), spec=SIDE, refused=not_a_rectifier("ReLU6")
        ),
        "tv_mobilenet3": Kind(
            "MobileNetV3",
            lambda: models.mobilenet_v3_small(num_classes=3),
            spec=SIDE,
            refused=not_a_rectifier("Hardswish"),
        ),
        "tv_regnet": Kind("RegNet", small_regnet, spec=SIDE),
        "tv_efficientnet": Kind("EfficientNet", small_efficientnet, spec=SIDE, refused=not_a_rectifier("SiLU")),
        "tv_convnext": Kind("ConvNeXt", small_convnext, spec=SIDE, refused=not_a_rectifier("GELU")),
        "tv_vit": Kind("ViT", small_vit, spec={"size": (32, 32)}, refused=not_a_rectifier("GELU")),
        "tv_swin": Kind("Swin", partial(small_swin, "1"), spec=SIDE, refused=not_a_rectifier("GELU")),
        "tv_swin2": Kind("Swin v2", partial(small_swin, "2"), spec=SIDE, refused=not_a_rectifier("GELU")),
    },
    "timm, default layer": {
        "timm_vit": Kind(
            "ViT with registers",
            timm_net(
                "vit_tiny_patch16_224",
                img_size=(32, 48),
                patch_size=8,
                embed_dim=16,
                depth=2,
                num_heads=2,
                reg_tokens=4,
            ),
            spec={"size": (32, 48)},
            refused=not_a_rectifier("GELU"),
            grid=(4, 6),
        ),
        "timm_deit": Kind(
            "distilled DeiT",
            timm_net("deit_tiny_distilled_patch16_224", img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2),
            spec={"size": (32, 32)},
            refused=not_a_rectifier("GELU"),
            grid=(4, 4),
        ),
        "timm_swin": Kind(
            "Swin",
            timm_net(
                "swin_tiny_patch4_window7_224", img_size=32, window_size=4, embed_dim=8, depths=(2, 2), num_heads=(2, 4)
            ),
            spec={"size": (32, 32)},
            refused=not_a_rectifier("GELU"),
        ),
        "timm_convnext": Kind(
            "ConvNeXt",
            timm_net("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 16, 16)),
            spec=SIDE,
            refused=not_a_rectifier("GELU"),
        ),
        "timm_mobilenet2": Kind(
            "MobileNetV2", timm_net("mobilenetv2_035"), spec=SIDE, refused=not_a_rectifier("ReLU6")
        ),
        "timm_resnet": Kind("ResNet-10-T", timm_net("resnet10t", channels=(8, 8, 16, 16)), spec=SIDE),
        "timm_mixer": Kind("MLP-Mixer", small_mixer, spec=SIDE, refused=not_a_rectifier("GELU")),
    },
}
KINDS: dict[str, Kind] = {name: kind for group in GROUPS.values() for name, kind in group.items()}


def ask(kind: Kind, model: AuditedModel | None = None) -> dict[str, Outcome]:
    """What every method gives for two images of a kind."""
    images = kind.images()
    colour = (0.5,) * images.shape[1]
    return outcomes(model or kind.audited(), kind.model_spec, kind.methods(), images, colour)


@cache
def answers(name: str) -> Mapping[str, Outcome]:
    """What every method gives for a kind; worked out once."""
    return ask(KINDS[name])


# The page


def page() -> str:
    """The table as Markdown: maps, or the number of the refusal."""
    reasons: dict[str, int] = {}
    tables = "".join(_table(title, group, reasons) for title, group in GROUPS.items())
    listed = "".join(f"{number}. {text}\n" for text, number in reasons.items())
    return (
        "# Methods and kinds of net\n\n"
        "Every method that explains single cases, on every kind of net, with random weights and small images. ✓:\n"
        "maps. A number: the method does not apply, and the report says so with the reason of that number below.\n"
        "There is no third outcome. The test behind this page is `tests/explain/test_kinds.py`; methods that read\n"
        "whole slices have one of their own, `tests/concepts/test_concept_kinds.py`.\n\n"
        "Nets with one or three input channels are audited; `model.input.channels` takes no other number.\n"
        f"{tables}\n## Reasons\n\n{listed}"
    )


def _table(title: str, group: Mapping[str, Kind], reasons: dict[str, int]) -> str:
    lines = [("net", "layer", *(f"`{use}`" for use in USES)), ("---",) * (2 + len(USES))]
    for name, kind in group.items():
        found = answers(name)
        lines.append((kind.words, _layer(found), *(_cell(found[use], use, reasons) for use in USES)))
    return f"\n## {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _layer(found: Mapping[str, Outcome]) -> str:
    """The layer that CAMs read, with its rows and columns."""
    shown = next((o for use, o in found.items() if use in LAYERED and isinstance(o, Explained)), None)
    if shown is None:
        return "none"
    rows, columns = shown.parameters["grid"]  # type: ignore[misc]
    return f"`{shown.parameters['layer']}`, {rows} x {columns}"


def _cell(outcome: Outcome, use: str, reasons: dict[str, int]) -> str:
    if isinstance(outcome, Explained):
        return "✓"
    assert isinstance(outcome, Refusal), outcome
    text = f"{outcome.problem.found}. {outcome.problem.fix}".replace(use, "the method").replace("|", "\\|")
    text = re.sub(r" \(\d+\)", "", text)  # how often an activation ran
    return str(reasons.setdefault(text, len(reasons) + 1))
