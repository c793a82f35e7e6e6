"""How much numbers move when the fitted mechanisms are fitted again to resampled clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.model import Model
from xai_audit.causal.scm.reading import read_model
from xai_audit.errors import Refusal
from xai_audit.measures.resampling import codes, multiplicities

REFITS = 200
UNITS = 20_000
"""Units that are drawn in each refit where there is no closed form."""
LEAST_SHARE = 0.95
"""Share of the refits that must succeed; a resample may lack a combination of levels."""


def refits(asked: Asked, numbers: Callable[[Model, int], Sequence[float]]) -> NDArray[np.float64]:
    """The numbers under each refit, (refits, numbers). Raises Refusal without data, and where too many refits fail."""
    sample = asked.sample
    if sample is None:
        raise Refusal(
            "causal.mechanisms", "a fitted mechanism without data", "data to fit it to", "Name a data source."
        )
    groups = codes(sample.clusters, sample.n)
    found = []
    for chunk in multiplicities(int(groups.max()) + 1, asked.rng("refits"), REFITS):
        for counts in chunk:
            keep = counts[groups] > 0
            again = replace(sample.where(keep), weights=(sample.weights * counts[groups])[keep])
            try:
                found.append(list(numbers(read_model(replace(asked, sample=again), False).model, UNITS)))
            except Refusal:
                continue
    if len(found) < LEAST_SHARE * REFITS:
        what = f"only {len(found)} of {REFITS} resamples in which every mechanism can be fitted"
        raise Refusal("causal.mechanisms", what, f"{LEAST_SHARE:.0%} of them", "Give more data, or coarsen levels.")
    return np.asarray(found, np.float64)
