"""What a measure takes and gives, and how an estimate becomes a Value with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import CONFIDENCE, LEAST_CLUSTERS, RESAMPLES, few_clusters, percentile, wilson

UNDEFINED_DRAWS_ALLOWED = 0.05
"""Share of resamples in which a number may not exist before its interval does not either."""
SAME_NUMBER = "No interval: every resample gave the same number."
_SAME = 1e-12


@dataclass(frozen=True)
class Options:
    """What a spec may say of a measure."""

    positive: str | None = None
    threshold: float | None = None
    bins: int | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that one measure found on one slice."""

    values: tuple[Value, ...]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Bootstrap draws by the name in Value.draws."""
    details: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Columns with one entry a case."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number before it has an interval."""

    name: str
    number: float
    """NaN where it does not exist; it leaves this module as an undefined Value."""
    n: int
    """Cases on which it rests."""
    unit: str
    label: str = ""
    undefined_because: str = ""
    successes: int | None = None
    """With `trials`: a plain share of independent cases, whose interval is Wilson's."""
    trials: int | None = None
    draws: NDArray[np.float64] | None = None
    """(resamples,), NaN in a resample where the number does not exist."""
    independent: int = 0
    """Clusters on which it rests, where it comes from draws."""


def gather(
    estimates: Sequence[Estimate],
    details: dict[str, Any],
    clusters: NDArray[np.integer] | None,
    rows: dict[str, NDArray[Any]] | None = None,
) -> Measured:
    """The estimates with their intervals; draws, what was lost in resampling, and warnings beside them."""
    values: list[Value] = []
    arrays: dict[str, NDArray[Any]] = {}
    lost: dict[str, int] = {}
    warnings: list[str] = list(details.get("warnings", []))
    for estimate in estimates:
        value, draws = _with_interval(estimate)
        values.append(value)
        if value.draws is not None:
            arrays[value.draws] = draws
        if estimate.draws is not None and len(draws) < len(estimate.draws):
            lost[_key(estimate)] = len(estimate.draws) - len(draws)
    found: dict[str, Any] = {"confidence": CONFIDENCE}
    if any(estimate.draws is not None for estimate in estimates):
        found["resamples"] = RESAMPLES
        found["undefined_draws"] = lost
    if clusters is not None:
        found["clusters"] = count = len(np.unique(clusters))
        warnings += few_clusters(count)
    return Measured(tuple(values), arrays, {**details, **found, "warnings": warnings}, rows or {})


def _key(estimate: Estimate) -> str:
    return f"{estimate.name}:{estimate.label}" if estimate.label else estimate.name


def _with_interval(estimate: Estimate) -> tuple[Value, NDArray[np.float64]]:
    nothing = np.empty(0)
    if np.isnan(estimate.number):
        return _value(estimate, status="undefined", reason=estimate.undefined_because), nothing
    if estimate.successes is not None and estimate.trials is not None:
        return _wilson_value(estimate, estimate.successes, estimate.trials), nothing
    if estimate.draws is None:
        return _value(estimate), nothing
    draws = estimate.draws[~np.isnan(estimate.draws)]
    return _from_draws(estimate, draws), draws


def _from_draws(estimate: Estimate, draws: NDArray[np.float64]) -> Value:
    lost = len(estimate.draws) - len(draws) if estimate.draws is not None else 0
    if lost > UNDEFINED_DRAWS_ALLOWED * (len(draws) + lost):
        return _value(
            estimate, reason=f"No interval: the number does not exist in {lost} of {len(draws) + lost} resamples."
        )
    if np.ptp(draws) <= _SAME * max(1.0, abs(estimate.number)):
        return _collapsed(estimate)
    if estimate.independent < LEAST_CLUSTERS:
        return _value(
            estimate, reason=f"No interval: {estimate.independent} independent units are too few to resample."
        )
    interval = percentile(draws, estimate.number)
    if interval is None:
        return _value(estimate, reason=f"No interval: {len(draws)} resamples are too few.")
    return _value(estimate, low=interval.low, high=interval.high, interval="bootstrap", draws=f"draws:{_key(estimate)}")


def _collapsed(estimate: Estimate) -> Value:
    """Every resample gave the same number: its width of zero says nothing about the next case.

    A share of exactly 0 or 1 is then taken as none or all of as many trials as there are independent clusters.
    """
    if (
        estimate.unit == "share"
        and min(abs(estimate.number), abs(estimate.number - 1)) <= _SAME
        and estimate.independent
    ):
        return _wilson_value(estimate, estimate.independent * round(estimate.number), estimate.independent)
    return _value(estimate, reason=SAME_NUMBER)


def _wilson_value(estimate: Estimate, successes: int, trials: int) -> Value:
    ends = wilson(successes, trials)
    number = {"estimate": successes / trials, "low": ends.low, "high": ends.high}
    return _value(estimate, **number, interval="wilson", successes=successes, trials=trials)


def _value(estimate: Estimate, /, **parts: Any) -> Value:
    """A Value with the estimate's name, label, count and unit; `parts` are the rest."""
    number = None if np.isnan(estimate.number) else float(estimate.number)
    whole: dict[str, Any] = {"estimate": number, "low": None, "high": None, **parts}
    return Value(estimate.name, n=estimate.n, unit=estimate.unit, label=estimate.label, confidence=CONFIDENCE, **whole)
