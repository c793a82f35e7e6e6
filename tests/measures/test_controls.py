"""Maps that know nothing of the net."""

import numpy as np
import pytest
from scipy import ndimage

from xai_audit.measures.controls import centre, luma, random_map, sobel, uniform


def test_sobel_of_a_ramp_is_eight_times_its_slope_inside():
    """On a ramp of slope s the 3 x 3 Sobel kernel gives (1 + 2 + 1) * 2 s; at the repeated edge half of it."""
    image = np.tile(0.1 * np.arange(6.0), (5, 1))[None]
    found = sobel(image)
    np.testing.assert_allclose(found[:, 1:-1], 0.8, atol=1e-15)
    np.testing.assert_allclose(found[:, [0, -1]], 0.4, atol=1e-15)


def test_sobel_of_a_constant_image_is_zero_everywhere():
    assert not sobel(np.full((3, 4, 5), 0.3)).any()


def test_sobel_equals_scipys_of_the_luma():
    pixels = np.random.default_rng(0).random((3, 9, 7))
    grey = 0.299 * pixels[0] + 0.587 * pixels[1] + 0.114 * pixels[2]
    expected = np.hypot(ndimage.sobel(grey, 0, mode="nearest"), ndimage.sobel(grey, 1, mode="nearest"))
    np.testing.assert_allclose(sobel(pixels), expected, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_luma_of_other_channels_is_their_mean(channels):
    pixels = np.random.default_rng(0).random((channels, 3, 2))
    np.testing.assert_allclose(luma(pixels), pixels.mean(0), atol=1e-15)


def test_centre_is_the_gaussian_of_a_quarter_of_the_shorter_side():
    """4 x 8 pixels: sigma 1; the pixel at (0, 0) lies 1.5 and 3.5 from the middle."""
    found = centre((4, 8))
    assert found[0, 0] == pytest.approx(np.exp(-(1.5**2 + 3.5**2) / 2), rel=1e-14)
    assert found[1, 3] == found[2, 4] == found.max() == pytest.approx(np.exp(-0.25), rel=1e-14)
    np.testing.assert_array_equal(found, found[::-1, ::-1])


def test_centre_of_one_pixel_is_one():
    assert centre((1, 1)) == 1.0


def test_random_maps_depend_on_the_generator_alone():
    one, same, other = (random_map((30, 40), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (30, 40) and one.min() >= 0 and one.max() < 1
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


def test_uniform_prefers_no_place():
    assert np.ptp(uniform((3, 2))) == 0 and uniform((3, 2)).shape == (3, 2)
