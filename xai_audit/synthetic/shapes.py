"""Shapes on a grid of pixels: polygons and strokes, as masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Point = tuple[float, float]


@lru_cache(maxsize=8)
def pixel_centres(height: int, width: int) -> tuple[Floats, Floats]:
    """Y and x of each pixel's centre, (height, width), as shares of the height and the width; not to be written to."""
    y, x = np.mgrid[:height, :width]
    y, x = (y + 0.5) / height, (x + 0.5) / width
    y.setflags(write=False)
    x.setflags(write=False)
    return y, x


def regular(sides: int, turn: float = 0.0) -> list[Point]:
    """Corners (x, y) of a regular polygon of radius 1; `turn` in parts of a whole turn."""
    angles = 2 * np.pi * (np.arange(sides) / sides + turn)
    return [(float(np.cos(angle)), float(np.sin(angle))) for angle in angles]


def inside(x: Floats, y: Floats, corners: Sequence[Point]) -> Bools:
    """Whether points lie in a convex polygon whose corners go round in one direction."""
    sides = [
        (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    return np.asarray(np.all([side >= 0 for side in sides], axis=0) | np.all([side <= 0 for side in sides], axis=0))


def strokes(x: Floats, y: Floats, lines: Sequence[tuple[Point, Point]], width: float) -> Bools:
    """Whether points lie within half a width of any line from a point to another."""
    found = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in lines:
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        t = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1)
        found |= np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)) <= width / 2
    return found


_SEGMENTS: dict[str, tuple[Point, Point]] = {
    "top": ((-1, -1), (1, -1)), "middle": ((-1, 0), (1, 0)), "bottom": ((-1, 1), (1, 1)),
    "left above": ((-1, -1), (-1, 0)), "left below": ((-1, 0), (-1, 1)),
    "right above": ((1, -1), (1, 0)), "right below": ((1, 0), (1, 1)),
}  # fmt: skip
_DIGITS = {
    0: ("top", "bottom", "left above", "left below", "right above", "right below"),
    1: ("right above", "right below"),
    2: ("top", "right above", "middle", "left below", "bottom"),
    3: ("top", "right above", "middle", "right below", "bottom"),
    4: ("left above", "middle", "right above", "right below"),
    5: ("top", "left above", "middle", "right below", "bottom"),
    6: ("top", "left above", "left below", "middle", "right below", "bottom"),
    7: ("top", "right above", "right below"),
    8: tuple(_SEGMENTS),
    9: ("top", "left above", "middle", "right above", "right below", "bottom"),
}


def digits(x: Floats, y: Floats, text: str, height: float, stroke: float) -> Bools:
    """A number in seven-segment digits around (0, 0), of some height; `stroke` is the width of its lines."""
    half, step = height / 2, height * 0.75
    found = np.zeros(x.shape, dtype=bool)
    for place, digit in enumerate(text):
        middle = (place - (len(text) - 1) / 2) * step
        lines = [
            ((middle + a[0] * half * 0.5, a[1] * half), (middle + b[0] * half * 0.5, b[1] * half))
            for a, b in (_SEGMENTS[name] for name in _DIGITS[int(digit)])
        ]
        found |= strokes(x, y, lines, stroke)
    return found
