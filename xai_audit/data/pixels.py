"""Where the images and masks of a source come from: what every kind gives, arrays of one .npz, and nowhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.masks import fits, two_valued
from xai_audit.errors import DataError

Image = NDArray[np.uint8] | NDArray[np.float32]


class Pixels(Protocol):
    """Images and masks by their row in the source; `case` names the case in messages."""

    def read(self, row: int, case: str) -> Picture:
        """The image of a row."""

    def size(self, row: int, case: str) -> tuple[int, int]:
        """Height and width of the image of a row."""

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size."""

    def has_mask(self, row: int, concept: str) -> bool:
        """Whether the row declares a mask of this concept."""

    def digest(self, row: int, case: str) -> str:
        """sha256 of the row's image as stored; nothing is decoded."""

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """sha256 of the row's mask as stored, empty where it has none."""


@dataclass(frozen=True)
class Picture:
    """An image with the digest of its stored bytes and what was done to them."""

    pixels: Image
    """(H, W, C), uint8, or float32 in [0, 1]."""
    digest: str
    conversions: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArrayPixels:
    """Images and masks in arrays of an .npz file."""

    images: NDArray[Any]
    """(N, H, W, C) or (N, H, W), uint8 or float."""
    masks: Mapping[str, NDArray[Any]]
    """(N, H, W) for each concept."""

    def read(self, row: int, case: str) -> Picture:
        """The image of a row."""
        stored = np.ascontiguousarray(self.images[row])
        image = stored[:, :, None] if stored.ndim == 2 else stored
        digest = hashlib.sha256(stored.tobytes()).hexdigest()
        if image.dtype == np.uint8:
            return Picture(image, digest)
        where = f"{case}, image"
        if not np.isfinite(image).all():
            raise DataError(where, "NaN or infinity in the image", "numbers in [0, 1]", "Correct the array.")
        low, high = float(image.min()), float(image.max())
        if low < 0 or high > 1:
            raise DataError(
                where,
                f"pixels from {low:g} to {high:g}",
                "float images in [0, 1]",
                "Store uint8, or undo the normalisation: `model.input` states mean and std.",
            )
        return Picture(image.astype(np.float32), digest)

    def size(self, row: int, case: str) -> tuple[int, int]:
        """Height and width: the same for every row."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size; without a pixel where the concept is not in the picture."""
        where = f"{case}, mask {concept}"
        return fits(two_valued(np.asarray(self.masks[concept][row]), where), size, where)

    def has_mask(self, row: int, concept: str) -> bool:
        """Every row has one."""
        return concept in self.masks

    def digest(self, row: int, case: str) -> str:
        """sha256 of the row's array."""
        return hashlib.sha256(np.ascontiguousarray(self.images[row]).tobytes()).hexdigest()

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """sha256 of the row's mask array."""
        return hashlib.sha256(np.ascontiguousarray(self.masks[concept][row]).tobytes()).hexdigest()


@dataclass(frozen=True)
class NoPixels:
    """Stored predictions, or rows of a table: there are no images."""

    def read(self, row: int, case: str) -> Picture:
        """There is none."""
        raise _no_image(case)

    def size(self, row: int, case: str) -> tuple[int, int]:
        """There is none."""
        raise _no_image(case)

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """There is none."""
        raise no_mask(case, concept)

    def has_mask(self, row: int, concept: str) -> bool:
        """Never."""
        return False

    def digest(self, row: int, case: str) -> str:
        """Empty: there is nothing to digest."""
        return ""

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """Empty: there is nothing to digest."""
        return ""


def _no_image(case: str) -> DataError:
    return DataError(case, "no image: the source holds none", "a source with images", "Use image_table.")


def no_mask(case: str, concept: str) -> DataError:
    """The error of asking for a mask that a case does not declare."""
    return DataError(
        f"{case}, mask {concept}", "no mask declared for this case", "a mask", "Ask `has_mask` first, or add the mask."
    )
