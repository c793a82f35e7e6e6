"""Where the images and masks of a source come from: files, one .npz, or nowhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.images import Decoded, decode, read_bytes
from xai_audit.data.masks import box_mask, decode_mask, fits, two_valued
from xai_audit.errors import DataError
from xai_audit.evidence.paths import inside

Image = NDArray[np.uint8] | NDArray[np.float32]


class Pixels(Protocol):
    """Images and masks by their row in the source; `case` names the case in messages."""

    def read(self, row: int, case: str) -> Picture:
        """The image of a row."""

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
class FilePixels:
    """One image file a row; masks are files or boxes."""

    root: Path
    files: tuple[str, ...]
    """As the table writes them, relative to `root`."""
    mask_roots: tuple[Path, ...] = ()
    """Folders in which mask files are looked for: `root`, then the table's own."""
    mask_files: Mapping[str, tuple[str | None, ...]] | None = None
    """A file a row for each concept."""
    boxes: Mapping[str, NDArray[np.float64]] | None = None
    """(rows, 4) for each concept; a row of four NaN has no box."""

    def read(self, row: int, case: str) -> Picture:
        """The image of a row."""
        where = f"{case}, {self.files[row]}"
        data = read_bytes(inside(self.root, self.files[row], where), where)
        found: Decoded = decode(data, where)
        return Picture(found.pixels, hashlib.sha256(data).hexdigest(), found.conversions)

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size."""
        if not self.has_mask(row, concept):
            raise no_mask(case, concept)
        if self.boxes and concept in self.boxes:
            return box_mask(self.boxes[concept][row], size, f"{case}, mask {concept}")
        written = (self.mask_files or {})[concept][row] or ""
        where = f"{case}, mask {concept}, {written}"
        return fits(decode_mask(read_bytes(self._mask_path(written, where), where), where), size, where)

    def has_mask(self, row: int, concept: str) -> bool:
        """Whether the row declares a mask of this concept."""
        if self.boxes and concept in self.boxes:
            return not np.isnan(self.boxes[concept][row]).all()
        return (self.mask_files or {})[concept][row] is not None

    def digest(self, row: int, case: str) -> str:
        """sha256 of the row's image file."""
        where = f"{case}, {self.files[row]}"
        return hashlib.sha256(read_bytes(inside(self.root, self.files[row], where), where)).hexdigest()

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """sha256 of the row's mask file; the box itself; empty where it has none."""
        if not self.has_mask(row, concept):
            return ""
        if self.boxes and concept in self.boxes:
            return ",".join(repr(float(edge)) for edge in self.boxes[concept][row])
        written = (self.mask_files or {})[concept][row] or ""
        where = f"{case}, mask {concept}, {written}"
        return hashlib.sha256(read_bytes(self._mask_path(written, where), where)).hexdigest()

    def _mask_path(self, written: str, where: str) -> Path:
        paths = [inside(root, written, where) for root in self.mask_roots]
        there = list(dict.fromkeys(path.resolve() for path in paths if os.path.exists(path)))  # noqa: PTH110  a name too long is absent, not an error
        if len(there) > 1:
            raise DataError(
                where,
                "two files of this name, one beside the images and one beside the table",
                "one of them",
                "Rename or remove the one that is not meant.",
            )
        return there[0] if there else paths[0]


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

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size."""
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
        raise DataError(case, "no image: the source holds none", "a source with images", "Use image_table.")

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


def no_mask(case: str, concept: str) -> DataError:
    """The error of asking for a mask that a case does not declare."""
    return DataError(
        f"{case}, mask {concept}", "no mask declared for this case", "a mask", "Ask `has_mask` first, or add the mask."
    )
