"""The answer to one causal query: numbers that cannot be without their interval, and everything beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.graphs.adjustment import AdjustmentSets
from xai_audit.graphs.graph import Names
from xai_audit.graphs.identify import Hedge
from xai_audit.measures.intervals import Interval, percentile, student, wilson

Outcome = Literal["identified", "bounded", "refused", "unsupported", "refuted", "no_estimator", "failed"]
Scope = Literal["world", "model", "mixed"]
Standing = Literal["exact", "draws", "analytic", "share", "bounds"]
Draws = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Amount:
    """One named number: made by `exact`, `drawn`, `analytic`, `share` or `bounded`, so that none is without its
    standing."""

    name: str
    """total, nde, nie, local, value, necessity, ...; what kind of effect it is."""
    standing: Standing
    estimate: float | None
    """None for bounds."""
    low: float
    high: float
    """The interval; for an exact number the number twice; for bounds what covers them."""
    label: str = ""
    """Level of the outcome, or of the group, where there are several of one name."""
    bounds: tuple[float, float] | None = None
    draws: Draws | None = None
    """(D,) of the number, or (2, D) of the ends of its bounds."""
    standard_error: float | None = None
    dof: int | None = None
    successes: int | None = None
    trials: int | None = None
    confidence: float = 0.95


def exact(name: str, value: float, label: str = "") -> Amount:
    """A number that is exact under a stated law or given mechanisms."""
    return Amount(name, "exact", float(value), float(value), float(value), label)


def drawn(name: str, value: float, draws: Draws, alpha: float, label: str = "") -> Amount:
    """An estimate with its bootstrap draws, (D,). Raises Refusal where they are too few for the confidence."""
    ends = _percentile(draws, float(value), alpha)
    return Amount(name, "draws", float(value), ends.low, ends.high, label, draws=draws, confidence=1 - alpha)


def _percentile(draws: Draws, value: float, alpha: float) -> Interval:
    """Raises Refusal where the draws are too few for the confidence."""
    ends = percentile(draws, value, 1 - alpha)
    if ends is None:
        found, least = f"{alpha:g}, with {len(draws):,} draws", f"at least {2 / (len(draws) + 1):.2g}"
        raise Refusal("alpha", found, least, "Ask for less confidence.")
    return ends


def analytic(name: str, value: float, standard_error: float, dof: int | None, alpha: float, label: str = "") -> Amount:
    """An estimate with its standard error; `dof` of Student's t, None for a normal."""
    ends = student(float(value), float(standard_error), dof, 1 - alpha)
    return Amount(
        name, "analytic", float(value), ends.low, ends.high, label, standard_error=float(standard_error), dof=dof,
        confidence=1 - alpha,
    )  # fmt: skip


def share(name: str, successes: int, trials: int, alpha: float) -> Amount:
    """A share of units that are their own clusters, with Wilson's interval."""
    ends = wilson(successes, trials, 1 - alpha)
    return Amount(
        name, "share", successes / trials, ends.low, ends.high, successes=successes, trials=trials,
        confidence=1 - alpha,
    )  # fmt: skip


def bounded(name: str, low: float, high: float, alpha: float, draws: Draws | None = None, label: str = "") -> Amount:
    """What the data leave open; `draws` (2, D) of both ends where the law is not exact: the interval then covers the
    whole set."""
    ends = float(low), float(high)
    if draws is None:
        return Amount(name, "bounds", None, *ends, label, bounds=ends, confidence=1 - alpha)
    below, above = (_percentile(one, end, alpha) for one, end in zip(draws, ends, strict=True))
    return Amount(
        name, "bounds", None, below.low, above.high, label, bounds=ends, draws=draws, confidence=1 - alpha
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answer:
    """What a query comes to (CAUSAL.md section 13). Only `identified` and `bounded` carry amounts."""

    outcome: Outcome
    amounts: tuple[Amount, ...] = ()
    """The first is the answer; the others are its parts."""
    estimator: str = ""
    """How it was computed, in a few words."""
    estimand_latex: str = ""
    estimand_text: str = ""
    pattern: str = ""
    """Named pattern that the estimand follows (backdoor, front-door, napkin, instrument ...); for the reader only."""
    adjustment_sets: AdjustmentSets | None = None
    set_used: Names | None = None
    alternatives: tuple[Alternative, ...] = ()
    """The same number by every valid set and every estimator; one forest plot."""
    hedge: Hedge | None = None
    assumptions: tuple[str, ...] = ()
    """Each as a sentence."""
    association: Amount | None = None
    """The raw contrast beside it; never an answer."""
    overlap: Mapping[str, Any] = field(default_factory=dict)
    refuters: tuple[Mapping[str, Any], ...] = ()
    sensitivity: Mapping[str, Any] = field(default_factory=dict)
    unit: Mapping[str, Any] = field(default_factory=dict)
    """Rung 3: facts, abducted noises and the other world of one unit."""
    items: tuple[Mapping[str, Any], ...] = ()
    """Recourse, image counterfactuals: what was found, each with changes, cost and whether it was verified."""
    n: int = 0
    n_clusters: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Why units were left out, and how many."""
    warnings: tuple[str, ...] = ()
    reason: str = ""
    """Of an answer without a number, or exactly 0 by the graph: why, as a sentence."""
    next_step: str = ""
    """What would make it answerable, or overturn it."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else the record keeps: JSON values."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What else the step keeps as arrays."""

    def __post_init__(self) -> None:
        carries = self.outcome in ("identified", "bounded")
        if carries != bool(self.amounts or self.items):
            raise ValueError(f"{self.outcome} {'without' if carries else 'with'} a number")
        if not carries and not self.reason:
            raise ValueError(f"{self.outcome} without a reason")


@dataclass(frozen=True, eq=False)
class Alternative:
    """The same number by another valid set or estimator."""

    by: str
    """The set in braces, or the estimator."""
    amount: Amount


def refused(reason: str, next_step: str = "", **parts: Any) -> Answer:
    """An answer without a number, with the reason."""
    return Answer("refused", reason=reason, next_step=next_step, **parts)
