"""How well a map foretells the effect of noise (Yeh et al., NeurIPS 2019, definition 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Infidelity:
    """What the noisy copies of one case say."""

    plain: float
    """E(I.phi - dy)^2 / E(dy^2): 1 is as good as a map of zeros. NaN where noise changes nothing."""
    rescaled: float
    """The same after the best scale: E(beta I.phi - dy)^2 / E(dy^2), 0 to 1."""
    beta: float
    """The best scale, E(I.phi dy) / E((I.phi)^2); NaN for a map that foretells no change at all."""


def infidelity(foretold: NDArray[np.floating], change: NDArray[np.floating]) -> Infidelity:
    """From I.phi and dy = y(x) - y(x - I) of each sample, (samples,) both."""
    foretold, change = foretold.astype(np.float64), change.astype(np.float64)
    size = float(np.mean(change**2))
    if size == 0:
        return Infidelity(np.nan, np.nan, np.nan)
    weight = float(np.mean(foretold**2))
    beta = float(np.mean(foretold * change)) / weight if weight > 0 else np.nan
    best = 0.0 if np.isnan(beta) else beta
    return Infidelity(
        plain=float(np.mean((foretold - change) ** 2)) / size,
        rescaled=float(np.mean((best * foretold - change) ** 2)) / size,
        beta=beta,
    )


def local(
    attribution: NDArray[np.floating], away: NDArray[np.floating], smallest: float = 1e-6
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Attribution per unit of input, from one that was multiplied by `away` = x - x', and where it exists.

    Where |x - x'| is at most `smallest`, or not a number, it does not: it is 0 there, and the place is left out of the
    noise.
    """
    exists = np.abs(away) > smallest
    return np.where(exists, attribution, 0.0) / np.where(exists, away, 1.0), exists
