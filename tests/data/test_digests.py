"""Digests of pixels and difference hashes, against values worked out by hand."""

import hashlib

import numpy as np
import pytest
from made import pixels
from PIL import Image

from xai_audit.data.digests import dhash, pixel_digest


def test_a_pixel_digest_is_that_of_its_shape_and_bytes() -> None:
    image = pixels(1, 2, 3)
    assert pixel_digest(image) == hashlib.sha256(b"2x3x3:uint8:" + image.tobytes()).hexdigest()
    turned = image.transpose(1, 0, 2)
    assert pixel_digest(turned) == hashlib.sha256(b"3x2x3:uint8:" + turned.tobytes(order="C")).hexdigest()


def test_equal_bytes_of_another_shape_or_type_have_another_digest() -> None:
    flat = np.zeros((2, 6, 1), dtype=np.uint8)
    assert pixel_digest(flat) != pixel_digest(flat.reshape(3, 4, 1))
    assert pixel_digest(np.zeros((1, 1, 1), dtype=np.float32)) != pixel_digest(np.zeros((1, 4, 1), dtype=np.uint8))


def test_a_difference_hash_sets_a_bit_where_the_left_neighbour_is_lighter() -> None:
    image = np.zeros((8, 9, 1), dtype=np.uint8)
    image[0, 0] = 200  # first pair of the first row: highest bit
    image[7, 7] = 9  # last pair of the last row: lowest bit
    assert dhash(image) == "8000000000000001"


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_image_has_no_bit(value: int) -> None:
    assert dhash(np.full((30, 40, 3), value, dtype=np.uint8)) == "0" * 16


def test_a_difference_hash_hardly_moves_under_jpeg_and_scaling_and_does_between_images() -> None:
    smooth = np.asarray(Image.fromarray(pixels(1, 6, 6)).resize((90, 80), Image.Resampling.BICUBIC))
    other = np.asarray(Image.fromarray(pixels(2, 6, 6)).resize((90, 80), Image.Resampling.BICUBIC))
    smaller = np.asarray(Image.fromarray(smooth).resize((60, 50), Image.Resampling.BILINEAR))
    assert (int(dhash(smooth), 16) ^ int(dhash(smaller), 16)).bit_count() <= 3
    assert (int(dhash(smooth), 16) ^ int(dhash(other), 16)).bit_count() > 10


def test_float_and_byte_images_hash_alike() -> None:
    image = pixels(4, 20, 20)
    assert dhash((image / 255).astype(np.float32)) == dhash(image)
