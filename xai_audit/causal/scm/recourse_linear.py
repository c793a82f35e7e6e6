"""The cheapest settings in a linear model, exactly: a mixed-integer program chooses what is set, then how far.

With D the change of each variable, D = sum of weight * D of the parents + own shift. What is set has a free shift, all
others have none. Of one chosen set, how far each is moved is a linear program of one constraint: the most effect a unit
of cost first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from xai_audit.causal.scm.actions import Found, Move, Target
from xai_audit.causal.scm.mechanisms import Linear
from xai_audit.causal.scm.unit_world import UnitWorld

Array = NDArray[np.float64]
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
    m, moves = len(program.names), program.moves
    options = [len(move.options) if move.options is not None else 0 for move in moves]
    # columns: change D of each variable; of each move its shift s, whether it is set z, its paid change c; its levels b
    D, s, z, c = (np.arange(m), *(np.arange(len(moves)) + m + k * len(moves) for k in range(3)))
    starts = np.cumsum([m + 3 * len(moves), *options])
    width, rows, lows, highs = int(starts[-1]), list[Array](), list[float](), list[float]()

    def add(entries: Mapping[int, float], low: float, high: float) -> None:
        row = np.zeros(width)
        for column, value in entries.items():
            row[int(column)] += value
        rows.append(row)
        lows.append(low)
        highs.append(high)

    size = program.sizes
    places = {name: k for k, name in enumerate(program.names)}
    shift_of = {move.name: s[k] for k, move in enumerate(moves)}
    for name, i in places.items():  # the equations, in units of size
        entries = {int(D[i]): 1.0}
        for j in np.flatnonzero(program.weights[i]):
            entries[int(D[j])] = entries.get(int(D[j]), 0.0) - program.weights[i, j] * size[j] / size[i]
        if name in shift_of:
            entries[int(shift_of[name])] = -1.0
        add(entries, 0.0, 0.0)
    for k, move in enumerate(moves):
        i = places[move.name]
        low, high = (move.low - move.now) / size[i], (move.high - move.now) / size[i]
        add({s[k]: 1, z[k]: -2}, -np.inf, 0)
        add({s[k]: -1, z[k]: -2}, -np.inf, 0)
        add({D[i]: 1, z[k]: 2}, -np.inf, high + 2)
        add({D[i]: -1, z[k]: 2}, -np.inf, 2 - low)
        own = starts[k] + np.arange(options[k])
        deltas = [] if move.options is None else (move.options - move.now) / size[i]
        if move.options is not None:
            for sign in (1.0, -1.0):
                add({D[i]: sign, z[k]: 2.0, **{b: -sign * d for b, d in zip(own, deltas, strict=True)}}, -np.inf, 2)
            add({z[k]: -1.0, **dict.fromkeys(own.tolist(), 1.0)}, 0, 0)
        if not move.is_flat:
            for sign in (1.0, -1.0):
                add({c[k]: -1, D[i]: sign, z[k]: 1}, -np.inf, 1)
    i = places[program.world.on]
    sign = 1.0 if program.need > 0 else -1.0
    add({D[i]: sign}, abs(program.need) / size[i], np.inf)
    for names in banned:
        add({z[k]: 1 for k, move in enumerate(moves) if move.name in names}, -np.inf, len(names) - 1)
    costs, integral = np.zeros(width), np.zeros(width)
    scale = max(move.weight * (1.0 if move.is_flat else size[places[move.name]]) for move in moves)
    for k, move in enumerate(moves):
        full = move.weight * (1.0 if move.is_flat else size[places[move.name]]) / scale
        costs[z[k]], costs[c[k]] = PER_SET + (full if move.is_flat else 0.0), 0.0 if move.is_flat else full
    low, high = np.full(width, -1.0), np.full(width, 1.0)
    low[z], low[c], integral[z] = 0.0, 0.0, 1
    low[s], high[s] = -2.0, 2.0
    integral[starts[0] :], low[starts[0] :] = 1, 0.0
    found = milp(
        costs, integrality=integral, bounds=Bounds(low, high),
        constraints=LinearConstraint(np.array(rows), lows, highs), options={"mip_rel_gap": 0.0},
    )  # fmt: skip
    if found.x is None:
        return None
    chosen: dict[str, float | None] = {}
    for k, move in enumerate(moves):
        if found.x[z[k]] > 0.5:
            own = found.x[starts[k] : starts[k] + options[k]]
            chosen[move.name] = None if move.options is None else float(move.options[int(np.argmax(own))])
    return chosen


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
