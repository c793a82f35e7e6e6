"""From an image as stored to what the model sees; the same geometry for its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_audit.errors import DataError
from xai_audit.spec.schema import ModelInput

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
GREY_TO_RGB = "grey to RGB: the grey in each of three channels"
RGB_TO_GREY = "RGB to grey: luma of ITU-R 601-2, 0.299 R + 0.587 G + 0.114 B"


@dataclass(frozen=True)
class Geometry:
    """How one size of image becomes the model's: a size to resize to, then a rectangle to keep."""

    resized: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]

    def crop(self, plane: NDArray[np.generic]) -> NDArray[np.generic]:
        """The rectangle, of (H, W, ...)."""
        return plane[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]


def prepare(image: NDArray[np.generic], model_input: ModelInput) -> NDArray[np.float32]:
    """What the model sees, before mean and std: float32 (C, H, W) in [0, 1].

    `image` is (H, W, 1 or 3), uint8 or float in [0, 1]. Channels are converted first, then Pillow resizes (with its
    antialiasing when shrinking), then the centre is cut out,
    rounding as torchvision does. Raises DataError where it does not fit.
    """
    plan = geometry((image.shape[0], image.shape[1]), model_input)
    converted = with_channels(image, model_input.channels)
    if converted.shape[:2] != plan.resized:
        converted = _resized(converted, plan.resized, RESAMPLING[model_input.interpolation])
    kept = np.moveaxis(plan.crop(converted), 2, 0)
    scale = 255.0 if kept.dtype == np.uint8 else 1.0
    return np.ascontiguousarray(kept.astype(np.float32) / np.float32(scale))


def prepare_mask(mask: NDArray[np.bool_], model_input: ModelInput) -> NDArray[np.bool_]:
    """The mask in the model's geometry, (H, W), nearest neighbour; it may have become empty."""
    plan = geometry((mask.shape[0], mask.shape[1]), model_input)
    if mask.shape == plan.resized:
        return np.array(plan.crop(mask), dtype=np.bool_, order="C")
    height, width = plan.resized
    plane = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.NEAREST)
    return np.ascontiguousarray(np.asarray(plan.crop(np.asarray(plane)), dtype=np.uint8) > 0)


def geometry(stored: tuple[int, int], model_input: ModelInput) -> Geometry:
    """The geometry for an image of stored (height, width)."""
    resized = _resized_size(stored, model_input)
    height, width = model_input.size
    shown = f"an image of {stored[1]} x {stored[0]} pixels"
    if resized != stored:
        shown += f", {resized[1]} x {resized[0]} after resize"
    if model_input.crop is None and resized != model_input.size:
        raise DataError(
            "model.input",
            shown,
            f"{width} x {height}, the model's size",
            f"Add `crop: centre`, or `resize: [{height}, {width}]` (which distorts other shapes).",
        )
    if resized[0] < height or resized[1] < width:
        raise DataError(
            "model.input",
            shown,
            f"at least {width} x {height}, to cut the centre from",
            "Add `resize`, or a larger one.",
        )
    top, left = round((resized[0] - height) / 2), round((resized[1] - width) / 2)
    return Geometry(resized, top, left, (height, width))


def channel_conversion(image: NDArray[np.generic], channels: int) -> str:
    """What `with_channels` does to this image, in words; empty for nothing."""
    if image.shape[2] == channels:
        return ""
    return GREY_TO_RGB if channels == 3 else RGB_TO_GREY


def with_channels(image: NDArray[np.generic], channels: int) -> NDArray[np.generic]:
    """The image with 1 or 3 channels, (H, W, channels)."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]
    return np.asarray(image @ np.asarray([0.299, 0.587, 0.114], dtype=image.dtype))[:, :, None]


def _resized_size(stored: tuple[int, int], model_input: ModelInput) -> tuple[int, int]:
    if model_input.resize is None:
        return stored
    if isinstance(model_input.resize, tuple):
        return model_input.resize
    height, width = stored
    side = model_input.resize
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def _resized(image: NDArray[np.generic], size: tuple[int, int], resampling: Image.Resampling) -> NDArray[np.generic]:
    height, width = size
    if image.dtype == np.uint8:
        plane = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        made = np.asarray(plane.resize((width, height), resampling))
        return made[:, :, None] if made.ndim == 2 else made
    channels = [
        Image.fromarray(np.ascontiguousarray(image[:, :, place], dtype=np.float32)) for place in range(image.shape[2])
    ]
    floats = np.stack([np.asarray(channel.resize((width, height), resampling)) for channel in channels], axis=2)
    return np.asarray(np.clip(floats, 0.0, 1.0), dtype=np.float32)
