"""Where explanations look, beside what changes the score when it is intervened on: region by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.measures.intervals import LEAST_CLUSTERS, percentile
from xai_audit.measures.resampling import resampled_sums

Array = NDArray[np.float64]
Verdict = Literal["shortcut", "misleading", "agrees", "missed", "quiet", "undecided"]
MARGIN = 0.05
"""A change of the score smaller than this share of its own spread over the cases is none that matters."""
LEAST = 0.01
"""Of probabilities a change below one point matters to nobody, however little the score varies."""
LEGITIMATE = ("cause", "mediator", "treatment", "confounder", "context", "outcome")
"""Roles of variables that may move the score; a shortcut or a protected variable may not."""


@dataclass(frozen=True, eq=False)
class Region:
    """One region of the pictures: what happened to the score where it was intervened on, case by case."""

    mask: str
    variable: str | None
    """Variable of the graph whose name it has."""
    role: str | None
    is_declared: bool
    """The variable may move the score, and the graph has a path from it to the score."""
    by: Literal["render", "operator", "inpaint"]
    """How it was intervened on."""
    change: Array
    """(cases,) size of the change of the score; NaN where the region is not in the picture."""
    placebo: Array
    """(cases,) the same for a change of equal size that should not matter."""
    area: Array
    """(cases,) share of the picture that it takes."""
    share: Mapping[str, Array]
    """By method: share of the relevance that lies in it, (cases,)."""


@dataclass(frozen=True)
class Mean:
    """A mean with its interval; no ends where there are too few units."""

    estimate: float
    low: float | None
    high: float | None


def mean_of(values: Array, clusters: NDArray[np.int64], rng: np.random.Generator, confidence: float) -> Mean:
    """The mean of the cases that are there, clusters resampled."""
    there = np.isfinite(values)
    estimate = float(values[there].mean())
    if len(np.unique(clusters[there])) < LEAST_CLUSTERS:
        return Mean(estimate, None, None)
    sums = resampled_sums(np.stack([values[there], np.ones(there.sum())], axis=1), clusters[there], rng)
    ends = percentile(sums[:, 0] / sums[:, 1], estimate, confidence)
    return Mean(estimate, None, None) if ends is None else Mean(estimate, ends.low, ends.high)


def beside(
    regions: Sequence[Region],
    margin: float,
    clusters: NDArray[np.int64],
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> tuple[dict[str, Any], ...]:
    """One entry a region with its verdict; a region that no case has is left out.

    shortcut: it moves the score, more than the placebo, and no declared cause explains that; a re-rendered unit is a
    picture of the world itself, without traces of an edit, so that its change stands alone. misleading: a method puts
    more relevance there than its area asks for, and intervening on it does nothing that matters. missed: it moves the
    score and no method looks there. agrees: it moves the score, may do so, and a method looks there. quiet: it does
    nothing that matters and no method looks there. undecided: the cases are too few to tell.
    """
    entries = []
    for region in regions:
        if not np.isfinite(region.change).any():
            continue

        def mean(values: Array) -> Mean:
            return mean_of(values, clusters, rng, confidence)

        change, beyond = mean(region.change), mean(region.change - region.placebo)
        told = {method: share for method, share in region.share.items() if np.isfinite(share).any()}
        above = {method: mean(share - region.area) for method, share in told.items()}
        looking = sorted(method for method, one in above.items() if one.low is not None and one.low > 0)
        entries.append(
            {
                "mask": region.mask,
                "variable": region.variable,
                "role": region.role,
                "declared": region.is_declared,
                "by": region.by,
                "n": int(np.isfinite(region.change).sum()),
                "area": mean(region.area),
                "change": change,
                "placebo": mean(region.placebo),
                "beyond": beyond,
                "share": {method: mean(share) for method, share in told.items()},
                "above_area": above,
                "looking": looking,
                "verdict": _verdict(region, change, beyond, margin, looking),
            }
        )
    return tuple(entries)


def _verdict(region: Region, change: Mean, beyond: Mean, margin: float, looking: Sequence[str]) -> Verdict:
    if change.low is None or change.high is None or beyond.low is None:
        return "undecided"
    if change.low > margin and (region.by == "render" or beyond.low > 0):
        if not region.is_declared:
            return "shortcut"
        return "agrees" if looking else "missed"
    if change.high <= margin:
        return "misleading" if looking else "quiet"
    return "undecided"


def in_order(
    regions: Sequence[Region],
    method: str,
    margin: float,
    clusters: NDArray[np.int64],
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> tuple[Mean, int] | None:
    """Share of pairs of regions of one picture that a method puts in the order of their changes, and how many pairs
    there were; None where no two changes of a picture differ by more than the margin. 0.5 is chance; a tie counts half.
    """
    changes = np.stack([region.change for region in regions])
    shares = np.stack([region.share[method] for region in regions])
    right, pairs = np.zeros(changes.shape[1]), np.zeros(changes.shape[1])
    for a in range(len(regions)):
        for b in range(a):
            apart = changes[a] - changes[b]
            more = shares[a] - shares[b]
            counted = np.isfinite(apart) & np.isfinite(more) & (np.abs(apart) > margin)
            agrees = np.sign(apart) * np.sign(more)
            right += np.where(counted, (agrees + 1) / 2, 0.0)
            pairs += counted
    if not pairs.any():
        return None
    estimate = float(right.sum() / pairs.sum())
    if len(np.unique(clusters[pairs > 0])) < LEAST_CLUSTERS:
        return Mean(estimate, None, None), int(pairs.sum())
    sums = resampled_sums(np.stack([right, pairs], axis=1), clusters, rng)
    draws = sums[sums[:, 1] > 0]
    ends = percentile(draws[:, 0] / draws[:, 1], estimate, confidence)
    return Mean(estimate, None if ends is None else ends.low, None if ends is None else ends.high), int(pairs.sum())
