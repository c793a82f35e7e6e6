"""Images and masks in files: whole pictures, or parts of pictures that several cases share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.box_tables import BoxMask
from xai_audit.data.crops import Crops
from xai_audit.data.images import decode, read_bytes
from xai_audit.data.masks import box_mask, decode_mask, fits
from xai_audit.data.pixels import Picture, no_mask
from xai_audit.errors import DataError
from xai_audit.evidence.paths import inside


@dataclass(eq=False)
class Remembered:
    """What was read, so that neighbours cut from one picture decode it once and masks need not look at it again."""

    last: tuple[str, Picture] | None = None
    """The last picture that a case was cut from, by file."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Height and width of each file that was read."""


@dataclass(frozen=True)
class FilePixels:
    """An image file a row; masks are files or boxes."""

    root: Path
    files: tuple[str, ...]
    """As the table writes them, relative to `root`."""
    mask_roots: tuple[Path, ...] = ()
    """Folders in which mask files are looked for: `root`, then the table's own."""
    mask_files: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """A file a row for each concept."""
    boxes: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(rows, 4) for each concept; a row of four NaN has no box."""
    box_masks: Mapping[str, BoxMask] = field(default_factory=dict)
    """Boxes from tables of their own, by picture."""
    crops: Crops | None = None
    """The part of its picture that a row is; None: all of it."""
    remembered: Remembered = field(default_factory=Remembered, compare=False, repr=False)

    def read(self, row: int, case: str) -> Picture:
        """The image of a row; its digest and conversions are those of its file, also where it is cut from it."""
        whole = self._whole(row, case)
        if self.crops is None:
            return whole
        height, width = whole.pixels.shape[:2]
        part = self.crops.part(row, (height, width), f"{case}, {self.files[row]}")
        return Picture(np.asarray(part.of(whole.pixels), dtype=np.uint8), whole.digest, whole.conversions)

    def size(self, row: int, case: str) -> tuple[int, int]:
        """Height and width of the image of a row; a file that was read before is not read again."""
        whole = self._whole_size(row, case)
        return whole if self.crops is None else self.crops.part(row, whole, f"{case}, {self.files[row]}").size

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size; that of a part of a picture may have no pixel."""
        if not self.has_mask(row, concept):
            raise no_mask(case, concept)
        if self.crops is None:
            return self._whole_mask(row, concept, size, case)
        whole = self._whole_size(row, case)
        cut = self.crops.part(row, whole, f"{case}, {self.files[row]}").of(self._whole_mask(row, concept, whole, case))
        return fits(np.asarray(cut, dtype=np.bool_), size, f"{case}, mask {concept}")

    def has_mask(self, row: int, concept: str) -> bool:
        """Whether the row declares a mask of this concept, or a table of boxes names its picture."""
        if concept in self.box_masks:
            return self.files[row] in self.box_masks[concept].by_picture
        if concept in self.boxes:
            return not np.isnan(self.boxes[concept][row]).all()
        return self.mask_files[concept][row] is not None

    def digest(self, row: int, case: str) -> str:
        """sha256 of the row's image file."""
        where = f"{case}, {self.files[row]}"
        return hashlib.sha256(read_bytes(inside(self.root, self.files[row], where), where)).hexdigest()

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """sha256 of the row's mask file; the boxes themselves; empty where it has none."""
        if not self.has_mask(row, concept):
            return ""
        if concept in self.box_masks:
            return self.box_masks[concept].words(self.files[row])
        if concept in self.boxes:
            return ",".join(repr(float(edge)) for edge in self.boxes[concept][row])
        where = f"{case}, mask {concept}, {self._written(row, concept)}"
        return hashlib.sha256(read_bytes(self._mask_path(self._written(row, concept), where), where)).hexdigest()

    def _whole(self, row: int, case: str) -> Picture:
        file, last = self.files[row], self.remembered.last
        if last is not None and last[0] == file:
            return last[1]
        where = f"{case}, {file}"
        data = read_bytes(inside(self.root, file, where), where)
        found = decode(data, where)
        picture = Picture(found.pixels, hashlib.sha256(data).hexdigest(), found.conversions)
        height, width = found.pixels.shape[:2]
        self.remembered.sizes[file] = (height, width)
        if self.crops is not None:
            self.remembered.last = (file, picture)
        return picture

    def _whole_size(self, row: int, case: str) -> tuple[int, int]:
        if self.files[row] not in self.remembered.sizes:
            self._whole(row, case)
        return self.remembered.sizes[self.files[row]]

    def _whole_mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask on the whole picture."""
        where = f"{case}, mask {concept}"
        if concept in self.box_masks:
            return self.box_masks[concept].mask(self.files[row], size, where)
        if concept in self.boxes:
            return box_mask(self.boxes[concept][row], size, where)
        written = self._written(row, concept)
        where = f"{where}, {written}"
        return fits(decode_mask(read_bytes(self._mask_path(written, where), where), where), size, where)

    def _written(self, row: int, concept: str) -> str:
        """The mask's file as the table writes it."""
        return self.mask_files[concept][row] or ""

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
