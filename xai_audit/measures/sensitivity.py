"""How far a map changes when its case changes a little (Yeh et al., NeurIPS 2019; METHODS 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_SIZE = "maps are zero everywhere: a change has no share of their size"
Maps = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Of each case, (cases,): the largest change found over some perturbations, a lower bound of the largest one."""

    plain: NDArray[np.float64]
    """max ||phi(x + e) - phi(x)||_2, as in the paper."""
    relative: NDArray[np.float64]
    """The same divided by ||phi(x)||_2; NaN where that is 0."""
    lipschitz: NDArray[np.float64]
    """max ||phi(x + e) - phi(x)||_2 / ||e||_2; NaN where no perturbation changed the case."""


def uniform_noise(shape: Sequence[int], radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """e, uniform in [-radius, radius] at every place; the perturbed case is not clipped to the range of pixels."""
    return rng.uniform(-radius, radius, tuple(shape))


def sensitivity(original: Maps, perturbed: Sequence[Maps], noises: Sequence[NDArray[np.float64]]) -> Sensitivity:
    """From raw maps (cases, ...) of the cases and of their perturbed copies, and the noises (cases, ...)."""
    phi = _rows(original)
    changes = np.stack([np.linalg.norm(_rows(maps) - phi, axis=1) for maps in perturbed])
    sizes = np.stack([np.linalg.norm(_rows(noise), axis=1) for noise in noises])
    length = np.linalg.norm(phi, axis=1)
    plain = changes.max(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(length > 0, plain / length, np.nan)
        ratios = np.where(sizes > 0, changes / sizes, -np.inf).max(0)
    return Sensitivity(plain, relative, np.where(np.isfinite(ratios), ratios, np.nan))


def _rows(arrays: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(arrays, np.float64).reshape(len(arrays), -1)
