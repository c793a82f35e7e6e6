"""A mask has two values, the size of its image and something inside."""

import io

import numpy as np
import pytest
from PIL import Image

from xai_audit.data.masks import box_mask, decode_mask, fits, two_valued
from xai_audit.errors import DataError


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


PLANE = np.asarray([[0, 1, 0], [1, 1, 0]], dtype=bool)


@pytest.mark.parametrize("top", [1, 7, 255])
def test_a_mask_is_true_where_it_is_not_zero(top: int) -> None:
    found = decode_mask(png(Image.fromarray(PLANE.astype(np.uint8) * np.uint8(top))), "m")
    assert np.array_equal(found, PLANE)


def test_a_one_bit_mask_is_read() -> None:
    assert np.array_equal(decode_mask(png(Image.fromarray(PLANE.astype(np.uint8) * 255).convert("1")), "m"), PLANE)


@pytest.mark.parametrize(
    ("values", "message"),
    [([[0, 1, 255]], "3 values in a mask"), ([[128, 255, 255]], "2 values")],
)
def test_a_mask_of_other_values_is_refused(values: list[list[int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        two_valued(np.asarray(values, dtype=np.uint8), "m")


def test_a_mask_file_without_a_pixel_is_refused_and_an_array_is_not() -> None:
    empty = np.zeros((2, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="no pixel inside"):
        decode_mask(png(Image.fromarray(empty)), "m")
    assert not two_valued(empty, "m").any()


def test_a_coloured_mask_is_refused() -> None:
    with pytest.raises(DataError, match=r"colour mode RGB"):
        decode_mask(png(Image.new("RGB", (3, 2), "white")), "m")


def test_a_mask_of_another_size_is_refused() -> None:
    assert fits(PLANE, (2, 3), "m") is PLANE
    with pytest.raises(DataError, match=r"a mask of 3 x 2 pixels; expected 4 x 2, the size of its image"):
        fits(PLANE, (2, 4), "m")


def test_a_box_holds_the_pixels_whose_centres_it_holds() -> None:
    expected = np.zeros((4, 5), dtype=bool)
    expected[1:3, 2:5] = True
    assert np.array_equal(box_mask([2, 1, 5, 3], (4, 5), "m"), expected)
    assert np.array_equal(box_mask([1.6, 0.6, 4.6, 2.6], (4, 5), "m"), expected)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([3, 1, 2, 3], "inverted"), ([2, 3, 3, 3], "inverted or empty"), ([-1, 0, 2, 2], "inside the image of 5 x 4"),
        ([0, 0, 6, 2], "inside the image"), ([0, 0, 5, 4.1], "inside"), ([float("nan"), 0, 1, 1], "four numbers"),
        ([0.6, 0.6, 0.9, 0.9], "no pixel inside"),
    ],
)  # fmt: skip
def test_a_box_that_is_none_is_refused(box: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        box_mask(box, (4, 5), "m")
