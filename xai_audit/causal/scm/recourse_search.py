"""A search for cheap settings where the model is not linear: grids over one, two and three variables, then shrunk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.actions import Found, Move, Target
from xai_audit.causal.scm.unit_world import UnitWorld

Array = NDArray[np.float64]
EVALUATIONS = 20_000
"""Questions to the model where the spec sets no budget."""
POINTS = {1: 101, 2: 21, 3: 9}
"""Grid points a range, by how many variables are set together."""
HALVINGS = 40
BATCH = 4_096


@dataclass(eq=False)
class Spending:
    """What a search may spend, and has spent."""

    evaluations: int
    seconds: float | None
    spent: int = 0
    start: float = field(default_factory=time.monotonic)

    def allows(self, n: int) -> bool:
        """Whether n more questions may be asked."""
        in_time = self.seconds is None or time.monotonic() - self.start < self.seconds
        return in_time and self.spent + n <= self.evaluations


@dataclass(frozen=True, eq=False)
class _Search:
    world: UnitWorld
    moves: Mapping[str, Move]
    target: Target
    number: Callable[[Array], Array]
    """From what the model gives for `on` to the number that the target is about."""
    spending: Spending

    def is_met(self, names: Sequence[str], points: Array) -> NDArray[np.bool_]:
        """Which of some settings (n, names) reach the target."""
        self.spending.spent += len(points)
        do = {name: self.column(name, points[:, k]) for k, name in enumerate(names)}
        return self.target.is_met(self.number(self.world.values(do)))

    def column(self, name: str, numbers: Array) -> NDArray[Any]:
        """Numbers of a variable as the model reads them: of levels their places."""
        return as_column(self.moves[name], numbers)

    def cost(self, names: Sequence[str], points: Array) -> Array:
        """What settings cost, (n,)."""
        found = np.zeros(len(points))
        for k, name in enumerate(names):
            move = self.moves[name]
            moved = np.abs(points[:, k] - move.now)
            found += move.weight * ((moved > 0) if move.is_flat else moved)
        return found


def as_column(move: Move, numbers: Array) -> NDArray[Any]:
    """Numbers of a move as the model reads them: of levels their places, the present one included."""
    if move.options is None or move.places is None:
        return numbers
    order = np.argsort(move.options)
    at = np.minimum(np.searchsorted(move.options[order], numbers), len(order) - 1)
    return move.places[order][at]


def search(
    world: UnitWorld, moves: Sequence[Move], target: Target, number: Callable[[Array], Array], spending: Spending
) -> list[Found]:
    """Settings that reach the target, the cheapest that was met of each set of variables."""
    run = _Search(world, {move.name: move for move in moves}, target, number, spending)
    found: list[Found] = []
    for size in range(1, min(len(moves), max(POINTS)) + 1):
        for names in combinations(sorted(run.moves), size):
            best = _best(run, names)
            if best is not None:
                found.append(best)
    return found


def _best(run: _Search, names: Sequence[str]) -> Found | None:
    """The cheapest setting of some variables, all of them moved, that reaches the target."""
    axes = [_axis(run.moves[name], POINTS[len(names)]) for name in names]
    points = np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")], axis=1)
    points = points[np.argsort(run.cost(names, points), kind="stable")]
    for start in range(0, len(points), BATCH):
        part = points[start : start + BATCH]
        if not run.spending.allows(len(part)):
            return None
        met = np.flatnonzero(run.is_met(names, part))
        if len(met):
            return _shrunk(run, names, part[met[0]])
    return None


def _axis(move: Move, points: int) -> Array:
    if move.options is not None:
        return move.options
    ends = np.linspace(move.low, move.high, points)
    return ends[np.abs(ends - move.now) > 1e-12]


def _shrunk(run: _Search, names: Sequence[str], point: Array) -> Found:
    """Each range moved back towards its present value as far as the target stays met."""
    best = point.copy()
    for k in sorted(range(len(names)), key=lambda one: -run.moves[names[one]].weight):
        move = run.moves[names[k]]
        if move.options is not None:
            continue
        outside, inside = move.now, best[k]
        for _ in range(HALVINGS):
            if not run.spending.allows(1):
                break
            middle = best.copy()
            middle[k] = (outside + inside) / 2
            if run.is_met(names, middle[None])[0]:
                inside = middle[k]
            else:
                outside = middle[k]
        best[k] = inside
    cost = float(run.cost(names, best[None])[0])
    return Found(tuple((name, float(best[k])) for k, name in enumerate(names)), cost)
