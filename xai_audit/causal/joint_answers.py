"""What tables leave open about a unit where several variables may answer otherwise and not all facts are known.

The chance of the facts together with a level in the other world is a sum of products of joint laws: one for each open
variable, of its answers to the settings that its causes have in the two worlds. The margins of each are rows of its
table; a variable's joint laws are those that a mixture of its response types gives. The sum is linear in the joint laws
of each variable, so that its ends lie at corners: of all variables but one the corners are tried, and the last one is a
linear program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from itertools import product as combinations_of
from math import comb, prod

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from xai_audit.causal.bounds import MOST_TYPES, Bounds, Response
from xai_audit.errors import Refusal

Array = NDArray[np.float64]
Setting = tuple[int, ...]
Seen = tuple[tuple[Setting, int], ...]
"""A variable's answers to the settings of its causes in the two worlds; one where the settings are the same."""
Term = tuple[float, Mapping[str, Seen]]
"""A weight, and the answer of each open variable that it asks for."""
MOST_CORNERS = 4_096
"""Corners of all variables but one, each a linear program."""
MOST_BASES = 20_000
"""Sets of columns that are tried for the corners of one variable."""


@dataclass(frozen=True, eq=False)
class Part:
    """Settings of one variable's causes that are joined by pairs of worlds; other settings are free of them."""

    name: str
    types: tuple[tuple[int, ...], ...]
    """Each answer to all of the settings."""
    settings: tuple[Setting, ...]
    margins: Array
    """(equations, types): which types give a level at a setting."""
    wanted: Array
    """(equations,): the probabilities in the table."""

    def fits(self, seen: Seen) -> Array:
        """(types,): which types give some answers."""
        places = [(self.settings.index(setting), level) for setting, level in seen]
        return np.array([float(all(one[k] == level for k, level in places)) for one in self.types])

    @property
    def bases(self) -> int:
        """How many sets of columns a corner may have."""
        return comb(len(self.types), min(len(self.types), int(np.linalg.matrix_rank(self.margins))))

    def corners(self) -> Array:
        """(corners, types). Raises Refusal where no mixture has the margins."""
        rank = int(np.linalg.matrix_rank(self.margins))
        rows = _independent(self.margins, rank)
        A, b = self.margins[rows], self.wanted[rows]
        bases = np.array(list(combinations(range(len(self.types)), rank)))
        square = np.moveaxis(A[:, bases], 0, 1)
        is_regular = np.abs(np.linalg.det(square)) > 1e-9
        bases, square = bases[is_regular], square[is_regular]
        shares = np.linalg.solve(square, np.broadcast_to(b[:, None], (len(bases), rank, 1)))[..., 0]
        is_law = (shares >= -1e-12).all(axis=1)
        found = np.zeros((int(is_law.sum()), len(self.types)))
        np.put_along_axis(found, bases[is_law], np.clip(shares[is_law], 0, None), axis=1)
        if not len(found) or np.abs(found @ self.margins.T - self.wanted).max() > 1e-9:
            raise _impossible()
        return np.unique(found.round(15), axis=0)

    def lowest(self, costs: Array) -> float:
        """The least mean of a cost over the mixtures. Raises Refusal where there are none."""
        found = linprog(costs, A_eq=self.margins, b_eq=self.wanted, bounds=(0, None), method="highs")
        if found.status != 0:
            raise _impossible()
        return float(found.fun)


Row = Callable[[str, Setting], Array]
"""Probabilities of a variable's levels at a setting of its causes."""
Kept = Callable[[str], Sequence[Response] | None]
"""The answers of a variable that assumptions leave; None where they leave all."""


def joint_bounds(terms: Sequence[Term], row: Row, kept: Kept) -> Bounds:
    """Ends of a sum of terms over all joint answers that fit the tables.

    Raises Refusal where there are too many corners, or where an assumption does not fit the tables.
    """
    names = sorted({name for _, seen in terms for name in seen})
    parts = {name: _parts(name, row, kept(name), terms) for name in names}
    sizes = {name: prod(part.bases for part in parts[name]) for name in names}
    last = max(names, key=lambda name: (sizes[name], name))
    others = [part for name in names if name != last for part in parts[name]]
    if any(part.bases > MOST_BASES for part in others):
        raise _too_many()
    corners = [part.corners() for part in others]
    if prod(len(each) for each in corners) > MOST_CORNERS:
        raise _too_many()
    ends = [_ends(last, parts[last], terms, chosen) for chosen in _choices(others, corners)]
    return Bounds(min(low for low, _ in ends), max(high for _, high in ends))


def _choices(others: Sequence[Part], corners: Sequence[Array]) -> Iterator[list[tuple[Part, Array]]]:
    for chosen in combinations_of(*corners):
        yield list(zip(others, chosen, strict=True))


def _ends(
    last: str, parts: Sequence[Part], terms: Sequence[Term], chosen: Sequence[tuple[Part, Array]]
) -> tuple[float, float]:
    costs = [np.zeros(len(part.types)) for part in parts]
    known = 0.0
    for weight, seen in terms:
        share = weight * prod(float(_part_of(chosen, name, one)) for name, one in seen.items() if name != last)
        if last not in seen:
            known += share
        elif share:
            place = next(k for k, part in enumerate(parts) if seen[last][0][0] in part.settings)
            costs[place] += share * parts[place].fits(seen[last])
    low = known + sum(part.lowest(cost) for part, cost in zip(parts, costs, strict=True))
    return low, known - sum(part.lowest(-cost) for part, cost in zip(parts, costs, strict=True))


def _part_of(chosen: Sequence[tuple[Part, Array]], name: str, seen: Seen) -> float:
    part, law = next((part, law) for part, law in chosen if part.name == name and seen[0][0] in part.settings)
    return float(part.fits(seen) @ law)


def _parts(name: str, row: Row, kept: Sequence[Response] | None, terms: Sequence[Term]) -> list[Part]:
    """The settings of a variable's causes in groups that no pair of worlds joins; one group under an assumption."""
    if kept is not None:
        settings = tuple(combinations_of(*map(range, kept[0].shape))) if len(kept) else ()
        return [_part(name, settings, sorted({tuple(int(one[s]) for s in settings) for one in kept}), row)]
    groups: list[set[Setting]] = []
    for pair in sorted({tuple(setting for setting, _ in seen[name]) for _, seen in terms if name in seen}):
        joined = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in joined] + [set(pair).union(*joined)]
    found = []
    for group in sorted(map(sorted, groups)):
        levels = range(len(row(name, group[0])))
        if len(levels) ** len(group) > MOST_TYPES:
            raise _too_many()
        found.append(_part(name, tuple(group), list(combinations_of(levels, repeat=len(group))), row))
    return found


def _part(name: str, settings: tuple[Setting, ...], types: Sequence[tuple[int, ...]], row: Row) -> Part:
    if not types:
        raise _impossible()
    wanted = [row(name, setting) for setting in settings]
    table = np.array(types)
    margins = [(table[:, k] == level).astype(float) for k, shares in enumerate(wanted) for level in range(len(shares))]
    return Part(name, tuple(types), settings, np.array(margins), np.concatenate(wanted))


def _independent(matrix: Array, rank: int) -> list[int]:
    rows: list[int] = []
    for k in range(len(matrix)):
        if np.linalg.matrix_rank(matrix[[*rows, k]]) > len(rows):
            rows.append(k)
    assert len(rows) == rank
    return rows


def _too_many() -> Refusal:
    found = "too many ways in which several variables could have answered together"
    return Refusal("if_not_identified", found, f"at most {MOST_CORNERS:,} corners", "Give more facts, or fewer levels.")


def _impossible() -> Refusal:
    found = "an assumption that no model with these tables fulfils"
    return Refusal("assume", found, "one that the tables allow", "Remove it, or correct the tables.")
