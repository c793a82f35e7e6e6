"""What a check of explanations comes to on a slice: its mean over cases, and how it compares with each control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import StepError
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums

BEATS = "beats_control"
UNDEFINED_ALLOWED = 0.5
"""Share of cases in which a number may not exist before the slice's mean does not either."""

Numbers = NDArray[np.float64]
"""(cases,), NaN where a case has none."""


@dataclass(frozen=True, eq=False)
class Check:
    """One measure of one method (or control) on the cases of a slice."""

    name: str
    unit: str
    higher_is_better: bool
    numbers: Numbers
    others: Mapping[str, Numbers] = field(default_factory=dict)
    """Further numbers a case, by `name` or `name|label`."""
    compared: str = ""
    """Which of `others` is held against the controls; empty: the numbers themselves."""
    why: Sequence[str] = ()
    """(cases,): why a case has no number; empty where it has one."""


def summary(
    check: Check, controls: Mapping[str, Check], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> Measured:
    """Means over the cases that have a number, with bootstrap intervals; paired differences with each control.

    `beats_control`, labelled by the control, is positive where the method is better. The mean does not exist where more
    than half of the cases have no number. Raises StepError where shapes differ.
    """
    _check_shapes(check, controls, clusters)
    wanted = [_Wanted(check.name, check.numbers, check.unit, _reason(check))]
    wanted += [_Wanted(name, numbers, check.unit, _no_mean(numbers)) for name, numbers in check.others.items()]
    for label, control in controls.items():
        sign = 1.0 if check.higher_is_better else -1.0
        difference = sign * (_compared(check) - _compared(control))
        wanted.append(_Wanted(f"{BEATS}|{label}", difference, "value", _no_mean(difference)))
    missing = np.isnan(check.numbers)
    tally = Estimate("undefined_cases", float(missing.sum()), len(missing), "cases")
    return gather([*_means(wanted, clusters, rng), tally], _details(check), clusters)


def means(
    named: Mapping[str, Numbers], unit: str, clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> Measured:
    """Mean of each of several numbers a case, by `name` or `name|label`, with bootstrap intervals."""
    wanted = [_Wanted(name, numbers, unit, _no_mean(numbers)) for name, numbers in named.items()]
    return gather(_means(wanted, clusters, rng), {}, clusters)


def flags(measured: Measured, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Each control with the paired difference and its state: beaten, not_beaten, or untested where there is none.

    Not beaten: the interval includes 0 or lies below (METHODS 6).
    """
    found = {value.label: value for value in measured.values if value.name == BEATS}
    states: dict[str, dict[str, Any]] = {}
    for label in labels:
        value = found.get(label)
        if value is None or value.estimate is None:
            states[label] = {"state": "untested", "reason": "" if value is None else value.reason}
            continue
        is_beaten = value.low is not None and value.low > 0
        states[label] = {
            "state": "beaten" if is_beaten else "not_beaten",
            "estimate": value.estimate,
            "low": value.low,
            "high": value.high,
            "reason": value.reason,
        }
    return states


def mean_curve(curves: NDArray[np.float64], numbers: Numbers) -> NDArray[np.float64]:
    """Mean over the cases that have a number, and one at the point, (points,); empty where a point has none."""
    used = curves[~np.isnan(numbers)]
    counts = (~np.isnan(used)).sum(axis=0)
    return np.nansum(used, axis=0) / counts if len(used) and counts.all() else np.empty(0)


def _compared(check: Check) -> Numbers:
    return check.others[check.compared] if check.compared else check.numbers


def _reason(check: Check) -> str:
    """Why there is no mean; empty where there is one."""
    missing = np.isnan(check.numbers)
    if not len(missing):
        return "No checked case lies in this slice."
    if missing.mean() <= UNDEFINED_ALLOWED:
        return ""
    return f"{int(missing.sum())} of {len(missing)} cases have no number: {'; '.join(_counts(check))}."


def _no_mean(numbers: Numbers) -> str:
    missing = np.isnan(numbers)
    if not len(missing):
        return "No checked case lies in this slice."
    return "" if missing.mean() <= UNDEFINED_ALLOWED else "More than half of the cases have no such number."


def _counts(check: Check) -> list[str]:
    told = list(check.why)
    return [f"{told.count(why)} {why}" for why in dict.fromkeys(told) if why]


def _details(check: Check) -> dict[str, Any]:
    missing = np.isnan(check.numbers)
    left_out = _counts(check)
    warnings = [f"Left out: {'; '.join(left_out)}."] if left_out else []
    return {"cases": len(missing), "used": int((~missing).sum()), "left_out": left_out, "warnings": warnings}


def _check_shapes(check: Check, controls: Mapping[str, Check], clusters: NDArray[np.int64] | None) -> None:
    shapes = {check.numbers.shape, *(numbers.shape for numbers in check.others.values())}
    shapes |= {control.numbers.shape for control in controls.values()}
    if clusters is not None:
        shapes.add(clusters.shape)
    if len(shapes) != 1:
        raise StepError(
            check.name, f"numbers of shapes {sorted(shapes)}", "one number a case", "Report this as a fault."
        )


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A mean that is wanted."""

    name: str
    """`name` or `name|label`."""
    numbers: Numbers
    unit: str
    undefined_because: str
    """Why there is none; empty where there is one."""


def _means(wanted: Sequence[_Wanted], clusters: NDArray[np.int64] | None, rng: np.random.Generator) -> list[Estimate]:
    """Means over the cases that have a number; the same resamples for all, drawn once."""
    used = [~np.isnan(entry.numbers) for entry in wanted]
    drawn: dict[int, NDArray[np.float64]] = {}
    defined = [place for place, entry in enumerate(wanted) if not entry.undefined_because]
    if defined:
        sums = [np.where(used[place], wanted[place].numbers, 0.0) for place in defined]
        counts = [used[place].astype(np.float64) for place in defined]
        resampled = resampled_sums(np.stack([*sums, *counts], axis=1), clusters, rng)
        totals, numbers = np.split(resampled, 2, axis=1)
        quotients = np.divide(totals, numbers, out=np.full_like(totals, np.nan), where=numbers > 0)
        drawn = {place: quotients[:, column] for column, place in enumerate(defined)}
    return [_estimate(entry, used[place], drawn.get(place), clusters) for place, entry in enumerate(wanted)]


def _estimate(
    entry: _Wanted,
    used: NDArray[np.bool_],
    draws: NDArray[np.float64] | None,
    clusters: NDArray[np.int64] | None,
) -> Estimate:
    name, _, label = entry.name.partition("|")
    n = int(used.sum())
    if draws is None:
        return Estimate(name, np.nan, n, entry.unit, label, undefined_because=entry.undefined_because)
    number = float(entry.numbers[used].mean())
    return Estimate(name, number, n, entry.unit, label, draws=draws, independent=clusters_with(clusters, used))
