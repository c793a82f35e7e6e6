"""What chance gives: overlaps after the marks were dealt out anew among the cases (METHODS, network_dissection).

Marks move from case to case as a whole, all concepts of a category together, and only among cases annotated for that
category. The statistic of a unit is its largest IoU over concepts, from the shares that the unit and the mark cover in
each cell of a coarse grid: what they cover together in a cell is taken as the product of their shares, which is right
where one of them fills whole cells or none. The observed statistic is computed the same way, so that the comparison is
fair whatever the marks look like; and all deals of a chunk of cases are one sparse matrix product.

Where all marks of a category are the same in every case, dealing them out changes nothing. Each deal then moves each
case's marks by a random number of places round the layer's grid, what leaves at one edge coming back at the other, so
that the test asks whether the unit answers there rather than anywhere. Places are counted, not pixels: an upsampled map
holds its value beyond the outermost centres, so that a unit which answers anywhere covers more pixels along the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from xai_audit.concepts.overlap import iou

LEVEL = 0.05
"""Share of false ones among units called significant (Benjamini and Hochberg 1995)."""
MOST_SHUFFLES = 20_479
"""Where units that no deal has reached are too few to be told from chance, they are tried up to this often: enough for
one alone among 1,024."""
FEW = 0.1
"""Share of the units up to which their covers are held in memory rather than read anew."""
_TIE = 1e-9
"""Relative difference below which two statistics are the same: sums come in another order."""
_AT_ONCE = 2**18
"""Most numbers of deals, and of dealt marks, held at a time."""
_SUMS = 2**20
"""Most sums held at a time."""


@dataclass(frozen=True, eq=False)
class Cover:
    """Where units answer in some cases, (entries,) each."""

    case: NDArray[np.int64]
    """Row of the case in `Marks`."""
    unit: NDArray[np.int64]
    cell: NDArray[np.int64]
    pixels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Marks:
    """What is marked in each annotated case, on the coarse grid."""

    pixels: NDArray[np.unsignedinteger]
    """(cases, cells, concepts)."""
    cell_sizes: NDArray[np.int64]
    """(cells,) pixels of each cell."""
    category: NDArray[np.int64]
    """(concepts,) number of each concept's category."""
    annotated: NDArray[np.bool_]
    """(cases, categories)."""
    shares: NDArray[np.float64]
    """(rows, columns, concepts) of the layer's grid: how much of the picture around each place is marked, a mean over
    the annotated cases."""

    @cached_property
    def concept_pixels(self) -> NDArray[np.int64]:
        """(concepts,) pixels of each concept in all cases."""
        return np.asarray(self.pixels.sum(axis=(0, 1), dtype=np.int64))

    @cached_property
    def members(self) -> tuple[NDArray[np.int64], ...]:
        """Of each category the cases annotated for it."""
        return tuple(np.flatnonzero(column) for column in self.annotated.T)

    @cached_property
    def is_same(self) -> NDArray[np.bool_]:
        """(concepts,) whether dealing out the marks changes nothing: every annotated case has the same ones."""
        same = np.ones(len(self.category), np.bool_)
        for category, members in enumerate(self.members):
            own = np.flatnonzero(self.category == category)
            for case in members[1:]:  # one at a time: all of them again would double the memory
                if not same[own].any():
                    break
                same[own] &= (self.pixels[case] == self.pixels[members[0]])[:, own].all(axis=0)
        return same

    @cached_property
    def is_even(self) -> NDArray[np.bool_]:
        """(concepts,) whether moving the marks changes nothing either: as much is marked around every place."""
        return np.asarray(np.ptp(self.shares, axis=(0, 1)) <= _TIE)

    @cached_property
    def moved(self) -> tuple[int, ...]:
        """Categories whose marks are moved: all of them are the same in every case, and not everywhere."""
        numbers = range(len(self.members))
        own = [self.category == number for number in numbers]
        return tuple(k for k in numbers if self.is_same[own[k]].all() and not self.is_even[own[k]].all())

    @property
    def null(self) -> tuple[Null, ...]:
        """Of each concept what it is compared with."""
        found: list[Null] = []
        for same, even, category in zip(self.is_same, self.is_even, self.category.tolist(), strict=True):
            found.append("dealt" if not same else "none" if even or category not in self.moved else "moved")
        return tuple(found)


Covers = Callable[[], Iterator[Cover]]
"""Reads all covers from the beginning, a chunk of cases at a time."""
Null = Literal["dealt", "moved", "none"]
"""What the marks of a concept are compared with: dealt out among the cases; moved, too; or nothing."""


Deal = Sequence[NDArray[np.int64]]
"""Of each category (its cases, deals): the case whose marks each case has in each deal."""
Moves = Mapping[int, NDArray[np.int64]]
"""Of each moved category (its cases, deals): how far each case's marks move, rows x columns of the grid + columns."""


@dataclass(frozen=True, eq=False)
class Chance:
    """How each unit compares with chance, (units,) each."""

    observed: NDArray[np.float64]
    """Largest IoU over concepts, on the coarse grid."""
    p: NDArray[np.float64]
    """(1 + deals that gave as much) / (deals + 1)."""
    corrected: NDArray[np.float64]
    """By Benjamini and Hochberg, over the units of its family."""
    shuffles: NDArray[np.int64]
    """Deals that each unit was tried with."""

    @property
    def is_significant(self) -> NDArray[np.bool_]:
        """Whether chance is ruled out at the level of .05, over all units of its family."""
        return self.corrected <= LEVEL * (1 + _TIE)


def against_chance(
    covers: Covers,
    marks: Marks,
    unit_pixels: NDArray[np.int64],
    families: Sequence[NDArray[np.int64]],
    shuffles: int,
    rng: np.random.Generator,
    *,
    placed: Covers,
) -> Chance:
    """Each unit's statistic against `shuffles` deals; `unit_pixels` (units, categories), `families` the units that are
    corrected together.

    With S deals no p is below 1/(S+1), which may be too coarse for the correction over many units: those that no deal
    has reached are then tried with more deals, until the correction can decide or `MOST_SHUFFLES` are made. A p that is
    found so is still too small with no more than its own probability: a unit that stops early has a p above all that
    could be reached later. Units of no family have p 1. `placed`: the places where units answer, as cells of 1 pixel.
    """
    test = _Test(covers, placed, marks, unit_pixels, rng)
    test.try_more(np.concatenate([*families, np.empty(0, np.int64)]).astype(np.int64), shuffles)
    for family in families:
        while len(unreached := family[test.reached[family] == 0]):
            tried = int(test.tried[unreached[0]])
            needed = min(math.ceil(len(family) / (LEVEL * len(unreached))) - 1, MOST_SHUFFLES)
            if needed <= tried:
                break
            test.try_more(unreached, needed - tried)
    p = np.where(test.tried > 0, (1 + test.reached) / (test.tried + 1), 1.0)
    corrected = np.ones(len(p))
    for family in families:
        corrected[family] = benjamini_hochberg(p[family])
    return Chance(test.observed, p, corrected, test.tried)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values in the given order (Benjamini and Hochberg, JRSS B 1995)."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted


class _Test:
    """Counts, for each unit, the deals that give at least what was observed."""

    def __init__(
        self,
        covers: Covers,
        placed: Covers,
        marks: Marks,
        unit_pixels: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        self._covers, self._placed, self._marks, self._rng = covers, placed, marks, rng
        self._unit_pixels = unit_pixels
        (self._moving,) = rng.spawn(1) if marks.moved else (rng,)  # deals stay those that they are without moves
        units, still = np.arange(len(unit_pixels)), [members[:, None] for members in marks.members]
        self._unit_places = self._counted(len(units))
        unmoved = {k: np.zeros_like(still[k]) for k in marks.moved}
        self.observed = self._statistic(covers, placed, units, still, unmoved)[:, 0]
        self.reached = np.zeros(len(units), np.int64)
        self.tried = np.zeros(len(units), np.int64)

    def try_more(self, units: NDArray[np.int64], shuffles: int) -> None:
        """More deals for some units."""
        cases, concepts = self._marks.annotated.shape[0], len(self._marks.category)
        at_once = max(1, min(_AT_ONCE // max(1, cases), _SUMS // max(1, len(units) * concepts)))
        covers, placed = self._covers, self._placed
        if len(units) <= FEW * len(self.tried):
            covers, placed = _of(covers, units), _of(placed, units) if self._marks.moved else placed
        for start in range(0, shuffles, at_once):
            count, least = min(at_once, shuffles - start), self.observed[units, None] * (1 - _TIE)
            found = self._statistic(covers, placed, units, self._deal(count), self._move(count))
            self.reached[units] += np.count_nonzero(found >= least, axis=1)
        self.tried[units] += shuffles

    def _deal(self, count: int) -> Deal:
        """The next deals; which ones does not depend on how many are asked for at a time."""
        drawn = [[self._rng.permutation(members) for members in self._marks.members] for _ in range(count)]
        return [np.stack(deals, axis=1) for deals in zip(*drawn, strict=True)]

    def _move(self, count: int) -> Moves:
        """The moves of the next deals; none are drawn for categories that are not moved."""
        marks, places = self._marks, self._marks.shares[:, :, 0].size
        drawn = [[self._moving.integers(places, size=len(marks.members[k])) for k in marks.moved] for _ in range(count)]
        return dict(zip(marks.moved, (np.stack(each, axis=1) for each in zip(*drawn, strict=True)), strict=True))

    def _counted(self, units: int) -> NDArray[np.int64]:
        """(units, categories) places at which units answer in annotated cases, of moved categories."""
        found = np.zeros((units, len(self._marks.members)), np.int64)
        for cover in self._placed() if self._marks.moved else ():
            for k in self._marks.moved:
                found[:, k] += np.bincount(cover.unit[self._marks.annotated[cover.case, k]], minlength=units)
        return found

    def _statistic(
        self, covers: Covers, placed: Covers, units: NDArray[np.int64], deal: Deal, moves: Moves
    ) -> NDArray[np.float64]:
        """Largest IoU over concepts, (units, deals)."""
        marks, category = self._marks, self._marks.category
        both = overlaps(covers, marks, units, deal)
        alone = self._unit_pixels[units][:, None, category].astype(np.float64)
        found = iou(both, alone, marks.concept_pixels)
        own = np.flatnonzero(np.isin(category, marks.moved))
        if len(own):
            both = moved_overlaps(placed, marks, units, moves)[..., own]
            alone = self._unit_places[units][:, None, category[own]].astype(np.float64)
            whole = marks.shares.sum(axis=(0, 1))[own] * marks.annotated.sum(axis=0)[category[own]]
            found[..., own] = iou(both, alone, whole)
        return np.asarray(found.max(axis=2))


def _of(covers: Covers, units: NDArray[np.int64]) -> Covers:
    """Covers of a few units, held in memory."""
    kept = []
    for cover in covers():
        own = np.flatnonzero(np.isin(cover.unit, units))
        kept.append(Cover(cover.case[own], cover.unit[own], cover.cell[own], cover.pixels[own]))
    return lambda: iter(kept)


def overlaps(covers: Covers, marks: Marks, units: NDArray[np.int64], deal: Deal) -> NDArray[np.float64]:
    """Pixels that units and dealt marks cover together, (units, deals, concepts): sum over cells of m l / size.

    0 for concepts of moved categories.
    """
    dealt = [k for k in range(len(marks.members)) if k not in marks.moved]
    total = np.zeros((len(units), deal[0].shape[1], len(marks.category)))
    for chunk in _chunks(covers, marks, units, dealt, marks.cell_sizes):
        partner = deal[chunk.category][chunk.position]
        _add(total, chunk, marks, partial(_at, marks.pixels, partner, chunk.cell[:, None]))
    return total


def moved_overlaps(placed: Covers, marks: Marks, units: NDArray[np.int64], moves: Moves) -> NDArray[np.float64]:
    """Places that units and moved marks cover together, (units, deals, concepts): sum over places of what is marked.

    0 for concepts of other categories.
    """
    rows, columns, concepts = marks.shares.shape
    shares = marks.shares.reshape(1, rows * columns, concepts)  # the same in every case
    total = np.zeros((len(units), next(iter(moves.values())).shape[1], concepts))
    for chunk in _chunks(placed, marks, units, marks.moved, np.ones(rows * columns, np.int64)):
        shift, row, column = moves[chunk.category][chunk.position], *np.divmod(chunk.cell[:, None], columns)
        origin = (row - shift // columns) % rows * columns + (column - shift % columns) % columns
        _add(total, chunk, marks, partial(_at, shares, np.zeros((1, 1), np.int64), origin))
    return total


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Where units answer in some cases that are annotated for one category."""

    category: int
    matrix: csr_array
    """(units, columns): share of a cell of a case; a column is such a cell."""
    position: NDArray[np.int64]
    """(columns,) of the case among those annotated for the category."""
    cell: NDArray[np.int64]
    """(columns,)"""


def _chunks(
    covers: Covers,
    marks: Marks,
    units: NDArray[np.int64],
    categories: Sequence[int],
    cell_sizes: NDArray[np.int64],
) -> Iterator[_Chunk]:
    cells = len(cell_sizes)
    number = np.full(int(units.max(initial=-1)) + 1, -1)
    number[units] = np.arange(len(units))
    for cover in covers() if categories else ():
        is_asked = cover.unit < len(number)
        is_asked[is_asked] = number[cover.unit[is_asked]] >= 0
        for category in categories:
            entries = np.flatnonzero(is_asked & marks.annotated[cover.case, category])
            if not len(entries):
                continue
            place, column = np.unique(cover.case[entries] * cells + cover.cell[entries], return_inverse=True)
            share = cover.pixels[entries] / cell_sizes[cover.cell[entries]]
            where = (number[cover.unit[entries]], column)
            matrix = csr_array((share, where), shape=(len(units), len(place)))
            position = np.searchsorted(marks.members[category], place // cells)
            yield _Chunk(category, matrix, position, place % cells)


def _at(
    marked: NDArray[np.number], case: NDArray[np.int64], cell: NDArray[np.int64], deals: slice
) -> NDArray[np.float64]:
    """What is marked (cases, cells, concepts) in the case and cell of each column and deal, of some of the deals."""
    case, cell = (each[:, deals] if each.shape[1] > 1 else each for each in (case, cell))
    return marked[case, cell].astype(np.float64)


def _add(
    total: NDArray[np.float64], chunk: _Chunk, marks: Marks, marked: Callable[[slice], NDArray[np.float64]]
) -> None:
    """Add one chunk; `marked` (columns, deals, all concepts) lies in each column's cell, of some of the deals."""
    concepts = np.flatnonzero(marks.category == chunk.category)
    deals, (units, columns) = total.shape[1], chunk.matrix.shape
    step = max(1, _AT_ONCE // (columns * len(concepts)))
    for start in range(0, deals, step):
        part = slice(start, min(deals, start + step))
        product = chunk.matrix @ marked(part)[..., concepts].reshape(columns, -1)
        total[:, part, concepts] += product.reshape(units, -1, len(concepts))
