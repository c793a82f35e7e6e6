"""Raw maps as they are shown: reduced, signed and at image size, with the scale that the cases of a method share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.explain import stages

Floats = npt.NDArray[np.floating]

WEAK_SHARE = 0.02
"""A map that stays below this share of the scale is called too weak to see."""
SCALE_SHARE = 99.5
"""Percentile of all pixels that the scale of a method ends at; a single outlier must not darken all other maps."""


@dataclass(frozen=True)
class Range:
    """A colour scale: from nothing to its end, or to both sides of nothing."""

    end: float
    """Map value at the end of the scale."""
    is_signed: bool
    largest: float
    """Largest value drawn; lies beyond the end where single pixels stand out."""

    @property
    def start(self) -> float:
        """Map value at the beginning of the scale."""
        return -self.end if self.is_signed else 0.0


@dataclass(frozen=True, eq=False)
class ShownMaps:
    """The maps of one method as they are drawn: one scale for all cases."""

    label: str
    use: str
    maps: Floats
    """(cases, height, width), signed where the scale is."""
    relevance: Floats
    """(cases, height, width): the positive part, of which shares are taken."""
    scale: Range
    remarks: tuple[str, ...]
    """One a case: the catalogue's key of what there is to say, or empty."""


def meaning(use: str) -> str:
    """What colours mean in the maps of a method, as the last part of an entry's key."""
    entry = registry.method(use)
    return f"{entry.map_kind}.{entry.sign if entry.uses_target else 'agnostic'}"


def shown_maps(label: str, use: str, raw: Floats, size: tuple[int, int]) -> ShownMaps:
    """Raw maps through the stages that the registry names for their method, and the scale they share."""
    entry = registry.method(use)
    reduced = stages.reduce(raw, entry.reduction)
    maps = stages.upsample(stages.sign(reduced, entry.sign), size)
    is_signed = entry.sign == "signed"
    relevance = stages.upsample(stages.sign(reduced, "relu"), size) if is_signed else maps
    scale = shared_range(maps, is_signed=is_signed)
    remarks = tuple(
        _remark(one, is_positive=entry.sign == "relu") or _weak(drawn, scale)
        for one, drawn in zip(reduced, maps, strict=True)
    )
    return ShownMaps(label, use, maps, relevance, scale, remarks)


def shared_range(maps: Floats, *, is_signed: bool) -> Range:
    """One scale for all of some maps."""
    size = np.abs(maps)
    largest = float(size.max(initial=0.0))
    end = float(np.percentile(size, SCALE_SHARE)) if maps.size else 0.0
    return Range(end or largest, is_signed, largest)


def range_of_means(means: Iterable[Floats], *, is_signed: bool) -> Range:
    """One scale for the mean maps of a method, which ends at the largest value."""
    largest = max((float(np.abs(one).max(initial=0.0)) for one in means), default=0.0)
    return Range(largest, is_signed, largest)


def _remark(one: Floats, *, is_positive: bool) -> str:
    low, high = float(one.min()), float(one.max())
    if low == high == 0:
        return "map.all_zero"
    if low == high:
        return "map.constant"
    return "map.all_negative" if is_positive and high <= 0 else ""


def _weak(drawn: Floats, scale: Range) -> str:
    """The remark of a map whose largest value is hardly a colour on the scale that all cases share."""
    return "map.weak" if float(np.abs(drawn).max()) < WEAK_SHARE * scale.end else ""
