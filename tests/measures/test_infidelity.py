"""How well a map foretells the effect of noise."""

import numpy as np
import pytest

from xai_audit.measures.infidelity import infidelity, local

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=20)
NOISE = 0.1 * RNG.normal(size=(64, 20))
CHANGE = NOISE @ WEIGHTS
"""y(x) - y(x - I) of a linear net."""


def test_the_weights_of_a_linear_net_foretell_everything():
    found = infidelity(NOISE @ WEIGHTS, CHANGE)
    assert found.plain == found.rescaled == 0
    assert found.beta == pytest.approx(1, abs=1e-12)


def test_a_map_of_zeros_has_one():
    found = infidelity(np.zeros(64), CHANGE)
    assert found.plain == found.rescaled == 1 and np.isnan(found.beta)


def test_an_undivided_product_is_far_from_exact():
    """Phi = w x in place of w, at x far from 1."""
    x = RNG.random(20)
    assert infidelity(NOISE @ (WEIGHTS * x), CHANGE).plain > 0.1
    phi, exists = local(WEIGHTS * x, x)
    assert exists.all() and infidelity(NOISE @ phi, CHANGE).plain < 1e-20


def test_the_best_scale_takes_a_wrong_one_away():
    found = infidelity(NOISE @ (3 * WEIGHTS), CHANGE)
    assert found.plain == pytest.approx(4, rel=1e-12)
    assert found.rescaled < 1e-20 and found.beta == pytest.approx(1 / 3, rel=1e-12)


def test_equals_a_plain_second_calculation():
    phi = RNG.normal(size=20)
    foretold = [sum(float(a) * float(b) for a, b in zip(row, phi, strict=True)) for row in NOISE]
    squared = [(f - c) ** 2 for f, c in zip(foretold, CHANGE, strict=True)]
    size = sum(c * c for c in CHANGE)
    beta = sum(f * c for f, c in zip(foretold, CHANGE, strict=True)) / sum(f * f for f in foretold)
    best = [(beta * f - c) ** 2 for f, c in zip(foretold, CHANGE, strict=True)]
    found = infidelity(NOISE @ phi, CHANGE)
    assert found.plain == pytest.approx(sum(squared) / size, rel=1e-12)
    assert found.rescaled == pytest.approx(sum(best) / size, rel=1e-12) and found.beta == pytest.approx(beta, rel=1e-12)


def test_no_scale_does_better_than_the_best():
    phi = RNG.normal(size=20)
    best = infidelity(NOISE @ phi, CHANGE)
    others = [infidelity(NOISE @ (scale * best.beta * phi), CHANGE).plain for scale in (0.5, 0.9, 1.1, 2)]
    assert all(other > best.rescaled for other in others)
    assert best.rescaled <= 1


def test_a_net_that_noise_does_not_change_has_no_number():
    found = infidelity(NOISE @ WEIGHTS, np.zeros(64))
    assert np.isnan([found.plain, found.rescaled, found.beta]).all()


def test_local_leaves_out_what_equals_the_baseline_or_is_missing():
    phi, exists = local(np.array([2.0, 5.0, 3.0, 1.0]), np.array([0.5, 1e-7, np.nan, -2.0]))
    assert exists.tolist() == [True, False, False, True]
    assert phi.tolist() == [4.0, 0.0, 0.0, -0.5]
