"""Variables as columns of a regression."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from xai_audit.causal.sample import Array, Sample, level_values

INTERCEPT = "1"


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of a regression, and which variable each stands for."""

    names: tuple[str, ...]
    X: Array
    """(rows, columns)."""
    of: tuple[str, ...]
    """Variable of each column; the intercept's is its own name."""

    def places(self, variable: str) -> list[int]:
        """Columns of one variable."""
        return [place for place, name in enumerate(self.of) if name == variable]


def columns_of(sample: Sample, variables: Iterable[str], straight: Collection[str] = ()) -> Columns:
    """An intercept, a column for each range and for each of `straight` (levels as their numbers), and for other
    variables with levels one indicator a level that is seen, but the first. Numbers are taken from their mean, which
    changes no slope and keeps digits."""
    names, columns, of = [INTERCEPT], [np.ones(sample.n)], [INTERCEPT]
    for variable in variables:
        if not sample.is_discrete(variable) or variable in straight:
            names.append(variable)
            numbers = sample.values(variable)
            columns.append(numbers - sample.weights @ numbers / sample.units)
            of.append(variable)
            continue
        places = sample.columns[variable]
        for place in np.unique(places[sample.weights > 0])[1:]:
            names.append(f"{variable}={sample.levels[variable][place]}")
            columns.append((places == place).astype(np.float64))
            of.append(variable)
    return Columns(tuple(names), np.column_stack(columns), tuple(of))


def is_number(sample: Sample, variable: str) -> bool:
    """Whether a variable is a range or has levels that are numbers."""
    return not sample.is_discrete(variable) or level_values(sample.levels[variable]) is not None


def number_of(sample: Sample, variable: str, setting: float) -> float:
    """A setting (value, or place of a level) as the number that it stands for."""
    if variable not in sample.levels:
        return setting
    values = level_values(sample.levels[variable])
    assert values is not None
    return float(values[int(setting)])


def outcome_columns(sample: Sample, on: str, outcomes: list[tuple[str, Array]]) -> list[tuple[str, Array]]:
    """(label, column) of what is asked about: a range or numeric levels once, named levels one indicator each."""
    if on not in sample.levels:
        return [("", np.asarray(sample.columns[on], np.float64))]
    return [(label, weights[sample.columns[on]]) for label, weights in outcomes]
