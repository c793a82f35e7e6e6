"""Small changes of a picture that may not matter: shift, scale, turn; one differentiable resampling for all of them."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 0.5
FULL_SIDE = 128
"""Distances are meant for pictures with this shorter side or more; on smaller ones they shrink with it."""
KINDS = ("pad", "jitter", "scale", "rotate")
DRAWS = 6
"""Numbers that one set of changes takes: two shifts of two numbers, a scale and a turn."""


@dataclass(frozen=True)
class Changes:
    """How far pictures of one size are changed, in the order of METHODS; None for what is left out."""

    pad: int | None
    """Pixels of grey around the picture; None: its border pixels go on."""
    jitter: int | None
    """The first shift: whole pixels, half as far each way."""
    scale: tuple[float, float] | None
    rotate: float | None
    """Most degrees each way."""
    last_jitter: int | None

    @classmethod
    def of(cls, size: tuple[int, int], kinds: Collection[str] | None = None) -> Changes:
        """The defaults for a height and width: pad 12, jitter 8, scale .9 to 1.1, rotate 10 degrees, jitter 4.

        Where the shorter side is below 128 pixels the distances are side / 128 of that, rounded, and at least 1.
        """
        kinds = KINDS if kinds is None else kinds
        share = min(1.0, min(size) / FULL_SIDE)
        pad, first, last = (max(1, math.floor(distance * share + 0.5)) for distance in (12, 8, 4))
        return cls(
            pad=pad if "pad" in kinds else None,
            jitter=first if "jitter" in kinds else None,
            scale=(0.9, 1.1) if "scale" in kinds else None,
            rotate=10.0 if "rotate" in kinds else None,
            last_jitter=last if "jitter" in kinds else None,
        )

    @property
    def is_none(self) -> bool:
        """Whether the picture stays as it is."""
        return self.jitter is None and self.scale is None and self.rotate is None

    def record(self) -> dict[str, object]:
        """What is changed, for a record, with every number used."""
        found = {
            "pad": self.pad,
            "jitter": self.jitter,
            "scale": None if self.scale is None else list(self.scale),
            "rotate": self.rotate,
            "last_jitter": self.last_jitter,
        }
        return {name: value for name, value in found.items() if value is not None}

    def drawn(self, count: int, generator: torch.Generator) -> Moves:
        """Sets of changes, drawn with as many numbers whatever is left out."""
        uniform = torch.rand((count, DRAWS), generator=generator, dtype=torch.float64)
        low, high = self.scale or (1.0, 1.0)
        return Moves(
            first=_shift(uniform[:, :2], self.jitter or 0),
            scale=low + (high - low) * uniform[:, 2],
            degrees=(2 * uniform[:, 3] - 1) * (self.rotate or 0.0),
            last=_shift(uniform[:, 4:], self.last_jitter or 0),
        )

    def apply(self, pictures: Tensor, maps: Tensor) -> Tensor:
        """Pictures (pictures, channels, height, width), each under its own of `Moves.maps`, of the same size."""
        if self.is_none:
            return pictures
        grid = F.affine_grid(maps.to(pictures), list(pictures.shape), align_corners=False)
        if self.pad is None:
            return F.grid_sample(pictures, grid, "bilinear", "border", align_corners=False)
        # beyond the padded picture its border goes on, which is grey too: the same as grey without an end
        return F.grid_sample(pictures - GREY, grid, "bilinear", "zeros", align_corners=False) + GREY


def _shift(uniform: Tensor, distance: int) -> Tensor:
    """Whole pixels (rows, columns): where a window cut at random out of a picture `distance` larger starts."""
    return (uniform * (distance + 1)).floor() - distance // 2


@dataclass(frozen=True, eq=False)
class Moves:
    """Sets of changes, one a picture, in float64 on the CPU."""

    first: Tensor
    """(sets, 2): pixels down and to the right."""
    scale: Tensor
    """(sets,): above 1 the picture grows."""
    degrees: Tensor
    """(sets,): against the clock."""
    last: Tensor
    """(sets, 2): pixels down and to the right, at the end."""

    def maps(self, size: tuple[int, int]) -> Tensor:
        """(sets, 2, 3) for F.affine_grid: from a place of the result to the place of the picture that it shows.

        In pixels from the centre, a point q of the picture goes to p = R s (q + first) + last, so that
        q = R' (p - last) / s - first.
        """
        height, width = size
        turn = torch.deg2rad(self.degrees)
        cos, sin = turn.cos() / self.scale, turn.sin() / self.scale
        A = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)  # over (x, y), y downwards
        first, last = self.first.flip(1), self.last.flip(1)
        b = -(A @ last[:, :, None])[:, :, 0] - first
        half = torch.tensor([width / 2, height / 2], dtype=torch.float64)
        return torch.cat([A * half / half[:, None], (b / half)[:, :, None]], 2)
