"""Maps that know nothing of the net: what every explanation must beat before it says anything (METHODS 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""


def random_map(size: tuple[int, int], rng: np.random.Generator) -> Map:
    """(height, width): independent uniform numbers."""
    return rng.random(size)


def sobel(pixels: NDArray[np.floating]) -> Map:
    """(height, width): sqrt(Gx^2 + Gy^2) of the luma of (channels, height, width), 3 x 3 Sobel, edges repeated."""
    image = luma(pixels)
    around = np.pad(image, 1, mode="edge")
    height, width = image.shape
    smooth_down = around[:height] + 2 * around[1 : 1 + height] + around[2:]
    smooth_across = around[:, :width] + 2 * around[:, 1 : 1 + width] + around[:, 2:]
    return np.hypot(smooth_down[:, 2:] - smooth_down[:, :width], smooth_across[2:] - smooth_across[:height])


def luma(pixels: NDArray[np.floating]) -> Map:
    """(height, width) from (3, height, width); another number of channels is averaged."""
    weights = LUMA if len(pixels) == len(LUMA) else (1 / len(pixels),) * len(pixels)
    return np.tensordot(np.array(weights), pixels.astype(np.float64), 1)


def centre(size: tuple[int, int]) -> Map:
    """(height, width): exp(-r^2 / (2 sigma^2)), r from the centre of the image, sigma a quarter of the shorter side."""
    down, across = (np.arange(side) - (side - 1) / 2 for side in size)
    sigma = min(size) / 4
    return np.exp(-(down[:, None] ** 2 + across[None, :] ** 2) / (2 * sigma**2))


def uniform(size: tuple[int, int]) -> Map:
    """(height, width): the same value everywhere, so that its ranking is one at random."""
    return np.ones(size)
