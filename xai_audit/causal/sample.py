"""The data as the causal part reads them: one column a measured variable, levels as their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.spec.causal import CausalVariable, Level, Levels

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows that are whole in every measured variable; all columns of one length n, in the order of the source."""

    columns: Mapping[str, NDArray[Any]]
    """By variable: int64 place of the level in its domain, or float64 of a range, (n,)."""
    levels: Mapping[str, tuple[Level, ...]]
    """By variable with levels: what the places stand for."""
    weights: Array
    """(n,) how many units a row stands for, or its probability where `is_law`."""
    clusters: NDArray[np.int64]
    """(n,) number of the sampling unit that the row belongs to."""
    is_law: bool = False
    """The weights are the exact law: there is no sampling error."""
    is_clustered: bool = False
    """Whether the spec names the sampling unit; else each unit that a row stands for is its own."""
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) which case of the dataset each row is."""
    ids: NDArray[Any] = field(default_factory=lambda: np.zeros(0, object))
    """(n,) id of each case, as text."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows lost for a missing value, by variable."""

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.weights)

    @property
    def units(self) -> float:
        """Units that the rows stand for together; 1 for an exact law."""
        return float(self.weights.sum())

    @cached_property
    def n_clusters(self) -> int:
        """Sampling units."""
        return int(np.count_nonzero(np.diff(np.sort(self.clusters)))) + 1 if len(self.clusters) else 0

    def is_discrete(self, name: str) -> bool:
        """Whether a variable has levels."""
        return name in self.levels

    def values(self, name: str) -> Array:
        """A variable as numbers, (n,): of levels that are numbers their values. ValueError for named levels."""
        if name not in self.levels:
            return np.asarray(self.columns[name], np.float64)
        numbers = level_values(self.levels[name])
        if numbers is None:
            raise ValueError(f"{name} has named levels")
        return np.asarray(numbers[self.columns[name]])

    def where(self, keep: NDArray[Any]) -> Sample:
        """Only some of the rows: a mask or indexes (n,)."""
        columns = {name: column[keep] for name, column in self.columns.items()}
        rows = self.rows[keep] if len(self.rows) else self.rows
        ids = self.ids[keep] if len(self.ids) else self.ids
        kept = {"weights": self.weights[keep], "clusters": self.clusters[keep], "rows": rows, "ids": ids}
        return replace(self, columns=columns, **kept)


def level_values(levels: Sequence[Level]) -> Array | None:
    """Levels as numbers where all are numbers (not true or false); None for named levels."""
    if all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels):
        return np.asarray(levels, np.float64)
    return None


def levels_of(variables: Mapping[str, CausalVariable]) -> dict[str, tuple[Level, ...]]:
    """The levels of the variables that have them."""
    return {name: one.domain.levels for name, one in variables.items() if isinstance(one.domain, Levels)}


def place_of(levels: Sequence[Level], level: Level) -> int:
    """Place of a level in its domain: the text "1" and the number 1 differ, the numbers 1 and 1.0 do not. ValueError
    where it is none."""
    for place, known in enumerate(levels):
        if isinstance(known, str) == isinstance(level, str) and known == level:
            return place
    raise ValueError(f"{level!r} is no level of {list(levels)}")
