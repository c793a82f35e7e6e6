"""Tests of independence against closed forms, second implementations, and data of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, fisher_exact, ncx2, norm, pearsonr, spearmanr

from xai_audit.causal.sample import Sample
from xai_audit.causal.testing import independence
from xai_audit.causal.testing.contingency import likelihood_ratio, pearson, tables
from xai_audit.causal.testing.quadratic import Untestable, noncentral_end


def sample(columns, levels=(), weights=None, clusters=None, is_law=False):
    n = len(next(iter(columns.values())))
    known = {name: tuple(range(int(max(columns[name])) + 1)) for name in levels}
    own = np.arange(n) if clusters is None else np.asarray(clusters)
    counts = np.ones(n) if weights is None else np.asarray(weights, float)
    return Sample({k: np.asarray(v) for k, v in columns.items()}, known, counts, own, is_law)


def counts_of(table):
    a, b = np.indices(np.shape(table)).reshape(2, -1)
    return sample({"a": a, "b": b}, ("a", "b"), np.asarray(table, float).reshape(-1))


RNG = np.random.default_rng(0)


def test_a_table_is_tested_as_by_scipy():
    table = np.array([[30, 20, 14], [10, 40, 25]])
    found = independence.tested(counts_of(table), "a", "b", (), RNG)
    G, p, dof, _ = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert (found.test, found.dof, found.n) == ("G test", dof, 139) and found.p == pytest.approx(p, abs=1e-12)
    assert float(likelihood_ratio(tables(counts_of(table), "a", "b", ()))) == pytest.approx(G, abs=1e-9)
    X = chi2_contingency(table, correction=False)[0]
    assert pearson(table[None].astype(float)) == pytest.approx(X, abs=1e-9)
    assert found.effect == pytest.approx(np.sqrt((X - 2) / 139), abs=1e-12)
    assert ncx2.sf(X, 2, 139 * found.low**2) == pytest.approx(0.025, abs=1e-6)
    assert ncx2.sf(X, 2, 139 * found.high**2) == pytest.approx(0.975, abs=1e-6)


def test_power_is_that_of_the_noncentral_law():
    found = independence.tested(counts_of([[60, 40], [50, 50]]), "a", "b", (), RNG)
    z = np.sqrt(200) * 0.2
    expected = norm.sf(norm.isf(0.025) - z) + norm.cdf(-norm.isf(0.025) - z)
    assert found.power(0.2, 0.05) == pytest.approx(expected, abs=1e-9)
    assert found.power(0.0, 0.05) == pytest.approx(0.05, abs=1e-9)


def test_strata_are_added():
    rng = np.random.default_rng(1)
    g = rng.integers(0, 3, 900)
    a, b = (rng.random(900) < 0.2 + 0.2 * g).astype(int), (rng.random(900) < 0.8 - 0.2 * g).astype(int)
    data = sample({"a": a, "b": b, "g": g}, "abg")
    found = independence.tested(data, "a", "b", ("g",), RNG)
    parts = [np.histogram2d(a[g == k], b[g == k], 2)[0] for k in range(3)]
    G = sum(chi2_contingency(part, correction=False, lambda_="log-likelihood")[0] for part in parts)
    assert found.dof == 3 and found.p == pytest.approx(chi2.sf(G, 3), abs=1e-12)
    assert independence.tested(data, "a", "b", (), RNG).p < 1e-4 < found.p


def test_small_tables_are_tested_exactly():
    table = [[7, 1], [2, 6]]
    found = independence.tested(counts_of(table), "a", "b", (), np.random.default_rng(0))
    assert found.test == "exact test"
    drawn = 4 * np.sqrt(0.04 * 0.96 / 4999)
    assert abs(found.p - fisher_exact(table)[1]) < drawn  # G and the probability order these tables alike


def test_counts_are_units_without_clusters():
    rows = np.repeat(np.arange(4), [30, 20, 15, 35])
    long = sample({"a": rows // 2, "b": rows % 2}, "ab")
    short = counts_of([[30, 20], [15, 35]])
    one, two = independence.tested(long, "a", "b", (), RNG), independence.tested(short, "a", "b", (), RNG)
    assert (one.p, one.effect, one.low, one.high, one.n) == pytest.approx((two.p, two.effect, two.low, two.high, two.n))


def test_an_exact_law_has_no_p():
    law = np.outer([0.3, 0.7], [0.6, 0.4])
    even = Sample(counts_of(law).columns, counts_of(law).levels, law.reshape(-1), np.arange(4), True)
    found = independence.tested(even, "a", "b", (), RNG)
    assert found.p is None and found.effect < 1e-12
    tilted = law + 1e-4 * np.array([[1, -1], [-1, 1]])
    odd = Sample(even.columns, even.levels, tilted.reshape(-1), np.arange(4), True)
    assert independence.tested(odd, "a", "b", (), RNG).effect == pytest.approx(
        1e-4 / np.sqrt(0.3 * 0.7 * 0.6 * 0.4), rel=1e-6
    )


def test_numbers_are_correlated_as_by_scipy():
    rng = np.random.default_rng(2)
    a = rng.normal(size=60)
    b = 0.4 * a + rng.normal(size=60)
    found = independence.tested(sample({"a": a, "b": b}), "a", "b", (), RNG)
    r, _ = pearsonr(a, b)
    ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * norm.isf(0.025) / np.sqrt(57))
    assert found.effect == pytest.approx(r, abs=1e-12) and (found.low, found.high) == pytest.approx(
        tuple(ends), abs=0.01
    )
    assert found.rank == pytest.approx(spearmanr(a, b)[0], abs=1e-12)


def test_a_partial_correlation_is_that_of_residuals():
    rng = np.random.default_rng(3)
    z = rng.normal(size=400)
    a, b = z + z**2 + rng.normal(size=400), z - z**2 + rng.normal(size=400)
    found = independence.tested(sample({"a": a, "b": b, "z": z}), "a", "b", ("z",), RNG)
    X = np.stack([np.ones(400), z, z**2], axis=1)
    left = [v - X @ np.linalg.solve(X.T @ X, X.T @ v) for v in (a, b)]
    assert found.effect == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-9)
    assert found.p > 0.05 and independence.tested(sample({"a": a, "b": b}), "a", "b", (), RNG).p < 1e-6


def test_equal_clusters_count_once():
    """Each unit written five times, as one cluster: the test is that of the units written once."""
    rng = np.random.default_rng(4)
    a = rng.integers(0, 2, 400)
    b = (rng.random(400) < 0.3 + 0.2 * a).astype(int)
    once = independence.tested(sample({"a": a, "b": b}, "ab"), "a", "b", (), RNG)
    times = {"a": np.repeat(a, 5), "b": np.repeat(b, 5)}
    five = independence.tested(sample(times, "ab", clusters=np.repeat(np.arange(400), 5)), "a", "b", (), RNG)
    naive = independence.tested(sample(times, "ab"), "a", "b", (), RNG)
    assert five.p == pytest.approx(once.p, rel=0.3) and naive.p < once.p / 1000
    assert five.effect == pytest.approx(once.effect, rel=0.1) and five.high == pytest.approx(once.high, rel=0.05)
    assert five.power(0.1, 0.05) == pytest.approx(once.power(0.1, 0.05), abs=0.01)


def test_equal_clusters_count_once_for_numbers():
    rng = np.random.default_rng(5)
    a = rng.normal(size=300)
    b = 0.1 * a + rng.normal(size=300)
    once = independence.tested(sample({"a": a, "b": b}), "a", "b", (), RNG)
    times = {"a": np.repeat(a, 4), "b": np.repeat(b, 4)}
    four = independence.tested(sample(times, clusters=np.repeat(np.arange(300), 4)), "a", "b", (), RNG)
    assert four.effect == pytest.approx(once.effect, abs=1e-9)
    assert four.high - four.low == pytest.approx(once.high - once.low, rel=0.1)


def draws(kind, seed, effect):
    """Data in which a and b are tied by `effect` beyond what z explains; clusters of five for `clustered`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=300)
    e = rng.normal(size=300)
    if kind == "clustered":
        own = np.repeat(np.arange(60), 5)
        u, v = rng.normal(size=(2, 60))
        return sample({"a": u[own] + e, "b": v[own] + effect * e + rng.normal(size=300), "z": z}, clusters=own)
    a = z + e
    b = z**2 + effect * e + rng.normal(size=300)
    if kind == "numbers":
        return sample({"a": a, "b": b, "z": z})
    levels = (a > 0).astype(int)
    if kind == "mixed":
        return sample({"a": levels, "b": b, "z": z}, "a")
    return sample({"a": levels, "b": (b > 1).astype(int), "z": np.digitize(z, [-1, 0, 1])}, "abz")


@pytest.mark.parametrize("kind", ["numbers", "mixed", "clustered"])
def test_true_claims_are_rejected_no_more_than_the_level(kind):
    given = () if kind == "clustered" else ("z",)
    rejected = sum(independence.tested(draws(kind, seed, 0.0), "a", "b", given, RNG).p <= 0.05 for seed in range(200))
    assert rejected <= 10 + 4 * np.sqrt(200 * 0.05 * 0.95)


@pytest.mark.parametrize("kind", ["numbers", "mixed", "levels", "clustered"])
def test_false_claims_are_rejected(kind):
    given = () if kind == "clustered" else ("z",)
    assert all(independence.tested(draws(kind, seed, 1.0), "a", "b", given, RNG).p < 0.01 for seed in range(10))


def test_what_cannot_be_tested_says_why():
    flat = sample({"a": np.zeros(9, int), "b": np.arange(9) % 2}, "b")
    with pytest.raises(Untestable, match="a takes one value only"):
        independence.tested(flat, "a", "b", (), RNG)
    same = np.random.default_rng(0).normal(size=50)
    with pytest.raises(Untestable, match="settles one of the two"):
        independence.tested(sample({"a": same, "b": same[::-1], "z": same}), "a", "b", ("z",), RNG)


def test_the_large_noncentral_law_joins_the_small():
    at = [noncentral_end(value, 3, 0.025) for value in (9_999.0, 10_001.0)]
    assert at[1] == pytest.approx(at[0], rel=1e-3)
