"""What one unit of noise on a case is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xai_audit.spec.tables import TableInput

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Array = npt.NDArray[np.float64]


def noise_unit(context: Context) -> Array:
    """One unit of noise, broadcasting to a case: 1 of a pixel, (1, 1, 1); of a table see `spread_of`."""
    table = context.table_input
    return np.ones((1, 1, 1)) if table is None else spread_of(table, context.features)


def spread_of(table: TableInput, features: Array) -> Array:
    """One unit of noise in a table, (1, 1, features): the standard deviation of a number, 0 for a category."""
    is_number = np.array([feature.categories is None for feature in table.features])
    deviations = np.array([np.nanstd(column) if (~np.isnan(column)).any() else 0.0 for column in features.T])
    return np.where(is_number, deviations, 0.0)[None, None, :]
