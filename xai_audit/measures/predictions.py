"""The predictions of one slice, and the yes-or-no questions that a class asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal, StepError
from xai_audit.measures.measured import Options

WHERE = "predictions"


@dataclass(frozen=True, eq=False)
class OneAgainstRest:
    """One class as a yes-or-no question."""

    label: str
    truth: NDArray[np.bool_]
    """(cases,): the case carries the class."""
    called: NDArray[np.bool_]
    """(cases,): the model says so, at the operating point."""
    probability: NDArray[np.float64] | None
    """(cases,)"""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labels, scores and probabilities of one slice.

    `labels`: (cases,) class index; (cases, classes) 0 or 1 for multi_label; (cases, outputs) for regression.
    `scores`: (cases, outputs of the model). `probabilities`: (cases, classes) in the order of `classes`, None for a
    regression; `classes` then holds the names of the outputs. `clusters`: (cases,) codes of the unit that intervals
    resample. Raises StepError where a number is not finite or a shape does not fit.
    """

    task: str
    classes: tuple[str, ...]
    labels: NDArray[Any]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64] | None
    clusters: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64))
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", np.asarray(self.probabilities, dtype=np.float64))
        _check_shapes(self)
        _check_numbers(self)

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.labels)

    def of(self, indexes: NDArray[np.integer]) -> Predictions:
        """The same for some of the cases."""
        return Predictions(
            self.task,
            self.classes,
            self.labels[indexes],
            self.scores[indexes],
            None if self.probabilities is None else self.probabilities[indexes],
            None if self.clusters is None else self.clusters[indexes],
        )

    @cached_property
    def chosen(self) -> NDArray[Any]:
        """The model's own choice: class index (cases,); for multi_label a bool (cases, classes).

        single_label: the highest score, the first of equals. binary_logit, multi_label and one stored score: yes at
        probability 0.5 or above.
        """
        if self.task == "regression":
            raise Refusal(WHERE, "a regression", "a task with classes", "A regression chooses no class.")
        yes = self.scores >= 0 if self.probabilities is None else self.probabilities >= 0.5
        if self.task == "multi_label":
            return yes
        if self.task == "binary_logit" or self.scores.shape[1] == 1:
            return yes[:, -1].astype(np.int64)
        highest: NDArray[np.int64] = self.scores.argmax(axis=1)
        return highest

    def chosen_at(self, options: Options) -> NDArray[Any]:
        """The choice at a declared operating point, which needs two classes; without one the model's own."""
        if options.threshold is None:
            return self.chosen
        if self.task == "multi_label":
            is_above: NDArray[np.bool_] = self._probabilities_for_threshold() >= options.threshold
            return is_above
        if len(self.classes) != 2:
            raise Refusal(
                "measures",
                f"threshold {options.threshold} with {len(self.classes)} classes",
                "two classes",
                "Leave `threshold` out, or measure one class with sensitivity, specificity or f1.",
            )
        positive = self.index_of(options.positive) if options.positive else 1
        is_called = self._probabilities_for_threshold()[:, positive] >= options.threshold
        return np.where(is_called, positive, 1 - positive)

    def questions(self, options: Options) -> tuple[OneAgainstRest, ...]:
        """The positive class against the rest; every class in turn where none is declared and there are not two.

        With two classes the second is the positive one unless `options.positive` says otherwise.
        """
        if options.positive is not None:
            return (self._question(self.index_of(options.positive), options),)
        if self.task != "multi_label" and len(self.classes) == 2:
            return (self._question(1, options),)
        return tuple(self._question(index, options) for index in range(len(self.classes)))

    def index_of(self, name: str) -> int:
        """Index of a class by name; Refusal when there is none."""
        if name not in self.classes:
            raise Refusal(
                "measures", f"positive class {name!r}", f"one of {', '.join(self.classes)}", "Correct the class's name."
            )
        return self.classes.index(name)

    def _question(self, index: int, options: Options) -> OneAgainstRest:
        is_multi = self.task == "multi_label"
        probability = None if self.probabilities is None else self.probabilities[:, index]
        if options.threshold is not None:
            called = self._probabilities_for_threshold()[:, index] >= options.threshold
        else:
            called = self.chosen[:, index] if is_multi else self.chosen == index
        truth = self.labels[:, index] == 1 if is_multi else self.labels == index
        return OneAgainstRest(self.classes[index], truth, called, probability)

    def _probabilities_for_threshold(self) -> NDArray[np.float64]:
        if self.probabilities is None:
            raise Refusal(
                "measures",
                "a threshold without probabilities",
                "probabilities of the classes",
                "Leave `threshold` out.",
            )
        return self.probabilities


def _check_shapes(predictions: Predictions) -> None:
    n, classes, scores = len(predictions.labels), len(predictions.classes), predictions.scores
    if n == 0:
        raise StepError(WHERE, "no cases", "at least one case", "Correct the slice's filter.")
    if scores.ndim != 2 or len(scores) != n:
        raise StepError(WHERE, f"scores of shape {scores.shape}", f"({n}, outputs)", "Correct the model's output.")
    wanted = (n,) if predictions.task in ("single_label", "binary_logit") else scores.shape
    if predictions.labels.shape != wanted:
        raise StepError(WHERE, f"labels of shape {predictions.labels.shape}", str(wanted), "Correct the labels.")
    if predictions.clusters is not None and predictions.clusters.shape != (n,):
        found = f"clusters of shape {predictions.clusters.shape}"
        raise StepError(WHERE, found, f"({n},)", "Give each case one cluster.")
    shape = None if predictions.probabilities is None else predictions.probabilities.shape
    if shape is not None and shape != (n, classes):
        raise StepError(WHERE, f"probabilities of shape {shape}", f"({n}, {classes})", "Give one probability a class.")


def _check_numbers(predictions: Predictions) -> None:
    bad = np.flatnonzero(~np.isfinite(predictions.scores).all(axis=1))
    if bad.size:
        found = f"{bad.size} of {predictions.n} cases with a score that is not a finite number"
        raise StepError(WHERE, found, "finite scores", "Look at the model and the inputs of these cases.")
    probabilities = predictions.probabilities
    if probabilities is None:
        return
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise StepError(WHERE, "a probability outside 0 to 1", "0 to 1", "Say `scores_are: logit` if these are logits.")
    if predictions.task == "multi_label":
        return
    furthest = float(np.abs(probabilities.sum(axis=1) - 1).max())
    if furthest > 0.05:
        found = f"probabilities of one case that add up to {1 + furthest:.3g} or {1 - furthest:.3g}"
        raise StepError(WHERE, found, "1", "Say `scores_are: logit` if these are logits.")
