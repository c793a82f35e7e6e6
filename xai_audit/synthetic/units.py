"""Pictures from a known causal model: the same unit can be made again with some of its causes changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.evidence.seeds import generator

Row = dict[str, float]
"""Value of each variable of a unit; levels by number."""
Picture = npt.NDArray[np.float32]
Masks = dict[str, npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Chance:
    """The chance of one unit: a stream of its own for each name, so that no draw depends on another variable."""

    seed: int
    unit: int

    def of(self, name: str) -> np.random.Generator:
        """The stream of one variable, or of one part of the picture."""
        return generator(self.seed, f"{name}:{self.unit}")


@dataclass(frozen=True, eq=False)
class Unit:
    """One made-up case: its causes, its picture (height, width[, 3]) in [0, 1], and where they show."""

    number: int
    row: Row
    picture: Picture
    masks: Masks
    """Of each visible cause, (height, width); no pixel where it is absent."""


Equation = Callable[[Row, np.random.Generator, Any], float]
"""From the values of what comes before, the variable's own chance and the coefficients to its value."""


@dataclass(frozen=True, eq=False)
class World:
    """A structural causal model that ends in a picture."""

    name: str
    coefficients: Any
    equations: Mapping[str, Equation]
    """In causal order."""
    edges: Sequence[tuple[str, str]]
    render: Callable[[Row, Chance, Any], tuple[Picture, Masks]]

    def row(self, chance: Chance, do: Mapping[str, float] | None = None) -> Row:
        """The causes of a unit, with some set by force."""
        found: Row = {}
        for name, equation in self.equations.items():
            drawn = equation(found, chance.of(name), self.coefficients)
            found[name] = float(drawn if do is None or name not in do else do[name])
        return found

    def unit(self, seed: int, number: int, do: Mapping[str, float] | None = None) -> Unit:
        """A unit; with `do` the same unit had some causes been set: only what they cause differs."""
        chance = Chance(seed, number)
        row = self.row(chance, do)
        picture, masks = self.render(row, chance, self.coefficients)
        return Unit(number, row, np.clip(picture, 0, 1).astype(np.float32), masks)

    def sample(self, count: int, seed: int, do: Mapping[str, float] | None = None, first: int = 0) -> list[Unit]:
        """Units `first` to `first + count - 1`."""
        return [self.unit(seed, number, do) for number in range(first, first + count)]


def sigmoid(z: float) -> float:
    """1 / (1 + e^-z)."""
    return float(1 / (1 + np.exp(-z)))


def bernoulli(rng: np.random.Generator, p: float) -> float:
    """1 with probability p, else 0: from one uniform draw, so that the draw is the same whatever p."""
    return float(rng.random() < p)
