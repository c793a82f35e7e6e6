"""Laws of causes of the image, bands over a curve, means by cluster, and distances from the slice: by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xai_audit.causal.asked import Asked
from xai_audit.causal.bands import simultaneous_band
from xai_audit.causal.child_laws import child_law
from xai_audit.causal.off_manifold import distances, statistics
from xai_audit.causal.paired import cluster_means, resampled_mean
from xai_audit.causal.sample import Sample
from xai_audit.graphs.graph import Graph
from xai_audit.spec.causal import Causal

RNG = np.random.default_rng(5)


def asked_of(edges, columns, levels, weights=None):
    names = sorted(columns)
    variables = {
        name: {"role": "context", "domain": {"levels": list(levels[name])} if name in levels else {"range": [-9, 9]},
               "source": {"column": name}}
        for name in names
    }  # fmt: skip
    query = {"id": "q", "ask": "ate", "do": {"x": [0, 1]}, "on": "m"}
    causal = Causal.model_validate_json(
        json.dumps({"variables": variables, "edges": [" ".join(e) for e in edges], "queries": [query]})
    )
    directed = [(a, b) for a, way, b in edges if way == "->"]
    both = [(a, b) for a, way, b in edges if way == "<->"]
    graph = Graph.of(names, directed, both)
    n = len(columns[names[0]])
    sample = Sample(columns, levels, np.ones(n) if weights is None else weights, np.arange(n))
    return Asked(causal, causal.queries[0], graph, graph, sample, 1, {})


def test_a_direct_child_has_the_law_of_its_cell():
    z, x = RNG.integers(0, 2, 400), RNG.integers(0, 2, 400)
    m = (RNG.random(400) < 0.2 + 0.4 * x + 0.3 * z).astype(np.int64)
    asked = asked_of([("x", "->", "m"), ("z", "->", "m")], {"x": x, "z": z, "m": m}, dict.fromkeys("xzm", (0, 1)))
    law = child_law(asked, "x", "m", (0, 1))
    low, high = law.under(asked.sample.weights)
    for cell in (0, 1):
        rows = z == cell
        assert low[rows, 1] == pytest.approx(m[rows & (x == 0)].mean())
        assert high[rows, 1] == pytest.approx(m[rows & (x == 1)].mean())
    heavy = np.where((x == 1) & (m == 1), 3.0, 1.0)
    assert law.under(heavy)[1][z == 0, 1] == pytest.approx(
        np.average(m[(x == 1) & (z == 0)], weights=heavy[(x == 1) & (z == 0)])
    )


def test_a_child_with_a_range_is_stood_for_by_quantiles_of_equal_weight():
    x = np.repeat([0, 1], 500)
    m = RNG.normal(0, 1, 1000) + 2 * x
    law = child_law(asked_of([("x", "->", "m")], {"x": x, "m": m}, {"x": (0, 1)}), "x", "m", (0, 1))
    low, high = law.under(np.ones(1000))
    assert low[0] == pytest.approx([0.2] * 5 + [0] * 5, abs=2e-3)
    assert high[0] == pytest.approx([0] * 5 + [0.2] * 5, abs=2e-3)
    assert law.values[0][:5] == pytest.approx(np.quantile(m[:500], [0.1, 0.3, 0.5, 0.7, 0.9]), abs=0.02)


def test_an_indirect_child_has_the_identified_law_and_a_confounded_one_none():
    u, x = RNG.integers(0, 2, 3000), RNG.integers(0, 2, 3000)
    x = np.where(RNG.random(3000) < 0.7, u, x)
    a = np.where(RNG.random(3000) < 0.8, x, 1 - x)
    m = np.where(RNG.random(3000) < 0.6, a, u)
    levels = dict.fromkeys("uxam", (0, 1))
    edges = [("u", "->", "x"), ("u", "->", "m"), ("x", "->", "a"), ("a", "->", "m")]
    law = child_law(asked_of(edges, {"u": u, "x": x, "a": a, "m": m}, levels), "x", "m", (0, 1))
    low, high = law.under(np.ones(3000))
    wanted = [sum(np.mean(u == v) * m[(x == s) & (u == v)].mean() for v in (0, 1)) for s in (0, 1)]
    assert (low[0, 1], high[0, 1]) == (pytest.approx(wanted[0], abs=0.03), pytest.approx(wanted[1], abs=0.03))
    bow = [("x", "->", "m"), ("x", "<->", "m")]
    assert "cannot be told" in child_law(asked_of(bow, {"x": x, "m": m}, {"x": (0, 1), "m": (0, 1)}), "x", "m", (0, 1))


def test_an_empty_cell_is_no_law():
    x, z = np.array([0, 0, 1, 1, 0]), np.array([0, 0, 0, 0, 1])
    asked = asked_of([("x", "->", "m"), ("z", "->", "m")], {"x": x, "z": z, "m": x}, dict.fromkeys("xzm", (0, 1)))
    assert child_law(asked, "x", "m", (0, 1)) == "no case shows m where x is 1 and z is 1"


def test_a_band_holds_the_whole_curve_as_often_as_it_says():
    inside = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        errors = rng.normal(0, 1, (60, 4)).cumsum(1)
        means = cluster_means(errors, np.ones(60), np.arange(60), rng)
        low, high = simultaneous_band(means.estimates, means.draws)
        inside += bool(((low <= 0) & (high >= 0)).all())
    assert 0.90 <= inside / 300 <= 0.98
    low, high = simultaneous_band(np.array([1.0, 2.0]), np.ones((50, 2)) * [1.0, 2.0])
    assert low.tolist() == high.tolist() == [1.0, 2.0]


def test_an_interval_by_cluster_is_wider_where_cases_of_one_are_alike():
    shared = np.repeat(RNG.normal(0, 1, 40), 5)[:, None]
    alone = cluster_means(shared, np.ones(200), np.arange(200), np.random.default_rng(1)).amount(0, "x", 0.05)
    grouped = cluster_means(shared, np.ones(200), np.repeat(np.arange(40), 5), np.random.default_rng(1))
    wide = grouped.amount(0, "x", 0.05)
    assert (wide.high - wide.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(5), rel=0.2)
    with pytest.raises(ValueError, match="4 clusters are too few"):
        cluster_means(shared, np.ones(200), np.repeat(np.arange(4), 50), np.random.default_rng(1))


def test_a_mean_that_is_worked_out_again_has_the_interval_of_plain_means():
    numbers = RNG.normal(0, 1, 300)
    plain = cluster_means(numbers[:, None], np.ones(300), np.arange(300), np.random.default_rng(3)).amount(0, "x", 0.05)
    again = resampled_mean(
        lambda w: float((numbers * w).sum() / w.sum()), np.ones(300), np.arange(300), 300, np.random.default_rng(4)
    ).amount(0, "x", 0.05)
    assert again.estimate == pytest.approx(numbers.mean())
    assert (again.low, again.high) == (pytest.approx(plain.low, abs=0.03), pytest.approx(plain.high, abs=0.03))


def test_a_picture_unlike_the_slice_is_far_from_it():
    images = 0.4 + 0.1 * RNG.random((40, 16, 16, 1))
    own = np.stack([statistics(image) for image in images])
    changed = np.stack([[statistics(image), statistics(np.clip(image + 0.4, 0, 1))] for image in images])
    found = distances(own, changed)
    assert found.is_off.all()
    assert (found.of_changed[:, 1] > found.limit).all()
    same = distances(own, changed[:, :1])
    assert same.is_off.mean() <= 0.05
    assert distances(own[:9], changed[:9]) is None
