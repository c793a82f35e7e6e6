"""How strong an unmeasured cause would have to be: E-value and robustness value, in closed form (section 7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class EValue:
    """Least risk ratio by which an unmeasured cause must be tied to both sides (VanderWeele and Ding, 2017)."""

    point: float
    limit: float
    """Of the end of the interval nearer to 1; 1 where the interval holds 1."""


def e_value(risk_ratio: float) -> float:
    """RR + sqrt(RR (RR - 1)) for RR of 1 or more; a ratio below 1 is inverted first. ValueError at 0 and below."""
    if not (math.isfinite(risk_ratio) and risk_ratio > 0):
        raise ValueError("a risk ratio is a number above 0")
    ratio = max(risk_ratio, 1 / risk_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def e_values(risk_ratio: float, low: float, high: float) -> EValue:
    """The E-value of a risk ratio and of the end of its interval nearer to 1. ValueError outside the interval."""
    if not low <= risk_ratio <= high:
        raise ValueError("the interval must hold the risk ratio")
    nearer = 1.0 if low <= 1 <= high else low if low > 1 else high
    return EValue(e_value(risk_ratio), e_value(nearer))


@dataclass(frozen=True)
class Robustness:
    """How much of what is left of treatment and outcome a cause must explain (Cinelli and Hazlett, JRSS B 2020)."""

    partial_r2: float
    """Share of the outcome's residual variance that the treatment explains."""
    value: float
    """Share of both that an unmeasured cause must explain to bring the estimate to (1 - q) of itself."""
    value_at_alpha: float
    """The same to bring the interval to it."""


def robustness(estimate: float, standard_error: float, dof: int, q: float = 1.0, alpha: float = 0.05) -> Robustness:
    """F = q |t| / sqrt(dof); RV = (sqrt(f^4 + 4 f^2) - f^2) / 2; at alpha with f less t_crit / sqrt(dof - 1).

    Raises ValueError without a standard error, or below two degrees of freedom.
    """
    if standard_error <= 0 or dof < 2:
        raise ValueError("a standard error above 0 and two degrees of freedom or more are needed")
    t = abs(estimate / standard_error)
    f = q * t / math.sqrt(dof)
    critical = float(stats.t.ppf(1 - alpha / 2, dof - 1)) / math.sqrt(dof - 1)
    return Robustness(t**2 / (t**2 + dof), _value(f), _value(max(f - critical, 0.0)))


def _value(f: float) -> float:
    return (math.sqrt(f**4 + 4 * f**2) - f**2) / 2


@dataclass(frozen=True)
class Benchmark:
    """What would be left of an estimate beside a cause some times as strong as a covariate that is there."""

    times: float
    r2_treatment: float
    """Share of the treatment's residual variance that such a cause explains."""
    r2_outcome: float
    """Share of the outcome's; cut to 1, which `is_cut` says."""
    is_cut: bool
    estimate: float
    standard_error: float
    low: float
    high: float


def benchmark(
    fit: tuple[float, float, int], covariate: tuple[float, float], times: float, alpha: float = 0.05
) -> Benchmark | None:
    """The adjusted estimate beside a cause `times` as strong as a covariate (Cinelli and Hazlett 2020, section 4.4).

    `fit`: estimate, classical standard error, degrees of freedom. `covariate`: its partial R2 with the treatment, and
    with the outcome given the treatment. None where no cause can be that strong: it would explain all of the treatment.
    """
    estimate, error, dof = fit
    with_treatment, with_outcome = covariate
    r2_treatment = times * with_treatment / (1 - with_treatment)
    if r2_treatment >= 1 or times * with_treatment >= 1:
        return None
    shared = times * with_treatment**2 / ((1 - times * with_treatment) * (1 - with_treatment))
    raw = ((math.sqrt(times) + math.sqrt(shared)) / math.sqrt(max(1 - shared, 1e-12))) ** 2
    raw *= with_outcome / (1 - with_outcome)
    r2_outcome = min(raw, 1.0)
    bias = error * math.sqrt(dof) * math.sqrt(r2_outcome * r2_treatment / (1 - r2_treatment))
    left = math.copysign(1.0, estimate) * (abs(estimate) - bias)
    spread = error * math.sqrt((1 - r2_outcome) / (1 - r2_treatment)) * math.sqrt(dof / (dof - 1))
    half = float(stats.t.ppf(1 - alpha / 2, dof - 1)) * spread
    return Benchmark(times, r2_treatment, r2_outcome, raw > 1, left, spread, left - half, left + half)
