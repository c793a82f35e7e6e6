"""Two-stage least squares with one instrument, and the interval that stays right when the instrument is weak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from xai_audit.causal.estimation.columns import columns_of
from xai_audit.causal.estimation.robust import Estimate, covariance, degrees_of_freedom, least_squares
from xai_audit.causal.sample import Array, Sample

WEAK = 10.0
"""First-stage F below which the usual interval is too narrow (Staiger and Stock, Econometrica 1997)."""


@dataclass(frozen=True, eq=False)
class TwoStage:
    """The slope of the outcome on the treatment by one instrument."""

    instrument: str
    given: Sequence[str]
    slope: Estimate
    reduced: Estimate
    """Slope of the outcome on the instrument."""
    first: Estimate
    """Slope of the treatment on the instrument."""
    F: float
    """Of the first stage."""
    sample: Sample

    @property
    def is_weak(self) -> bool:
        """Whether the first stage is too weak for the usual interval."""
        return self.F < WEAK

    def robust_set(self, alpha: float) -> RobustSet:
        """Slopes that the Anderson-Rubin test does not reject (Annals of Mathematical Statistics 1949).

        b is kept where (r - b f)^2 <= c^2 var(r - b f), r and f being the slopes of outcome and treatment on the
        instrument: a quadratic in b, whose set is an interval, all but an interval, or everything.
        """
        (rr, rf), (_, ff) = covariance(self.sample, [self.reduced, self.first]).tolist()
        r, f = self.reduced.value, self.first.value
        critical = float(stats.t.ppf(1 - alpha / 2, degrees_of_freedom(self.sample, self.first.parameters))) ** 2
        A, B, C = f**2 - critical * ff, r * f - critical * rf, r**2 - critical * rr
        inside = B**2 - A * C
        if A <= 0:
            return RobustSet(None, None)
        low, high = (B - math.sqrt(max(inside, 0.0))) / A, (B + math.sqrt(max(inside, 0.0))) / A
        return RobustSet(low, high)


@dataclass(frozen=True)
class RobustSet:
    """An interval; both ends None where it has no end."""

    low: float | None
    high: float | None


def two_stage(sample: Sample, y: Array, treatment: str, instrument: str, given: Sequence[str]) -> TwoStage:
    """The ratio of the slopes of outcome and treatment on the instrument, other variables being held."""
    columns = columns_of(sample, [instrument, *given], (instrument,))
    where = f"the regression on {', '.join([instrument, *given])}"
    reduced = least_squares(sample, y, columns.names, columns.X, where).estimate(instrument)
    first = least_squares(sample, sample.values(treatment), columns.names, columns.X, where).estimate(instrument)
    spread = float(covariance(sample, [first])[0, 0])
    F = math.inf if spread == 0 else first.value**2 / spread
    return TwoStage(instrument, tuple(given), reduced / first, reduced, first, F, sample)
