"""The small net of the audits of made-up pictures: plain torch, trained by scripts/make_causal_models.py."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn


def build(channels: int = 1, classes: int = 2, widths: Sequence[int] = (16, 24, 32), places: int = 1) -> nn.Module:
    """The net with fresh weights: (cases, channels, side, side) in, logits (cases, classes) out.

    The last ReLU is its last layer with places: for a picture of 64 x 64 it has 16 x 16, and their means in `places` x
    `places` parts of the picture decide.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    before = channels
    for place, width in enumerate(widths, start=1):
        size = 5 if place == 1 else 3
        parts[f"conv{place}"] = nn.Conv2d(before, width, size, padding=size // 2, bias=False)
        parts[f"norm{place}"] = nn.BatchNorm2d(width)
        parts[f"relu{place}"] = nn.ReLU()
        if place < len(widths):
            parts[f"pool{place}"] = nn.MaxPool2d(2)
        before = width
    parts |= {
        "mean": nn.AdaptiveAvgPool2d(places),
        "flatten": nn.Flatten(),
        "head": nn.Linear(before * places**2, classes),
    }
    return nn.Sequential(parts)
