"""What the model sees of an image, and its masks in the same geometry."""

from typing import Any

import numpy as np
import pytest
from made import pixels
from PIL import Image

from xai_audit.data.preprocess import GREY_TO_RGB, RGB_TO_GREY, channel_conversion, prepare, prepare_mask
from xai_audit.errors import DataError
from xai_audit.spec.schema import ModelInput


def model_input(**keys: Any) -> ModelInput:
    return ModelInput.model_validate({"size": (8, 8), **keys})


def test_an_image_of_the_right_size_is_only_scaled() -> None:
    found = prepare(pixels(1), model_input())
    assert found.dtype == np.float32
    assert np.array_equal(found, np.moveaxis(pixels(1), 2, 0).astype(np.float32) / 255)


def test_the_shorter_side_is_resized_and_the_centre_kept() -> None:
    image = pixels(1, 20, 31)
    found = prepare(image, model_input(resize=10, crop="centre", interpolation="bicubic"))
    by_hand = np.asarray(Image.fromarray(image).resize((15, 10), Image.Resampling.BICUBIC))[1:9, 4:12]
    assert np.array_equal(found, np.moveaxis(by_hand, 2, 0).astype(np.float32) / 255)


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (256, 341), (257, 256), (479, 640), (331, 227)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_resize_and_crop_are_those_of_torchvision(size: tuple[int, int], interpolation: str) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    modes = transforms.InterpolationMode
    image = pixels(2, *size)
    theirs = transforms.Compose(
        [transforms.Resize(256, getattr(modes, interpolation.upper())), transforms.CenterCrop(224)]
    )(Image.fromarray(image))
    ours = prepare(image, model_input(size=(224, 224), resize=256, crop="centre", interpolation=interpolation))
    assert np.array_equal(ours, np.moveaxis(np.asarray(theirs), 2, 0).astype(np.float32) / 255)


def test_a_resize_to_height_and_width_distorts() -> None:
    assert prepare(pixels(1, 5, 9), model_input(resize=(8, 8))).shape == (3, 8, 8)


def test_channels_are_converted_and_said() -> None:
    grey, colour = pixels(1, channels=1), pixels(2)
    assert np.array_equal(prepare(grey, model_input()), np.repeat(prepare(grey, model_input(channels=1)), 3, axis=0))
    luma = colour.astype(float) @ [0.299, 0.587, 0.114]
    found = prepare(colour, model_input(channels=1))[0] * 255
    assert np.abs(found - luma).max() <= 0.51  # Pillow rounds to whole greys in 16-bit fixed point
    assert channel_conversion(grey, 3) == GREY_TO_RGB
    assert channel_conversion(colour, 1) == RGB_TO_GREY
    assert channel_conversion(colour, 3) == ""


def test_a_float_image_stays_in_its_range() -> None:
    image = (pixels(1, 20, 20) / 255).astype(np.float32)
    image[:, :10], image[:, 10:] = 0, 1
    found = prepare(image, model_input(resize=12, crop="centre", interpolation="bicubic"))
    assert found.min() == 0
    assert found.max() == 1
    whole = prepare(image[:8, :8], model_input())
    assert np.array_equal(whole, np.moveaxis(image[:8, :8], 2, 0))


@pytest.mark.parametrize(
    ("size", "keys", "message"),
    [
        ((9, 8), {}, "an image of 8 x 9 pixels; expected 8 x 8, the model's size"),
        ((9, 18), {"resize": 8}, r"18 x 9 pixels, 16 x 8 after resize; expected 8 x 8.* Add `crop: centre`"),
        ((7, 20), {"crop": "centre"}, "20 x 7 pixels; expected at least 8 x 8, to cut the centre from"),
        ((20, 20), {"crop": "centre", "resize": 7}, "7 x 7 after resize; expected at least 8 x 8"),
    ],
)
def test_a_size_that_does_not_fit_is_an_error(size: tuple[int, int], keys: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare(pixels(1, *size), model_input(**keys))
    with pytest.raises(DataError, match=message):
        prepare_mask(np.ones(size, dtype=bool), model_input(**keys))


def test_a_mask_follows_its_image() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[12:28, 20:40] = True
    found = prepare_mask(mask, model_input(resize=10, crop="centre"))
    by_eye = (
        prepare(mask[:, :, None].astype(np.uint8) * 255, model_input(channels=1, resize=10, crop="centre"))[0] > 0.5
    )
    assert found.dtype == np.bool_
    assert np.array_equal(found, by_eye)
