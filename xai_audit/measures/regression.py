"""How far the predictions of a regression are from the labels.

With several outputs each has its own value, and their unweighted mean stands under an empty label, as in scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.measured import Estimate, Measured, Options, gather
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.ratios import all_clusters, independent_clusters
from xai_audit.measures.resampling import resampled_sums

_CONSTANT = 1e-12
"""A variance below this share of the labels' mean square is rounding."""


def mean_absolute_error(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Mean of |prediction - label|."""
    errors = np.abs(_errors(predictions))
    rows = {f"absolute_error:{name}": errors[:, k] for k, name in enumerate(_outputs(predictions))}
    return _measure("mean_absolute_error", "value", _mean_of_first, errors[..., None], predictions, rng, rows)


def root_mean_squared_error(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """Root of the mean of (prediction - label)^2."""
    squares = (_errors(predictions) ** 2)[..., None]
    return _measure(
        "root_mean_squared_error", "value", lambda sums: np.sqrt(_mean_of_first(sums)), squares, predictions, rng
    )


def r2(predictions: Predictions, options: Options, rng: np.random.Generator) -> Measured:
    """1 - sum of (prediction - label)^2 / sum of (label - mean label)^2. Undefined where all labels are the same."""
    labels = np.asarray(predictions.labels, dtype=np.float64)
    centred = labels - labels.mean(axis=0)  # sums of squares lose no digits to a large mean
    parts = np.stack([_errors(predictions) ** 2, centred, centred**2], axis=2)
    return _measure("r2", "share", _explained, parts, predictions, rng)


def _errors(predictions: Predictions) -> NDArray[np.float64]:
    return predictions.scores - np.asarray(predictions.labels, dtype=np.float64)


def _outputs(predictions: Predictions) -> tuple[str, ...]:
    count = predictions.scores.shape[1]
    return predictions.classes if len(predictions.classes) == count else tuple(f"output {k}" for k in range(count))


def _mean_of_first(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = sums[..., 0] / sums[..., -1]
    return means


def _explained(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    residual, centred, squared, n = (sums[..., k] for k in range(4))
    spread = squared - centred**2 / n
    exists = spread > _CONSTANT * squared
    return np.where(exists, 1 - residual / np.where(exists, spread, 1.0), np.nan)


def _measure(
    name: str,
    unit: str,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    parts: NDArray[np.float64],
    predictions: Predictions,
    rng: np.random.Generator,
    rows: dict[str, NDArray[Any]] | None = None,
) -> Measured:
    """`statistic` of the sums of `parts` (cases, outputs, d), with the count as last column, for each output."""
    n, outputs, _ = parts.shape
    counted = np.concatenate([parts, np.ones((n, outputs, 1))], axis=2)
    numbers = statistic(counted.sum(axis=0))
    drawn = resampled_sums(counted.reshape(n, -1), independent_clusters(predictions), rng)
    draws = statistic(drawn.reshape(len(drawn), outputs, -1))
    names, because = _outputs(predictions), "All labels are the same."
    units = all_clusters(predictions)
    found = [
        Estimate(name, float(numbers[k]), n, unit, names[k], because, draws=draws[:, k], independent=units)
        for k in range(outputs)
    ]
    if outputs > 1:
        mean = float(numbers.mean())
        found.append(Estimate(name, mean, n, unit, "", because, draws=draws.mean(axis=1), independent=units))
    return gather(found, _describe(predictions, names), predictions.clusters, rows)


def _describe(predictions: Predictions, names: tuple[str, ...]) -> dict[str, Any]:
    labels = np.asarray(predictions.labels, dtype=np.float64)
    spread = [[name, float(labels[:, k].mean()), float(labels[:, k].std())] for k, name in enumerate(names)]
    return {"n": predictions.n, "label_mean_and_spread": spread, "warnings": []}
