"""One query with all that it may be answered from, names of levels turned into their places."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xai_audit.causal.answer import Scope
from xai_audit.causal.sample import Array, Sample, level_values, levels_of, place_of
from xai_audit.evidence.seeds import generator
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.read import read_edge
from xai_audit.spec.causal import Assumption, Causal, Contrast, Level, Monotone, Query

Rung = int
_RUNGS: dict[str, Rung] = {
    "association": 1, "interventional": 2, "ate": 2, "att": 2, "cate": 2, "cde": 2, "sensitivity": 2,
    "nde": 3, "nie": 3, "path_effect": 3, "counterfactual": 3, "recourse": 3, "counterfactual_fairness": 3,
    "pn_ps": 3, "image_counterfactual": 3,
}  # fmt: skip
GIVEN_KINDS = ("table", "linear", "additive", "torch")
"""Kinds of mechanism that stand in the spec whole; `additive` only without `fit`."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A query, its graph and its data."""

    causal: Causal
    query: Query
    graph: Graph
    """Over measured variables: unmeasured ones projected away (`<->`)."""
    whole: Graph
    """As declared, unmeasured variables included."""
    sample: Sample | None
    """The rows of the query's slice; None where there are no data."""
    seed: int
    """The spec's."""
    calls: Mapping[str, object]
    """Functions and classes that mechanisms name, by variable, loaded by the engine."""

    def rng(self, what: str = "") -> np.random.Generator:
        """Random numbers of the query's own."""
        return generator(self.seed, f"causal:{self.query.id}:{what}")

    @cached_property
    def levels(self) -> dict[str, tuple[Level, ...]]:
        """Levels of each variable that has them."""
        return levels_of(self.causal.variables)

    @property
    def on(self) -> str:
        """The variable that is asked about."""
        assert self.query.on is not None
        return self.query.on

    @property
    def is_contrast(self) -> bool:
        """Whether `do` gives [reference, alternative]."""
        return any(isinstance(setting, tuple) for setting in self.query.do.values())

    @property
    def part(self) -> str:
        """What kind of number a question about settings asks for."""
        if self.query.ask == "att":
            return "total_among_treated"
        if self.query.ask == "cde":
            return "controlled_direct"
        if not self.is_contrast:
            return "value"
        return "conditional" if self.query.given else "total"

    @property
    def treatments(self) -> Names:
        """Variables that are set."""
        return sorted_names(self.query.do)

    @property
    def reference(self) -> dict[str, float]:
        """Value or place of the level that each treatment is set to, of a contrast the first."""
        return {name: self.number(name, _side(setting, 0)) for name, setting in self.query.do.items()}

    @property
    def alternative(self) -> dict[str, float]:
        """The same, of a contrast the second."""
        return {name: self.number(name, _side(setting, 1)) for name, setting in self.query.do.items()}

    @property
    def given(self) -> dict[str, float]:
        """What is seen, as value or place; of cate, which lists variables, nothing."""
        given = self.query.given
        return {k: self.number(k, v) for k, v in given.items() if k != "row"} if isinstance(given, dict) else {}

    @property
    def hold(self) -> dict[str, float]:
        """What is held fixed, as value or place."""
        return {name: self.number(name, level) for name, level in self.query.hold.items()}

    def number(self, name: str, level: Level) -> float:
        """Place of a level in its domain, or a number of a range."""
        if name in self.levels:
            return place_of(self.levels[name], level)
        return float(level)

    def values(self, name: str) -> Array | None:
        """Levels of a variable as numbers; None for named levels and for ranges."""
        return level_values(self.levels[name]) if name in self.levels else None

    def outcomes(self) -> list[tuple[str, Array]]:
        """What the answer weighs the levels of `on` by: their values, or one indicator a named level; (label, weights).
        Of a range: nothing."""
        if self.on not in self.levels:
            return []
        levels, values = self.levels[self.on], self.values(self.on)
        if values is not None:
            return [("", values)]
        return [(str(level), np.eye(len(levels))[place]) for place, level in enumerate(levels)]

    @property
    def means(self) -> tuple[str, ...]:
        """What is asked about, where its answer is a mean and not the share of a level."""
        if self.query.on is None:
            return ()
        values = self.values(self.on) if self.on in self.levels else None
        is_mean = self.on not in self.levels or (values is not None and set(values.tolist()) != {0.0, 1.0})
        return (self.on,) if is_mean else ()

    def is_assumed(self, assumption: str) -> bool:
        """Whether the query assumes something by name."""
        return assumption in self.query.assume

    @property
    def monotone(self) -> list[tuple[str, str, bool]]:
        """(cause, outcome, whether increasing) of each monotone assumption."""
        found = [one for one in self.query.assume if isinstance(one, Monotone)]
        return [(*read_edge(one.monotone)[:2], one.direction == "increasing") for one in found]


def scope_of(causal: Causal, query: Query) -> Scope:
    """world, unless the model's score is asked about: model where operators set what is set, mixed elsewhere."""
    if query.on is None or causal.variables[query.on].role != "model_output":
        return "world"
    settable = {one.sets for one in causal.operators.values()}
    medium = {name for name, one in causal.variables.items() if one.role == "medium"}
    reaching = {a for a, b, _ in map(read_edge, causal.edges) if b in medium}
    names = set(query.do) or {causal.operators[query.via].sets} if query.via else set(query.do)
    return "model" if names and names <= settable & reaching else "mixed"


def rung_of(query: Query) -> Rung:
    """1 association, 2 intervention, 3 counterfactual."""
    return _RUNGS[query.ask]


def way_of(causal: Causal, query: Query, has_data: bool) -> str:
    """How a query is answered: as it says, or operator for the model's score, mechanisms where all are given and there
    are no data, else identification."""
    if query.answer_by is not None:
        return query.answer_by
    if scope_of(causal, query) == "model":
        return "operator"
    return "mechanisms" if not has_data and are_all_given(causal) else "identification"


def are_all_given(causal: Causal, names: Collection[str] = ()) -> bool:
    """Whether the mechanisms of some variables (default: of all but image and score) stand in the spec whole."""
    own = names or [n for n, one in causal.variables.items() if one.role not in ("medium", "model_output")]
    return all(_is_given(causal, name) for name in own)


def _is_given(causal: Causal, name: str) -> bool:
    mechanism = causal.mechanisms.get(name)
    return mechanism is not None and mechanism.kind in GIVEN_KINDS and getattr(mechanism, "fit", None) is None


def _side(setting: Contrast, place: int) -> Level:
    return setting[place] if isinstance(setting, tuple) else setting


def assumption_text(assumption: Assumption) -> str:
    """An assumption as a person reads it."""
    if isinstance(assumption, Monotone):
        cause, outcome, _ = read_edge(assumption.monotone)
        way = "lowers" if assumption.direction == "increasing" else "raises"
        return f"More of {cause} never {way} {outcome} in anybody."
    return _ASSUMED[assumption]


_ASSUMED = {
    "linear": "Every effect is a straight line: one unit more adds the same amount everywhere.",
    "no_interaction": "The direct effect is the same whatever the mediator is.",
    "gumbel_max": "Of all models that fit the tables, single units follow the Gumbel-max model.",
    "cross_world_independence": "No common cause joins what a unit would do in two different worlds.",
}
