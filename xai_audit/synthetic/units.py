"""Pictures from a known causal model: the same unit can be made again with some of its causes changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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

    seed: int
    number: int
    row: Row
    picture: Picture
    masks: Masks
    """Of each visible cause, (height, width); no pixel where it is absent."""


Equation = Callable[[Row, np.random.Generator, Any], float]
"""From the values of what comes before, the variable's own chance and the coefficients to its value."""
Level = str | bool | int | float
"""A level as people write it, or a number."""
Published = Mapping[tuple[str, str], Sequence[tuple[str, ...]]]
"""Of (cause, effect): minimal sets of variables by which the total effect can be adjusted; there may be more."""


@dataclass(frozen=True)
class Discrete:
    """The equation of a variable with levels, whose chances are known in closed form."""

    levels: tuple[str | int, ...]
    """As they stand in tables; a row holds their places."""
    chances: Callable[[Row, Any], Sequence[float] | npt.NDArray[np.float64]]
    """P(level | parents), in the order of the levels."""
    draw: Equation | None = None
    """How a level is drawn; default: by one uniform number, so that the draw is the same whatever the chances."""

    def __call__(self, row: Row, rng: np.random.Generator, coefficients: Any) -> float:
        """The place of the level that a unit has."""
        if self.draw is not None:
            return self.draw(row, rng, coefficients)
        ends = np.cumsum(self.chances(row, coefficients))[:-1]
        return float(np.searchsorted(ends, rng.random(), side="right"))


def two(chance: Callable[[Row, Any], float], draw: Equation | None = None) -> Discrete:
    """A variable of the levels 0 and 1, from P(1 | parents)."""
    return Discrete((0, 1), lambda row, c: (1 - chance(row, c), chance(row, c)), draw)


@dataclass(frozen=True, eq=False)
class World:
    """A structural causal model that ends in a picture."""

    name: str
    coefficients: Any
    equations: Mapping[str, Equation]
    """In causal order."""
    edges: Sequence[tuple[str, str]]
    render: Callable[[Row, Chance, Any], tuple[Picture, Masks]]
    masks: tuple[str, ...]
    """Names of the masks that every picture comes with."""
    adjustment: Published
    """Published sets; the outcome `score` is what a model says of the picture."""

    def row(self, chance: Chance, do: Mapping[str, float] | None = None, known: Row | None = None) -> Row:
        """The causes of a unit, with some set by force; levels by their places.

        `known`: the same unit's causes as they are, so that only what the forced ones cause is worked out.
        """
        forced = do or {}
        moved = None if known is None else self.caused_by(forced)
        found: Row = {}
        for name, equation in self.equations.items():
            if name in forced:
                found[name] = float(forced[name])
            elif known is None or moved is None or name in moved:
                found[name] = float(equation(found, chance.of(name), self.coefficients))
            else:
                found[name] = known[name]
        return found

    def caused_by(self, names: Collection[str]) -> frozenset[str]:
        """All that some variables cause, in one step or more."""
        reached: set[str] = set()
        for name in self.equations:  # in causal order
            if any(child == name and (parent in names or parent in reached) for parent, child in self.edges):
                reached.add(name)
        return frozenset(reached)

    def unit(self, seed: int, number: int, do: Mapping[str, float] | None = None) -> Unit:
        """A unit; with `do` the same unit had some causes been set: only what they cause differs."""
        return self.shown(seed, number, self.row(Chance(seed, number), do))

    def shown(self, seed: int, number: int, row: Row) -> Unit:
        """A unit whose causes are known."""
        picture, masks = self.render(row, Chance(seed, number), self.coefficients)
        return Unit(seed, number, row, np.clip(picture, 0, 1).astype(np.float32), masks)

    def counterfactual(self, unit: Unit, do: Mapping[str, float]) -> Unit:
        """The same unit, had some causes been set."""
        return self.unit(unit.seed, unit.number, do)

    def value(self, name: str, level: Level) -> float:
        """The number in a row that a level stands for; a number stands for itself where there are no levels.

        Raises ValueError for what is no variable of the world, or no level of it.
        """
        if name not in self.equations:
            raise ValueError(f"{name} is no variable of the {self.name}; its variables are {', '.join(self.equations)}")
        equation = self.equations[name]
        if isinstance(equation, Discrete):
            if level not in equation.levels:
                raise ValueError(
                    f"{level} is no level of {name}; its levels are {', '.join(map(str, equation.levels))}"
                )
            return float(equation.levels.index(level))
        if isinstance(level, str) or not np.isfinite(level):
            raise ValueError(f"{level} is no number, and {name} is one")
        return float(level)

    def level(self, name: str, value: float) -> str | int | float:
        """What stands in tables for a number in a row."""
        equation = self.equations[name]
        return equation.levels[int(value)] if isinstance(equation, Discrete) else value

    def chances(self, name: str, row: Row) -> dict[str | int, float]:
        """P(level | parents) of a variable with levels, in closed form. Raises ValueError for one without."""
        equation = self.equations[name]
        if not isinstance(equation, Discrete):
            raise ValueError(f"{name} has no levels")
        shares = equation.chances(row, self.coefficients)
        return {level: float(share) for level, share in zip(equation.levels, shares, strict=True)}

    def sample(self, count: int, seed: int, do: Mapping[str, float] | None = None, first: int = 0) -> list[Unit]:
        """Units `first` to `first + count - 1`."""
        return [self.unit(seed, number, do) for number in range(first, first + count)]


def sigmoid(z: float) -> float:
    """1 / (1 + e^-z)."""
    return float(1 / (1 + np.exp(-z)))


def bernoulli(rng: np.random.Generator, p: float) -> float:
    """1 with probability p, else 0: from one uniform draw, so that the draw is the same whatever p."""
    return float(rng.random() < p)
