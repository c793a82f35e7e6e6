"""What chance gives: overlaps after the marks were dealt out anew among the cases (METHODS, network_dissection).

Marks move from case to case as a whole, all concepts of a category together, and only among cases annotated for that
category. The statistic of a unit is its largest IoU over concepts, from the shares that the unit and the mark cover in
each cell of a coarse grid: what they cover together in a cell is taken as the product of their shares, which is right
where one of them fills whole cells or none. The observed statistic is computed the same way, so that the comparison is
fair whatever the marks look like; and all deals of a chunk of cases are one sparse matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def concept_pixels(self) -> NDArray[np.int64]:
        """(concepts,) pixels of each concept in all cases."""
        return np.asarray(self.pixels.sum(axis=(0, 1), dtype=np.int64))

    @cached_property
    def members(self) -> tuple[NDArray[np.int64], ...]:
        """Of each category the cases annotated for it."""
        return tuple(np.flatnonzero(column) for column in self.annotated.T)


Covers = Callable[[], Iterator[Cover]]
"""Reads all covers from the beginning, a chunk of cases at a time."""
Deal = Sequence[NDArray[np.int64]]
"""Of each category (its cases, deals): the case whose marks each case has in each deal."""


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
) -> Chance:
    """Each unit's statistic against `shuffles` deals; `unit_pixels` (units, categories), `families` the units that are
    corrected together.

    With S deals no p is below 1/(S+1), which may be too coarse for the correction over many units: those that no deal
    has reached are then tried with more deals, until the correction can decide or `MOST_SHUFFLES` are made. A p that is
    found so is still too small with no more than its own probability: a unit that stops early has a p above all that
    could be reached later. Units of no family have p 1.
    """
    test = _Test(covers, marks, unit_pixels, rng)
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

    def __init__(self, covers: Covers, marks: Marks, unit_pixels: NDArray[np.int64], rng: np.random.Generator) -> None:
        self._covers, self._marks, self._unit_pixels, self._rng = covers, marks, unit_pixels, rng
        units = np.arange(len(unit_pixels))
        self.observed = self._statistic(covers, units, [members[:, None] for members in marks.members])[:, 0]
        self.reached = np.zeros(len(units), np.int64)
        self.tried = np.zeros(len(units), np.int64)

    def try_more(self, units: NDArray[np.int64], shuffles: int) -> None:
        """More deals for some units."""
        cases, concepts = self._marks.annotated.shape[0], len(self._marks.category)
        at_once = max(1, min(_AT_ONCE // max(1, cases), _SUMS // max(1, len(units) * concepts)))
        covers = self._covers if len(units) > FEW * len(self.tried) else _of(self._covers, units)
        for start in range(0, shuffles, at_once):
            deal = self._deal(min(at_once, shuffles - start))
            least = self.observed[units, None] * (1 - _TIE)
            self.reached[units] += np.count_nonzero(self._statistic(covers, units, deal) >= least, axis=1)
        self.tried[units] += shuffles

    def _deal(self, count: int) -> Deal:
        """The next deals; which ones does not depend on how many are asked for at a time."""
        drawn = [[self._rng.permutation(members) for members in self._marks.members] for _ in range(count)]
        return [np.stack(deals, axis=1) for deals in zip(*drawn, strict=True)]

    def _statistic(self, covers: Covers, units: NDArray[np.int64], deal: Deal) -> NDArray[np.float64]:
        """Largest IoU over concepts, (units, deals)."""
        category = self._marks.category
        both = overlaps(covers, self._marks, units, deal)
        alone = self._unit_pixels[units][:, None, category].astype(np.float64)
        found = iou(both, alone, self._marks.concept_pixels)
        return np.asarray(found.max(axis=2))


def _of(covers: Covers, units: NDArray[np.int64]) -> Covers:
    """Covers of a few units, held in memory."""
    kept = []
    for cover in covers():
        own = np.flatnonzero(np.isin(cover.unit, units))
        kept.append(Cover(cover.case[own], cover.unit[own], cover.cell[own], cover.pixels[own]))
    return lambda: iter(kept)


def overlaps(covers: Covers, marks: Marks, units: NDArray[np.int64], deal: Deal) -> NDArray[np.float64]:
    """Pixels that units and dealt marks cover together, (units, deals, concepts): sum over cells of m l / size."""
    cells = len(marks.cell_sizes)
    number = np.full(int(units.max(initial=-1)) + 1, -1)
    number[units] = np.arange(len(units))
    total = np.zeros((len(units), deal[0].shape[1], len(marks.category)))
    for cover in covers():
        is_asked = cover.unit < len(number)
        is_asked[is_asked] = number[cover.unit[is_asked]] >= 0
        for category, members in enumerate(marks.members):
            concepts = np.flatnonzero(marks.category == category)
            entries = np.flatnonzero(is_asked & marks.annotated[cover.case, category])
            if not len(entries):
                continue
            place, column = np.unique(cover.case[entries] * cells + cover.cell[entries], return_inverse=True)
            share = cover.pixels[entries] / marks.cell_sizes[cover.cell[entries]]
            where = (number[cover.unit[entries]], column)
            matrix = csr_array((share, where), shape=(len(units), len(place)))
            position = np.searchsorted(members, place // cells)
            _add(total, matrix, marks, concepts, deal[category][position], place % cells)
    return total


def _add(
    total: NDArray[np.float64],
    matrix: csr_array,
    marks: Marks,
    concepts: NDArray[np.int64],
    partner: NDArray[np.int64],
    cell: NDArray[np.int64],
) -> None:
    """Add one chunk; `partner` (columns, deals) is the case whose marks lie in each column's cell."""
    columns, deals = partner.shape
    step = max(1, _AT_ONCE // (columns * len(concepts)))
    for start in range(0, deals, step):
        part = slice(start, min(deals, start + step))
        dealt = marks.pixels[partner[:, part], cell[:, None]][..., concepts]
        product = matrix @ dealt.reshape(columns, -1).astype(np.float64)
        total[:, part, concepts] += product.reshape(matrix.shape[0], -1, len(concepts))
