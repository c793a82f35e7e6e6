"""Measures that are ratios of sums over cases: shares of one class, and their mean over classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.measured import Estimate
from xai_audit.measures.predictions import Predictions
from xai_audit.measures.resampling import clusters_with, codes, resampled_sums

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Sums over cases (..., d) to numbers (..., k); NaN where a number does not exist."""


@dataclass(frozen=True, eq=False)
class Part:
    """One class's ratio: the sum of `parts` over the sum of `wholes`, both (cases,) whole numbers."""

    label: str
    parts: NDArray[Any]
    wholes: NDArray[Any]
    needed: NDArray[np.bool_]
    """The cases without which the ratio does not exist."""
    undefined_because: str
    rests_on: NDArray[np.bool_] | None = None
    """The cases that the count is of; default: `needed`."""


def ratios(
    name: str,
    parts: Sequence[Part],
    predictions: Predictions,
    rng: np.random.Generator,
    *,
    is_share: bool,
    is_mean_wanted: bool,
    mean_needs: int = 1,
) -> tuple[Estimate, ...]:
    """One estimate a class, then their mean over the classes that have one, if wanted and there are several.

    `is_share`: each case is one trial, so that without clusters the interval is Wilson's. The mean does not exist
    where fewer than `mean_needs` classes have a value.
    """
    has_mean = is_mean_wanted and len(parts) > 1
    stacked = np.stack([column for part in parts for column in (part.parts, part.wholes, part.needed)], axis=1)
    sums = stacked.sum(axis=0, dtype=np.float64)
    numbers = _ratios_of(sums)
    clusters = independent_clusters(predictions)
    draws = None
    if has_mean or not is_share or clusters is not None:
        draws = resampled_sums(narrow(stacked), clusters, rng)
    found = [
        _estimate(name, part, numbers[k], sums[3 * k : 3 * k + 3], is_share and clusters is None, predictions, column)
        for k, (part, column) in enumerate(zip(parts, _columns(draws, _ratios_of, len(parts)), strict=True))
    ]
    if has_mean:
        found.append(
            mean_estimate(name, numbers, None if draws is None else _ratios_of(draws), predictions, mean_needs)
        )
    return tuple(found)


def mean_estimate(
    name: str,
    numbers: NDArray[np.float64],
    draws: NDArray[np.float64] | None,
    predictions: Predictions,
    needs: int = 1,
) -> Estimate:
    """Mean over classes, of those that have a value, in every resample anew."""
    return Estimate(
        name,
        float(mean_of_defined(numbers, needs)),
        predictions.n,
        "share",
        undefined_because=f"Fewer than {needs} of the {numbers.size} classes have a value.",
        draws=None if draws is None else mean_of_defined(draws, needs),
        independent=fewest_clusters(predictions),
    )


def mean_of_defined(numbers: NDArray[np.float64], needs: int = 1) -> NDArray[np.float64]:
    """Mean over the last axis of what is not NaN; NaN where that is fewer than `needs`."""
    is_defined = ~np.isnan(numbers)
    count = is_defined.sum(axis=-1)
    total = np.where(is_defined, numbers, 0.0).sum(axis=-1)
    return np.where(count >= needs, total / np.maximum(count, 1), np.nan)


def independent_clusters(predictions: Predictions) -> NDArray[np.int64] | None:
    """The declared clusters, or None where each holds one case."""
    clusters = predictions.clusters
    if clusters is None or len(np.unique(clusters)) == predictions.n:
        return None
    return clusters


def fewest_clusters(predictions: Predictions) -> int:
    """Clusters (or cases) that hold the rarest label present; a perfect score rests on no more."""
    clusters = independent_clusters(predictions)
    if predictions.task == "multi_label":
        sets = [predictions.labels[:, k] == 1 for k in range(predictions.labels.shape[1])]
    else:
        sets = [predictions.labels == label for label in np.unique(predictions.labels)]
    return min((clusters_with(clusters, cases) for cases in sets if cases.any()), default=0)


def narrow(contributions: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers below 128 in one byte each."""
    return contributions.astype(np.int8)


def all_clusters(predictions: Predictions) -> int:
    """Number of clusters, or of cases where none are declared."""
    return len(np.unique(codes(predictions.clusters, predictions.n)))


def _ratios_of(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    part, whole, needed = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    exists = (needed > 0) & (whole > 0)
    return np.where(exists, part / np.where(exists, whole, 1.0), np.nan)


def _columns(
    draws: NDArray[np.float64] | None, statistic: Statistic, count: int
) -> Sequence[NDArray[np.float64] | None]:
    return [None] * count if draws is None else list(statistic(draws).T)


def _estimate(
    name: str,
    part: Part,
    number: float,
    sums: NDArray[np.float64],
    is_wilson: bool,
    predictions: Predictions,
    draws: NDArray[np.float64] | None,
) -> Estimate:
    rests_on = part.needed if part.rests_on is None else part.rests_on
    return Estimate(
        name,
        float(number),
        int(np.count_nonzero(rests_on)),
        "share",
        part.label,
        part.undefined_because,
        successes=int(sums[0]) if is_wilson else None,
        trials=int(sums[1]) if is_wilson else None,
        draws=None if is_wilson else draws,
        independent=clusters_with(independent_clusters(predictions), part.needed),
    )
