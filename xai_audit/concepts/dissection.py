"""Network Dissection: which units answer where a concept is marked (Bau et al., CVPR 2017).

All cases are seen once to tally, then once more to meet the marks: from activations kept on the disk where they are
small enough, else in a second look at the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from xai_audit.concepts.overlap import Picture, RunningCounts, Runs, iou
from xai_audit.concepts.scratch import Scratch
from xai_audit.concepts.shuffles import Chance, Cover, Marks, Null, against_chance
from xai_audit.concepts.thresholds import HighestValues, Thresholds, rank_of
from xai_audit.concepts.top import TopCases
from xai_audit.errors import StepError

LARGEST_KEPT = 2 * 2**30
"""Most bytes of activations that wait on the disk; more of them are computed again."""
TOP = 5
"""Cases with the largest activation that are shown of a unit."""
_CHUNK = 32
"""Cases read back from the disk at a time."""

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Asked:
    """What a dissection is of."""

    label: str
    """The method's, in messages."""
    cases: int
    units: int
    grid: tuple[int, int]
    picture: Picture
    """Where the places of the layer lie in the picture."""
    category: NDArray[np.int64]
    """(concepts,) number of each concept's category."""
    annotated: NDArray[np.bool_]
    """(cases, categories) whether any concept of the category is marked, or known to be absent, there."""
    marks: Callable[[int], NDArray[np.bool_]]
    """From a case's place among the cases to its masks, (concepts, height, width)."""
    quantile: float
    limit: float
    """IoU above which a unit may be a detector."""
    shuffles: int
    largest_kept: int = LARGEST_KEPT


@dataclass(frozen=True, eq=False)
class Basis:
    """What was found along one set of directions of the layer: its units, or a rotation of them."""

    thresholds: Thresholds
    iou: NDArray[np.float64]
    """(units, concepts), of pooled counts; NaN for a silent unit, which is not scored."""
    ceilings: NDArray[np.float64]
    """(units, concepts): what no overlap of a unit and a concept of these sizes can exceed, min / max; NaN as above."""
    inside: NDArray[np.float64]
    """(units, concepts): share of the pixels that the unit answers on, in annotated cases, that lie in the concept; 0
    where it answers in none of them, NaN as above."""
    chance: Chance
    limit: float

    @property
    def is_scored(self) -> NDArray[np.bool_]:
        """Units that answer anywhere."""
        return ~self.thresholds.is_silent

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """(units,) the concept with the largest IoU, the first of equal ones; -1 where no overlap is above 0."""
        scored = np.nan_to_num(self.iou, nan=-1.0)
        return np.where(scored.max(axis=1) > 0, scored.argmax(axis=1), -1)

    @cached_property
    def best_iou(self) -> NDArray[np.float64]:
        """(units,) the largest IoU; 0 for silent units."""
        return np.asarray(np.nan_to_num(self.iou, nan=0.0).max(axis=1))

    @property
    def is_over(self) -> NDArray[np.bool_]:
        """(units,) whether the largest IoU exceeds the limit."""
        return self.best_iou > self.limit

    @property
    def is_significant(self) -> NDArray[np.bool_]:
        """(units,) whether chance is ruled out."""
        return self.chance.is_significant & self.is_scored

    @property
    def is_detector(self) -> NDArray[np.bool_]:
        """(units,) both."""
        return self.is_over & self.is_significant

    @property
    def found(self) -> NDArray[np.int64]:
        """Concepts that a detector answers to best."""
        return np.unique(self.best[self.is_detector])


@dataclass(frozen=True, eq=False)
class Dissected:
    """What a dissection found."""

    units: Basis
    rotated: Basis
    """The same of as many random directions: what no choice of basis would give."""
    concept_pixels: NDArray[np.int64]
    """(concepts,)"""
    null: tuple[Null, ...]
    """(concepts,) what each is compared with."""
    annotated: NDArray[np.int64]
    """(categories,) cases."""
    means: NDArray[np.float64]
    """(units,) over all places of all cases."""
    minima: NDArray[np.float64]
    """(units,) over all places of all cases."""


def rotation(units: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random orthogonal matrix, uniform over all of them (Mezzadri, Notices of the AMS 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((units, units)))
    return np.asarray(q * np.sign(np.diagonal(r)))


class Dissection:
    """Units against concepts over the cases of a slice, which are shown in order: `tally` all, `settle`, then `meet`
    all, unless `looks` is 1 and the activations were kept.

    Memory grows with the number of cases by 10 q bytes a place and unit in float32 (the highest values, of units and
    random directions) and by what is marked on the coarse grid, 2 bytes a cell and concept; the rest waits on the disk.
    """

    def __init__(self, asked: Asked, dtype: np.dtype[np.floating], rotate: NDArray[np.float64]) -> None:
        self.asked = asked
        self._dtype = dtype
        self._rotate = torch.from_numpy(np.ascontiguousarray(rotate, dtype=dtype))
        places = asked.grid[0] * asked.grid[1]
        rank = rank_of(asked.quantile, asked.cases * places)
        self._highest = HighestValues(2 * asked.units, rank, dtype)
        self._sums, self._minima = np.zeros(asked.units), np.full(asked.units, np.inf)
        self._seen = 0
        bytes_ = asked.cases * asked.units * places * dtype.itemsize
        self._kept = Scratch(asked.label) if bytes_ <= asked.largest_kept else None
        self._maxima = Scratch(asked.label)
        self._met: _Met | None = None
        self.top = TopCases(min(TOP, asked.cases))
        """Of each unit the cases with the largest activation, by their place among the cases."""

    @property
    def looks(self) -> int:
        """1 where activations are kept, else 2."""
        return 1 if self._kept is not None else 2

    def tally(self, activation: Floats) -> None:
        """The next cases, (cases, units, rows, columns). Raises StepError where a value is not a number."""
        if not np.isfinite(activation).all():
            found, fix = "a value that is not finite", "Look for a division by zero or an overflow before the layer."
            raise StepError(f"{self.asked.label}: activations of the layer", found, "numbers", fix)
        activation = np.ascontiguousarray(activation, self._dtype)
        flat = activation.reshape(*activation.shape[:2], -1)
        turned = np.stack([self._rotated(one) for one in flat])
        self._highest.add(np.concatenate([flat, turned], axis=1).swapaxes(0, 1).reshape(2 * self.asked.units, -1))
        for one in flat:  # one at a time: sums do not depend on the batch
            self._sums += one.sum(axis=1, dtype=np.float64)
        self._minima = np.minimum(self._minima, flat.min(axis=(0, 2)))
        self._maxima.write(flat.max(axis=2))
        self.top.take(np.arange(self._seen, self._seen + len(flat)), torch.from_numpy(activation))
        if self._kept is not None:
            self._kept.write(activation)
        self._seen += len(activation)

    def settle(self) -> None:
        """All cases were tallied: find the thresholds, and meet the marks where activations were kept."""
        assert self._seen == self.asked.cases
        self._met = _Met(self.asked, self._highest.settle())
        del self._highest
        if self._kept is not None:
            shape = (self.asked.units, *self.asked.grid)
            for part in self._kept.parts(self.asked.cases, _CHUNK, shape, self._dtype):
                self.meet(part)
            self._kept.close()

    def meet(self, activation: Floats) -> None:
        """The next cases once more, in the same order."""
        assert self._met is not None
        for one in np.ascontiguousarray(activation, self._dtype):
            self._met.add(one, self._rotated)

    def dissected(self, rng: np.random.Generator) -> Dissected:
        """The overlaps, and what chance gives. `rng` deals out the marks."""
        met, asked = self._whole, self.asked
        chance = met.against_chance(rng)
        units, rotated = (met.basis(part, chance) for part in (0, 1))
        return Dissected(
            units=units,
            rotated=rotated,
            concept_pixels=met.marks.concept_pixels,
            null=met.marks.null,
            annotated=asked.annotated.sum(axis=0),
            means=self._sums / (asked.cases * asked.grid[0] * asked.grid[1]),
            minima=self._minima,
        )

    def case_sums(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each case and concept, with one unit a concept: pixels of both, the unit, and the concept.

        (cases, concepts, 3); 0 where the case is not annotated for the concept's category.
        """
        return self._whole.case_sums(units)

    def largest(self, units: NDArray[np.int64]) -> NDArray[np.float64]:
        """Each case's largest activation of some units, (cases, units)."""
        parts = self._maxima.parts(self.asked.cases, _CHUNK, (self.asked.units,), self._dtype)
        return np.concatenate([part[:, units] for part in parts]).astype(np.float64)

    def close(self) -> None:
        """Free the disk."""
        for kept in (self._kept, self._maxima, None if self._met is None else self._met.sums):
            if kept is not None:
                kept.close()

    @property
    def _whole(self) -> _Met:
        assert self._met is not None and self._met.seen == self.asked.cases
        return self._met

    def _rotated(self, flat: Floats) -> Floats:
        """One case, (units, places), along the random directions: a product of one shape, whatever the batch."""
        whole = torch.from_numpy(flat).clone()  # aligned alike each time, so that it rounds alike
        return np.asarray((self._rotate @ whole).numpy())


class _Met:
    """Counts of pixels that units and marks cover, case by case."""

    def __init__(self, asked: Asked, thresholds: Thresholds) -> None:
        self._asked, self._thresholds = asked, thresholds
        self.seen = 0
        self.sums = Scratch(asked.label)
        concepts, directions = len(asked.category), 2 * asked.units
        self._both = np.zeros((directions, concepts), np.int64)
        self._pixels = np.zeros((directions, asked.annotated.shape[1]), np.int64)
        self._rows = np.flatnonzero(asked.annotated.any(axis=1))
        """Cases annotated for any category, in order."""
        self._row = 0
        self._annotated = asked.annotated.sum(axis=0)
        sizes = asked.picture.cell_sizes
        count = np.dtype(np.uint16 if sizes.max() < 2**16 else np.uint32)
        self.marks = Marks(
            pixels=np.zeros((len(self._rows), len(sizes), concepts), count),
            cell_sizes=sizes,
            category=asked.category,
            annotated=asked.annotated[self._rows],
            shares=np.zeros((*asked.grid, concepts)),
        )

    def add(self, activation: Floats, rotated: Callable[[Floats], Floats]) -> None:
        """One case, (units, rows, columns)."""
        if self._row < len(self._rows) and self._rows[self._row] == self.seen:
            flat = activation.reshape(len(activation), -1)
            self._cover(np.concatenate([flat, rotated(flat)]))
            self._row += 1
        self.seen += 1

    def _cover(self, values: Floats) -> None:
        """An annotated case, (directions, places): count what each direction and each mark cover, and keep it."""
        asked, marks = self._asked, self.marks
        is_known = marks.annotated[self._row]
        known = np.flatnonzero(is_known[asked.category])
        running = RunningCounts(asked.marks(self.seen)[known])
        marks.pixels[self._row, :, known] = running.by_cell(asked.picture)
        marks.shares[..., known] += running.by_place(asked.picture) / self._annotated[asked.category[known]]
        active = np.flatnonzero(values.max(axis=1) > self._thresholds.values)
        above = values[active].astype(np.float64) - self._thresholds.values[active, None]
        both = np.zeros((len(active), len(asked.category)), np.int64)
        covered = np.zeros((len(active), len(marks.cell_sizes)), np.int64)
        for runs in asked.picture.runs(above.reshape(len(active), *asked.grid)):
            covered += _by_cell(runs, covered.shape)
            if len(runs.map):
                starts = np.flatnonzero(np.diff(runs.map, prepend=-1))
                inside = np.add.reduceat(running.inside(runs), starts, axis=1, dtype=np.int64)
                both[np.ix_(runs.map[starts], known)] += inside.T
        pixels = covered.sum(axis=1)
        self._both[active] += both
        self._pixels[active] += pixels[:, None] * is_known
        self._keep(active, above > 0, pixels, both, covered)

    def _keep(self, active: NDArray[np.int64], hot: NDArray[np.bool_], *counts: NDArray[np.int64]) -> None:
        """Write what was counted in a case: directions, their pixels, those inside each concept, those by cell, and
        the places where they answer."""
        pixels, both, covered = counts
        direction, cell = np.nonzero(covered)
        of_place, place = np.nonzero(hot)
        parts = (active, pixels, both, active[direction], cell, covered[direction, cell], active[of_place], place)
        head = np.array([len(active), len(direction), len(place)])
        self.sums.write(np.concatenate([head, *(part.ravel() for part in parts)]).astype(np.int32))

    def _read(self) -> Iterator[tuple[NDArray[np.int64], ...]]:
        """What was kept of each annotated case: (active, pixels, both), (direction, cell, pixels), then
        (direction, place)."""
        self.sums.begin()
        kind, concepts = np.dtype(np.int32), len(self._asked.category)
        for _ in self._rows:
            active, entries, places = self.sums.read((3,), kind).tolist()
            sizes = (active, active, active * concepts, entries, entries, entries, places, places)
            body = self.sums.read((sum(sizes),), kind).astype(np.int64)
            units, pixels, both, *others = np.split(body, np.cumsum(sizes)[:-1])
            yield (units, pixels, both.reshape(active, concepts), *others)

    def _covers(self) -> Iterator[Cover]:
        """Where directions answer, by cell of the coarse grid."""
        return _chunked(kept[3:6] for kept in self._read())

    def _placed(self) -> Iterator[Cover]:
        """Where directions answer, by place of the layer's grid."""
        return _chunked((*kept[6:], np.ones_like(kept[7])) for kept in self._read())

    def against_chance(self, rng: np.random.Generator) -> Chance:
        """Both bases against the same deals, each corrected over its own units."""
        scored, units = ~self._thresholds.is_silent, self._asked.units
        families = [np.flatnonzero(scored[:units]), units + np.flatnonzero(scored[units:])]
        shuffles = self._asked.shuffles
        return against_chance(self._covers, self.marks, self._pixels, families, shuffles, rng, placed=self._placed)

    def basis(self, part: int, chance: Chance) -> Basis:
        """Units (0) or their rotation (1)."""
        units, kept = self._asked.units, self._thresholds
        own = slice(part * units, (part + 1) * units)
        thresholds = Thresholds(kept.values[own], kept.largest[own], kept.above[own])
        alone = self._pixels[own][:, self._asked.category]
        concepts = np.broadcast_to(self.marks.concept_pixels, alone.shape)
        silent = thresholds.is_silent[:, None]
        most = np.maximum(alone, concepts)
        ceilings = np.divide(np.minimum(alone, concepts), most, out=np.zeros(most.shape), where=most > 0)
        return Basis(
            thresholds=thresholds,
            iou=np.where(silent, np.nan, iou(self._both[own], alone, concepts)),
            ceilings=np.where(silent, np.nan, ceilings),
            inside=np.where(silent, np.nan, self._both[own] / np.maximum(alone, 1)),
            chance=Chance(chance.observed[own], chance.p[own], chance.corrected[own], chance.shuffles[own]),
            limit=self._asked.limit,
        )

    def case_sums(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `Dissection.case_sums`."""
        asked = self._asked
        sums = np.zeros((asked.cases, len(units), 3), np.int64)
        for row, (active, pixels, both, *_) in zip(self._rows, self._read(), strict=True):
            if len(active):
                place = np.minimum(np.searchsorted(active, units), len(active) - 1)
                is_active = active[place] == units
                sums[row, :, 0] = both[place, np.arange(len(units))] * is_active
                sums[row, :, 1] = pixels[place] * is_active
        sums[self._rows, :, 2] = self.marks.pixels.sum(axis=1)
        return sums * asked.annotated[:, asked.category][:, :, None]


def _chunked(cases: Iterable[tuple[NDArray[np.int64], ...]]) -> Iterator[Cover]:
    """Some cases at a time, from each one's (direction, cell, pixels)."""
    of_case = enumerate(cases)
    while parts := list(islice(of_case, _CHUNK)):
        case = np.concatenate([np.full(len(one[0]), row) for row, one in parts])
        yield Cover(case, *(np.concatenate([one[k] for _, one in parts]) for k in range(3)))


def _by_cell(runs: Runs, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Pixels of each map in each cell."""
    counts = np.bincount(runs.map * shape[1] + runs.cell, weights=runs.length, minlength=shape[0] * shape[1])
    return counts.astype(np.int64).reshape(shape)
