"""Which places of a map change when a rectangle of its source changes, and what each of them reads (METHODS 8.3).

A box is (top, left, bottom, right) in places of a map, bottom and right excluded; a box without places is all zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slide:
    """One axis of a kernel that slides over a map."""

    size: int
    stride: int
    padding: int
    dilation: int
    length: int
    """Places of the result along the axis."""

    def reached(self, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """Places of the result that may read [low, high) of the source, for each row; low >= high: none."""
        first = -((-(low + self.padding - self.dilation * (self.size - 1))) // self.stride)
        last = (high - 1 + self.padding) // self.stride
        return np.maximum(first, 0), np.minimum(last, self.length - 1) + 1

    def taps(self, low: Ints, high: Ints, place: Ints) -> tuple[Ints, Ints]:
        """First tap, and number of taps, with which each place of the result reads [low, high) of the source."""
        start = place * self.stride - self.padding
        first = np.maximum(-((start - low) // self.dilation), 0)
        last = np.minimum((high - 1 - start) // self.dilation, self.size - 1)
        return np.minimum(first, self.size), np.maximum(last - first + 1, 0)

    def source(self, place: Ints, tap: Ints) -> Ints:
        """Place of the source that a place of the result reads with a tap; outside the map in the padding."""
        return place * self.stride - self.padding + tap * self.dilation


@dataclass(frozen=True)
class Kernel:
    """A kernel that slides over both axes of a map."""

    down: Slide
    across: Slide

    @property
    def taps(self) -> int:
        """Number of places that the kernel covers."""
        return self.down.size * self.across.size

    def reached(self, boxes: Ints) -> Ints:
        """Boxes of the result outside which nothing reads the boxes of the source."""
        top, bottom = self.down.reached(boxes[:, 0], boxes[:, 2])
        left, right = self.across.reached(boxes[:, 1], boxes[:, 3])
        return tidy(np.where(areas(boxes)[:, None] > 0, np.stack([top, left, bottom, right], 1), 0))


def union(boxes: Sequence[Ints]) -> Ints:
    """The smallest boxes that hold the boxes of each row, those without places left out."""
    whole = boxes[0]
    for other in boxes[1:]:
        both = np.concatenate([np.minimum(whole[:, :2], other[:, :2]), np.maximum(whole[:, 2:], other[:, 2:])], 1)
        whole = np.where((areas(whole) == 0)[:, None], other, np.where((areas(other) == 0)[:, None], whole, both))
    return whole


def areas(boxes: Ints) -> Ints:
    """Number of places in each box."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def tidy(boxes: Ints) -> Ints:
    """Boxes, all zeros where they have no places."""
    is_empty = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    return np.where(is_empty[:, None], 0, boxes)


@dataclass(frozen=True, eq=False)
class Places:
    """The places of all rows' boxes as one list, in which values are stored."""

    boxes: Ints
    """(rows, 4)"""
    width: int
    """Places of the whole map along a row."""
    row: Ints
    """(places,): number of the box that a place belongs to."""
    y: Ints
    x: Ints
    rank: Ints | None = None
    """(places,): position in the list of the boxes' places taken row by row, line by line; None: that order itself."""

    @staticmethod
    def of(boxes: Ints, width: int) -> Places:
        """All places of the boxes, row by row, line by line."""
        count, wide = areas(boxes), np.maximum(boxes[:, 3] - boxes[:, 1], 1)
        row = np.repeat(np.arange(len(boxes)), count)
        within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        line, column = np.divmod(within, wide[row])
        return Places(boxes, width, row, boxes[row, 0] + line, boxes[row, 1] + column)

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def starts(self) -> Ints:
        """(rows,): number of places in the boxes before each."""
        count = areas(self.boxes)
        return np.cumsum(count) - count

    @cached_property
    def flat(self) -> Ints:
        """(places,): y * width + x, the place in a flattened map."""
        return self.y * self.width + self.x

    def shifted(self, down: int, across: int, width: int) -> Places:
        """The same list of places of a map with lines and columns added before these."""
        moved = self.boxes + np.where(areas(self.boxes)[:, None] > 0, [[down, across, down, across]], 0)
        return Places(moved, width, self.row, self.y + down, self.x + across, self.rank)

    def ordered(self, order: Ints) -> Places:
        """The same places in another order of the list; `self` must be in the order of `of`."""
        assert self.rank is None
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return Places(self.boxes, self.width, self.row[order], self.y[order], self.x[order], rank)

    def inside(self, row: Ints, y: Ints, x: Ints) -> Ints:
        """Positions in the list of places that lie in their rows' boxes."""
        boxes = self.boxes
        offset = self.starts - boxes[:, 0] * (boxes[:, 3] - boxes[:, 1]) - boxes[:, 1]
        position = offset[row] + y * (boxes[:, 3] - boxes[:, 1])[row] + x
        return position if self.rank is None else self.rank[position]

    def find(self, row: Ints, y: Ints, x: Ints) -> Ints:
        """Positions in the list of any places; len(self) for those outside their rows' boxes."""
        box = self.boxes
        is_in = (y >= box[row, 0]) & (y < box[row, 2]) & (x >= box[row, 1]) & (x < box[row, 3])
        found = np.full(is_in.shape, len(self), np.int64)
        row = np.broadcast_to(row, is_in.shape)
        y, x = np.broadcast_to(y, is_in.shape), np.broadcast_to(x, is_in.shape)
        found[is_in] = self.inside(row[is_in], y[is_in], x[is_in])
        return found


@dataclass(frozen=True)
class Reads:
    """Neighbours in a list of places that read their sources' boxes with the same taps."""

    start: int
    stop: int
    """The places are [start, stop) of the list."""
    top: int
    lines: int
    left: int
    columns: int
    """Taps [top, top + lines) down and [left, left + columns) across."""
    is_inside: bool
    """Whether all that is read lies in the sources' boxes."""

    @property
    def taps(self) -> int:
        """Number of places of the source that one place reads."""
        return self.lines * self.columns

    def blocks(self, most: int) -> Iterator[Reads]:
        """The places in parts that read at most about `most` places of the source each."""
        step = max(1, most // max(1, self.taps))
        for start in range(self.start, self.stop, step):
            yield replace(self, start=start, stop=min(start + step, self.stop))


def every(kernel: Kernel, boxes: Ints) -> tuple[Places, list[Reads]]:
    """The places of boxes of the result, as one part that reads with all taps."""
    places = Places.of(boxes, kernel.across.length)
    return places, [Reads(0, len(places), 0, kernel.down.size, 0, kernel.across.size, False)]


def reads(kernel: Kernel, source: Places) -> tuple[Places, list[Reads]]:
    """The places of the result that the source's boxes reach, and parts of them that read with one line of taps.

    Together the parts read with each tap that meets a box once. Places are sorted so that a part's are neighbours.
    """
    places = Places.of(kernel.reached(source.boxes), kernel.across.length)
    box = source.boxes[places.row]
    top, lines = kernel.down.taps(box[:, 0], box[:, 2], places.y)
    left, columns = kernel.across.taps(box[:, 1], box[:, 3], places.x)
    across = (left * (kernel.across.size + 1) + columns) * (columns > 0)
    order = np.lexsort((top, 2 * top + lines, across))
    top, lines, across = top[order], lines[order], across[order]
    parts = []
    bounds = [*np.flatnonzero(np.diff(across, prepend=-1)).tolist(), len(order)]
    for start, stop in pairwise(bounds):
        first, count = divmod(int(across[start]), kernel.across.size + 1)
        for line in range(kernel.down.size if count else 0):
            reading = np.flatnonzero((top[start:stop] <= line) & (line < top[start:stop] + lines[start:stop]))
            if len(reading):
                low, high = int(reading[0]), int(reading[-1]) + 1
                parts.append(Reads(start + low, start + high, line, 1, first, count, high - low == len(reading)))
    return places.ordered(order), parts


def sources(kernel: Kernel, source: Places, places: Places, part: Reads) -> Ints:
    """(stop - start, lines, columns): positions in the source's list of what the places of a part read.

    len(source) for what lies outside the source's boxes.
    """
    read = _sources(kernel, places, part)
    return source.inside(*read) if part.is_inside else source.find(*read)


def map_places(kernel: Kernel, size: tuple[int, int], places: Places, part: Reads) -> Ints:
    """(stop - start, lines, columns): what is read, as places of the source's map, flattened.

    size is (height, width) of that map; height * width stands for the padding.
    """
    _, y, x = _sources(kernel, places, part)
    is_in = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    return np.where(is_in, y * size[1] + x, size[0] * size[1])


def _sources(kernel: Kernel, places: Places, part: Reads) -> tuple[Ints, Ints, Ints]:
    here = slice(part.start, part.stop)
    y = kernel.down.source(places.y[here, None], np.arange(part.top, part.top + part.lines))
    x = kernel.across.source(places.x[here, None], np.arange(part.left, part.left + part.columns))
    return places.row[here, None, None], y[:, :, None], x[:, None, :]
