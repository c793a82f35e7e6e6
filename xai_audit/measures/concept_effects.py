"""What the score of a class loses when the units of a concept are silenced, beside random sets of as many units."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import RESAMPLES
from xai_audit.measures.measured import SAME_NUMBER, Estimate
from xai_audit.measures.resampling import codes, resampled_sums

Numbers = NDArray[np.float64]

CONTROLS = 20
"""Random sets of units that stand beside those of a concept."""
MOST_CASES = 200
"""Cases of a class that are asked about; all of them where there are fewer."""
FEWEST_CONTROLS = 4
"""With fewer random sets it cannot be told whether the concept's units are special."""
ENOUGH_CONTROLS = 19
"""With so many, a concept whose units are like any others beats them all in one of twenty cases."""
MOST_AS_MUCH = 0.25
"""Largest share of random sets that may cost as much where a class leans on a concept."""
ENOUGH_ALIKE = 10
"""Cases from which a loss that is the same in every resample is judged by itself."""
ROUNDING = 1e-5
"""A loss below this share of the largest score is rounding (METHODS 9)."""
EFFECT, CONTROL, DIFFERENCE = "concept_effect", "control", "difference"


@dataclass(frozen=True)
class Ranks:
    """Random sets without which a class loses at least as much, or at most as much."""

    above: int = 0
    below: int = 0
    sets: int = 0


@dataclass(frozen=True, eq=False)
class Effect:
    """Mean losses of one class over its cases, each with its bootstrap draws."""

    drop: Estimate
    """Without the concept's units."""
    control: Estimate | None
    """Without as many random others; None where the layer has too few."""
    difference: Estimate | None
    """Drop less control, case by case."""
    ranks: Ranks = Ranks()
    """Where the loss stands among those of the random sets."""

    @property
    def estimates(self) -> list[Estimate]:
        """Those that there are."""
        return [one for one in (self.drop, self.control, self.difference) if one is not None]


def control_sets(
    others: NDArray[np.int64], size: int, rng: np.random.Generator, count: int = CONTROLS
) -> tuple[NDArray[np.int64], bool]:
    """Distinct random sets of some units, (sets, size), and whether these are all that there are.

    All of them where they are no more than `count`; none where there are fewer units than a set has.
    """
    if comb(len(others), size) <= count:
        every = list(combinations(others.tolist(), size))
        return np.asarray(every, np.int64).reshape(len(every), size), True
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < count:
        drawn[tuple(np.sort(rng.choice(others, size, replace=False)).tolist())] = None
    return np.asarray(list(drawn), np.int64), False


def effect(
    drops: Numbers,
    controls: Numbers,
    clusters: NDArray[np.integer] | None,
    rng: np.random.Generator,
    *,
    label: str = "",
    are_all: bool = False,
) -> Effect:
    """The mean loss of a class, that of random sets, and their paired difference.

    `drops` (cases,), `controls` (cases, sets). Clusters (else cases) are resampled together for all three, and the sets
    too unless they are all that there are.
    """
    sums = resampled_sums(np.column_stack([drops, controls, np.ones(len(drops))]), clusters, rng)
    means = sums[:, :-1] / sums[:, -1:]
    units = len(np.unique(codes(clusters, len(drops))))

    def estimate(name: str, per_case: Numbers, draws: Numbers) -> Estimate:
        number = float(per_case.mean())
        return Estimate(name, number, len(drops), "value", label, draws=draws, independent=units)

    drop = estimate(EFFECT, drops, means[:, 0])
    sets = controls.shape[1]
    if not sets:
        return Effect(drop, None, None)
    taken = np.tile(np.arange(sets), (RESAMPLES, 1)) if are_all else rng.integers(0, sets, (RESAMPLES, sets))
    of_control = np.take_along_axis(means[:, 1:], taken, axis=1).mean(axis=1)
    mean_control = controls.mean(axis=1)
    each, own = controls.mean(axis=0), drops.mean()
    ranks = Ranks(int(np.count_nonzero(each >= own)), int(np.count_nonzero(each <= own)), sets)
    return Effect(
        drop,
        estimate(CONTROL, mean_control, of_control),
        estimate(DIFFERENCE, drops - mean_control, means[:, 0] - of_control),
        ranks,
    )


@dataclass(frozen=True)
class Leaning:
    """Whether a class leans on a concept."""

    beats_control: bool | None
    """Whether it loses more than without random units; None where that cannot be told."""
    leans: bool | None
    """None where it cannot be told."""
    reason: str = ""
    """Why it cannot be told, or what was not compared."""


def leaning(drop: Value, difference: Value | None, ranks: Ranks, scale: float, *, either_way: bool = False) -> Leaning:
    """A class leans on a concept where the interval of its loss lies above 0 and above the mean of random sets.

    And where at most a quarter of them cost as much: one in four concepts whose units are like any others is so.

    That the concept matters more than others is claimed only where none of 19 random sets or more costs as much, one in
    twenty by luck. With fewer than 4 sets nothing can be told. `scale`: the largest score at hand, of which ROUNDING is
    no loss. `either_way`: of an output, which has no good direction, a gain counts as a loss does.
    """
    is_gain = either_way and drop.estimate is not None and drop.estimate < 0
    no_loss, sign = ROUNDING * scale, -1 if is_gain else 1
    is_above = _above(_ends(drop), sign, no_loss)
    if difference is None or ranks.sets < FEWEST_CONTROLS:
        reason = "The layer has too few other units to compare the loss with."
        return Leaning(None, False if is_above is False else None, reason)
    as_much, is_more = ranks.below if is_gain else ranks.above, _above(_ends(difference), sign, no_loss)
    beats = _beats(is_more, as_much, ranks.sets)
    if is_above is False or is_more is False or as_much > MOST_AS_MUCH * ranks.sets:
        return Leaning(beats, False)
    if is_above is None or is_more is None:
        return Leaning(beats, None, (drop if is_above is None else difference).reason)
    return Leaning(beats, True)


def _beats(is_more: bool | None, as_much: int, sets: int) -> bool | None:
    if not is_more or as_much:
        return None if is_more is None else False
    return True if sets >= ENOUGH_CONTROLS else None


def _above(ends: tuple[float | None, float | None], sign: int, no_loss: float) -> bool | None:
    low, high = ends
    if low is None or high is None:
        return None
    return min(sign * low, sign * high) > no_loss


def _ends(value: Value) -> tuple[float | None, float | None]:
    """The interval; the number itself where every resample gave it, from enough cases; else nothing."""
    if value.low is None and value.reason == SAME_NUMBER and value.n >= ENOUGH_ALIKE:
        return value.estimate, value.estimate
    return value.low, value.high


def as_record(value: Value) -> dict[str, Any]:
    """A number with its interval, as JSON values."""
    return {"estimate": value.estimate, "low": value.low, "high": value.high, "n": value.n, "reason": value.reason}
