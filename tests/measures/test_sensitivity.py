"""Change of maps under small noise: zero for linear nets, bounded for their products, never a made-up share."""

from __future__ import annotations

import numpy as np
import pytest

from xai_audit.measures.sensitivity import sensitivity, uniform_noise


def noises(cases: int, shape: tuple[int, ...], count: int = 10, radius: float = 0.02) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [np.stack([uniform_noise(shape, radius, random) for _ in range(cases)]) for _ in range(count)]


def test_the_gradient_of_a_linear_function_does_not_change() -> None:
    w = np.random.default_rng(1).normal(size=(3, 4, 5, 5))
    found = sensitivity(w, [w] * 10, noises(3, (4, 5, 5)))
    assert found.plain.tolist() == [0, 0, 0] and found.relative.tolist() == [0, 0, 0]
    assert found.lipschitz.tolist() == [0, 0, 0]


def test_input_times_gradient_of_a_linear_function_stays_within_its_bound() -> None:
    """METHODS 6: at most r ||w||_2 / ||w * x||_2; and by hand: max over m of ||w e_m|| / ||w x||."""
    random = np.random.default_rng(2)
    w, x, radius = random.normal(size=(1, 6, 6)), random.random((2, 1, 6, 6)), 0.02
    e = noises(2, (1, 6, 6), radius=radius)
    found = sensitivity(w * x, [w * (x + one) for one in e], e)
    for case in range(2):
        by_hand = max(np.linalg.norm(w * one[case]) for one in e)
        assert found.plain[case] == pytest.approx(by_hand, rel=1e-10)
        assert found.relative[case] == pytest.approx(by_hand / np.linalg.norm(w * x[case]), rel=1e-10)
        assert found.relative[case] <= radius * np.linalg.norm(w) / np.linalg.norm(w * x[case])


def test_the_local_lipschitz_number_of_a_stretch_is_its_factor() -> None:
    x = np.random.default_rng(3).random((2, 1, 4, 4))
    e = noises(2, (1, 4, 4))
    found = sensitivity(3 * x, [3 * (x + one) for one in e], e)
    np.testing.assert_allclose(found.lipschitz, 3, rtol=1e-10)


def test_a_map_of_zeros_has_no_share_of_its_size() -> None:
    zeros = np.zeros((1, 2, 2))
    found = sensitivity(zeros, [zeros + 1], [np.ones((1, 1, 2, 2))])
    assert np.isnan(found.relative[0]) and found.plain[0] == 2  # ||(1, 1, 1, 1)||, not divided by 1


def test_a_case_that_no_noise_moved_has_no_lipschitz_number() -> None:
    zeros = np.zeros((1, 1, 2, 2))
    assert np.isnan(sensitivity(zeros + 1, [zeros + 1], [zeros]).lipschitz[0])


def test_noise_is_uniform_within_the_radius_and_not_clipped() -> None:
    drawn = uniform_noise((100_000,), 0.02, np.random.default_rng(0))
    assert abs(drawn).max() <= 0.02
    assert drawn.std() == pytest.approx(0.02 / 3**0.5, rel=0.01)
    assert drawn.min() < -0.0199
