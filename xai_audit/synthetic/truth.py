"""True answers of a made-up world: the mean of what a model says when the same units are made again under do().

Never a mean over resampled rows: a unit keeps its own chance under every setting (CAUSAL.md section 10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from xai_audit.synthetic.units import Chance, Level, Unit, World

Floats = npt.NDArray[np.float64]
Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.floating]]
"""From pictures (units, height, width[, 3]) to what a model says of each, (units,)."""
Do = Mapping[str, Level]
"""Variable: the level, as tables write it, or the number that it is set to."""
TOGETHER = 100
"""Pictures that are made and scored at a time."""


@dataclass(frozen=True)
class Truth:
    """A true answer, as far as a number of units tells it."""

    estimate: float
    standard_error: float
    """Monte Carlo error: what is left of the chance of which units were made."""
    n: int


def value(world: World, score: Score, seed: int, numbers: Sequence[int], do: Do) -> Truth:
    """E[score | do]."""
    return _mean(_scores(world, score, seed, numbers, lambda chance: coded(world, do)))


def contrast(
    world: World, score: Score, seed: int, numbers: Sequence[int], reference: Do, alternative: Do,
    hold: Collection[str] = (),
) -> Truth:  # fmt: skip
    """E[score | do(alternative)] - E[score | do(reference)], unit by unit; `hold` keeps variables at their facts."""

    def under(do: Do) -> Callable[[Chance], dict[str, float]]:
        return lambda chance: {**_picked(world.row(chance), hold), **coded(world, do)}

    changed = _scores(world, score, seed, numbers, under(alternative))
    return _mean(changed - _scores(world, score, seed, numbers, under(reference)))


def path(
    world: World, score: Score, seed: int, numbers: Sequence[int], reference: Do, alternative: Do,
    through: Collection[str],
) -> Truth:  # fmt: skip
    """What the change moves through some variables alone: they take the value that it gives them, all else stays.

    The path-specific effect for paths that end in the picture after the variables of `through`.
    """

    def changed(chance: Chance) -> dict[str, float]:
        moved = world.row(chance, coded(world, alternative))
        return {**coded(world, reference), **_picked(moved, through)}

    stays = _scores(world, score, seed, numbers, lambda chance: coded(world, reference))
    return _mean(_scores(world, score, seed, numbers, changed) - stays)


def coded(world: World, do: Do) -> dict[str, float]:
    """Settings as a world's rows hold them. Raises ValueError for what is no variable of the world, or no level."""
    return {name: world.value(name, level) for name, level in do.items()}


def _picked(row: Mapping[str, float], names: Collection[str]) -> dict[str, float]:
    return {name: row[name] for name in names}


def _scores(
    world: World, score: Score, seed: int, numbers: Sequence[int], do: Callable[[Chance], Mapping[str, float]]
) -> Floats:
    """The model's answer to each unit under settings of its own, (units,)."""
    units = (world.unit(seed, number, do(Chance(seed, number))) for number in numbers)
    return np.concatenate([np.asarray(score(pictures), np.float64) for pictures in _batches(units)])


def _batches(units: Iterator[Unit]) -> Iterator[npt.NDArray[np.float32]]:
    while part := list(islice(units, TOGETHER)):
        yield np.stack([unit.picture for unit in part])


def _mean(values: Floats) -> Truth:
    return Truth(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), len(values))
