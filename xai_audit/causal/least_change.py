"""The least change that reaches a goal, searched over a few variables: asked in batches, cheapest first.

A generator, as the askers of explanations are: it yields settings to be tried and receives what they come to, so that
one engine answers many units together.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from xai_audit.spec.causal import Goal

HALVINGS = 5
"""Times that the step between the last failure and the first success is halved, for a variable with a range."""
GRID = 8
"""Values that are tried of a range, from its present value to either end."""
MOST_TOGETHER = 3
"""Variables that are changed together."""


@dataclass(frozen=True)
class Move:
    """A variable that may be changed, and to what."""

    name: str
    now: float
    values: tuple[float, ...]
    """Values to try, none of them `now`."""
    weight: float
    """Cost of a unit moved."""
    is_range: bool
    """Whether values in between exist."""

    def cost(self, value: float) -> float:
        """Of moving to a value."""
        return abs(value - self.now) * self.weight


@dataclass(frozen=True)
class Found:
    """A change that reaches the goal."""

    setting: Mapping[str, float]
    cost: float
    value: float
    """What it comes to."""


@dataclass(frozen=True)
class Search:
    """What a search came to."""

    found: tuple[Found, ...]
    """Cheapest first; none changes all that an earlier one changes, and more."""
    tried: int
    """Settings that were asked about."""
    is_cut: bool
    """Whether the budget ended it."""


def reaches(goal: Goal, value: float) -> bool:
    """Whether a value is the goal or beyond it."""
    return (goal.at_least is None or value >= goal.at_least) and (goal.at_most is None or value <= goal.at_most)


def moves_in(low: float, high: float, now: float, direction: str | bool) -> tuple[float, ...]:
    """Values of a range to try: evenly from `now` to the ends that may be moved to."""
    ends = [high] if direction == "increase" else [low] if direction == "decrease" else [low, high]
    steps = [now + (end - now) * place / GRID for end in ends for place in range(1, GRID + 1)]
    return tuple(sorted({step for step in steps if step != now}))


def least_change(
    moves: Sequence[Move], goal: Goal, budget: int, k: int = 1
) -> Generator[list[dict[str, float]], list[float], Search]:
    """Settings to be tried, in batches; returns up to `k` changes that reach the goal.

    One variable alone first, then two and three together of those that do not reach it alone; a range is refined by
    halving. At most `budget` settings are asked about.
    """
    found: list[Found] = []
    tried, is_cut = 0, False
    for together in range(1, min(MOST_TOGETHER, len(moves)) + 1):
        for chosen in combinations(sorted(moves, key=lambda move: move.name), together):
            names = {move.name for move in chosen}
            if any(set(one.setting) <= names for one in found):
                continue
            settings = _settings(chosen)
            is_cut = is_cut or len(settings) > budget - tried
            settings = settings[: budget - tried]
            if not settings:
                continue
            values = yield settings
            tried += len(settings)
            good = [(setting, value) for setting, value in zip(settings, values, strict=True) if reaches(goal, value)]
            if good:
                best, asked, cut = yield from _refined(chosen, goal, budget - tried, *good[0])
                found.append(best)
                tried, is_cut = tried + asked, is_cut or cut
    ranked = sorted(found, key=lambda one: (one.cost, sorted(one.setting)))
    return Search(tuple(ranked[:k]), tried, is_cut)


def _settings(chosen: Sequence[Move]) -> list[dict[str, float]]:
    """Every combination of the values of some variables, cheapest first."""
    every = [
        {move.name: value for move, value in zip(chosen, values, strict=True)}
        for values in product(*(move.values for move in chosen))
    ]
    return sorted(every, key=lambda setting: (_cost(chosen, setting), [setting[move.name] for move in chosen]))


def _cost(chosen: Sequence[Move], setting: Mapping[str, float]) -> float:
    return sum(move.cost(setting[move.name]) for move in chosen)


def _refined(
    chosen: Sequence[Move], goal: Goal, budget: int, setting: Mapping[str, float], value: float
) -> Generator[list[dict[str, float]], list[float], tuple[Found, int, bool]]:
    """The same change made smaller: each range's step halved towards the present value as long as the goal holds."""
    best, tried = Found(dict(setting), _cost(chosen, setting), value), 0
    for move in (move for move in chosen if move.is_range):
        near = max(
            (v for v in (*move.values, move.now) if _is_between(v, move.now, best.setting[move.name])),
            key=move.cost, default=move.now,
        )  # fmt: skip
        for _ in range(HALVINGS):
            if tried == budget:
                return best, tried, True
            middle = (near + best.setting[move.name]) / 2
            (reached,) = yield [{**best.setting, move.name: middle}]
            tried += 1
            if reaches(goal, reached):
                smaller = {**best.setting, move.name: middle}
                best = Found(smaller, _cost(chosen, smaller), reached)
            else:
                near = middle
    return best, tried, False


def _is_between(value: float, now: float, far: float) -> bool:
    return min(now, far) <= value <= max(now, far) and value != far
