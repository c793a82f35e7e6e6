"""The test of one independence on data (CAUSAL.md section 8.1).

Every test is of one family: U, the sums of products of two sets of residuals, is zero on average where the independence
holds. Residuals are deviations from the mean of a stratum where all variables have levels (the statistic is then
Pearson's chi-squared), and from a least-squares fit elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing.contingency import of_levels
from xai_audit.causal.testing.quadratic import Tested, Untestable
from xai_audit.causal.testing.residual_tests import of_mixed, of_numbers


def tested(
    sample: Sample, a: str, b: str, given: Sequence[str], rng: np.random.Generator, alpha: float = 0.05
) -> Tested:
    """The test of a and b being independent given some variables; which one depends on their kinds.

    Raises Untestable where a variable takes one value only, or too few rows are left.
    """
    for name in (a, b):
        if len(np.unique(sample.columns[name][sample.weights > 0])) < 2:
            raise Untestable(f"{name} takes one value only in these data")
    if all(map(sample.is_discrete, (a, b, *given))):
        return of_levels(sample, a, b, given, rng, alpha)
    if sample.is_law:
        raise Untestable("an exact law needs variables with levels")
    if not sample.is_discrete(a) and not sample.is_discrete(b):
        return of_numbers(sample, a, b, given, alpha)
    return of_mixed(sample, a, b, given, alpha)
