"""Pictures of cases that a record shows, as the model sees them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def kept_pictures(context: Context, indexes: Iterable[int]) -> tuple[list[str], npt.NDArray[np.uint8]]:
    """Ids of cases, each once, in the data set's order, and their pictures (cases, height, width, channels).

    None at all where the spec lets no image be shown.
    """
    wanted = sorted({int(index) for index in indexes}) if context.spec.data.show.images else []
    kept = np.zeros((len(wanted), *context.size, context.input.channels), np.uint8)
    for place, index in enumerate(wanted):
        kept[place] = np.rint(context.case(index) * 255).transpose(1, 2, 0)
    return [context.dataset.ids[index] for index in wanted], kept
