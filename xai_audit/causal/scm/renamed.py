"""A mechanism that reads some parents under other names: a copy of a variable stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.mechanisms import Array, Columns, Held, Mechanism


@dataclass(frozen=True, eq=False)
class Renamed:
    """As `whole`, with parents named otherwise."""

    whole: Mechanism
    names: Mapping[str, str]
    """By new name: the old one."""

    @property
    def can_abduct(self) -> bool:
        """As the whole."""
        return self.whole.can_abduct

    @property
    def has_density(self) -> bool:
        """As the whole."""
        return self.whole.has_density

    def __getattr__(self, name: str) -> Any:
        """`rows`, where the whole fixes margins alone."""
        if name != "rows" or not hasattr(self.whole, "rows"):
            raise AttributeError(name)
        return lambda parents: self.whole.rows(self._old(parents))

    def _old(self, parents: Columns) -> Columns:
        return {self.names.get(name, name): column for name, column in parents.items()}

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[Any]:
        """As the whole."""
        return self.whole.draw(n, rng)

    def sample(self, parents: Columns, noise: NDArray[Any]) -> NDArray[Any]:
        """As the whole."""
        return self.whole.sample(self._old(parents), noise)

    def abduct(self, parents: Columns, value: NDArray[Any]) -> NDArray[Any]:
        """As the whole."""
        return self.whole.abduct(self._old(parents), value)

    def log_prob(self, parents: Columns, value: NDArray[Any]) -> Array:
        """As the whole."""
        return self.whole.log_prob(self._old(parents), value)

    def hold(self, parent: str, value: float) -> Held:
        """With a parent held."""
        return Held(self, {parent: value})
