"""The cheapest settings in a linear model, exactly: a mixed-integer program chooses what is set, then how far.

With D the change of each variable, D = sum of weight * D of the parents + own shift. What is set has a free shift, all
others have none. Of one chosen set, how far each is moved is a linear program of one constraint: the most effect a unit
of cost first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from xai_audit.causal.scm.actions import Found, Move, Target
from xai_audit.causal.scm.mechanisms import Linear
from xai_audit.causal.scm.unit_world import UnitWorld

Array = NDArray[np.float64]
Places = NDArray[np.int64]
PER_SET = 1e-7
"""Added to the cost of each variable that is set, so that none is set for nothing."""


@dataclass(frozen=True, eq=False)
class Program:
    """A unit, its moves and its target as a mixed-integer program; changes are in units of how far each can go."""

    world: UnitWorld
    moves: Sequence[Move]
    need: float
    """How far `on` must rise; negative where it must fall."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Everything that is set or moved, causes first."""
        every = {*self.world.moved, *(move.name for move in self.moves)}
        return tuple(name for name in self.world.model.graph.order if name in every)

    @cached_property
    def weights(self) -> Array:
        """(variables, variables): what a unit of each parent adds to each variable."""
        B = np.zeros((len(self.names), len(self.names)))
        for row, name in enumerate(self.names):
            one = self.world.model.mechanisms.get(name)
            if name in self.world.moved and isinstance(one, Linear):
                for parent, weight in one.weights.items():
                    if parent in self.names:
                        B[row, self.names.index(parent)] = weight
        return B

    @cached_property
    def sizes(self) -> Array:
        """(variables,): how far each can go, set or moved by others."""
        boxes = {move.name: max(abs(move.low - move.now), abs(move.high - move.now)) for move in self.moves}
        found = np.zeros(len(self.names))
        for row, name in enumerate(self.names):
            found[row] = max(float(np.abs(self.weights[row]) @ found), boxes.get(name, 0.0))
        return np.where(found > 0, found, 1.0)

    def effects(self, chosen: Sequence[str]) -> dict[str, float]:
        """What a unit of change of each chosen variable adds to `on`, the other chosen ones being held."""
        B = self.weights.copy()
        for name in chosen:
            B[self.names.index(name)] = 0.0
        T = np.linalg.inv(np.eye(len(self.names)) - B)
        return {name: float(T[self.names.index(self.world.on), self.names.index(name)]) for name in chosen}


def cheapest_linear(world: UnitWorld, moves: Sequence[Move], target: Target, k: int) -> list[Found]:
    """The k cheapest settings, none over a superset of the variables of an earlier one; fewer where there are none."""
    gap = float(target.short(world.facts[world.on]))
    program = Program(world, moves, gap if target.is_least else -gap)
    found: list[Found] = []
    banned: list[frozenset[str]] = []
    while len(found) < k:
        chosen = _chosen(program, banned)
        if chosen is None:
            break
        exact = _moved(program, chosen)
        banned.append(frozenset(chosen))
        if exact is not None:
            found.append(exact)
    return found


def _chosen(program: Program, banned: Sequence[frozenset[str]]) -> dict[str, float | None] | None:
    """What the mixed-integer program sets: the number of a level, None for a range; None where nothing reaches it."""
    at = _Columns.of(program)
    rows = [
        *_equations(program, at),
        *(row for k in range(len(program.moves)) for row in _move_rows(program, at, k)),
        _reached(program, at),
        *(_not_again(program, at, names) for names in banned),
    ]
    low, high = at.bounds
    found = milp(
        _costs(program, at), integrality=at.integral, bounds=Bounds(low, high),
        constraints=LinearConstraint(
            np.array([at.row(one.entries) for one in rows]), [one.low for one in rows], [one.high for one in rows]
        ),
        options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    return None if found.x is None else _settings(program, at, found.x)


@dataclass(frozen=True)
class _Row:
    """low <= sum of entries * columns <= high."""

    entries: Mapping[int, float]
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class _Columns:
    """Where the columns of the program stand: of each variable its change D; of each move its shift s, whether it is
    set z, its paid change c, and its levels."""

    D: Places
    s: Places
    z: Places
    c: Places
    levels: Sequence[Places]
    width: int

    @staticmethod
    def of(program: Program) -> _Columns:
        m, moves = len(program.names), program.moves
        s, z, c = (np.arange(len(moves)) + m + k * len(moves) for k in range(3))
        options = [len(move.options) if move.options is not None else 0 for move in moves]
        starts = np.cumsum([m + 3 * len(moves), *options])
        levels = [start + np.arange(count) for start, count in zip(starts, options, strict=False)]
        return _Columns(np.arange(m), s, z, c, levels, int(starts[-1]))

    def row(self, entries: Mapping[int, float]) -> Array:
        """(width,): the entries in their columns."""
        row = np.zeros(self.width)
        for column, value in entries.items():
            row[column] += value
        return row

    @property
    def integral(self) -> Array:
        """(width,): 1 where a column is 0 or 1."""
        return self.row(dict.fromkeys(self._choices, 1.0))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """(width,) each: the least and the most of every column."""
        low, high = np.full(self.width, -1.0), np.full(self.width, 1.0)
        low[self._choices], low[self.c] = 0.0, 0.0
        low[self.s], high[self.s] = -2.0, 2.0
        return low, high

    @property
    def _choices(self) -> list[int]:
        return [int(column) for part in (self.z, *self.levels) for column in part]


def _equations(program: Program, at: _Columns) -> Iterator[_Row]:
    """D = sum of weight * D of the parents + own shift, in units of size."""
    size, shift_of = program.sizes, {move.name: int(at.s[k]) for k, move in enumerate(program.moves)}
    for i, name in enumerate(program.names):
        entries = {int(at.D[i]): 1.0}
        for j in np.flatnonzero(program.weights[i]):
            entries[int(at.D[j])] = entries.get(int(at.D[j]), 0.0) - program.weights[i, j] * size[j] / size[i]
        if name in shift_of:
            entries[shift_of[name]] = -1.0
        yield _Row(entries, 0.0, 0.0)


def _move_rows(program: Program, at: _Columns, k: int) -> Iterator[_Row]:
    """Without z no shift; with it a change within its range, at one of its levels, paid for by c."""
    move = program.moves[k]
    i = program.names.index(move.name)
    size = program.sizes[i]
    low, high = (move.low - move.now) / size, (move.high - move.now) / size
    D, s, z, c = (int(places[place]) for places, place in ((at.D, i), (at.s, k), (at.z, k), (at.c, k)))
    yield _Row({s: 1, z: -2}, -np.inf, 0)
    yield _Row({s: -1, z: -2}, -np.inf, 0)
    yield _Row({D: 1, z: 2}, -np.inf, high + 2)
    yield _Row({D: -1, z: 2}, -np.inf, 2 - low)
    if move.options is not None:
        levels, deltas = at.levels[k].tolist(), (move.options - move.now) / size
        for sign in (1.0, -1.0):
            yield _Row({D: sign, z: 2.0, **dict(zip(levels, -sign * deltas, strict=True))}, -np.inf, 2)
        yield _Row({z: -1.0, **dict.fromkeys(levels, 1.0)}, 0, 0)
    if not move.is_flat:
        for sign in (1.0, -1.0):
            yield _Row({c: -1, D: sign, z: 1}, -np.inf, 1)


def _reached(program: Program, at: _Columns) -> _Row:
    """`on` changes by what is needed, or by more."""
    i = program.names.index(program.world.on)
    sign = 1.0 if program.need > 0 else -1.0
    return _Row({int(at.D[i]): sign}, abs(program.need) / program.sizes[i], np.inf)


def _not_again(program: Program, at: _Columns, names: frozenset[str]) -> _Row:
    """Not all of these are set."""
    entries = {int(at.z[k]): 1.0 for k, move in enumerate(program.moves) if move.name in names}
    return _Row(entries, -np.inf, len(names) - 1)


def _costs(program: Program, at: _Columns) -> Array:
    """(width,): of each move its weight on z where it is flat, else on c; as shares of the dearest."""
    size = dict(zip(program.names, program.sizes.tolist(), strict=True))
    full = [move.weight * (1.0 if move.is_flat else size[move.name]) for move in program.moves]
    costs = np.zeros(at.width)
    for k, move in enumerate(program.moves):
        share = full[k] / max(full)
        costs[at.z[k]] = PER_SET + (share if move.is_flat else 0.0)
        costs[at.c[k]] = 0.0 if move.is_flat else share
    return costs


def _settings(program: Program, at: _Columns, x: Array) -> dict[str, float | None]:
    """The level of each move that is set in a solution, None for a range."""
    return {
        move.name: None if move.options is None else float(move.options[int(np.argmax(x[at.levels[k]]))])
        for k, move in enumerate(program.moves)
        if x[at.z[k]] > 0.5
    }


def _moved(program: Program, chosen: Mapping[str, float | None]) -> Found | None:
    """How far each chosen variable is moved: levels as chosen, ranges by most effect a unit of cost."""
    moves = {move.name: move for move in program.moves}
    effects = program.effects(list(chosen))
    numbers = {name: moves[name].now if number is None else number for name, number in chosen.items()}
    need = program.need - sum(effects[name] * (numbers[name] - moves[name].now) for name in chosen)
    sign = 1.0 if program.need > 0 else -1.0
    ranges = [name for name, number in chosen.items() if number is None]
    for name in sorted(ranges, key=lambda one: (-abs(effects[one]) / moves[one].weight, one)):
        if need * sign <= 0 or effects[name] == 0:
            break
        wanted = moves[name].now + need / effects[name]
        numbers[name] = min(max(wanted, moves[name].low), moves[name].high)
        need -= effects[name] * (numbers[name] - moves[name].now)
    if need * sign > 1e-9 * max(1.0, abs(program.need)):
        return None
    cost = sum(moves[name].cost(number) for name, number in numbers.items())
    return Found(tuple(sorted(numbers.items())), cost)
