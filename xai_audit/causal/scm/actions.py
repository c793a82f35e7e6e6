"""What somebody can change, how far, and at what cost: the moves that recourse chooses among."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal
from xai_audit.spec.causal import Levels, Range

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Move:
    """One variable that can be set, seen from one unit."""

    name: str
    now: float
    """Number of its value now: of named levels the place."""
    low: float
    high: float
    """Where it may be set to; its direction is in it."""
    options: Array | None
    """Numbers of the levels that it may be set to, the present one left out; None for a range."""
    places: NDArray[np.int64] | None
    """Places of those levels."""
    weight: float
    """Cost of a unit moved; of named levels without order, of a change."""
    is_flat: bool = False
    """Whether any change costs the same."""

    def cost(self, number: float) -> float:
        """What it costs to set it to a number."""
        moved = abs(number - self.now)
        return self.weight * (float(moved > 0) if self.is_flat else moved)


def moves_of(asked: Asked, model: Model, facts: Mapping[str, float]) -> list[Move]:
    """The moves of a unit that lead to what is asked about, by name. Raises Refusal where there is none."""
    leading = set(model.graph.ancestors((asked.on,))) - {asked.on}
    names = [name for name in sorted(leading) if asked.causal.variables[name].actionable is not False]
    lacking = [name for name in names if name not in facts]
    if lacking:
        raise Refusal("given", f"no fact of '{lacking[0]}'", "the present value of what can be changed", "Give it.")
    if not names:
        fix = "Mark a variable as actionable: true, increase or decrease."
        raise Refusal("causal.variables", f"no actionable cause of '{asked.on}'", "one or more", fix)
    return [_move(asked, name, facts[name]) for name in names]


def _move(asked: Asked, name: str, fact: float) -> Move:
    one = asked.causal.variables[name]
    up, down = one.actionable != "decrease", one.actionable != "increase"
    if isinstance(one.domain, Range):
        low, high = one.domain.range
        weight = asked.query.cost.get(name, 1 / (high - low))
        return Move(
            name, fact, max(low, fact) if not down else low, min(high, fact) if not up else high, None, None, weight
        )
    assert isinstance(one.domain, Levels)
    numbers = asked.values(name)
    is_named = numbers is None
    every = np.arange(len(one.domain.levels), dtype=np.float64) if numbers is None else numbers
    now = float(every[int(fact)])
    places = np.array([k for k, x in enumerate(every) if k != int(fact) and (up or x < now) and (down or x > now)], int)
    is_flat = is_named and not one.domain.ordered
    default = 1.0 if is_flat else 1 / (float(every.max()) - float(every.min()))
    low, high = float(every.min()), float(every.max())
    weight = asked.query.cost.get(name, default)
    return Move(name, now, low, high, every[places], places, weight, is_flat)


@dataclass(frozen=True)
class Target:
    """What must be reached."""

    value: float
    is_least: bool

    def short(self, number: Array | float) -> Array:
        """How far a number is from it; 0 or less where it is reached."""
        gap = self.value - np.asarray(number) if self.is_least else np.asarray(number) - self.value
        return np.asarray(gap, np.float64)

    def is_met(self, number: Array | float) -> NDArray[np.bool_]:
        """Whether it is reached, up to rounding."""
        return np.asarray(self.short(number) <= 1e-9 * max(1.0, abs(self.value)))


def target_of(asked: Asked) -> Target:
    """The query's target. Raises Refusal where there is none, or both."""
    goal = asked.query.target
    if goal is None or (goal.at_least is None) == (goal.at_most is None):
        raise Refusal("target", "no single target", "{at_least: v} or {at_most: v}", "Give one of the two.")
    if goal.at_least is not None:
        return Target(goal.at_least, True)
    assert goal.at_most is not None
    return Target(goal.at_most, False)


@dataclass(frozen=True)
class Found:
    """One answer: what to set, the numbers it is set to, and what that costs."""

    changes: tuple[tuple[str, float], ...]
    cost: float

    @property
    def names(self) -> frozenset[str]:
        """Variables that are set."""
        return frozenset(name for name, _ in self.changes)


def cheapest(found: list[Found], k: int) -> list[Found]:
    """Cheapest first, none changing a superset of the variables that an earlier one changes."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda each: (round(each.cost, 12), len(each.changes), each.changes)):
        if len(kept) < k and not any(other.names <= one.names for other in kept):
            kept.append(one)
    return kept
