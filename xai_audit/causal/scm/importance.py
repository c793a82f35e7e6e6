"""Self-normalised importance sampling: how many units' worth of evidence weighted draws hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 200_000
"""Units that are drawn where there is no closed form."""
LEAST_EFFECTIVE = 100
"""With fewer effective units an answer is refused."""


def effective_size(weights: NDArray[np.float64]) -> float:
    """(sum of weights)^2 / sum of squared weights (Kong, 1992): n where all are equal, 1 where one holds all."""
    return float(np.square(weights.sum()) / np.square(weights).sum())
