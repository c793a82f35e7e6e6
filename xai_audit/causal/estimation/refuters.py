"""Refuters: tests that an estimate could fail, by rules that stand in the spec before the run (CAUSAL.md section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Amount, Answer
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.columns import is_number, number_of
from xai_audit.causal.estimation.linear_path import adjusted_slopes
from xai_audit.causal.estimation.robust import amount
from xai_audit.causal.sample import Array, Sample
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.separation import are_separated
from xai_audit.spec.causal import Refuter

Again = Callable[[Sample, str, str, Names], float]
"""The first amount again: from another sample, treatment and outcome by name, adjusting for more variables."""
Placebos = Callable[[Sample, Array], Array]
"""The first amount again for many treatments at once: (rows, draws) to (draws,)."""
KEPT = 0.8
"""Share of the sampling units in a subset."""
MOST_UNITS = 20_000_000
"""Units that a table of counts may be written out to."""
NOTE = "A pass is not proof: it says only that this test found nothing."
_TOGETHER = 8
"""Placebo columns that are held at a time."""
_RANDOM = "random common cause"


@dataclass(frozen=True, eq=False)
class Tested:
    """One refuter's outcome."""

    rule: Refuter
    what: str
    """What the estimate is."""
    estimate: float | None = None
    draws: Array | None = None
    amount: Amount | None = None
    """Of negative controls: the number with its interval."""
    reason: str = ""
    """Why it does not apply."""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """pass, fail, undecided (an interval across the limit) or not_applicable."""
        if self.estimate is None:
            return "not_applicable"
        if self.amount is None:
            return "pass" if _holds(self.rule, self.estimate) else "fail"
        inside = [_holds(self.rule, end) for end in (self.amount.low, self.amount.high)]
        across = self.rule.absolute and self.amount.low < 0 < self.amount.high
        if all(inside):
            return "pass" if not across or _holds(self.rule, 0.0) else "undecided"
        return "undecided" if any(inside) or _crosses(self.rule, self.amount) else "fail"

    def record(self, place: int) -> dict[str, Any]:
        """As JSON values."""
        made: dict[str, Any] = {
            "kind": self.rule.kind,
            "what": self.what,
            "rule": rule_text(self.rule),
            "verdict": self.verdict,
            "estimate": self.estimate,
            "draws": 0 if self.draws is None else len(self.draws),
            "note": self.reason or NOTE,
            **self.more,
        }
        if self.draws is not None:
            made["spread"] = [float(end) for end in np.quantile(self.draws, [0.025, 0.5, 0.975])]
            made["array"] = f"refuter:{place}"
        if self.amount is not None:
            made |= {"low": self.amount.low, "high": self.amount.high}
        return made


def rule_text(rule: Refuter) -> str:
    """The rule as a sentence."""
    limits = []
    if rule.at_most is not None:
        limits.append(f"at most {rule.at_most:g}")
    if rule.at_least is not None:
        limits.append(f"at least {rule.at_least:g}")
    if rule.between is not None:
        limits.append(f"between {rule.between[0]:g} and {rule.between[1]:g}")
    size = "the size of the number" if rule.absolute else "the number"
    return f"{size} is {' and '.join(limits)}"


def _holds(rule: Refuter, value: float) -> bool:
    size = abs(value) if rule.absolute else value
    low, high = rule.between or (-np.inf, np.inf)
    at_most = np.inf if rule.at_most is None else rule.at_most
    at_least = -np.inf if rule.at_least is None else rule.at_least
    return bool(low <= size <= high and at_least <= size <= at_most)


def _crosses(rule: Refuter, found: Amount) -> bool:
    """Whether some value of the interval holds though its ends do not."""
    return any(_holds(rule, value) for value in np.linspace(found.low, found.high, 101))


def refute(asked: Asked, answer: Answer, again: Again | None, placebos: Placebos | None) -> list[Tested]:
    """Every declared refuter on the first amount of an answer, in the order of the spec."""
    return [test for rule in asked.causal.checks.refuters for test in _one(asked, answer, again, placebos, rule)]


def _one(asked: Asked, answer: Answer, again: Again | None, placebos: Placebos | None, rule: Refuter) -> list[Tested]:
    sample = asked.sample
    assert sample is not None
    if rule.kind.startswith("negative_control"):
        return _negative_controls(asked, answer, sample, rule)
    what = _WHAT[rule.kind]
    if again is None or not asked.is_contrast:
        return [Tested(rule, what, reason="It needs a contrast that can be estimated again from other rows.")]
    if sample.is_law:
        return [Tested(rule, what, reason="The law is stated as exact: there are no units to draw again.")]
    try:
        units = as_units(sample)
        draws = _DRAWN[rule.kind](asked, units, again, placebos, rule)
    except (Refusal, ValueError) as refused:
        return [Tested(rule, what, reason=f"It does not apply: {refused}")]
    point = answer.amounts[0].estimate
    assert point is not None
    more = {"as_large": float(np.mean(np.abs(draws) >= abs(point)))} if rule.kind == "placebo_treatment" else {}
    if rule.kind != "placebo_treatment":
        draws = draws - point
    return [Tested(rule, what, float(draws.mean()), draws, more=more)]


_WHAT = {
    "placebo_treatment": "mean estimate for a treatment that was dealt out at random",
    "random_common_cause": "mean change of the estimate when a random variable is adjusted for too",
    "subset": f"mean change of the estimate on {KEPT:.0%} of the sampling units",
    "negative_control_outcome": "total effect on what the treatment cannot change",
    "negative_control_exposure": "total effect of what cannot change the outcome",
}


def as_units(sample: Sample) -> Sample:
    """A table of counts with one row a unit. Raises ValueError where weights are no counts, or are too many."""
    if np.all(sample.weights == 1):
        return sample
    counts = np.rint(sample.weights).astype(np.int64)
    if not np.allclose(sample.weights, counts) or counts.sum() > MOST_UNITS:
        raise ValueError("weights are not counts of units, or are too many to write out")
    of = np.repeat(np.arange(sample.n), counts)
    alone = sample.n_clusters == sample.n
    clusters = np.arange(len(of)) if alone else sample.clusters[of]
    return replace(sample.where(of), weights=np.ones(len(of)), clusters=clusters)


def _placebo(asked: Asked, sample: Sample, again: Again, placebos: Placebos | None, rule: Refuter) -> Array:
    """Effects of treatments dealt out at random: by sampling unit where all its rows have the same, else by row."""
    rng, x = asked.rng("placebo_treatment"), asked.treatments
    if placebos is not None and len(x) == 1:
        found = []
        for start in range(0, rule.draws, _TOGETHER):
            orders = [_dealt(sample, x, rng) for _ in range(min(_TOGETHER, rule.draws - start))]
            found.append(placebos(sample, np.column_stack([sample.values(x[0])[order] for order in orders])))
        return np.concatenate(found)
    draws = []
    for _draw in range(rule.draws):
        order = _dealt(sample, x, rng)
        columns = {**sample.columns, **{name: sample.columns[name][order] for name in x}}
        draws.append(again(replace(sample, columns=columns), x[0], asked.on, ()))
    return np.array(draws)


def _dealt(sample: Sample, x: Names, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whose treatment each row gets."""
    names, first, of_row = np.unique(sample.clusters, return_index=True, return_inverse=True)
    constant = all(np.array_equal(sample.columns[name][first][of_row], sample.columns[name]) for name in x)
    if len(names) == sample.n or not constant:
        return rng.permutation(sample.n)
    return np.asarray(first[rng.permutation(len(names))][of_row])


def _random_cause(asked: Asked, sample: Sample, again: Again, _: Placebos | None, rule: Refuter) -> Array:
    """Effects with a random variable adjusted for: two levels beside levels, a normal one beside ranges."""
    rng = asked.rng("random_common_cause")
    is_discrete = all(sample.is_discrete(name) for name in (*asked.treatments,))
    draws = []
    for _draw in range(rule.draws):
        column: NDArray[Any] = rng.integers(0, 2, sample.n) if is_discrete else rng.normal(size=sample.n)
        levels = {**sample.levels, _RANDOM: (0, 1)} if is_discrete else sample.levels
        changed = replace(sample, columns={**sample.columns, _RANDOM: column}, levels=levels)
        draws.append(again(changed, asked.treatments[0], asked.on, (_RANDOM,)))
    return np.array(draws)


def _subset(asked: Asked, sample: Sample, again: Again, _: Placebos | None, rule: Refuter) -> Array:
    """Effects on parts of the sampling units, drawn without putting back."""
    rng = asked.rng("subset")
    names, of_row = np.unique(sample.clusters, return_inverse=True)
    size = max(1, round(KEPT * len(names)))
    draws = []
    for _draw in range(rule.draws):
        kept = np.zeros(len(names), np.bool_)
        kept[rng.choice(len(names), size, replace=False)] = True
        draws.append(again(sample.where(kept[of_row]), asked.treatments[0], asked.on, ()))
    return np.array(draws)


_DRAWN: dict[str, Callable[[Asked, Sample, Again, Placebos | None, Refuter], Array]] = {
    "placebo_treatment": _placebo,
    "random_common_cause": _random_cause,
    "subset": _subset,
}


def _negative_controls(asked: Asked, answer: Answer, sample: Sample, rule: Refuter) -> list[Tested]:
    """The adjusted slope on, or of, each declared negative control: by the graph it is 0 when the set blocks enough."""
    what, is_outcome = _WHAT[rule.kind], rule.kind == "negative_control_outcome"
    controls = [name for name in _controls(asked) if name in sample.columns and name != asked.on]
    x, y = asked.treatments, asked.on
    if answer.set_used is None:
        return [Tested(rule, what, reason="It needs an answer by adjustment.")]
    fitting = [
        name
        for name in controls
        if name not in (*x, *answer.set_used) and _is_zero(asked.graph, name, x, y, answer.set_used, is_outcome)
    ]
    if not fitting:
        return [Tested(rule, what, reason="By the graph the number would be 0 for no declared negative control.")]
    return [_control(asked, answer.set_used, sample, rule, name) for name in fitting]


def _controls(asked: Asked) -> list[str]:
    roles = {name for name, one in asked.causal.variables.items() if one.role == "negative_control"}
    return sorted(roles | set(asked.causal.checks.negative_controls))


def _is_zero(graph: Graph, name: str, x: Names, y: str, given: Names, is_outcome: bool) -> bool:
    """Whether by the graph the number must be 0: the set separates treatment and control, or with the treatment control
    and outcome."""
    if is_outcome:
        return are_separated(graph, x, (name,), given)
    return are_separated(graph, (name,), (y,), (*x, *given))


def _control(asked: Asked, given: Names, sample: Sample, rule: Refuter, name: str) -> Tested:
    is_outcome = rule.kind == "negative_control_outcome"
    what = f"{_WHAT[rule.kind]}: {name}"
    if not all(is_number(sample, one) for one in (*asked.treatments, name, asked.on)):
        return Tested(rule, what, reason="It needs variables that are numbers.")
    try:
        if is_outcome:
            slopes = adjusted_slopes(sample, sample.values(name), asked.treatments, given)
            sides = [
                {k: number_of(sample, k, v) for k, v in side.items()} for side in (asked.reference, asked.alternative)
            ]
            found = slopes.change(*sides)
        else:
            slopes = adjusted_slopes(sample, sample.values(asked.on), (name,), (*asked.treatments, *given))
            found = slopes.of(name)
    except Refusal as refused:
        return Tested(rule, what, reason=f"It does not apply: {refused}")
    made = amount(sample, "negative_control", found, asked.query.alpha)
    return Tested(rule, what, made.estimate, amount=made, more={"control": name})
