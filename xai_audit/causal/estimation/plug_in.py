"""Means of an outcome under estimands evaluated on the data and on every bootstrap draw (CAUSAL.md section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product as combinations_of
from math import prod

import numpy as np

from xai_audit.causal.answer import Amount, drawn, exact
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.bootstrap import Resampled, resampled
from xai_audit.causal.estimation.cells import Tables, is_linear_in, probabilities_of, variables_of
from xai_audit.causal.factors import DRAW, Array, Factor, evaluate
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.terms import Probability, Term
from xai_audit.spec.causal import Range

_NUMBERS = 2**22
"""Numbers in one table of a chunk of draws."""
THIN = 0.2
"""Share of draws with an empty cell above which there is no answer."""


@dataclass(frozen=True)
class Arm:
    """The law of the outcome under one setting: an estimand, and the levels of what it is a function of."""

    term: Term
    at: Mapping[str, int]
    settings: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def options(self) -> list[dict[str, int]]:
        """Levels that its variables are set to: one mapping for each mix of named settings."""
        named: dict[str, set[int]] = {}
        for (name, _), level in self.settings.items():
            named.setdefault(name, set()).add(level)
        mixes = combinations_of(*(sorted(named[name]) for name in sorted(named)))
        return [{**self.at, **dict(zip(sorted(named), mix, strict=True))} for mix in mixes]


class Unsupported(Exception):
    """A cell that an estimand needs was never seen."""

    def __init__(self, cells: Sequence[str]) -> None:
        self.cells = tuple(cells)
        super().__init__("; ".join(cells))


@dataclass(frozen=True, eq=False)
class PlugIn:
    """One query's data in groups, and what its outcome is weighed by."""

    data: Resampled
    on: str
    outcomes: tuple[tuple[str, Array], ...]
    """(label, weight of each level of the outcome)."""
    alpha: float
    names: Mapping[str, Sequence[object]]
    """Levels of each variable, for sentences."""

    @property
    def weights(self) -> Array:
        """(labels, levels)"""
        return np.array([weights for _, weights in self.outcomes])

    @cached_property
    def _chunks(self) -> list[Array]:
        cells = prod(self.data.cells.lengths.values())
        step = min(max(_NUMBERS // cells, 1), len(self.data.times))
        times = self.data.times
        return [times[start : start + step] for start in range(0, len(times), step)]

    def means(self, arms: Sequence[Arm], fill: int | None = None) -> Array:
        """Mean outcome in each arm, (arms, 1 + draws, labels): first of the data, then of each draw.

        NaN where a cell that is needed was never seen; with `fill` the outcome is taken to have that level there.
        """
        made = [[self._mean(arm, tables) for arm in arms] for tables in self._tables(fill)]
        return np.concatenate([np.stack(chunk) for chunk in made], axis=1)

    def _tables(self, fill: int | None) -> Iterable[Tables]:
        for times in self._chunks:
            yield Tables(self.data.cells, times, None if fill is None else (self.on, fill))

    def _mean(self, arm: Arm, tables: Tables) -> Array:
        law = self._pooled(self._law(arm, tables), tables)
        return law.along((DRAW, self.on)) @ self.weights.T

    def _law(self, arm: Arm, tables: Tables) -> Factor:
        found = evaluate(arm.term, tables, arm.settings)
        return found.at({name: level for name, level in arm.at.items() if name in found.names})

    def _pooled(self, law: Factor, tables: Tables) -> Factor:
        """An estimand that may be evaluated at any level of a variable: the mean over the levels that were seen."""
        beyond = tuple(name for name in law.names if name not in (DRAW, self.on))
        if not beyond:
            return law
        shares = tables.marginal(beyond).along(law.names)
        shares = np.where(np.isnan(law.values), 0.0, np.broadcast_to(shares, law.values.shape))
        weighed = Factor(law.names, np.where(shares > 0, law.values * shares, 0.0)).total(beyond)
        total = Factor(law.names, shares).total(beyond)
        with np.errstate(invalid="ignore"):
            return Factor(weighed.names, weighed.values / total.values)

    def each(self, arms: Sequence[Arm]) -> dict[tuple[int, ...], Array]:
        """The means (arms, 1 + draws, labels) at every level of the variables that the estimand may be evaluated at
        anywhere; of none where there are none."""
        found: dict[tuple[int, ...], list[Array]] = {}
        for tables in self._tables(None):
            laws = [self._law(arm, tables) for arm in arms]
            beyond = sorted_names({name for law in laws for name in law.names} - {DRAW, self.on})
            if not beyond:
                return {}
            for levels in np.ndindex(*(self.data.cells.lengths[name] for name in beyond)):
                at = dict(zip(beyond, levels, strict=True))
                parts = [law.at({k: v for k, v in at.items() if k in law.names}) for law in laws]
                made = np.stack([part.along((DRAW, self.on)) @ self.weights.T for part in parts])
                found.setdefault(levels, []).append(made)
        return {levels: np.concatenate(parts, axis=1) for levels, parts in found.items()}

    def missing(self, arm: Arm) -> list[str]:
        """Cells of an arm that were never seen though units like them were, as people read them."""
        tables = Tables(self.data.cells, self.data.times[:1])
        found = [
            text
            for part in probabilities_of(arm.term)
            for set_ in arm.options()
            for text in self._empty(part, set_, tables)
        ]
        return sorted(set(found))

    def _empty(self, part: Probability, set_: Mapping[str, int], tables: Tables) -> list[str]:
        fixed = {name: set_[name] for name in part.given if name in set_}
        free = tuple(name for name in part.given if name not in fixed)
        if not fixed:
            return []
        both = tables.marginal(part.given).at({DRAW: 0}).at(fixed).values
        alone = tables.marginal(free).at({DRAW: 0}).values
        return [
            self._text(fixed | dict(zip(free, where, strict=True))) for where in np.argwhere((both == 0) & (alone > 0))
        ]

    def _text(self, levels: Mapping[str, int]) -> str:
        return ", ".join(f"{name} {self.names[name][level]}" for name, level in sorted(levels.items()))

    def supported(self, arms: Sequence[Arm], means: Array) -> None:
        """Raises Unsupported where the data give no number for an arm, or one draw in five gives none."""
        empty = [arm for arm, mean in zip(arms, means, strict=True) if np.isnan(mean[0]).any()]
        if empty:
            raise Unsupported(sorted({text for arm in empty for text in self.missing(arm)}))
        share = float(np.isnan(means).any(axis=(0, 2)).mean())
        if share > THIN:
            raise Unsupported([f"cells so thin that {share:.0%} of the resamples have none of their units"])

    def amounts(self, name: str, values: Array, group: str = "") -> tuple[Amount, ...]:
        """One number a label, of (1 + draws, labels)."""
        labels = [", ".join(part for part in (group, label) if part) for label, _ in self.outcomes]
        return tuple(self.amount(name, values[:, place], label) for place, label in enumerate(labels))

    def amount(self, name: str, values: Array, label: str = "") -> Amount:
        """A number of (1 + draws,); draws that have none are left out."""
        if self.data.is_law:
            return exact(name, values[0], label)
        draws = values[1:]
        return drawn(name, values[0], draws[np.isfinite(draws)], self.alpha, label)

    def left_out(self, values: Array) -> tuple[str, ...]:
        """A warning where some draws have no number."""
        gone = int(np.isnan(values[1:]).any(axis=tuple(range(1, values.ndim))).sum())
        if not gone:
            return ()
        return (f"In {gone} of {len(values) - 1:,} resamples a needed cell was empty; they are left out.",)


def plug_in(asked: Asked, names: Iterable[str], what: str = "bootstrap") -> PlugIn:
    """The data of a query whose variables, but for the outcome, all have levels."""
    sample = asked.sample
    assert sample is not None
    wanted = sorted_names((*names, asked.on))
    outcomes, range_ = asked.outcomes(), None
    if not sample.is_discrete(asked.on):
        low, high = range_of(asked)
        outcomes, range_ = [("", np.array([low, high]))], (asked.on, low, high)
    data = resampled(sample, wanted, asked.rng(what), asked.query.alpha, range_)
    return PlugIn(data, asked.on, tuple(outcomes), asked.query.alpha, sample.levels)


def range_of(asked: Asked) -> tuple[float, float]:
    """Ends of the outcome's range: those of its domain, or what was seen."""
    domain = asked.causal.variables[asked.on].domain
    if isinstance(domain, Range):
        return domain.range
    assert asked.sample is not None
    seen = asked.sample.values(asked.on)
    low, high = float(seen.min()), float(seen.max())
    return (low, high) if high > low else (low, low + 1)


def can_plug_in(asked: Asked, term: Term, names: Names = ()) -> bool:
    """Whether an estimand can be evaluated cell by cell: all it reads has levels, but for the outcome's mean."""
    sample = asked.sample
    assert sample is not None
    needed = set(variables_of(term)) | set(names)
    if not sample.is_discrete(asked.on) and not is_linear_in(term, asked.on):
        return False
    return all(sample.is_discrete(name) for name in needed - {asked.on})
