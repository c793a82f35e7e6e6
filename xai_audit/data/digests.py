"""Digests by which a data file, a picture and a look-alike are told."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixel_digest(image: NDArray[np.generic]) -> str:
    """sha256 of shape, type and pixels, so that one picture in two file formats has one digest; image (H, W, C)."""
    height, width, channels = image.shape
    head = f"{height}x{width}x{channels}:{image.dtype.name}:".encode()
    return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).hexdigest()


def row_digests(features: NDArray[np.float64]) -> list[str]:
    """sha256 of each row of features as little-endian float64, (cases,), where two rows give the model the same.

    A category is its code; every missing value has one bit pattern, and 0 has no sign.
    """
    plain = np.where(np.isnan(features), np.nan, features + 0.0).astype("<f8")
    return [hashlib.sha256(row.tobytes()).hexdigest() for row in np.ascontiguousarray(plain)]


def dhash(image: NDArray[np.generic]) -> str:
    """Difference hash in 16 hex digits: of two neighbours in a grey 9 x 8 copy, is the left one lighter?

    Resized with bilinear filtering; bits run row by row, the first one highest. A flat image has all bits 0.
    """
    small = np.asarray(grey(image).resize((9, 8), Image.Resampling.BILINEAR))
    return np.packbits(small[:, :-1] > small[:, 1:]).tobytes().hex()


def grey(image: NDArray[np.generic]) -> Image.Image:
    """The image in 256 greys; colours by the luma of ITU-R 601-2, floats in [0, 1] rounded."""
    eight = image if image.dtype == np.uint8 else np.rint(np.asarray(image, dtype=np.float64) * 255).astype(np.uint8)
    return Image.fromarray(eight[:, :, 0] if eight.shape[2] == 1 else eight).convert("L")
