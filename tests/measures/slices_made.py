"""Slices of predictions with fixed seeds, and plain second implementations."""

import numpy as np

from xai_audit.measures.measured import Measured, Options
from xai_audit.measures.predictions import Predictions


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def labelled(n: int, classes: int, seed: int, clusters: int | None = None, decimals: int | None = None) -> Predictions:
    """single_label; `decimals` rounds the probabilities, so that many are equal."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    scores = rng.normal(size=(n, classes))
    scores[np.arange(n), labels] += 0.8
    probabilities = softmax(scores)
    if decimals is not None and classes == 2:
        positive = probabilities[:, 1].round(decimals)
        probabilities = np.stack([1 - positive, positive], axis=1)
        scores = probabilities
    groups = None if clusters is None else rng.integers(0, clusters, size=n)
    return Predictions("single_label", tuple("abcdefgh"[:classes]), labels, scores, probabilities, groups)


def many_labels(n: int, classes: int, seed: int, clusters: int | None = None) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=(n, classes))
    scores = rng.normal(size=(n, classes)) + labels
    groups = None if clusters is None else rng.integers(0, clusters, size=n)
    return Predictions("multi_label", tuple("abcdefgh"[:classes]), labels, scores, 1 / (1 + np.exp(-scores)), groups)


def binary(labels, positive, clusters=None) -> Predictions:
    """binary_logit with the given probabilities of the second class, named b."""
    p = np.asarray(positive, dtype=np.float64)
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    logits = np.log(inside / (1 - inside))[:, None]
    groups = None if clusters is None else np.asarray(clusters)
    return Predictions("binary_logit", ("a", "b"), np.asarray(labels), logits, np.stack([1 - p, p], axis=1), groups)


def measured(measure, predictions: Predictions, seed: int = 0, **options) -> Measured:
    return measure(predictions, Options(**options), np.random.default_rng(seed))


def numbers(found: Measured) -> dict[str, float | None]:
    """Estimates by label."""
    return {value.label: value.estimate for value in found.values}
