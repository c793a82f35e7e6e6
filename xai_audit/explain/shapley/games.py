"""What an estimator of Shapley values asks and gives: it yields coalitions, is sent their worths, returns an Estimate.

An estimator knows nothing of images or nets, so that it can be tested on games whose answer is known.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Coalition = npt.NDArray[np.bool_]
"""(rows, players): who is present."""
Game = Callable[[Coalition], Array]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shapley (or Owen) values of one game."""

    values: Array
    """(players,)"""
    standard_errors: Array | None
    """(players,), 0 where the values are exact; None where the estimator has none."""
    empty: float
    """Worth of the empty coalition."""
    full: float
    """Worth of the coalition of all."""
    evaluations: int
    """Coalitions whose worth was used, the empty one and that of all among them."""
    is_exact: bool = False
    has_converged: bool = True
    """Whether the error asked for was reached."""
    said: dict[str, object] = field(default_factory=dict)
    """What else belongs to the parameters."""

    @property
    def change(self) -> float:
        """What the values share out: v(all) - v(none)."""
        return self.full - self.empty

    @property
    def gap(self) -> float:
        """How far the values are from adding up to that."""
        return float(self.values.sum() - self.change)


Playing = Generator[Coalition, Array, Estimate]
"""An estimator at work."""


def play(playing: Playing, game: Game) -> Estimate:
    """The estimate of a game that is a plain function of coalitions."""
    try:
        asked = next(playing)
        while True:
            asked = playing.send(np.asarray(game(asked), np.float64))
    except StopIteration as stop:
        estimate: Estimate = stop.value
        return estimate


def ends(players: int) -> Coalition:
    """The empty coalition and that of all, (2, players)."""
    return np.array([[False] * players, [True] * players])


def shared_out(values: Array, change: float) -> Array:
    """Values moved alike until they add up: rounding alone is left to move."""
    return np.asarray(values + (change - values.sum()) / len(values))
