"""How a change of the pixels in rectangles passes through one operation of a network (METHODS 8.3).

A change is the difference to the unperturbed value, at the places of each row's box; outside the boxes it is 0. So a
convolution needs nothing but its source's change, and reads only the taps that meet it: the padding and the rest of
the map are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from xai_audit.explain.rectangles import (
    Ints,
    Kernel,
    Places,
    Reads,
    areas,
    every,
    map_places,
    reads,
    sources,
    union,
)

MOVE = 8
"""Multiplications and additions that take as long as reading or writing one number."""
PART = 1_000_000
"""The same for a call of torch on a few places."""
GATHERED = 1 << 20
"""Numbers that are gathered at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Change:
    """What rows differ from the unperturbed image at one node."""

    values: Tensor
    """(places + 1, channels), the last line zeros."""
    places: Places


@dataclass(frozen=True)
class Map:
    """Form of a node's value that has places."""

    channels: int
    height: int
    width: int
    axis: int
    """Axis of channels: 1 or 3."""

    @property
    def size(self) -> int:
        """Number of places."""
        return self.height * self.width

    def flat(self, value: Tensor) -> Tensor:
        """(places, channels) of a value of one row, or of a constant that broadcasts to one."""
        moved = value if self.axis == 3 else value.movedim(1, 3)
        return moved.reshape(self.size, self.channels).contiguous()

    def dense(self, flat: Tensor) -> Tensor:
        """A value of the node's shape from (rows, places, channels)."""
        value = flat.view(-1, self.height, self.width, self.channels)
        return value if self.axis == 3 else value.movedim(3, 1)


Boxes = Mapping[int, Ints]
Changes = Mapping[int, Change]
Kept = Mapping[int, Tensor]
"""Unperturbed values by node, (places, channels) where the node has a Map."""


class Step(Protocol):
    """One operation, or several in one, on changes."""

    @property
    def number(self) -> int:
        """The node whose change it gives."""

    @property
    def covers(self) -> tuple[int, ...]:
        """Nodes that it stands for, the last being `number`."""

    @property
    def reads(self) -> tuple[int, ...]:
        """Nodes whose changes it needs."""

    @property
    def keeps(self) -> tuple[int, ...]:
        """Nodes whose unperturbed values it needs."""

    def reached(self, boxes: Boxes) -> Ints:
        """The boxes of its change from those of its sources."""

    def cost(self, boxes: Boxes) -> float:
        """Multiplications and additions, and moves of numbers in the same unit, for all rows together."""

    @property
    def dense_cost(self) -> float:
        """The same for the operation on one whole row."""

    def run(self, changes: Changes, kept: Kept) -> Change:
        """Its change from those of its sources."""


@dataclass(frozen=True, eq=False)
class Convolve:
    """conv2d without groups, and a factor for each channel after it."""

    number: int
    covers: tuple[int, ...]
    source: int
    kernel: Kernel
    weight: Tensor
    """(kernel height, kernel width, channels in, channels out)"""
    keeps: tuple[int, ...] = ()

    def scaled(self, number: int, factor: Tensor) -> Convolve:
        """Followed by node `number`, which multiplies each channel by a factor."""
        return Convolve(number, (*self.covers, number), self.source, self.kernel, self.weight * factor)

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return self.kernel.reached(boxes[self.source])

    @property
    def dense_cost(self) -> float:
        places = self.kernel.down.length * self.kernel.across.length
        return places * (self.weight.numel() + MOVE * (self.weight.shape[2] + 3 * self.weight.shape[3]))

    def cost(self, boxes: Boxes) -> float:
        """Every place of the source meets each tap once in `stride` steps down and across."""
        box, (given, made) = boxes[self.source], self.weight.shape[2:]
        down, across = (
            (box[:, 2] - box[:, 0]) / self.kernel.down.stride,
            (box[:, 3] - box[:, 1]) / self.kernel.across.stride,
        )
        pairs = float((down * across).sum()) * self.kernel.taps
        return pairs * given * (made + MOVE) + float(areas(self.reached(boxes)).sum()) * made * MOVE

    def run(self, changes: Changes, kept: Kept) -> Change:
        change, (given, made) = changes[self.source], self.weight.shape[2:]
        places, parts = reads(self.kernel, change.places)
        if self._is_whole(len(places), parts):
            places, parts = every(self.kernel, places.boxes)
        out = change.values.new_zeros(len(places) + 1, made)
        buffer = change.values.new_empty(max(GATHERED, self.kernel.taps * given))
        for block in (block for part in parts for block in part.blocks(len(buffer) // given)):
            index = torch.from_numpy(sources(self.kernel, change.places, places, block))
            read = _gathered(change.values, index.flatten(), buffer).view(len(index), -1)
            lines, columns = slice(block.top, block.top + block.lines), slice(block.left, block.left + block.columns)
            out[block.start : block.stop].addmm_(read, self.weight[lines, columns].reshape(-1, made))
        return Change(out, places)

    def _is_whole(self, places: int, parts: Sequence[Reads]) -> bool:
        """Whether multiplying zeros as well costs less than the calls that leave them out."""
        given, made = self.weight.shape[2:]
        wasted = places * self.kernel.taps - sum((part.stop - part.start) * part.taps for part in parts)
        return wasted * given * (made + MOVE) < PART * (len(parts) - 1)


@dataclass(frozen=True, eq=False)
class ConvolveGroups:
    """conv2d with groups."""

    number: int
    covers: tuple[int, ...]
    source: int
    kernel: Kernel
    weight: Tensor
    """(groups, kernel height * kernel width, channels in of a group, channels out of a group)"""
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return self.kernel.reached(boxes[self.source])

    @property
    def dense_cost(self) -> float:
        groups, _, given, made = self.weight.shape
        places = self.kernel.down.length * self.kernel.across.length
        return places * (self.weight.numel() + MOVE * groups * (given + made))

    def cost(self, boxes: Boxes) -> float:
        groups, taps, given, made = self.weight.shape
        places = float(areas(self.reached(boxes)).sum())
        return places * (self.weight.numel() + MOVE * groups * (2 * taps * given + 2 * made))

    def run(self, changes: Changes, kept: Kept) -> Change:
        change, (groups, taps, given, made) = changes[self.source], self.weight.shape
        places, parts = every(self.kernel, self.kernel.reached(change.places.boxes))
        out = change.values.new_empty(len(places) + 1, groups * made)
        out[-1] = 0
        buffer = change.values.new_empty(max(GATHERED, taps * groups * given))
        for block in parts[0].blocks(len(buffer) // (groups * given)):
            index = torch.from_numpy(sources(self.kernel, change.places, places, block))
            read = _gathered(change.values, index.flatten(), buffer).view(-1, taps, groups, given)
            out[block.start : block.stop] = self._multiplied(read).reshape(len(read), -1)
        return Change(out, places)

    def _multiplied(self, read: Tensor) -> Tensor:
        """(places, groups, channels out of a group)"""
        groups, taps, given, made = self.weight.shape
        if given == made == 1:
            return (read[..., 0] * self.weight[:, :, 0, 0].T).sum(1)
        columns = read.permute(2, 0, 1, 3).reshape(groups, len(read), taps * given)
        return torch.bmm(columns, self.weight.reshape(groups, taps * given, made)).transpose(0, 1)


@dataclass(frozen=True, eq=False)
class Linear:
    """linear over channels that come last."""

    number: int
    covers: tuple[int, ...]
    source: int
    weight: Tensor
    """(channels in, channels out)"""
    size: int
    """Places of the whole map."""
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return boxes[self.source]

    @property
    def dense_cost(self) -> float:
        return self.size * (self.weight.numel() + MOVE * sum(self.weight.shape))

    def cost(self, boxes: Boxes) -> float:
        return float(areas(boxes[self.source]).sum()) * (self.weight.numel() + MOVE * sum(self.weight.shape))

    def run(self, changes: Changes, kept: Kept) -> Change:
        change = changes[self.source]
        return Change(change.values @ self.weight, change.places)


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor for each channel, or one for all; what is added does not change."""

    number: int
    covers: tuple[int, ...]
    source: int
    factor: Tensor
    map: Map
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return boxes[self.source]

    @property
    def dense_cost(self) -> float:
        return 2 * MOVE * self.map.size * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 2 * MOVE * self.map.channels * float(areas(boxes[self.source]).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        change = changes[self.source]
        return Change(change.values * self.factor, change.places)


@dataclass(frozen=True, eq=False)
class Add:
    """Sum of two changes."""

    number: int
    covers: tuple[int, ...]
    left: int
    right: int
    factor: float
    """Of the right one."""
    map: Map
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return self.left, self.right

    def reached(self, boxes: Boxes) -> Ints:
        return union([boxes[self.left], boxes[self.right]])

    @property
    def dense_cost(self) -> float:
        return 3 * MOVE * self.map.size * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 5 * MOVE * self.map.channels * float(areas(self.reached(boxes)).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        left, right = changes[self.left], changes[self.right]
        places = _shared_places([left, right], self.map.width)
        if places is right.places and places is not left.places:
            return Change(_at(left, places).add_(right.values, alpha=self.factor), places)
        summand = _at(right, places)
        if summand is right.values or self.factor != 1:
            summand = summand * self.factor
        return Change(summand.add_(_at(left, places)), places)


@dataclass(frozen=True, eq=False)
class Pointwise:
    """Any operation that makes each place of its result from the same place of its arguments."""

    number: int
    covers: tuple[int, ...]
    call: Callable[[Mapping[int, Tensor]], Tensor]
    """The operation, on values (places, channels) of its changed arguments by node."""
    reads: tuple[int, ...]
    """Nodes of the changed arguments."""
    map: Map
    given: Mapping[int, Tensor]
    """Arguments that never change, (1 or places of the map, channels or 1)."""
    keeps: tuple[int, ...]

    def reached(self, boxes: Boxes) -> Ints:
        return union([boxes[number] for number in self.reads])

    @property
    def dense_cost(self) -> float:
        return 2 * MOVE * self.map.size * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 6 * MOVE * self.map.channels * float(areas(self.reached(boxes)).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        places = _shared_places([changes[number] for number in self.reads], self.map.width)
        moved = {number: _at(changes[number], places) for number in self.reads}
        index = torch.from_numpy(places.flat)
        out = kept[self.number].new_empty(len(places) + 1, self.map.channels)
        out[-1] = 0
        step = max(1, GATHERED // (8 * self.map.channels))
        for start in range(0, len(places), step):
            here = slice(start, min(start + step, len(places)))
            values = {n: kept[n].index_select(0, index[here]).add_(change[here]) for n, change in moved.items()}
            for number, fixed in self.given.items():
                values[number] = fixed if len(fixed) == 1 else fixed.index_select(0, index[here])
            torch.sub(self.call(values), kept[self.number].index_select(0, index[here]), out=out[here])
        return Change(out, places)


@dataclass(frozen=True, eq=False)
class Join:
    """cat of channels."""

    number: int
    covers: tuple[int, ...]
    parts: tuple[tuple[int | None, int], ...]
    """Node, None if it never changes, and channels of each part."""
    map: Map
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(number for number, _ in self.parts if number is not None)

    def reached(self, boxes: Boxes) -> Ints:
        return union([boxes[number] for number in self.reads])

    @property
    def dense_cost(self) -> float:
        return 2 * MOVE * self.map.size * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 4 * MOVE * self.map.channels * float(areas(self.reached(boxes)).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        places = _shared_places([changes[number] for number in self.reads], self.map.width)
        like = changes[self.reads[0]].values
        blocks = [
            like.new_zeros(len(places) + 1, channels) if number is None else _at(changes[number], places)
            for number, channels in self.parts
        ]
        return Change(torch.cat(blocks, 1), places)


@dataclass(frozen=True, eq=False)
class Largest:
    """max_pool2d"""

    number: int
    covers: tuple[int, ...]
    source: int
    kernel: Kernel
    map: Map
    """Of the source."""

    @property
    def keeps(self) -> tuple[int, ...]:
        """Source and result."""
        return self.source, self.number

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return self.kernel.reached(boxes[self.source])

    @property
    def dense_cost(self) -> float:
        return 2 * MOVE * self.kernel.taps * self.kernel.down.length * self.kernel.across.length * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 5 * MOVE * self.kernel.taps * self.map.channels * float(areas(self.reached(boxes)).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        change, channels = changes[self.source], self.map.channels
        places, parts = every(self.kernel, self.kernel.reached(change.places.boxes))
        table = torch.cat([kept[self.source], kept[self.source].new_full((1, channels), -torch.inf)])
        out = change.values.new_empty(len(places) + 1, channels)
        for block in parts[0].blocks(GATHERED // channels):
            here = slice(block.start, block.stop)
            moved = sources(self.kernel, change.places, places, block).reshape(-1, self.kernel.taps)
            stays = map_places(self.kernel, (self.map.height, self.map.width), places, block).reshape(moved.shape)
            index, place = torch.from_numpy(moved), torch.from_numpy(stays)
            largest = _read(table, change.values, place[:, 0], index[:, 0])
            for tap in range(1, self.kernel.taps):
                torch.maximum(largest, _read(table, change.values, place[:, tap], index[:, tap]), out=largest)
            torch.sub(largest, kept[self.number].index_select(0, torch.from_numpy(places.flat[here])), out=out[here])
        out[-1] = 0
        return Change(out, places)


@dataclass(frozen=True, eq=False)
class Average:
    """avg_pool2d, or adaptive_avg_pool2d where all its windows are alike."""

    number: int
    covers: tuple[int, ...]
    source: int
    kernel: Kernel
    share: Tensor
    """(places of the result,): weight of one place of the source in each place of the result."""
    map: Map
    """Of the source."""
    keeps: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        return self.kernel.reached(boxes[self.source])

    @property
    def dense_cost(self) -> float:
        return MOVE * self.kernel.taps * len(self.share) * self.map.channels

    def cost(self, boxes: Boxes) -> float:
        return 3 * MOVE * self.kernel.taps * self.map.channels * float(areas(self.reached(boxes)).sum())

    def run(self, changes: Changes, kept: Kept) -> Change:
        change = changes[self.source]
        places, parts = every(self.kernel, self.kernel.reached(change.places.boxes))
        out = change.values.new_zeros(len(places) + 1, self.map.channels)
        for block in parts[0].blocks(GATHERED // self.map.channels):
            index = torch.from_numpy(sources(self.kernel, change.places, places, block)).flatten(1)
            for tap in range(self.kernel.taps):
                out[block.start : block.stop] += change.values.index_select(0, index[:, tap])
        out[:-1] *= self.share[torch.from_numpy(places.flat)][:, None]
        return Change(out, places)


@dataclass(frozen=True, eq=False)
class Move:
    """An operation that leaves the values as they are: another name, another layout, or zeros around the map."""

    number: int
    covers: tuple[int, ...]
    source: int
    map: Map
    """Of the result."""
    down: int = 0
    across: int = 0
    """Lines and columns added before the others."""
    keeps: tuple[int, ...] = ()
    dense_cost: float = 0.0

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.source,)

    def reached(self, boxes: Boxes) -> Ints:
        box = boxes[self.source]
        return box + np.where(areas(box)[:, None] > 0, [[self.down, self.across, self.down, self.across]], 0)

    def cost(self, boxes: Boxes) -> float:
        return 0.0

    def run(self, changes: Changes, kept: Kept) -> Change:
        change = changes[self.source]
        if not self.down and not self.across and self.map.width == change.places.width:
            return change
        return Change(change.values, change.places.shifted(self.down, self.across, self.map.width))


def pooled(change: Change, size: int) -> Tensor:
    """(rows, channels): change of the mean over a map of `size` places, in closed form."""
    total = change.values.new_zeros(len(change.places.boxes), change.values.shape[1])
    return total.index_add_(0, torch.from_numpy(change.places.row), change.values[:-1]).div_(size)


def pasted(change: Change, unperturbed: Tensor, form: Map) -> Tensor:
    """(rows, ...): the whole value of a node with the change in its place; `unperturbed` is (places, channels)."""
    rows = len(change.places.boxes)
    whole = unperturbed.repeat(rows, 1, 1)
    index = torch.from_numpy(change.places.row * form.size + change.places.flat)
    flat = whole.view(-1, form.channels)
    flat.index_copy_(0, index, flat.index_select(0, index).add_(change.values[:-1]))
    return form.dense(whole)


def _gathered(values: Tensor, index: Tensor, buffer: Tensor) -> Tensor:
    """(len(index), channels): lines of values, written into the buffer."""
    out = buffer[: len(index) * values.shape[1]].view(len(index), values.shape[1])
    return torch.index_select(values, 0, index, out=out)


def _read(table: Tensor, values: Tensor, place: Tensor, index: Tensor) -> Tensor:
    """New values at places: the unperturbed ones and their changes."""
    return table.index_select(0, place).add_(values.index_select(0, index))


def _shared_places(changes: Sequence[Change], width: int) -> Places:
    """Places that hold those of all changes; one of theirs if that holds the others."""
    whole = union([change.places.boxes for change in changes])
    for change in changes:
        if np.array_equal(change.places.boxes, whole):
            return change.places
    return Places.of(whole, width)


def _at(change: Change, places: Places) -> Tensor:
    """(places + 1, channels): a change at places that hold its own, 0 elsewhere."""
    if change.places is places:
        return change.values
    found = change.places.find(places.row, places.y, places.x)
    return change.values.index_select(0, torch.from_numpy(np.append(found, len(change.places))))
