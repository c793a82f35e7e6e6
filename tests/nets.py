"""Small nets made by hand, one for each point at issue of METHODS section 7, and the specs that name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_audit.model.audited import AuditedModel
from xai_audit.model.load import audited
from xai_audit.spec.schema import Model


def model_spec(task: str = "single_label", width: int = 3, size: tuple[int, int] = (16, 16), **more: Any) -> Model:
    """The spec of a net: task, number of scores, input size."""
    names: dict[str, Any] = {"classes": tuple(f"class{k}" for k in range(width))}
    if task == "regression":
        names = {"outputs": tuple(f"output{k}" for k in range(width))}
    if task == "binary_logit":
        names = {"classes": ("negative", "positive")}
    channels = more.pop("channels", 3)
    place = {"size": size, "channels": channels, "mean": more.pop("mean", None), "std": more.pop("std", None)}
    return Model(factory="tests.nets", task=task, input=place, **{**names, **more})


def audit(module: nn.Module, **spec: Any) -> AuditedModel:
    """A net in eval mode as the AuditedModel of `model_spec(**spec)`."""
    return audited(module.eval(), model_spec(**spec))


def pixels(cases: int = 4, channels: int = 3, size: tuple[int, int] = (16, 16), seed: int = 0) -> np.ndarray:
    """Images (cases, channels, height, width) in [0, 1]."""
    return np.random.default_rng(seed).random((cases, channels, *size), dtype=np.float32)


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A net with weights of a seed; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


class GapNet(nn.Module):
    """conv -> mean over places -> linear: grad_cam's weights are W / places."""

    def __init__(self, channels: int = 3, features: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, features, 3, padding=1)
        self.head = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean((2, 3)))


class FlatNet(nn.Module):
    """conv -> flatten -> linear."""

    def __init__(self, channels: int = 3, places: int = 256, outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2, 3, padding=1)
        self.head = nn.Linear(2 * places, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).flatten(1))


class LinearNet(nn.Module):
    """Scores linear in the pixels."""

    def __init__(self, shape: tuple[int, int, int] = (3, 16, 16), outputs: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(int(np.prod(shape)), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


class ResidualNet(nn.Module):
    """BatchNorm, in-place ReLU and a residual add, as in ResNet."""

    def __init__(self, channels: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, 6, 3, 2, 1), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, 6, 3, 1, 1), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)).add_(out))
        return self.head(self.drop(out.mean((2, 3))))


class Giving(nn.Module):
    """A GapNet whose scores come in another form."""

    def __init__(self, form: Callable[[Tensor], object], outputs: int = 3) -> None:
        super().__init__()
        self.net, self.form = GapNet(outputs=outputs), form

    def forward(self, x: Tensor) -> object:
        return self.form(self.net(x))


@dataclass
class Output:
    """An output with `.logits`, as transformers give it."""

    logits: Tensor
    hidden: Tensor | None = None


class FunctionalNet(nn.Module):
    """No modules inside: F.conv2d, F.relu and F.linear on its own parameters."""

    def __init__(self, channels: int = 3, outputs: int = 3) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, channels, 3, 3) * 0.3)
        self.weight = nn.Parameter(torch.randn(outputs, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.relu(F.conv2d(x, self.kernel, padding=1)).mean((2, 3)), self.weight)


class SharedActivation(nn.Module):
    """One ReLU module used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.conv2(self.act(self.conv1(x)))).mean((2, 3)))


class SmoothNet(nn.Module):
    """SiLU and GELU: activations below zero."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.SiLU(), nn.Conv2d(6, 6, 3, 1, 1), nn.GELU())
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class TokenNet(nn.Module):
    """A two-block ViT with `prefix` tokens; the head reads the first token, or the mean of patches without any."""

    def __init__(self, prefix: int = 1, size: tuple[int, int] = (32, 48), patch: int = 8, width: int = 8) -> None:
        super().__init__()
        self.prefix, places = prefix, (size[0] // patch) * (size[1] // patch)
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(torch.randn(1, prefix, width))
        self.positions = nn.Parameter(torch.randn(1, prefix + places, width) * 0.1)
        self.blocks = nn.ModuleList([Block(width), Block(width)])
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0] if self.prefix else x.mean(1))


class ChannelsLastNet(nn.Module):
    """Two stages that give (cases, height, width, channels), as Swin does."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.stage1 = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU())
        self.stage2 = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        x = x + self.stage1(x)
        return self.head(self.stage2(x).mean((1, 2)))


class ChangingNet(nn.Module):
    """Writes to its own buffer in every forward, also in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GapNet()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.net(x)


class DetachedNet(nn.Module):
    """Scores through an operation that torch cannot differentiate."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GapNet()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).detach()


class FailingNet(nn.Module):
    """Code that raises."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no such luck")


class NanNet(nn.Module):
    """NaN scores for pictures with a mean above a half."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GapNet()

    def forward(self, x: Tensor) -> Tensor:
        is_bright = x.mean((1, 2, 3), keepdim=False) > 0.5
        return self.net(x).masked_fill(is_bright[:, None], torch.nan)


class PlacesNet(nn.Module):
    """Scores of every place by two convolutions, the second of them linear and 1 x 1; in another form if asked."""

    def __init__(self, outputs: int = 3, form: Callable[[Tensor], object] = lambda z: z) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU())
        self.head, self.form = nn.Conv2d(5, outputs, 1), form

    def forward(self, x: Tensor) -> object:
        return self.form(self.head(self.body(x)))


class QuarterDetector(nn.Module):
    """A box for each quarter of the image whose mean is above a half: label 1 above, 2 below; the score is the mean.

    Takes a list of images, gives a list of dicts; `cuts` takes the gradient off, as choices by a threshold often do.
    """

    def __init__(self, cuts: bool = False, channels: int = 3) -> None:
        super().__init__()
        self.body, self.cuts = nn.Conv2d(channels, 4, 1), cuts
        nn.init.constant_(self.body.weight, 1 / channels)
        nn.init.zeros_(self.body.bias)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        assert isinstance(images, list)
        return [self._boxes(self.body(image[None])[0, 0]) for image in images]

    def _boxes(self, grey: Tensor) -> dict[str, Tensor]:
        half, side = grey.shape[0] // 2, grey.shape[1] // 2
        corners = [(0, 0, 1), (0, side, 1), (half, 0, 2), (half, side, 2)]
        means = [grey[y : y + half, x : x + side].mean() for y, x, _ in corners]
        kept = [(place, mean) for place, mean in zip(corners, means, strict=True) if mean > 0.5]
        boxes = torch.tensor([[x, y, x + side, y + half] for (y, x, _), _ in kept], dtype=grey.dtype).reshape(-1, 4)
        labels = torch.tensor([label for (_, _, label), _ in kept], dtype=torch.int64)
        scores = torch.stack([mean for _, mean in kept]) if kept else grey.new_zeros(0) + 0 * grey.sum()
        return {"boxes": boxes, "labels": labels, "scores": scores.detach() if self.cuts else scores}
