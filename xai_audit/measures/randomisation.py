"""How far maps resemble themselves on a net made random (Adebayo et al., NeurIPS 2018; METHODS 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OBJECTIONS = (
    "Low likeness to the maps of a random net does not show that a map is right: it shows that it depends on what was "
    "learnt (Yona and Greenfeld 2021).",
    "The test can favour noisy maps over clean ones, and what counts as alike depends on how maps are prepared and "
    "compared (Binder et al., CVPR 2023).",
)
SIGNED_ONLY = (
    "Of rows the rank correlation with signs is judged. Sizes alone follow how far a value lies from the baseline, for "
    "any weights: two linear models of random weights resemble each other in them."
)
CONSTANT = "maps are the same everywhere, on the net itself or on a random one: they have no order of places"

Maps = NDArray[np.floating]


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two maps, ties with their mean rank; NaN where one of them is constant."""
    a, b = centred_ranks(one), centred_ranks(other)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / lengths, -1, 1)) if lengths > 0 else np.nan


def centred_ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks less their mean, (places,); all zero for values that are all the same."""
    flat = np.asarray(values).ravel()
    _, places, counts = np.unique(flat, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[places.ravel()]
    centred: NDArray[np.float64] = ranks - (flat.size + 1) / 2
    return centred


def places_of(raw: Maps, extras: Mapping[str, Maps]) -> list[NDArray[np.float64]]:
    """What is compared of each case's raw map, (channels, places): of superpixels one value each, not one a pixel.

    `raw` is (cases, height, width) or (cases, channels, height, width); `extras["segments"]` (cases, height, width).
    """
    raw = np.asarray(raw, np.float64)
    cases = raw[:, None] if raw.ndim == 3 else raw
    flat = cases.reshape(*cases.shape[:2], -1)
    if "segments" not in extras:
        return list(flat)
    labels = np.asarray(extras["segments"]).reshape(len(raw), -1)
    return [one[:, np.unique(label, return_index=True)[1]] for one, label in zip(flat, labels, strict=True)]


@dataclass(frozen=True)
class Likeness:
    """How one case's map resembles the original; NaN where that is not defined."""

    signed: float
    """Rank correlation of the maps, summed over channels."""
    absolute: float
    """Rank correlation of their sizes, the largest over channels (or of the sum's size, as the method's pictures)."""

    @property
    def size(self) -> float:
        """The larger of the two in size: a map that keeps either its signs or its sizes keeps what a reader sees."""
        return max(abs(self.signed), abs(self.absolute)) if self.is_defined else np.nan

    @property
    def is_defined(self) -> bool:
        """Whether neither is NaN."""
        return not (np.isnan(self.signed) or np.isnan(self.absolute))


def likeness(one: NDArray[np.float64], other: NDArray[np.float64], reduction: str = "sum") -> Likeness:
    """Two maps (channels, places) beside each other. Superpixels that are not the same ones: not defined."""
    if one.shape != other.shape:
        return Likeness(np.nan, np.nan)
    signed = rank_correlation(one.sum(0), other.sum(0))
    absolute = rank_correlation(_size(one, reduction), _size(other, reduction))
    return Likeness(signed, absolute)


def _size(values: NDArray[np.float64], reduction: str) -> NDArray[np.float64]:
    largest: NDArray[np.float64] = np.abs(values).max(0) if reduction == "max_abs" else np.abs(values.sum(0))
    return largest
