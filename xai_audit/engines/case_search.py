"""What is asked about one picture in search of another answer: the least change of what somebody can change, beside
what an attack of equal size and a patchwork with another picture do (CAUSAL.md section 9)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.least_change import Move, Search, least_change, reaches
from xai_audit.explain.questions import Answered, Images, PathPoints, Question
from xai_audit.spec.causal import Goal

Pixels = NDArray[np.floating]
"""(channels, height, width) in [0, 1]."""
Changed = Callable[[Mapping[str, float]], "Pixels | None"]
"""The picture under a setting of some variables; None where the operators failed their contract."""
ATTACK_STEPS = 10
"""Steps of the attack on pixels."""
CELLS = 4
"""Cells down and across that a patchwork exchanges."""
MOST_CELLS = 6
"""Cells that a patchwork exchanges at most: with more it is the other picture."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """An attack on pixels of the same size as a change."""

    norm: float
    """L2 norm of the change, over all pixel values."""
    value: float
    """What the score comes to."""
    reaches: bool


@dataclass(frozen=True, eq=False)
class Patchwork:
    """The picture with cells of another one."""

    other: str
    """Case that the cells come from."""
    cells: tuple[tuple[int, int], ...]
    """(row, column) of the cells in the order in which they were exchanged."""
    value: float
    reaches: bool
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class CaseFound:
    """What was found for one picture."""

    start: float
    """Its score as it is."""
    search: Search
    verified: tuple[float, ...]
    """Score of each change found, asked again on a picture made anew."""
    pictures: tuple[Pixels, ...]
    failed_operators: int
    """Settings that operators could not be trusted to reach."""
    attack: Attacked | None
    """Of the cheapest change."""
    patchwork: Patchwork | None
    """None where no other picture reaches the goal."""


def case_search(
    pixels: Pixels,
    start: float,
    changed: Changed,
    moves: Sequence[Move],
    goal: Goal,
    budget: int,
    k: int,
    other: tuple[str, Pixels] | None,
) -> Generator[Question, Answered, CaseFound]:
    """All that is asked about one picture; a setting that operators fail to reach is no answer, and is counted."""
    counted = [0]
    found = yield from _least(changed, moves, goal, budget, k, counted)
    made = [changed(one.setting) for one in found.found]
    pictures = tuple(picture for picture in made if picture is not None)
    verified: tuple[float, ...] = ()
    if pictures:
        answered = yield Images(np.stack(pictures))
        verified = tuple(float(value) for value in answered.values)
    attack = None
    if pictures and reaches(goal, verified[0]):
        attack = yield from _attacked(pixels, start, float(np.linalg.norm(pictures[0] - pixels)), goal)
    patchwork = None if other is None else (yield from _patchwork(pixels, *other, goal))
    return CaseFound(start, found, verified, pictures, counted[0], attack, patchwork)


def _least(
    changed: Changed, moves: Sequence[Move], goal: Goal, budget: int, k: int, failed: list[int]
) -> Generator[Question, Answered, Search]:
    search = least_change(moves, goal, budget, k)
    try:
        settings = next(search)
        while True:
            made = [changed(setting) for setting in settings]
            failed[0] += sum(picture is None for picture in made)
            usable = [picture for picture in made if picture is not None]
            asked = (yield Images(np.stack(usable))).values.tolist() if usable else []
            answers = iter(asked)
            settings = search.send([np.nan if picture is None else next(answers) for picture in made])
    except StopIteration as stop:
        result: Search = stop.value
        return result


def _attacked(pixels: Pixels, start: float, norm: float, goal: Goal) -> Generator[Question, Answered, Attacked]:
    """Steps along the gradient within a ball of the change's own size, pixels kept in [0, 1] (Madry et al. 2018)."""
    upwards = 1.0 if goal.at_least is not None and start < goal.at_least else -1.0
    now, step = np.asarray(pixels, np.float64), 2.5 * norm / ATTACK_STEPS
    best = start
    for _ in range(ATTACK_STEPS):
        answered = yield PathPoints(now, np.zeros(1))
        assert answered.gradient is not None
        size = float(np.linalg.norm(answered.gradient))
        if size == 0:
            break
        moved = now + upwards * step * answered.gradient / size - pixels
        within = moved * min(1.0, norm / max(float(np.linalg.norm(moved)), 1e-12))
        now = np.clip(pixels + within, 0.0, 1.0)
        (value,) = (yield Images(now[None])).values
        best = max(best, float(value)) if upwards > 0 else min(best, float(value))
        if reaches(goal, best):
            break
    return Attacked(norm, best, reaches(goal, best))


def _patchwork(pixels: Pixels, name: str, other: Pixels, goal: Goal) -> Generator[Question, Answered, Patchwork]:
    """Cells of another picture put in one after another, each time the one that brings the score closest to the goal
    (Goyal et al. 2019)."""
    now, left = np.array(pixels), [(row, column) for row in range(CELLS) for column in range(CELLS)]
    chosen: list[tuple[int, int]] = []
    value = float("nan")
    while len(chosen) < MOST_CELLS:
        tries = np.stack([_with_cell(now, other, cell) for cell in left])
        values = (yield Images(tries)).values
        best = int(np.argmin([_distance(goal, float(one)) for one in values]))
        now, value = tries[best], float(values[best])
        chosen.append(left.pop(best))
        if reaches(goal, value):
            break
    return Patchwork(name, tuple(chosen), value, reaches(goal, value), now)


def _with_cell(pixels: Pixels, other: Pixels, cell: tuple[int, int]) -> Pixels:
    height, width = pixels.shape[1:]
    rows = slice(cell[0] * height // CELLS, (cell[0] + 1) * height // CELLS)
    columns = slice(cell[1] * width // CELLS, (cell[1] + 1) * width // CELLS)
    made = np.array(pixels)
    made[:, rows, columns] = other[:, rows, columns]
    return made


def _distance(goal: Goal, value: float) -> float:
    """How far a value is from the goal; 0 where it is reached."""
    below = 0.0 if goal.at_least is None else max(0.0, goal.at_least - value)
    return below + (0.0 if goal.at_most is None else max(0.0, value - goal.at_most))
