"""A unit with its noises, asked what it comes to under many settings at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.scm.counterfactual import Abducted, abduct, act, predict
from xai_audit.causal.scm.known_unit import is_open, reached
from xai_audit.causal.scm.laws import Facts
from xai_audit.causal.scm.mechanisms import Linear
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Names, sorted_names

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class UnitWorld:
    """A unit whose noises are known wherever some settings can reach."""

    model: Model
    facts: Facts
    on: str
    settable: Names

    @cached_property
    def moved(self) -> Names:
        """Everything that some of the settings can move on the way to `on`, causes first."""
        every = {n for name in self.settable for n in reached(self.model.graph, {name: 0}, self.on)}
        return tuple(name for name in self.model.graph.order if name in every)

    @cached_property
    def abducted(self) -> Abducted:
        """The noises. Raises Refusal where a mechanism fixes margins alone, or a fact is not known."""
        for name in self.moved:
            if is_open(self.model, name):
                found = f"'{name}', whose mechanism fixes how often each level comes and not which units would change"
                raise Refusal("causal.mechanisms", found, "mechanisms that can be abducted", "Give it one of those.")
            lacking = [one for one in (name, *self.model.graph.parents_of(name)) if one not in self.facts]
            if lacking:
                raise Refusal("given", f"no fact of '{lacking[0]}'", "all facts along the way", "Give it.")
        return abduct(self.model, self.facts, self.moved, np.random.default_rng(0), 1)

    def values(self, do: Mapping[str, NDArray[Any]]) -> Array:
        """What `on` comes to under each of n settings, (n,)."""
        n = len(next(iter(do.values())))
        needed = sorted_names(n for name in do for n in reached(self.model.graph, {name: 0}, self.on) if n not in do)
        if not needed:
            return np.asarray(do[self.on] if self.on in do else np.full(n, self.facts[self.on]), np.float64)
        found = self.abducted
        columns = {name: np.repeat(column, n, axis=0) for name, column in found.columns.items()} | dict(do)
        noises = {name: np.repeat(noise, n, axis=0) for name, noise in found.noises.items()}
        many = Abducted(columns, noises, np.ones(n), {})
        return np.asarray(predict(act(self.model, dict.fromkeys(do, 0.0)), many, {}, needed)[self.on])

    @property
    def is_linear(self) -> bool:
        """Whether everything that can be moved follows a linear equation."""
        return all(isinstance(self.model.mechanism(name), Linear) for name in self.moved)
