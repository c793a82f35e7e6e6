"""Linear classifiers of a concept against random images, many at a time, and how well they tell images they never saw.

Of each pair of sets the first half of the rows are the concept's (+1), the second half the counterpart's (-1).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from xai_audit.errors import StepError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Kind = Literal["ridge", "logistic"]

ALPHA = 1.0
"""Ridge penalty."""
FOLDS = 5
"""Parts of the images, each held out once."""
STEPS = 1000
"""Most steps of the logistic fit."""
_CONSTANT = 1e-7
"""A unit whose spread is below this share of its largest value does not vary: float32 has no more digits."""
_CELLS = 2**22
"""Numbers that the matrices of one group of fits may hold."""


@dataclass(frozen=True, eq=False)
class Standardised:
    """Activations of the concept's and the pool's images with mean 0 and deviation 1 in each unit.

    One scale serves all sets, so that the concept and null sets are treated alike; it knows no label.
    """

    rows: Floats
    """(images, numbers)."""
    scale: Floats
    """(numbers,); 1 where a unit does not vary."""

    @classmethod
    def of(cls, activations: NDArray[np.floating]) -> Standardised:
        """From (images, numbers)."""
        values = activations.astype(np.float64)
        largest = np.abs(values).max(0)
        values -= values.mean(0)
        spread = np.sqrt(np.mean(values**2, axis=0))
        varies = spread > _CONSTANT * largest
        scale = np.where(varies, spread, 1.0)
        values /= scale
        values[:, ~varies] = 0.0
        return cls(values, scale)

    @cached_property
    def gram(self) -> Floats:
        """(images, images) inner products."""
        return self.rows @ self.rows.T


def unit_normals(data: Standardised, chosen: Integers, kind: Kind) -> Floats:
    """Unit normal of each pair's classifier in the activations' own space, towards the concept, (pairs, numbers).

    0 where the sets cannot be told apart at all. `chosen`: (pairs, 2 * size) rows.
    """
    normals = weights(data, chosen, kind) / data.scale
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.divide(normals, length, out=np.zeros_like(normals), where=length > 0))


def weights(data: Standardised, chosen: Integers, kind: Kind) -> Floats:
    """Weights of each pair's classifier in standardised units, (pairs, numbers)."""
    fit = _logistic if kind == "logistic" else _ridge
    return np.concatenate([fit(data, chosen[part]) for part in _groups(chosen.shape)])


def right_answers(data: Standardised, chosen: Integers, kind: Kind) -> Integers:
    """Images of each pair that a classifier of the other four fifths tells right, (pairs,) out of 2 * size.

    Fold f holds every fifth image of either set from the f-th on; the threshold is the fitted one.
    """
    size = chosen.shape[1] // 2
    right = np.zeros(len(chosen), dtype=np.int64)
    for fold in range(FOLDS):
        is_out = np.tile(np.arange(size) % FOLDS == fold, 2)
        seen, unseen = chosen[:, ~is_out], chosen[:, is_out]
        of_concept = np.arange(unseen.shape[1]) < unseen.shape[1] // 2
        for part in _groups(seen.shape):
            direction = weights(data, seen[part], kind)
            centre = np.stack([data.rows[rows].mean(0) for rows in seen[part]])
            for number, (w, mean, rows) in enumerate(zip(direction, centre, unseen[part], strict=True), part.start):
                says_concept = (data.rows[rows] - mean) @ w > 0
                right[number] += np.count_nonzero(says_concept == of_concept)
    return right


def _groups(shape: tuple[int, ...]) -> Iterator[slice]:
    pairs, rows = shape
    step = max(1, _CELLS // (rows * rows))
    return (slice(start, min(start + step, pairs)) for start in range(0, pairs, step))


def _labels(rows: int) -> Floats:
    return np.repeat([1.0, -1.0], rows // 2)


def _ridge(data: Standardised, chosen: Integers) -> Floats:
    """The w that minimises, over w and b, sum (y - w.x - b)^2 + alpha |w|^2, by the smaller of the two systems."""
    return _primal(data, chosen) if data.rows.shape[1] < chosen.shape[1] else _dual(data, chosen)


def _primal(data: Standardised, chosen: Integers) -> Floats:
    """From w = (X'X + alpha I)^-1 X'y, X centred on the pair's mean."""
    x = data.rows[chosen]
    x -= x.mean(1, keepdims=True)
    turned = x.transpose(0, 2, 1)
    system = turned @ x
    _add_to_diagonal(system)
    return np.asarray(np.linalg.solve(system, turned @ _labels(chosen.shape[1])[:, None])[:, :, 0])


def _dual(data: Standardised, chosen: Integers) -> Floats:
    """From w = X'a, (XX' + alpha I) a + b 1 = y, 1'a = 0: the threshold b takes the place of centring X."""
    spread = np.zeros((len(chosen), len(data.rows)))
    right = np.stack([_labels(chosen.shape[1]), np.ones(chosen.shape[1])], axis=1)
    for number, rows in enumerate(chosen):
        system = data.gram[rows][:, rows]  # in two steps: thrice as fast as in one
        _add_to_diagonal(system[None])
        _, solved, failed = dposv(system.T, right, overwrite_a=True)
        assert failed == 0, "a Gram matrix plus alpha I is positive definite"
        of_labels, of_ones = solved.T
        spread[number, rows] = of_labels - of_ones * (of_labels.sum() / of_ones.sum())
    return np.asarray(spread @ data.rows)


def _add_to_diagonal(system: Floats) -> None:
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += ALPHA


def _logistic(data: Standardised, chosen: Integers) -> Floats:
    """Logistic regression with an L2 penalty of 1/2 |w|^2, by L-BFGS from zero. Raises StepError unless it settles."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    y = _labels(chosen.shape[1])
    found = np.empty((len(chosen), data.rows.shape[1]))
    for number, rows in enumerate(chosen):
        x = data.rows[rows]
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                found[number] = LogisticRegression(C=1.0, max_iter=STEPS).fit(x - x.mean(0), y).coef_[0]
            except ConvergenceWarning as warning:
                message, fix = str(warning).splitlines()[0], "Use `classifier: ridge`."
                raise StepError("tcav", message, f"a fit within {STEPS} steps", fix) from warning
    return found
