"""Rankings, areas under curves, and road's difference of accuracies."""

import numpy as np
import pytest

from xai_audit.measures.curves import buckets, deletion, insertion, order_of, removed, road

WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
"""METHODS 6: y = .4 x1 + .3 x2 + .2 x3 + .1 x4 at x = 1, with 0 for what is taken away."""


def curve(relevance, steps=4, *, puts_back=False):
    step = buckets(relevance, steps, np.random.default_rng(0))
    gone = step[None, :] < np.arange(steps + 1)[:, None]
    return (WEIGHTS * (gone if puts_back else ~gone)).sum(1)


def test_known_answers():
    assert deletion(curve(WEIGHTS)) == pytest.approx(0.375, abs=1e-12)
    assert deletion(curve(-WEIGHTS)) == pytest.approx(0.625, abs=1e-12)
    assert insertion(curve(WEIGHTS, puts_back=True)) == pytest.approx(0.625, abs=1e-12)


def test_the_area_is_that_of_the_trapezes():
    p = np.random.default_rng(0).random((3, 12))
    by_hand = [sum((row[t] + row[t + 1]) / (2 * 11) for t in range(11)) for row in p]
    np.testing.assert_allclose(deletion(p), by_hand, atol=1e-15)
    np.testing.assert_allclose(deletion(p), np.trapezoid(p, np.linspace(0, 1, 12), axis=1), atol=1e-15)


def test_the_last_step_takes_the_rest():
    """50 steps over 784 places: 15 each, 49 in the last one."""
    step = buckets(np.random.default_rng(0).random((28, 28)), 50, np.random.default_rng(0))
    counts = np.bincount(step.ravel())
    assert counts[:49].tolist() == [15] * 49 and counts[49] == 49


def test_most_relevant_places_go_first():
    relevance = np.random.default_rng(0).random((6, 5))
    step = buckets(relevance, 6, np.random.default_rng(1))
    lows, highs = [relevance[step == k].min() for k in range(6)], [relevance[step == k].max() for k in range(6)]
    assert all(lows[k] > highs[k + 1] for k in range(5))


def test_one_place_is_one_step():
    assert buckets(np.ones((1, 1)), 1, np.random.default_rng(0)).tolist() == [[0]]


def test_ties_are_broken_at_random_with_the_seed_and_never_in_raster_order():
    flat = np.ones(2000)
    one, same, other = (order_of(flat, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.99
    assert abs(np.corrcoef(one, np.arange(2000))[0, 1]) < 0.1


def test_a_constant_map_scores_as_chance_on_average():
    """Over all orders the mean deletion area of a linear net is half of its score, whatever the weights."""
    areas = []
    for seed in range(400):
        step = buckets(np.ones(4), 4, np.random.default_rng(seed))
        areas.append(deletion((WEIGHTS * ~(step[None, :] < np.arange(5)[:, None])).sum(1)))
    assert np.mean(areas) == pytest.approx(0.5, abs=4 * np.std(areas) / 20)


def test_removed_counts_and_ends():
    relevance = np.arange(10.0).reshape(2, 5)
    masks = removed(relevance, (0.1, 0.5, 0.9), np.random.default_rng(0))
    assert masks.shape == (2, 3, 2, 5)
    assert masks.sum((2, 3)).tolist() == [[1, 5, 9], [1, 5, 9]]
    assert masks[0, 0, 1, 4] and masks[1, 0, 0, 0]
    np.testing.assert_array_equal(masks[0, 1], ~masks[1, 1])


def test_road_is_least_first_less_most_first():
    most, least = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 1, 1], [1, 1, 0]])
    np.testing.assert_allclose(road(most, least), [2 / 3, 0], atol=1e-15)
    np.testing.assert_allclose(road(least, most), [-2 / 3, 0], atol=1e-15)
