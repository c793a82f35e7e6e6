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
    """RR + sqrt(RR (RR - 1)) for RR of 1 or more; a ratio below 1 is inverted first."""
    if not (math.isfinite(risk_ratio) and risk_ratio > 0):
        raise ValueError("a risk ratio is a number above 0")
    ratio = max(risk_ratio, 1 / risk_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def e_values(risk_ratio: float, low: float, high: float) -> EValue:
    """The E-value of a risk ratio and of the end of its interval nearer to 1."""
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
    """F = q |t| / sqrt(dof); RV = (sqrt(f^4 + 4 f^2) - f^2) / 2; at alpha with f less t_crit / sqrt(dof - 1)."""
    if standard_error <= 0 or dof < 2:
        raise ValueError("a standard error above 0 and two degrees of freedom or more are needed")
    t = abs(estimate / standard_error)
    f = q * t / math.sqrt(dof)
    critical = float(stats.t.ppf(1 - alpha / 2, dof - 1)) / math.sqrt(dof - 1)
    return Robustness(t**2 / (t**2 + dof), _value(f), _value(max(f - critical, 0.0)))


def _value(f: float) -> float:
    return (math.sqrt(f**4 + 4 * f**2) - f**2) / 2
