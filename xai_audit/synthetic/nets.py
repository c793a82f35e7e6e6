"""Nets compiled by hand: what each of them does, and so what a right explanation of it says, is known exactly.

Every net takes pixels (cases, channels, height, width), in which a row of a table is one line, and gives scores
(cases, outputs). Weights are buffers' or parameters' own values, never trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """y_c = sum over pixels of w_c x + b_c: gradient w, input times gradient w x, Shapley value w (x - x')."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight` (outputs, channels, height, width), `bias` (outputs,)."""
        super().__init__()
        outputs = len(weight)
        self.head = nn.Linear(weight[0].numel(), outputs, dtype=weight.dtype)
        _set(self.head.weight, weight.reshape(outputs, -1))
        _set(self.head.bias, torch.zeros(outputs) if bias is None else bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, outputs)."""
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


class MeanPooled(nn.Module):
    """A = conv(x), y_c = sum_k W_ck mean(A_k) + b_c: grad_cam weighs channel k by W_ck / places."""

    def __init__(self, kernel: Tensor, weight: Tensor, bias: Tensor) -> None:
        """`kernel` (features, channels, k, k) with k odd, `weight` (outputs, features), `bias` (outputs,)."""
        super().__init__()
        self.conv = _convolution(kernel)
        self.head = _head(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, outputs)."""
        return self.head(self.conv(x).mean((2, 3)))  # type: ignore[no-any-return]


class Flattened(nn.Module):
    """A = conv(x), y_c = sum over k and places of W_ckij A_kij + b_c: hires_cam adds up to y - b, grad_cam does not."""

    def __init__(self, kernel: Tensor, weight: Tensor, bias: Tensor) -> None:
        """`kernel` (features, channels, k, k) with k odd, `weight` (outputs, features * places), `bias` (outputs,)."""
        super().__init__()
        self.conv = _convolution(kernel)
        self.head = _head(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, outputs)."""
        return self.head(self.conv(x).flatten(1))  # type: ignore[no-any-return]


class Rectified(nn.Module):
    """y = sum_i w_i relu(x_i): gradient w where x > 0, guided backpropagation max(w, 0) there, deconvnet max(w, 0)."""

    def __init__(self, weight: Tensor) -> None:
        """`weight` (outputs, channels * height * width)."""
        super().__init__()
        self.relu = nn.ReLU()
        self.head = _head(weight, torch.zeros(len(weight)))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, outputs)."""
        return self.head(self.relu(x.flatten(1)))  # type: ignore[no-any-return]


class Game(nn.Module):
    """y = v(x): a cooperative game whose players are pixels, 1 where present and 0 where absent."""

    def __init__(self, value: Callable[[Tensor], Tensor]) -> None:
        """`value` maps players (cases, players) to (cases,)."""
        super().__init__()
        self.value = value
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, 1)."""
        return (self.value(x.flatten(1)) * self.scale)[:, None]


def glove(players: Tensor) -> Tensor:
    """Players 0 and 1 hold left gloves, 2 a right one; a pair is worth 1. Shapley values 1/6, 1/6, 2/3."""
    return torch.minimum(players[:, :2].sum(1), players[:, 2])


def all_of(players: Tensor) -> Tensor:
    """1 where all are present: Shapley values 1/n each."""
    return players.prod(1)


def majority(players: Tensor) -> Tensor:
    """1 where more than half are present: Shapley values 1/n each."""
    return (players.sum(1) > players.shape[1] / 2).to(players.dtype)


def weighted_majority(players: Tensor) -> Tensor:
    """Weights 3, 1, 1, 1 and a quota of 4: Shapley values 3/4, 1/12, 1/12, 1/12."""
    weights = torch.tensor([3.0, 1.0, 1.0, 1.0], dtype=players.dtype, device=players.device)
    return (players @ weights >= 4).to(players.dtype)


@dataclass(frozen=True)
class Split:
    """A test of one feature: cases below the threshold go left."""

    feature: int
    threshold: float
    left: Split | int
    """The next test, or the class of the leaf."""
    right: Split | int


class CompiledTree(nn.Module):
    """A decision tree as a net: the score of the class that the tree names is 1, of all others 0.

    A tree grown from its answers must find the same tests and agree with it in every case.
    """

    def __init__(self, root: Split, outputs: int) -> None:
        super().__init__()
        self.root, self.outputs = root, outputs
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, outputs)."""
        chosen = self._class_of(self.root, x.flatten(1))
        return F.one_hot(chosen, self.outputs).to(x.dtype) * self.scale

    def _class_of(self, node: Split | int, features: Tensor) -> Tensor:
        if isinstance(node, int):
            return torch.full((len(features),), node, dtype=torch.int64, device=features.device)
        is_left = features[:, node.feature] < node.threshold
        return torch.where(is_left, self._class_of(node.left, features), self._class_of(node.right, features))


class RegionReader(nn.Module):
    """Two classes by the mean brightness of one region, whatever else the image shows: z_1 - z_0 = gain (mean - level).

    The region is the whole cause of its answer: relevance elsewhere is wrong. With the object's own place as the
    region it is an honest net; with the place of a token it is a net that took a planted shortcut.
    """

    def __init__(self, region: Tensor, channels: int = 3, gain: float = 20.0, level: float = 0.5) -> None:
        """`region` (height, width) of 0 and 1."""
        super().__init__()
        share = region / (channels * region.sum())
        weight = gain / 2 * share.expand(channels, -1, -1)
        self.read = Linear(torch.stack([-weight, weight]), gain / 2 * torch.tensor([level, -level]))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, 2)."""
        return self.read(x)  # type: ignore[no-any-return]


def quadrants(size: int) -> Tensor:
    """Masks (4, size, size) of the four quarters of an image, row by row."""
    half = size // 2
    masks = torch.zeros(4, size, size)
    for number, (top, left) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
        masks[number, top : top + half, left : left + half] = 1
    return masks


class QuarterChannels(nn.Module):
    """Four channels that hold one quarter of a grey image each, and y = the sum of the first: for score_cam."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.register_buffer("masks", quadrants(size))
        self.masks: Tensor
        self.layer = nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (cases, 1)."""
        A: Tensor = self.layer(x[:, :1] * self.masks)
        return A[:, :1].flatten(1).sum(1, keepdim=True) * self.scale


def identity_kernel(channels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A convolution that gives its input back, (channels, channels, 1, 1)."""
    return torch.eye(channels, dtype=dtype)[:, :, None, None]


def _convolution(kernel: Tensor) -> nn.Conv2d:
    features, channels, side, _ = kernel.shape
    made = nn.Conv2d(channels, features, side, padding=side // 2, bias=False, dtype=kernel.dtype)
    _set(made.weight, kernel)
    return made


def _head(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], len(weight), dtype=weight.dtype)
    _set(made.weight, weight)
    _set(made.bias, bias)
    return made


def _set(parameter: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)
