"""Masks that no one stores: what lies outside another mask, and the frame of the picture as the model sees it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.errors import DataError
from xai_audit.spec.schema import Border, Mask, Outside

Drawn = Outside | Border


def drawn_masks(masks: Mapping[str, Mask]) -> dict[str, Drawn]:
    """The declared masks that no one stores. Raises DataError for `outside` of an unknown mask, or in a circle."""
    drawn = {name: mask for name, mask in masks.items() if isinstance(mask, Outside | Border)}
    for name in drawn:
        _follow(name, masks)
    return drawn


def border_mask(size: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """True within `share` of the shorter side of an edge, (H, W) = size: whole pixels, rounded, and at least one."""
    width = max(1, int(share * min(size) + 0.5))
    mask = np.ones(size, dtype=np.bool_)
    mask[width : size[0] - width, width : size[1] - width] = False
    return mask


def _follow(name: str, masks: Mapping[str, Mask]) -> None:
    seen, at = [name], masks[name]
    while isinstance(at, Outside):
        key = f"data.masks.{seen[-1]}.outside"
        if at.outside not in masks:
            others = [other for other in masks if other != seen[-1]]
            fix = f"{did_you_mean(at.outside, others)}Correct `{key}`."
            raise DataError(key, f'no mask called "{at.outside}"', one_of(others) if others else "another mask", fix)
        if at.outside in seen:
            fix = "Name a mask that is stored."
            raise DataError(key, f'"{at.outside}", which is itself outside "{name}"', "a mask of its own", fix)
        seen.append(at.outside)
        at = masks[at.outside]
