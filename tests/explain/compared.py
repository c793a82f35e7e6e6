"""What conformance rows are made of: nets, our maps of them, a plain pass of their layers, and the row itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import nets
import numpy as np
import torch
import torch.nn.functional as F
from asking import LAYERED, explained
from torch import Tensor, nn
from torchvision.models import resnet18

TOLERANCE = 1e-5
"""Largest difference that counts as agreement, as a share of the largest value of ours."""
CHOSEN = 2
MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.3, 0.25)
Array = np.ndarray
Pair = tuple[Array, Array]


# Nets


@dataclass(frozen=True, eq=False)
class Net:
    """A net, the layer that CAMs read, and how a peer makes places of its tokens."""

    make: Callable[[], nn.Module]
    layer: str = ""
    size: tuple[int, int] = (16, 16)
    channels: int = 3
    layout: Any = None
    normalises: bool = False
    images: Array | None = None
    is_double: bool = False
    """Float64, where differences of nearly equal scores are compared."""

    @property
    def module(self) -> nn.Module:
        """A fresh copy, always with the same weights: some peers leave a net changed."""
        return nets.seeded(self.make).double() if self.is_double else nets.seeded(self.make)

    @property
    def pixels(self) -> Array:
        """Three images in [0, 1]."""
        return nets.pixels(3, self.channels, self.size) if self.images is None else self.images

    @property
    def tensor(self) -> Tensor:
        """The images, as the net itself wants them."""
        images = torch.from_numpy(self.pixels)
        images = images.double() if self.is_double else images
        return normalised(images) if self.normalises else images

    @property
    def reshape(self) -> Callable[[Tensor], Tensor] | None:
        """Tokens as places, for peers."""
        if self.layout is None:
            return None
        tokens = self.layout["tokens"]
        return partial(places, prefix=tokens["prefix"], grid=tokens["grid"])

    @property
    def spec(self) -> dict[str, Any]:
        """What our spec says of it."""
        scaling = {"mean": MEAN, "std": STD} if self.normalises else {}
        return {"size": self.size, "channels": self.channels, **scaling}


def normalised(images: Tensor) -> Tensor:
    """Images less their mean, by their deviation, as most nets want them."""
    return (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def places(tokens: Tensor, prefix: int, grid: tuple[int, int]) -> Tensor:
    """Tokens (cases, tokens, channels) as (cases, channels, rows, columns)."""
    return tokens[:, prefix:].reshape(len(tokens), *grid, tokens.shape[2]).permute(0, 3, 1, 2)


class Rectified(nn.Module):
    """Two convolutions, each with a ReLU module of its own."""

    def __init__(self, bias: float = 1.0) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(6, 6, 3, 2, 1), nn.ReLU()
        self.head = nn.Linear(6, 3)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu2(self.conv2(self.relu1(self.conv1(x)))).mean((2, 3)))


class CalledRelu(Rectified):
    """The same net with F.relu in place of modules."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3)))


class Balanced(nn.Module):
    """A layer whose channels sum to exactly 0 over places: each is laid beside its own negative."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.twins, self.head = nn.Conv2d(3, 3, 1, bias=False), Twins(), nn.Linear(3 * 8 * 16, 3)
        nn.init.dirac_(self.start.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.twins(self.start(x)).flatten(1))


class Twins(nn.Module):
    """[x, -x] along columns."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, -x], 3)


class Kinked(nn.Module):
    """relu(sum of pixels - 0.6 of the most that it can be): not smooth along a path."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, -mean, F.relu(mean - 0.3)], 1)


class Quadratic(nn.Module):
    """Squares of pixels: a gradient linear along a path, which every symmetric rule integrates exactly."""

    def forward(self, x: Tensor) -> Tensor:
        squares = (x**2).mean((2, 3))
        return squares * torch.tensor([1.0, -2.0, 3.0])


class Constant(nn.Module):
    """A layer that is positive and the same everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(3, 3, 1), nn.Linear(3, 3)
        with torch.no_grad():
            for tensor in (self.layer.weight, self.layer.bias, self.head.weight, self.head.bias):
                tensor.fill_(0.0 if tensor is self.layer.weight else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).mean((2, 3)))


class Louder(nn.Module):
    """A net whose scores, and so gradients, are larger."""

    def __init__(self, make: Callable[[], nn.Module], times: float) -> None:
        super().__init__()
        self.net, self.times = make(), times

    def forward(self, x: Tensor) -> Tensor:
        return self.times * self.net(x)


class Negative(Rectified):
    """A score below 0."""

    def __init__(self) -> None:
        super().__init__(bias=-1.0)


def small_resnet() -> nn.Module:
    """ResNet-18 for three classes."""
    return resnet18(num_classes=3)


def dyadic(cases: int = 3) -> Array:
    """Images of eighths, whose sums are exact in any order."""
    return (np.random.default_rng(0).integers(1, 8, (cases, 3, 8, 8)) / 8).astype(np.float32)


GAP = Net(nets.GapNet, "conv")
FLAT = Net(nets.FlatNet, "conv")
SMOOTH = Net(nets.SmoothNet, "body.3")
RECTIFIED = Net(Rectified, "relu2")
FULL_SIZE = Net(Rectified, "relu1")
RESNET = Net(small_resnet, "layer3", (64, 64))
VIT = Net(lambda: nets.TokenNet(2), "blocks.1.norm1", (32, 48), 3, {"tokens": {"prefix": 2, "grid": (4, 6)}})
NORMALISED = Net(Rectified, "relu1", normalises=True)
CNNS = (GAP, FLAT, SMOOTH, RECTIFIED, RESNET)
NAMES = {
    GAP: "conv - mean - linear",
    FLAT: "conv - flatten - linear",
    SMOOTH: "SiLU and GELU",
    RECTIFIED: "two convs with ReLU",
    FULL_SIZE: "two convs with ReLU, layer of the image's size",
    RESNET: "ResNet-18",
    VIT: "ViT with two prefix tokens, grid 4 x 6",
    NORMALISED: "two convs with ReLU on normalised images",
}


# Ours


def ours(net: Net, use: str, *, module: nn.Module | None = None, **parameters: Any) -> Array:
    """Our raw maps of class 2."""
    method: dict[str, Any] = {"use": use, "target": {"class": CHOSEN}, **parameters}
    if use in LAYERED:
        method |= {"layer": parameters.get("layer", net.layer), "layout": net.layout}
    if use == "eigen_cam":
        del method["target"]
    made = nets.audit(module or net.module, **net.spec)
    return explained(made, nets.model_spec(**net.spec), method, net.pixels, mean_colour=MEAN).raw


def positive(array: Array) -> Array:
    """ReLU of an array."""
    return np.maximum(array, 0)


def layer_pass(net: Net, module: nn.Module | None = None) -> tuple[Array, Array]:
    """Activations and gradients of the layer, (cases, channels, rows, columns), by a hook and nothing else."""
    module, kept = module or net.module, []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()

    handle = module.get_submodule(net.layer).register_forward_hook(keep)
    score = module(net.tensor)[:, CHOSEN].sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept)
    shaped = net.reshape or (lambda tensor: tensor)
    return shaped(kept[0]).detach().numpy(), shaped(gradient).numpy()


def weighed(weights: Array, activations: Array) -> Array:
    """sum_k w_k A_k"""
    return np.einsum("nk,nkhw->nhw", weights, activations)


# Rows


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    peer: str
    part: str
    """The peer's name for it."""
    on: str
    settings: str
    agrees: Callable[[], Iterator[Pair]] | None = None
    """Ours and theirs."""
    deviates: Callable[[], Iterator[Pair]] | None = None
    """Ours and theirs, apart by more than `apart`."""
    cause: str = ""
    shown: Callable[[], Iterator[Pair]] | None = None
    """Theirs, and theirs made anew from the cause; or ours and theirs once the cause is taken away."""
    shown_by: str = ""
    apart: float = 0.05
    """Least difference of a deviation, as a share of the largest value of ours."""

    @property
    def name(self) -> str:
        """Name of the test."""
        verb = "agrees" if self.agrees else "deviates"
        return f"{self.method}-{self.peer}-{self.part}-{verb}-{self.on}".replace(" ", "_")

    def check(self) -> None:
        """Raises AssertionError where the row does not hold."""
        if self.agrees is not None:
            apart = [difference(*pair) for pair in self.agrees()]
            assert max(apart) <= TOLERANCE, apart
            return
        assert self.deviates is not None and self.shown is not None
        apart = [difference(*pair) for pair in self.deviates()]
        assert min(apart) > self.apart, apart
        shown = [difference(*pair) for pair in self.shown()]
        assert max(shown) <= TOLERANCE, shown


def difference(first: Array, second: Array) -> float:
    """Largest difference, as a share of the largest value of the first."""
    assert first.shape == second.shape, (first.shape, second.shape)
    assert np.abs(first).max() > 0, "nothing is compared"
    return float(np.abs(np.float64(first) - second).max() / np.abs(first).max())


def named(found: Sequence[Net]) -> str:
    """Nets in words."""
    return "; ".join(NAMES[net] for net in found)
