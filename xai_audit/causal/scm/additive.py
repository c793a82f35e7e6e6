"""value = f(parents) + noise, for any function: the user's own or a fitted one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.mechanisms import Array, Columns, Held, Readings, normal_log_density, read
from xai_audit.errors import StepError

Function = Callable[..., Any]
"""f(**parents) -> (n,); a parent is an array (n,): numbers, or texts for named levels."""


@dataclass(frozen=True)
class Normal:
    """Gaussian noise."""

    mean: float
    sd: float


@dataclass(frozen=True, eq=False)
class Empirical:
    """Noise drawn from residuals that were seen, (rows,), with how many units each stands for."""

    residuals: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class Additive:
    """value = f(parents) + noise."""

    name: str
    function: Function
    noise: Normal | Empirical
    parents: tuple[str, ...]
    readings: Readings = field(default_factory=dict)

    @property
    def can_abduct(self) -> bool:
        """Noise = value - f(parents)."""
        return True

    @property
    def has_density(self) -> bool:
        """Of a Gaussian noise; residuals have none."""
        return isinstance(self.noise, Normal) and self.noise.sd > 0

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Gaussian noises, or residuals drawn with replacement."""
        if isinstance(self.noise, Normal):
            return rng.normal(self.noise.mean, self.noise.sd, n)
        return rng.choice(self.noise.residuals, n, p=self.noise.weights / self.noise.weights.sum())

    def without_noise(self, parents: Columns, n: int) -> Array:
        """f(parents), (n,). Raises StepError where the function gives something else than n finite numbers."""
        seen: Mapping[str, NDArray[Any]] = read({name: parents[name] for name in self.parents}, self.readings)
        found = np.asarray(self.function(**seen), np.float64)
        if found.ndim == 0 and not self.parents:
            found = np.full(n, float(found))
        if found.shape != (n,) or not np.isfinite(found).all():
            what = f"shape {found.shape}" if found.shape != (n,) else "a number that is not finite"
            fix = "It gets one array a parent, all of one length, and returns one number a unit."
            raise StepError(f"causal.mechanisms.{self.name}", what, f"{n} finite numbers", fix)
        return found

    def sample(self, parents: Columns, noise: Array) -> Array:
        """f(parents) + noise."""
        return np.asarray(self.without_noise(parents, len(noise)) + noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Value - f(parents)."""
        return np.asarray(value - self.without_noise(parents, len(value)), np.float64)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """Of the Gaussian noise."""
        assert isinstance(self.noise, Normal)
        return normal_log_density(self.abduct(parents, value), self.noise.mean, self.noise.sd)

    def hold(self, parent: str, value: float) -> Held:
        """With a parent held."""
        return Held(self, {parent: value})
