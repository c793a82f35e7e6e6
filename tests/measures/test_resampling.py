import numpy as np
import pytest

from xai_audit.measures.resampling import clusters_with, codes, multiplicities, resampled_sums


def copied(contributions, clusters, chosen):
    """The plain way: the cases of the chosen clusters, copied and added up."""
    return np.concatenate([contributions[clusters == cluster] for cluster in chosen]).sum(axis=0)


def test_sums_over_clusters_equal_copying_the_cases():
    rng = np.random.default_rng(0)
    contributions, clusters = rng.normal(size=(60, 2)), rng.integers(0, 9, size=60)
    found = resampled_sums(contributions, clusters, np.random.default_rng(1), resamples=50)
    again = np.random.default_rng(1).integers(0, 9, size=(50, 9), dtype=np.int32)
    plain = [copied(contributions, clusters, chosen) for chosen in again]
    np.testing.assert_allclose(found, plain, atol=1e-12)


def test_every_resample_draws_as_many_clusters_as_there_are():
    chunks = np.concatenate(list(multiplicities(700_000, np.random.default_rng(0), 3)))
    assert chunks.shape == (3, 700_000)
    assert (chunks.sum(axis=1) == 700_000).all()


@pytest.mark.parametrize("clusters", [None, np.repeat(np.arange(400), 5)])
def test_counts_by_kind_have_the_moments_of_resampling(clusters):
    """Whole numbers take the short way. Mean n p, variance G s^2 over clusters; 20,000 draws: 5 standard errors."""
    rng = np.random.default_rng(3)
    hits = (rng.random((2000, 1)) < 0.3).astype(np.int8)
    totals = hits[:, 0].astype(float) if clusters is None else np.bincount(clusters, hits[:, 0])
    drawn = resampled_sums(hits, clusters, rng, resamples=20_000)[:, 0]
    variance = len(totals) * totals.var()
    assert drawn.mean() == pytest.approx(hits.sum(), abs=5 * np.sqrt(variance / 20_000))
    assert drawn.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / 20_000))
    assert (drawn == drawn.round()).all()


def test_short_and_long_way_have_the_same_distribution():
    """Quantiles of the two ways differ by less than 5 standard errors, about 5 sqrt(q (1 - q) / 20,000) / density."""
    rng = np.random.default_rng(4)
    hits = (rng.random((500, 1)) < 0.2).astype(np.int8)
    short = resampled_sums(hits, None, rng, resamples=20_000)[:, 0]
    long = resampled_sums(hits.astype(np.float64), None, rng, resamples=20_000)[:, 0]
    spread = np.sqrt(500 * 0.2 * 0.8)
    for q, height in ((0.025, 0.0584), (0.5, 0.3989), (0.975, 0.0584)):  # normal density at the quantile
        error = spread * np.sqrt(2 * q * (1 - q) / 20_000) / height
        assert abs(np.quantile(short, q) - np.quantile(long, q)) < 5 * error + 1


def test_same_generator_gives_the_same_draws():
    contributions = np.random.default_rng(0).normal(size=(50, 2))
    runs = [resampled_sums(contributions, None, np.random.default_rng(5)) for _ in range(2)]
    assert (runs[0] == runs[1]).all()


def test_cluster_codes_need_not_be_in_order():
    clusters = np.array([7, 2, 7, 9])
    assert codes(clusters, 4).tolist() == [1, 0, 1, 2]
    assert codes(None, 3).tolist() == [0, 1, 2]
    assert clusters_with(clusters, np.array([True, False, True, True])) == 2
    assert clusters_with(None, np.array([True, False, True, True])) == 3
