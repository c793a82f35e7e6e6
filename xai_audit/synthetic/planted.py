"""Images in which the cause of the label is planted at a known place, beside things that only go along with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BACKGROUND, BRIGHT, DARK = 0.3, 0.8, 0.2
"""Mean brightness of the background, and of a patch of either class."""
NOISE = 0.05


@dataclass(frozen=True, eq=False)
class Planted:
    """Images with a patch that decides the label, and a token that may or may not tell the same."""

    pixels: npt.NDArray[np.float32]
    """(cases, channels, size, size) in [0, 1]."""
    labels: npt.NDArray[np.int64]
    """(cases,): 1 where the patch is bright."""
    patch: npt.NDArray[np.bool_]
    """(size, size): where the patch is, in every image."""
    token: npt.NDArray[np.bool_]
    """(size, size): where the token is."""
    token_says: npt.NDArray[np.int64]
    """(cases,): the class that the token goes with; equal to the label in the share `agreement` of cases."""


def planted(
    cases: int, size: int = 32, channels: int = 3, agreement: float = 1.0, seed: int = 0, *, side: int | None = None
) -> Planted:
    """Images of noise with a patch in the lower right quarter and a token in the upper left corner.

    `agreement` is the share of cases in which the token is bright when the patch is: at 1 a net can take the token as a
    shortcut, at 0.5 it tells nothing. `side` of the patch, a quarter of the image unless named. Raises ValueError for
    an image that cannot hold both.
    """
    side = size // 4 if side is None else side
    corner = max(2, size // 8)
    place = size // 2 + (size // 2 - side) // 2
    if side < 1 or place < corner or place + side > size:
        raise ValueError(f"a patch of {side} and a token of {corner} pixels do not fit into {size} x {size} pixels")
    random = np.random.default_rng(seed)
    patch, token = np.zeros((size, size), bool), np.zeros((size, size), bool)
    patch[place : place + side, place : place + side] = True
    token[:corner, :corner] = True
    labels = np.arange(cases) % 2
    random.shuffle(labels)
    agrees = np.arange(cases) < round(agreement * cases)
    random.shuffle(agrees)
    token_says = np.where(agrees, labels, 1 - labels)
    pixels = random.normal(BACKGROUND, NOISE, (cases, channels, size, size))
    for where, says in ((patch, labels), (token, token_says)):
        level = np.where(says == 1, BRIGHT, DARK)[:, None, None]
        pixels[:, :, where] = level + random.normal(0, NOISE, (cases, channels, int(where.sum())))
    return Planted(np.clip(pixels, 0, 1).astype(np.float32), labels, patch, token, token_says)
