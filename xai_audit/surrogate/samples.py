"""What a tree is grown from: named features of cases, and what the net says of each case."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""(cases, columns): numbers as they are, categories as their place among the categories, flags as 0 and 1; no NaN."""


@dataclass(frozen=True)
class Column:
    """One interpretable feature."""

    name: str
    kind: Literal["number", "category", "flag"]
    """A flag says that a value is missing."""
    source: dict[str, Any] = field(default_factory=dict)
    """What it is read from, in JSON values: a column of the table, a region of the image, a cell of a grid."""
    categories: tuple[str, ...] = ()
    place: int | None = None
    """Its place among the features of `model.input`; None where the model does not read it as such."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What the net says of cases.

    `labels`: (cases,) codes of the answer, None for a regression. `soft`: (cases, k) probabilities, or the number that
    a regression gives (k = 1).
    """

    labels: NDArray[np.int64] | None
    soft: NDArray[np.float64]

    def take(self, places: NDArray[Any]) -> Answers:
        """Those of some cases."""
        return Answers(None if self.labels is None else self.labels[places], self.soft[places])

    def beside(self, other: Answers) -> Answers:
        """Both in a row."""
        labels = None if self.labels is None or other.labels is None else np.concatenate([self.labels, other.labels])
        return Answers(labels, np.concatenate([self.soft, other.soft]))


@dataclass(frozen=True, eq=False)
class Sample:
    """Cases with their features and the net's answers."""

    columns: tuple[Column, ...]
    values: Values
    answers: Answers

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: NDArray[Any]) -> Sample:
        """Some of the cases, in the order given; a case may come twice."""
        return Sample(self.columns, self.values[places], self.answers.take(places))

    def beside(self, other: Sample) -> Sample:
        """Both in a row."""
        return Sample(self.columns, np.concatenate([self.values, other.values]), self.answers.beside(other.answers))
