"""Whether a map's relevance lies inside a declared mask.

Arras, Osman, Samek, Information Fusion 2022 (mass and rank); Zhang et al., ECCV 2016 (pointing game).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from xai_audit.errors import StepError
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums

MEASURED, REFUSED, UNDEFINED = "measured", "refused", "undefined"
UNDEFINED_MAPS_ALLOWED = 0.5
TOLERANCE = 15
"""Pixels around the mask that count as a hit of the pointing game."""

Maps = NDArray[np.floating]
"""(cases, height, width), not negative."""
Masks = NDArray[np.bool_]
"""(cases, height, width)"""


def relevance_mass(maps: Maps, masks: Masks, clusters: NDArray[np.int64] | None, rng: np.random.Generator) -> Measured:
    """Mean over cases of (relevance inside the mask) / (relevance everywhere).

    A case whose mask is empty or full is refused, one whose map is zero everywhere is undefined; both are counted and
    left out. The mean does not exist where more than half of the maps are undefined. `expected_by_chance` is the mean
    share of the image inside the mask. Raises StepError for a map with a negative or non-finite value.
    """
    return _measure("relevance_mass", mass_of_map, maps, masks, clusters, rng)


def relevance_rank(maps: Maps, masks: Masks, clusters: NDArray[np.int64] | None, rng: np.random.Generator) -> Measured:
    """Mean over cases of the share of the K highest pixels that lie inside the mask, K the mask's size.

    Pixels that tie for the last places count with the share that a random order would give them on average. Otherwise
    as `relevance_mass`.
    """
    return _measure("relevance_rank", rank_of_map, maps, masks, clusters, rng)


def pointing_game(
    maps: Maps,
    masks: Masks,
    clusters: NDArray[np.int64] | None,
    rng: np.random.Generator,
    tolerance: int = TOLERANCE,
) -> Measured:
    """Share of maps whose highest pixel lies in the mask, or at most `tolerance` pixels from it (section 4).

    Where several pixels are highest, the share of them that lies there. `expected_by_chance` is the mean share of the
    image that counts as a hit: a random map's. Otherwise as `relevance_mass`.
    """
    _check("pointing_game", maps, masks, clusters)
    near = np.stack([within(mask, tolerance) for mask in masks]) if len(masks) else masks
    found = _measure("pointing_game", hit_of_map, maps, masks, clusters, rng, near)
    found.details["parameters"] = {"tolerance": tolerance}
    return found


def within(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Pixels at most a distance from one of the mask, centre to centre, (height, width); an empty mask stays empty."""
    if not mask.any():
        return mask
    return np.asarray(distance_transform_edt(~mask) <= distance)


def hit_of_map(relevance: NDArray[np.float64], near: NDArray[np.bool_]) -> float:
    """1 where the highest pixel counts as a hit, 0 where not; between them where several are highest."""
    highest = relevance == relevance.max()
    return float((highest & near).sum() / highest.sum())


def mass_of_map(relevance: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Share of a map's relevance inside the mask; the map is not zero everywhere."""
    relevance = relevance / relevance.max()  # so that neither very large nor very small maps leave the range
    return float(relevance[mask].sum() / relevance.sum())


def rank_of_map(relevance: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Share of the K highest pixels inside the mask of K pixels."""
    size = int(mask.sum())
    threshold = np.partition(relevance, -size, axis=None)[-size]
    is_above, is_tied = relevance > threshold, relevance == threshold
    places_left = size - int(is_above.sum())
    inside = (is_above & mask).sum() + places_left * (is_tied & mask).sum() / is_tied.sum()
    return float(inside / size)


def _measure(
    name: str,
    of_map: Callable[[NDArray[np.float64], NDArray[np.bool_]], float],
    maps: Maps,
    masks: Masks,
    clusters: NDArray[np.int64] | None,
    rng: np.random.Generator,
    near: Masks | None = None,
) -> Measured:
    """One number a map and mask; `near` stands for the mask where more than the mask itself counts."""
    _check(name, maps, masks, clusters)
    near = masks if near is None else near
    inside, expected = masks.mean(axis=(1, 2)), near.mean(axis=(1, 2))
    status = np.where((inside == 0) | (inside == 1), REFUSED, np.where(maps.max(axis=(1, 2)) == 0, UNDEFINED, MEASURED))
    used = status == MEASURED
    per_case = np.full(len(maps), np.nan)
    per_case[used] = [of_map(maps[i].astype(np.float64), near[i]) for i in np.flatnonzero(used)]
    counts = {state: int(np.count_nonzero(status == state)) for state in (MEASURED, REFUSED, UNDEFINED)}
    estimates = _means(name, per_case[used], expected[used], None if clusters is None else clusters[used], rng, counts)
    shown = per_case.astype(object)
    shown[~used] = None  # no NaN leaves this module
    rows: dict[str, NDArray[Any]] = {name: shown, f"{name}:status": status}
    return gather(estimates, _details(counts), clusters, rows)


def _means(
    name: str,
    per_case: NDArray[np.float64],
    inside: NDArray[np.float64],
    clusters: NDArray[np.int64] | None,
    rng: np.random.Generator,
    counts: dict[str, int],
) -> list[Estimate]:
    n, zero = len(per_case), counts[UNDEFINED]
    if clusters is not None and len(np.unique(clusters)) == n:
        clusters = None
    tallies = [
        Estimate("undefined_maps", float(zero), n + zero, "cases"),
        Estimate("refused_masks", float(counts[REFUSED]), n + zero + counts[REFUSED], "cases"),
    ]
    reason = ""
    if sum(counts.values()) == 0:
        reason = "No explained case lies in this slice."
    elif n + zero == 0:
        reason = "Every mask is empty or fills the image."
    elif zero > UNDEFINED_MAPS_ALLOWED * (n + zero):
        reason = f"{zero} of {n + zero} maps are zero everywhere."
    if reason:
        missing = (
            Estimate(each, np.nan, n, "share", undefined_because=reason) for each in (name, "expected_by_chance")
        )
        return [*missing, *tallies]
    columns = np.stack([per_case, inside, np.ones(n)], axis=1)
    sums = resampled_sums(columns, clusters, rng)
    units = clusters_with(clusters, np.ones(n, dtype=bool))
    means = [
        Estimate(each, float(columns[:, k].mean()), n, "share", draws=sums[:, k] / sums[:, 2], independent=units)
        for k, each in enumerate((name, "expected_by_chance"))
    ]
    return [*means, *tallies]


def _details(counts: dict[str, int]) -> dict[str, Any]:
    left_out = {"refused_masks": counts[REFUSED], "undefined_maps": counts[UNDEFINED]}
    warnings = []
    if counts[REFUSED]:
        warnings.append(f"{counts[REFUSED]} cases left out: the mask is empty or fills the image.")
    if counts[UNDEFINED]:
        warnings.append(f"{counts[UNDEFINED]} cases left out: the map is zero everywhere.")
    return {"cases": sum(counts.values()), "used": counts[MEASURED], **left_out, "warnings": warnings}


def _check(name: str, maps: Maps, masks: Masks, clusters: NDArray[np.int64] | None) -> None:
    if maps.ndim != 3 or maps.shape != masks.shape or 0 in maps.shape[1:]:
        raise StepError(
            name, f"maps {maps.shape} and masks {masks.shape}", "both (cases, height, width)", "Bring both to one size."
        )
    if masks.dtype != np.bool_:
        raise StepError(name, f"masks of type {masks.dtype}", "bool", "Say which values lie inside.")
    if clusters is not None and clusters.shape != (len(maps),):
        raise StepError(name, f"clusters {clusters.shape}", f"({len(maps)},)", "Give each case one cluster.")
    if not np.isfinite(maps).all():
        raise StepError(name, "a map with a value that is not finite", "finite values", "Look at the method's step.")
    if (maps < 0).any():
        raise StepError(name, "a map with a negative value", "values of 0 and above", "Take `relu` or `abs` first.")
