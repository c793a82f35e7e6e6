"""Cases that are parts of a picture: which part, and what a case is then called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.labels import RowProblems
from xai_audit.data.mask_columns import edges_of
from xai_audit.data.masks import found_in_box
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.spec.schema import Crop

KEY = "data.source.crop"


@dataclass(frozen=True)
class Part:
    """A rectangle of whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """That part of a plane (H, W, ...), as an array of its own."""
        return np.array(plane[self.top : self.bottom, self.left : self.right])


@dataclass(frozen=True)
class Crops:
    """The part of its picture that each row is."""

    boxes: NDArray[np.float64]
    """(rows, 4): xmin, ymin, xmax, ymax in pixels of the stored picture."""
    side: int | None
    """Of a square around the middle of the box; None: the box itself."""

    def part(self, row: int, size: tuple[int, int], where: str) -> Part:
        """The part of a row in its picture of (height, width): the pixels whose centres lie in it.

        A square that would leave the picture is moved inwards. Raises DataError for a box that leaves the picture or
        holds no pixel, and for a square larger than the picture.
        """
        height, width = size
        x0, y0, x1, y1 = self.boxes[row].tolist()
        shown = f"the box xmin {x0:g}, ymin {y0:g}, xmax {x1:g}, ymax {y1:g} of a crop"
        if x1 > width or y1 > height:
            raise DataError(where, shown, f"a box inside the picture of {width} x {height} pixels", "Correct the box.")
        if self.side is None:
            part = Part(_first(x0), _first(y0), _first(x1), _first(y1))
            if 0 in part.size:
                raise DataError(where, f"{shown}, with no pixel inside", "at least one pixel", "Correct the box.")
            return part
        if self.side > min(size):
            found, expected = f"a picture of {width} x {height} pixels", f"at least {self.side} x {self.side}"
            raise DataError(where, found, f"{expected}, to cut a square from", f"Lower `{KEY}.side`.")
        left, top = _moved((x0 + x1) / 2, self.side, width), _moved((y0 + y1) / 2, self.side, height)
        return Part(left, top, left + self.side, top + self.side)


def read_crops(table: Table, crop: Crop, problems: RowProblems) -> Crops:
    """The crops of a table's rows; a row without a whole box, or with one that is none, is a problem."""
    boxes = np.stack([edges_of(table, name, f"{KEY}.box") for name in crop.box], axis=1)
    for row, box in enumerate(boxes):
        problem = found_in_box(box)
        if problem:
            problems.add(row, f"columns {', '.join(crop.box)}: {problem}")
    return Crops(boxes, crop.side)


def named_by_box(names: Sequence[str | None], crops: Crops) -> tuple[str | None, ...]:
    """`file [xmin ymin xmax ymax]` of each row: a picture's name alone is that of several cases."""
    return tuple(
        None if name is None else f"{name} [{' '.join(f'{edge:.12g}' for edge in box)}]"
        for name, box in zip(names, crops.boxes, strict=True)
    )


def _first(edge: float) -> int:
    """The first pixel whose centre lies at or beyond an edge."""
    return math.ceil(edge - 0.5)


def _moved(middle: float, side: int, length: int) -> int:
    """First pixel of a run of `side` around the middle, halves upwards, moved into 0 .. length."""
    return min(max(math.floor(middle - side / 2 + 0.5), 0), length - side)
