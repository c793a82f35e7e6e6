"""How far units and concepts cover the same pixels (Bau et al., CVPR 2017, section 2.3), counted without drawing maps.

Between the centres of its places an upsampled map is linear along a row of pixels, so that where it exceeds its
threshold is a run of pixels between two crossings. Runs are found from a map's few places, and what a mask has in a run
is the difference of two of its running counts: the numbers are those of maps drawn pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CELLS = 8
"""Most rows and columns of the coarse grid that shuffled marks are counted on."""
_AT_ONCE = 2**20
"""Most interpolated numbers held at a time."""

Counts = NDArray[np.int64]


def iou(both: NDArray[np.number], unit: NDArray[np.number], concept: NDArray[np.number]) -> NDArray[np.float64]:
    """Intersection over union from pooled counts of pixels; 0 where neither covers any."""
    union = np.asarray(unit + concept - both, np.float64)
    return np.asarray(np.divide(both, union, out=np.zeros(union.shape), where=union > 0))


def ceiling(prevalence: float, quantile: float) -> float:
    """Highest IoU of a unit that answers on a share of the picture with a concept on another share: min / max."""
    return min(prevalence, quantile) / max(prevalence, quantile)


def chance(prevalence: float, quantile: float) -> float:
    """IoU of a unit that knows nothing of the concept: pq / (p + q - pq)."""
    both = prevalence * quantile
    return both / (prevalence + quantile - both)


@dataclass(frozen=True, eq=False)
class Axis:
    """Pixels along one axis of the picture: the two places that each lies between, and its cell of the coarse grid."""

    centres: NDArray[np.float64]
    """(places,) ascending, in pixels; pixel 0 has its centre at 0."""
    pixels: int

    def __post_init__(self) -> None:
        if not np.all(np.diff(self.centres) > 0):
            raise ValueError(f"centres that do not ascend: {self.centres.tolist()}")

    @property
    def cells(self) -> int:
        """Cells of the coarse grid."""
        return min(CELLS, self.pixels)

    @cached_property
    def cell(self) -> NDArray[np.int64]:
        """(pixels,) the cell of each pixel; cells differ by one pixel at most."""
        return np.arange(self.pixels) * self.cells // self.pixels

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(cells,) first pixel of each cell."""
        return np.searchsorted(self.cell, np.arange(self.cells))

    @cached_property
    def low(self) -> NDArray[np.int64]:
        """(pixels,) the place at or before each pixel, the first one before it."""
        return np.clip(self._piece, 0, None)

    @cached_property
    def high(self) -> NDArray[np.int64]:
        """(pixels,) the place after it, the last one beyond it."""
        return np.minimum(self.low + 1, len(self.centres) - 1)

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """(pixels,) how far each pixel is on the way from `low` to `high`; 0 outside the outermost centres."""
        step = np.where(self.high > self.low, self.centres[self.high] - self.centres[self.low], 1.0)
        return np.clip((np.arange(self.pixels) - self.centres[self.low]) / step, 0.0, 1.0) * (self.high > self.low)

    @cached_property
    def segments(self) -> NDArray[np.int64]:
        """(segments, 2) first and last pixel of each stretch on which maps are linear, within one cell."""
        changes = np.flatnonzero((np.diff(self._piece) != 0) | (np.diff(self.cell) != 0))
        return np.stack([np.concatenate([[0], changes + 1]), np.concatenate([changes, [self.pixels - 1]])], axis=1)

    @cached_property
    def _piece(self) -> NDArray[np.int64]:
        return np.asarray(np.searchsorted(self.centres, np.arange(self.pixels), side="right") - 1, np.int64)

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """(places,) the pixel nearest to each centre, the first of two as near."""
        return np.clip(np.ceil(self.centres - 0.5), 0, self.pixels - 1).astype(np.int64)

    @cached_property
    def spans(self) -> NDArray[np.int64]:
        """(places, 2) first pixel of those nearer to each place than to others, and the first beyond; one at least."""
        middles = np.ceil((self.centres[1:] + self.centres[:-1]) / 2)
        first = np.clip(np.concatenate([[0], middles]), 0, self.pixels - 1)
        beyond = np.maximum(np.clip(np.concatenate([middles, [self.pixels]]), 0, self.pixels), first + 1)
        return np.stack([first, beyond], axis=1).astype(np.int64)

    def between(
        self, lines: NDArray[np.float64], line: NDArray[np.int64], pixel: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Values at pixels of some of the lines (lines, places); exact where both neighbours are equal."""
        first = lines[line, self.low[pixel]]
        return np.asarray(first + self.share[pixel] * (lines[line, self.high[pixel]] - first))


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of pixels in which maps exceed their thresholds, (runs,) each, sorted by map."""

    map: NDArray[np.int64]
    row: NDArray[np.int64]
    first: NDArray[np.int64]
    """Column of the first pixel."""
    length: NDArray[np.int64]
    cell: NDArray[np.int64]
    """Cell of the coarse grid that the whole run lies in."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Where the places of a layer lie in the pictures that it is read from."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, centres: tuple[NDArray[np.float64], NDArray[np.float64]], size: tuple[int, int]) -> Picture:
        """From the centres of rows and columns and the picture's height and width."""
        return cls(Axis(np.asarray(centres[0], np.float64), size[0]), Axis(np.asarray(centres[1], np.float64), size[1]))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.pixels, self.columns.pixels

    @property
    def cells(self) -> int:
        """Cells of the coarse grid."""
        return self.rows.cells * self.columns.cells

    @cached_property
    def cell_sizes(self) -> NDArray[np.int64]:
        """(cells,) pixels of each cell."""
        rows, columns = np.bincount(self.rows.cell), np.bincount(self.columns.cell)
        return np.asarray(np.outer(rows, columns).ravel(), np.int64)

    def runs(self, above: NDArray[np.float64]) -> Iterator[Runs]:
        """Where upsampled maps exceed 0, from maps less their thresholds, (maps, rows, columns); some maps at a time.

        Subtracting first makes a tie exact: what equals its threshold on both sides does not exceed it between.
        """
        step = max(1, _AT_ONCE // (self.rows.pixels * above.shape[2]))
        for start in range(0, len(above), step):
            yield self._runs(above[start : start + step], start)

    def _runs(self, above: NDArray[np.float64], start: int) -> Runs:
        # an interpolated value exceeds 0 only where one of its two neighbours does
        is_hot = np.asarray((above > 0).any(axis=2))
        maps, rows = np.nonzero(is_hot[:, self.rows.low] | is_hot[:, self.rows.high])
        lines = above[maps, self.rows.low[rows]]
        lines += self.rows.share[rows, None] * (above[maps, self.rows.high[rows]] - lines)
        is_hot, segments = lines > 0, self.columns.segments
        low, high = self.columns.low[segments[:, 0]], self.columns.high[segments[:, 0]]
        line, segment = np.nonzero(is_hot[:, low] | is_hot[:, high])
        left, right = (self.columns.between(lines, line, segments[segment, end]) for end in (0, 1))
        kept = np.flatnonzero((left > 0) | (right > 0))
        left, right, line, segment = left[kept], right[kept], line[kept], segment[kept]
        first, last = segments[segment].T
        length = _above_zero(left, right, last - first)
        return Runs(
            map=start + maps[line],
            row=rows[line],
            first=np.where(left > 0, first, last + 1 - length),
            length=length,
            cell=self.rows.cell[rows[line]] * self.columns.cells + self.columns.cell[first],
        )


def _above_zero(left: NDArray[np.float64], right: NDArray[np.float64], steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of steps + 1 evenly spaced points of a line exceed 0, which at least one of its ends does.

    From the end that does, it is 0 after steps * end / (end - other end) steps: points before that exceed it.
    """
    is_all = (left > 0) & (right > 0)
    way = np.abs(left - right)
    crossing = np.divide(steps * np.maximum(left, right), way, out=np.ones(len(way)), where=~is_all & (way > 0))
    return np.where(is_all, steps + 1, np.clip(np.ceil(crossing), 1, np.maximum(steps, 1)).astype(np.int64))


class RunningCounts:
    """Masks as running counts along their rows, so that what each has in a run takes two look-ups."""

    def __init__(self, masks: NDArray[np.bool_]) -> None:
        count, height, width = masks.shape
        self._sums = np.zeros((count, height, width + 1), np.int32)
        np.cumsum(masks, axis=2, out=self._sums[:, :, 1:])

    def inside(self, runs: Runs) -> NDArray[np.int32]:
        """Pixels of each mask in each run, (masks, runs)."""
        count, height, stride = self._sums.shape
        flat = self._sums.reshape(count, height * stride)
        begin = runs.row * stride + runs.first
        return np.asarray(flat[:, begin + runs.length] - flat[:, begin])

    def by_cell(self, picture: Picture) -> NDArray[np.int64]:
        """Pixels of each mask in each cell of the coarse grid, (masks, cells)."""
        ends = np.concatenate([picture.columns.starts, [picture.columns.pixels]])
        counts = np.add.reduceat(np.diff(self._sums[:, :, ends], axis=2), picture.rows.starts, axis=1, dtype=np.int64)
        return counts.reshape(len(counts), picture.cells)

    def by_place(self, picture: Picture) -> NDArray[np.float64]:
        """Share of the pixels nearest to each place that each mask has, (rows, columns, masks)."""
        (top, bottom), (left, right) = picture.rows.spans.T, picture.columns.spans.T
        across = self._sums[:, :, right] - self._sums[:, :, left]
        down = np.pad(np.cumsum(across, axis=1), ((0, 0), (1, 0), (0, 0)))
        counts = down[:, bottom] - down[:, top]
        return np.moveaxis(counts / np.outer(bottom - top, right - left), 0, -1)
