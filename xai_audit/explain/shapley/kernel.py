"""Shapley values by kernel regression: paired coalitions asked in steps until the error is small enough (METHODS 5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xai_audit.explain.shapley.beyond import corrected, regressed
from xai_audit.explain.shapley.designs import Design, Sampling, draw
from xai_audit.explain.shapley.games import Array, Estimate, Playing, ends, shared_out
from xai_audit.explain.shapley.regression import CONTROLS, PLAIN, Control, Fit, LinearMap, fitted, linear_map

FIRST_TEST = 256
"""Evaluations after which the standard error is looked at for the first time; then whenever they have doubled."""
CHOSEN_ON = 255
"""Pairs on which the interactions' part is chosen."""
MOST_PAIRS = 2047
"""Pairs that one model takes; of more, the later ones correct it."""
LEAD = 1023
"""Pairs that it takes then."""


def kernel(players: int, evaluations: int, tolerance: float, sampling: Sampling, seed: int) -> Playing:
    """Kernel regression with the hard constraint of efficiency on pairs drawn without replacement.

    Asks 256, 512, 1024, ... coalitions and stops where the largest standard error is at most `tolerance` times the
    largest of |v(all) - v(none)| and |phi_i|; never more than `evaluations`; all of them for tolerance 0. Exact once
    every coalition is asked. Consistent; like every regression not unbiased for few coalitions.
    """
    designs = _designs(players, (evaluations - 2) // 2, sampling, seed)
    empty, full = yield ends(players)
    y = np.zeros(0)
    for pairs in _steps(designs.whole.pairs, players, tolerance):
        v = yield designs.whole.rows[2 * len(y) : 2 * pairs]
        y = np.append(y, (v[::2] - v[1::2]) / 2)
        answers = np.append(y, (full - empty) / 2)
        values, errors, control = _estimated(designs, answers)
        scale = max(abs(full - empty), float(np.abs(values).max()))
        converged = bool(errors.max() <= tolerance * scale)
        if converged and tolerance:
            break
    return Estimate(
        shared_out(values, full - empty), errors, float(empty), float(full), 2 + 2 * pairs, designs.at(pairs).is_whole,
        converged or not tolerance, {"interactions": {"strength": control.strength, "noise": control.noise}},
    )  # fmt: skip


def _steps(pairs: int, players: int, tolerance: float) -> list[int]:
    """Pairs asked in all when the error is looked at; at the end alone where it stops nothing."""
    tests, size = [], FIRST_TEST
    while tolerance and size // 2 - 1 < pairs:
        if size >= 4 * players:
            tests.append(size // 2 - 1)
        size *= 2
    return [*tests, pairs]


def _estimated(designs: _Designs, answers: Array) -> tuple[Array, Array, Control]:
    pairs = len(answers) - 1
    design = designs.at(pairs)
    if design.is_whole:
        values = regressed(2.0 * design.half - 1, answers[:-1], design.weights, 2 * answers[-1])
        return values, np.zeros(design.players), PLAIN
    control = designs.chosen(answers)
    if pairs > MOST_PAIRS:
        return *corrected(designs.fit(LEAD, control), design, answers), control
    return *designs.map(pairs, control).estimate(answers), control


@dataclass(eq=False)
class _Designs:
    """A design and what is worked out for its first pairs; it depends on no worth, so that cases share it."""

    whole: Design
    name: tuple[object, ...]

    def at(self, pairs: int) -> Design:
        """The design up to some pairs."""
        return self.whole if pairs == self.whole.pairs else self.whole.first(pairs)

    def fit(self, pairs: int, control: Control) -> Fit:
        """The model of the first pairs."""
        kept: Fit = _KEPT.get((*self.name, "fit", pairs, control), lambda: fitted(self.at(pairs), control))
        return kept

    def map(self, pairs: int, control: Control) -> LinearMap:
        """Its matrices."""
        make = lambda: linear_map(fitted(self.at(pairs), control))  # noqa: E731
        kept: LinearMap = _KEPT.get((*self.name, "map", pairs, control), make)
        return kept

    def chosen(self, answers: Array) -> Control:
        """The control under which the first answers are likeliest."""
        pairs = min(len(answers) - 1, max(CHOSEN_ON, 2 * self.whole.players))
        known = np.append(answers[:pairs], answers[-1])
        return max(CONTROLS, key=lambda control: self.fit(pairs, control).log_likelihood(known))


def _designs(players: int, pairs: int, sampling: Sampling, seed: int) -> _Designs:
    name = (players, pairs, sampling, seed)
    kept: _Designs = _KEPT.get(name, lambda: _Designs(draw(players, pairs, sampling, seed), name))
    return kept


@dataclass(eq=False)
class _Cache:
    """What was worked out last, as much of it as fits: to work it out again gives the same."""

    most: int
    """Bytes."""
    kept: OrderedDict[tuple[object, ...], tuple[Any, int]] = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """The value of a key, made where it is not kept."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key][0]
        made = make()
        size = _bytes(made)
        self.kept[key] = (made, size)
        self.size += size
        while self.size > self.most and len(self.kept) > 1:
            self.size -= self.kept.popitem(last=False)[1][1]
        return made


def _bytes(made: object) -> int:
    if isinstance(made, _Designs):
        return made.whole.half.nbytes * 3
    return sum(part.nbytes for part in vars(made).values() if isinstance(part, np.ndarray))


_KEPT = _Cache(most=192 * 2**20)
