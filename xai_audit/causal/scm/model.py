"""A structural model: a graph whose variables have mechanisms and independent noises (CAUSAL.md section 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.discrete import DiscreteModel
from xai_audit.causal.linear import LinearMechanism, LinearModel
from xai_audit.causal.scm.mechanisms import Columns, Linear, Mechanism, Table
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names, sorted_names

Seen = Mapping[str, Mapping[str, float]]
"""By child: parents that it sees at other values than they have; places of levels, or numbers."""
Noises = Mapping[str, NDArray[Any]]
"""By variable: noises of n units, (n, ...)."""


@dataclass(frozen=True, eq=False)
class Model:
    """Variables with their mechanisms; some may be unknown, and stand only as facts of a unit."""

    graph: Graph
    mechanisms: Mapping[str, Mechanism]
    levels: Mapping[str, int]
    """Number of levels of each variable that has them."""

    def split(self, seen: Seen) -> Model:
        """The model in which some children see parents at fixed values; the parents themselves stay as they are."""
        mechanisms = dict(self.mechanisms)
        for child, parents in seen.items():
            if child not in mechanisms:
                continue  # what rests on it is refused by `relevant`
            mechanism = mechanisms[child]
            for parent, value in parents.items():
                mechanism = mechanism.hold(parent, value)
            mechanisms[child] = mechanism
        cut = {(parent, child) for child, parents in seen.items() for parent in parents}
        graph = replace(self.graph, directed=tuple(edge for edge in self.graph.directed if edge not in cut))
        return replace(self, graph=graph, mechanisms=mechanisms)

    def set_to(self, do: Mapping[str, float]) -> Model:
        """The model under do(variable = value): all its children see that value."""
        return self.split(everywhere(self.graph, do))

    def column(self, name: str, value: float) -> NDArray[Any]:
        """One value of a variable as its columns hold it, (1,): the place of a level, or a number."""
        return np.array([int(value)]) if name in self.levels else np.array([float(value)])

    def mechanism(self, name: str) -> Mechanism:
        """A variable's mechanism. Raises Refusal where it is unknown."""
        if name not in self.mechanisms:
            fix = f"Declare a mechanism for '{name}'."
            raise Refusal("causal.mechanisms", f"'{name}', whose mechanism is unknown", "a mechanism", fix)
        return self.mechanisms[name]

    def relevant(self, names: Iterable[str]) -> Names:
        """Variables that lead to some, with known mechanisms and without `<->`. Raises Refusal where it is not so."""
        needed = self.graph.ancestors(tuple(names))
        for name in needed:
            self.mechanism(name)
        arcs = [(a, b) for a, b in self.graph.bidirected if a in needed and b in needed]
        if arcs:
            a, b = arcs[0]
            fix = "Declare the common cause as an unmeasured variable with its own mechanism."
            raise Refusal("causal.edges", f"{a} <-> {b}, whose noises are not independent", "mechanisms of both", fix)
        return needed

    def are_tables(self, names: Collection[str]) -> bool:
        """Whether the mechanisms are all tables."""
        return all(isinstance(self.mechanisms[name], Table) for name in names)

    def are_exact(self, names: Collection[str]) -> bool:
        """Whether the mechanisms are all tables or linear equations: laws in closed form."""
        return all(isinstance(self.mechanisms[name], Table | Linear) for name in names)

    def tables(self, names: Collection[str]) -> DiscreteModel:
        """The part of the model over variables with tables."""
        factors = {name: one.factor for name in names if isinstance(one := self.mechanisms[name], Table)}
        return DiscreteModel(self.graph.induced(names), factors)

    def equations(self, names: Collection[str], at: Mapping[str, float]) -> LinearModel:
        """The part over variables with linear equations, the levels of all others being given."""
        made = {}
        for name in sorted_names(names):
            one = self.mechanisms[name]
            assert isinstance(one, Linear)
            for parent in sorted_names(set(one.weights) - set(names)):
                one = one.hold(parent, at[parent])
            made[name] = LinearMechanism(one.intercept, one.weights, one.mean, one.sd)
        return LinearModel(self.graph.induced(names), made)

    def draw(self, names: Collection[str], n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Independent noises of n units, in order of names."""
        return {name: self.mechanism(name).draw(n, rng) for name in sorted_names(names)}

    def simulate(self, noises: Noises, known: Columns) -> dict[str, NDArray[Any]]:
        """Values of all variables that have a noise, causes first; what is known stays as it is."""
        found = dict(known)
        for name in self.graph.order:
            if name in noises and name not in known:
                parents = {parent: found[parent] for parent in self.graph.parents_of(name)}
                found[name] = self.mechanism(name).sample(parents, noises[name])
        return found


def everywhere(graph: Graph, do: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Every child of what is set sees the value that it is set to."""
    found: dict[str, dict[str, float]] = {}
    for name in sorted_names(do):
        for child in graph.children_of(name):
            found.setdefault(child, {})[name] = do[name]
    return found
