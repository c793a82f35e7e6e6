"""Concept vectors, and whether scores rise along them (Kim et al., ICML 2018; METHODS 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.classifiers import Kind, Standardised, right_answers, unit_normals
from xai_audit.concepts.permutation import Comparison, draw_sets, permutation_p, welch_p

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FITS = 256
"""Most vectors held at a time."""
_CELLS = 2**22
"""Most numbers of those vectors."""


@dataclass(frozen=True)
class Settings:
    """How vectors are found and tested."""

    runs: int
    null_sets: int
    classifier: Kind = "ridge"


@dataclass(frozen=True, eq=False)
class Answers:
    """What one class's score does along the vectors of a concept and of random sets in its place."""

    rises: Bools
    """(runs, cases): S(x) > 0, S the change of the class's score as the layer moves along the unit vector."""
    falls: Bools
    """(runs, cases): S(x) < 0; a case of neither has S exactly 0."""
    slopes: Floats
    """(runs,) mean of S over the cases."""
    null_balances: Floats
    """(null sets,) see `Comparison`."""
    null_slopes: Floats
    """(null sets,) see `Comparison`."""
    null_scores: Floats
    """(null sets,) score of each set's first counterpart alone, for the paper's test."""

    @property
    def scores(self) -> Floats:
        """(runs,) share of cases with S > 0."""
        return np.asarray(self.rises.mean(1))

    @property
    def comparison(self) -> Comparison:
        """Over every vector, also those that tell the concept no better than chance: null sets have them too."""
        return Comparison(float(np.mean(_balances(self.rises, self.falls))), float(self.slopes.mean()))

    @property
    def p(self) -> float:
        """Two-sided p of the permutation test, before any correction."""
        return permutation_p(self.comparison, self.null_balances, self.null_slopes)

    @property
    def paper_p(self) -> float | None:
        """Welch's t-test of the runs' scores against as many of random sets, as the paper has it.

        Too small here: the runs share one concept set.
        """
        return welch_p(self.scores, self.null_scores[: len(self.rises)])


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of one concept at one layer, one a random counterpart."""

    normals: Floats
    """(runs, numbers) of length 1, in the activations' own space, towards the concept."""
    right: Integers
    """(runs,) images told right by a classifier that had not seen them."""
    trials: int
    """Out of so many: the concept set and its counterpart."""
    answers: tuple[Answers, ...]
    """One a class."""

    def mean(self, kept: Bools) -> Floats:
        """The kept vectors' mean, (numbers,), of length 1; 0 where none is kept."""
        total = self.normals[kept].sum(0)
        length = float(np.linalg.norm(total))
        return np.asarray(total / length if length > 0 else np.zeros_like(total))


def concept_vectors(
    activations: NDArray[np.floating],
    size: int,
    gradients: Sequence[NDArray[np.floating]],
    settings: Settings,
    rng: np.random.Generator,
) -> Vectors:
    """Vectors of the concept whose images are the first `size` of the activations (images, numbers); the rest are the
    pool.

    `gradients`: of each class's score at the layer for its cases, (cases, numbers), already summed over places where
    activations are means over places.
    """
    data = Standardised.of(activations)
    sets = draw_sets(size, len(activations), settings.runs, settings.null_sets, rng)
    own = next(sets)
    normals = unit_normals(data, own, settings.classifier)
    parts: list[list[tuple[Floats, Floats, Floats]]] = [[] for _ in gradients]
    held = min(_FITS, _CELLS // activations.shape[1])
    for some in _together(sets, max(1, held // settings.runs)):
        vectors = unit_normals(data, some.reshape(-1, some.shape[2]), settings.classifier)
        for gradient, found in zip(gradients, parts, strict=True):
            found.append(_null(gradient, vectors, settings.runs))
    answers = tuple(_answers(g, normals, found) for g, found in zip(gradients, parts, strict=True))
    return Vectors(normals, right_answers(data, own, settings.classifier), own.shape[1], answers)


def tcav_score(rises: Bools, kept: Bools) -> float:
    """Share of a class's cases with S > 0, mean over the kept vectors; `rises` is (runs, cases), `kept` (runs,)."""
    return float(rises[kept].mean())


def _together(sets: Iterable[Integers], count: int) -> Iterable[Integers]:
    held: list[Integers] = []
    for one in sets:
        held.append(one)
        if len(held) == count:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def _balances(rises: Bools, falls: Bools) -> Floats:
    """(share that rises - share that falls) / 2 of each vector."""
    return np.asarray((rises.mean(1) - falls.mean(1)) / 2)


def _null(gradient: NDArray[np.floating], vectors: Floats, runs: int) -> tuple[Floats, Floats, Floats]:
    along = vectors @ gradient.T
    rises = along > 0
    balances, slopes = _balances(rises, along < 0), along.mean(1)
    return balances.reshape(-1, runs).mean(1), slopes.reshape(-1, runs).mean(1), rises.mean(1).reshape(-1, runs)[:, 0]


def _answers(gradient: NDArray[np.floating], normals: Floats, null: list[tuple[Floats, Floats, Floats]]) -> Answers:
    along = normals @ gradient.T
    balances, slopes, scores = (np.concatenate(column) for column in zip(*null, strict=True))
    return Answers(along > 0, along < 0, along.mean(1), balances, slopes, scores)
