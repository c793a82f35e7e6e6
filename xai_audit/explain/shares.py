"""How much of a map's relevance lies in a region: the border, the centre, a mask. In numpy, so that a report can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_audit.errors import StepError

Floats = npt.NDArray[np.floating]

BORDER = 0.1
"""Width of the border on each of the four sides, as a share of the side."""
CENTRE = (0.25, 0.75)
"""Where the centre begins and ends on each side."""
BORDER_BY_CHANCE = 1 - (1 - 2 * BORDER) ** 2
"""Share of the image's area in the border; so much relevance lies there by chance."""
CENTRE_BY_CHANCE = (CENTRE[1] - CENTRE[0]) ** 2


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of relevance, one entry a map; 0 where `is_defined` is false, because that map is zero everywhere."""

    border: npt.NDArray[np.float64]
    """Share in the outer tenth on each side."""
    centre: npt.NDArray[np.float64]
    """Share in the middle half of each side."""
    is_defined: npt.NDArray[np.bool_]


def shares(maps: Floats) -> Shares:
    """Shares in the border and in the centre of maps (cases, height, width), not negative.

    A pixel that a region cuts counts with the part of it that lies inside, so that an even map gives 0.36 and 0.25
    exactly, whatever its size. Raises StepError as `within`.
    """
    height, width = maps.shape[-2:]
    inner = _box(BORDER, 1 - BORDER, height, width)
    is_defined = _totals(maps) > 0
    border = np.where(is_defined, 1 - within(maps, inner), 0.0)
    return Shares(border, within(maps, _box(*CENTRE, height, width)), is_defined)


def within(maps: Floats, weights: npt.NDArray[np.floating] | npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """sum(map * weights) / sum(map) of each map (cases, height, width); 0 for a map that is zero everywhere.

    Weights lie in [0, 1], (height, width) or one a case: 1 inside the region. Raises StepError for a map with a value
    that is negative or not finite.
    """
    if not np.isfinite(maps).all() or (maps < 0).any():
        found = "a map with a value that is negative or not finite"
        raise StepError("shares of relevance", found, "finite values of 0 and above", "Take `relu` or `abs` first.")
    largest = np.maximum(maps.max(axis=(1, 2), keepdims=True, initial=0.0), np.finfo(np.float64).tiny)
    scaled = maps.astype(np.float64) / largest  # so that neither very large nor very small maps leave the range
    totals = _totals(scaled)
    return np.asarray((scaled * weights).sum((1, 2)) / np.where(totals > 0, totals, 1.0))


def _totals(maps: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(maps.sum((1, 2), dtype=np.float64))


def _box(start: float, end: float, height: int, width: int) -> npt.NDArray[np.float64]:
    """(height, width): the part of each pixel inside the box that spans [start, end] of both sides."""
    return np.outer(_covered(start, end, height), _covered(start, end, width))


def _covered(start: float, end: float, length: int) -> npt.NDArray[np.float64]:
    edges = np.arange(length + 1, dtype=np.float64)
    inside = np.minimum(edges[1:], end * length) - np.maximum(edges[:-1], start * length)
    return np.asarray(np.clip(inside, 0.0, 1.0))
