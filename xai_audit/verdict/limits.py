"""A limit against an estimate and its interval.

| limit | bound | pass | fail | otherwise |
|---|---|---|---|---|
| at_least L | lower (default) | low >= L | high < L | straddles |
| at_least L | upper, the lenient end | high >= L | high < L | |
| at_most L | upper (default) | high <= L | low > L | straddles |
| at_most L | lower, the lenient end | low <= L | low > L | |
| between A, B | both (default) | A <= low and high <= B | high < A or low > B | straddles |
| any | estimate | the estimate meets the limit | it does not | |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import Interval, bootstrap_p, score_p, t_p
from xai_audit.spec.schema import Criterion
from xai_audit.verdict.findings import Bound, LimitKind

Comparison = Literal["met", "not_met", "straddles"]


@dataclass(frozen=True)
class Limit:
    """A limit as numbers: open ends are infinite."""

    kind: LimitKind
    bound: Bound
    floor: float
    ceiling: float

    @property
    def ends(self) -> tuple[float, ...]:
        """The numbers that the spec gives."""
        return tuple(end for end in (self.floor, self.ceiling) if np.isfinite(end))

    @property
    def is_strict(self) -> bool:
        """The end of the interval that is harder to meet must meet it."""
        return self.bound == {"at_least": "lower", "at_most": "upper", "between": "both"}[self.kind]


def limit_of(criterion: Criterion) -> Limit:
    """The limit of a criterion, its default bound filled in."""
    if criterion.at_least is not None:
        return Limit("at_least", criterion.bound or "lower", criterion.at_least, np.inf)
    if criterion.at_most is not None:
        return Limit("at_most", criterion.bound or "upper", -np.inf, criterion.at_most)
    assert criterion.between is not None
    return Limit("between", criterion.bound or "both", *criterion.between)


def compare(limit: Limit, estimate: float, interval: Interval | None) -> Comparison | None:
    """How a number stands to a limit, as in the table above; None where it needs an interval and there is none."""
    if limit.bound == "estimate":
        return "met" if limit.floor <= estimate <= limit.ceiling else "not_met"
    if interval is None:
        return None
    if interval.high < limit.floor or interval.low > limit.ceiling:
        return "not_met"
    if not limit.is_strict or (limit.floor <= interval.low and interval.high <= limit.ceiling):
        return "met"
    return "straddles"


def p_against(limit: Limit, value: Value, draws: NDArray[np.float64] | None) -> float | None:
    """One-sided p that the number meets the limit, for between the larger of two (Schuirmann 1987).

    None where the criterion does not ask for the strict end: it then claims nothing that could be wrong by chance.
    """
    if not limit.is_strict:
        return None
    above = 0.0 if limit.floor == -np.inf else _p(value, draws, limit.floor, "above")
    below = 0.0 if limit.ceiling == np.inf else _p(value, draws, limit.ceiling, "below")
    return max(above, below)


def _p(value: Value, draws: NDArray[np.float64] | None, limit: float, side: Literal["above", "below"]) -> float:
    if value.interval == "wilson":
        assert value.successes is not None and value.trials is not None
        return score_p(value.successes, value.trials, limit, side)
    if value.interval == "bootstrap":
        assert draws is not None
        return bootstrap_p(draws, limit, side)
    if value.interval == "analytic":
        assert value.estimate is not None and value.standard_error is not None
        return t_p(value.estimate, value.standard_error, value.dof, limit, side)
    if value.interval == "bounds" and draws is not None:
        return bootstrap_p(draws[0] if side == "above" else draws[1], limit, side)
    if value.interval in ("exact", "bounds"):
        assert value.low is not None and value.high is not None
        return 0.0 if (value.low >= limit if side == "above" else value.high <= limit) else 1.0
    return 1.0
