"""How often intervals hold the truth, in simulated slices with fixed seeds.

A coverage of c over r runs has a binomial standard error sqrt(c (1 - c) / r); tolerances are four of these, plus what
the method itself is known to be off by at that size, stated with each test.
"""

import numpy as np
import pytest
from scipy.stats import norm
from slices_made import binary, measured

from xai_audit.measures.intervals import percentile, wilson
from xai_audit.measures.performance import accuracy, auroc
from xai_audit.measures.resampling import resampled_sums

RUNS = 300


def within(held, runs, known_error):
    """Coverage is 0.95 up to four standard errors and the method's own error."""
    return abs(held / runs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / runs) + known_error


@pytest.mark.parametrize(("n", "share"), [(30, 0.5), (30, 0.9), (100, 0.8), (400, 0.97)])
def test_wilson_covers_as_stated(n, share):
    """Wilson's coverage moves within 0.03 of nominal at these sizes (Brown, Cai, DasGupta 2001, figure 5)."""
    runs = 4000
    drawn = np.random.default_rng(0).binomial(n, share, size=runs)
    held = sum(ends.low <= share <= ends.high for ends in (wilson(int(k), n) for k in drawn))
    assert within(held, runs, 0.03)


def clustered_hits(rng, clusters, size, share, spread):
    """Shares that differ by cluster: beta with mean `share` and correlation `spread` between cases of a cluster."""
    strength = 1 / spread - 1
    of_cluster = rng.beta(share * strength, (1 - share) * strength, size=clusters)
    return (rng.random((clusters, size)) < of_cluster[:, None]).ravel()


def test_cluster_bootstrap_covers_and_ignoring_clusters_does_not():
    """60 clusters of 10, correlation 0.3. Percentile intervals of 60 units fall short by up to 0.02."""
    rng = np.random.default_rng(1)
    of_case = np.repeat(np.arange(60), 10)
    held = naive = 0
    for _ in range(RUNS):
        is_right = clustered_hits(rng, 60, 10, 0.8, 0.3)
        found = measured(accuracy, binary(is_right.astype(int), np.full(600, 0.9), of_case)).values[0]
        held += found.low <= 0.8 <= found.high
        alone = wilson(int(is_right.sum()), 600)
        naive += alone.low <= 0.8 <= alone.high
    assert within(held, RUNS, 0.02)
    assert naive / RUNS < 0.8


def test_bootstrap_of_a_mean_covers():
    """100 cases of an exponential: the percentile interval falls short by up to 0.025 because the mean is skewed."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(RUNS):
        cases = rng.exponential(size=(100, 1))
        draws = resampled_sums(cases, None, rng)[:, 0] / 100
        ends = percentile(draws, float(cases.mean()))
        held += ends.low <= 1.0 <= ends.high
    assert within(held, RUNS, 0.025)


def test_bootstrap_of_auroc_covers():
    """60 positives a unit above 60 negatives: the truth is Phi(1 / sqrt 2) = 0.760. Falls short by up to 0.02."""
    rng = np.random.default_rng(3)
    truth = norm.cdf(1 / np.sqrt(2))
    labels = np.repeat([0, 1], 60)
    held = 0
    for run in range(RUNS):
        positive = norm.cdf(rng.normal(size=120) + labels)
        value = measured(auroc, binary(labels, positive), seed=run).values[0]
        held += value.low <= truth <= value.high
    assert within(held, RUNS, 0.02)
