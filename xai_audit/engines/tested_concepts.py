"""Concepts whose vectors were found and tested: which vectors tell anything, and which scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.vectors import Answers, Vectors
from xai_audit.engines.concept_sets import ConceptSet
from xai_audit.measures.intervals import wilson

State = Literal["tested", "not_linearly_present", "refused", "no_case", "no_gradient"]
Bools = NDArray[np.bool_]
CHANCE = 0.5
SAME = 1e-5
"""Gradients that differ by less than this share of the largest are the same, in float32."""


@dataclass(frozen=True, eq=False)
class ClassCases:
    """A class with the gradients of its score at the layer."""

    name: str
    indexes: NDArray[np.int64]
    """(cases,) in the data set."""
    gradients: NDArray[np.floating]
    """(cases, numbers)."""

    @cached_property
    def is_reached(self) -> bool:
        """Whether its score depends on the layer at all, for one case at least."""
        return bool(np.any(self.gradients))

    @cached_property
    def is_constant(self) -> bool:
        """Whether every case has the same gradient, so that S is the same for all of them."""
        spread = np.ptp(self.gradients, axis=0).max(initial=0.0)
        return len(self.indexes) > 1 and bool(spread <= SAME * np.abs(self.gradients).max())


@dataclass(frozen=True, eq=False)
class Tested:
    """A concept with its vectors; none where it is refused."""

    images: ConceptSet
    vectors: Vectors | None

    @cached_property
    def kept(self) -> Bools:
        """(runs,) whether a vector tells unseen images better than chance: 95 % lower bound above one half."""
        if self.vectors is None:
            return np.zeros(0, dtype=bool)
        trials = self.vectors.trials
        return np.asarray([wilson(int(right), trials).low > CHANCE for right in self.vectors.right])

    @property
    def state(self) -> State:
        """Whether its scores say anything: vectors tell unseen images better than chance on average, and one alone."""
        if self.accuracy is None:
            return "refused"
        is_present = self.kept.any() and self.accuracy["low"] > CHANCE  # else one in twenty is kept by luck
        return "tested" if is_present else "not_linearly_present"

    @property
    def right(self) -> int:
        """Unseen images that a vector tells right: the mean over all vectors, in whole images, rounded down."""
        assert self.vectors is not None
        return int(self.vectors.right.sum()) // len(self.vectors.right)

    @property
    def accuracy(self) -> dict[str, float] | None:
        """Held-out accuracy, mean over all vectors, with Wilson's interval of one vector's images."""
        if self.vectors is None:
            return None
        ends = wilson(self.right, self.vectors.trials)
        mean = float(self.vectors.right.mean() / self.vectors.trials)
        return {"mean": mean, "low": ends.low, "high": ends.high}


@dataclass(frozen=True, eq=False)
class Pair:
    """A concept and a class."""

    tested: Tested
    of_class: ClassCases
    answers: Answers | None
    """None where there is nothing to score: no vector, no case or no gradient."""

    @property
    def label(self) -> str:
        """The comparison in words."""
        return f"{self.tested.images.concept.name} on {self.of_class.name}"

    @property
    def zeros(self) -> float:
        """Share of cases whose S is exactly 0 along every vector."""
        if self.answers is None:
            return 0.0
        return float((~(self.answers.rises | self.answers.falls)).all(0).mean())

    @property
    def state(self) -> State:
        """Whether its score says anything."""
        if self.tested.state != "refused" and self.answers is None:
            return "no_gradient" if len(self.of_class.indexes) else "no_case"
        return self.tested.state


def pairs_of(classes: Sequence[ClassCases], found: Sequence[Tested]) -> Iterator[Pair]:
    """Every concept with every class, in the order of both."""
    for tested in found:
        answers = iter(tested.vectors.answers if tested.vectors is not None else ())
        for of_class in classes:
            has_answers = tested.vectors is not None and of_class.is_reached
            yield Pair(tested, of_class, next(answers) if has_answers else None)
