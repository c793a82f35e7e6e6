"""Pictures of a concept from a folder of their own, beside the audited cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xai_audit.data.folders import list_images
from xai_audit.data.images import decode, read_bytes
from xai_audit.data.pixels import Image
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.paths import inside


@dataclass(frozen=True)
class ConceptFolder:
    """A folder of pictures that show a concept, every one of them once."""

    declared: str
    """As the spec writes it."""
    path: Path
    files: tuple[str, ...]
    """Relative to the folder, sorted."""
    digests: tuple[str, ...]
    """sha256 of each file."""
    again: int
    """Files left out because they are byte for byte one of the others."""
    others: tuple[str, ...]
    """Files that are no images."""

    @property
    def digest(self) -> str:
        """sha256 over names and digests of the pictures."""
        return sha256("".join(f"{d} {f}\n" for d, f in zip(self.digests, self.files, strict=True)).encode())

    def images(self) -> Iterator[tuple[Image, str]]:
        """Each picture as audited images are, (H, W, C), with sha256 of its pixels. Raises DataError that names it."""
        for file in self.files:
            where = f"{self.declared}/{file}"
            pixels = decode(read_bytes(inside(self.path, file, where), where), where).pixels
            yield pixels, sha256(pixels.tobytes())


def concept_folder(declared: str, folder: Path, key: str) -> ConceptFolder:
    """The pictures that a concept's `files` names, every file read once; DataError unless it is a folder of images.

    The folder lies beside the spec or below it. `key` is for messages.
    """
    path = _path(declared, folder, key)
    found, others = list_images(path, declared)
    if not found:
        what = f"no image among {len(others)} files" if others else "no image"
        raise DataError(f"{key}: {declared}", what, "a folder of pictures of the concept", "Add pictures.")
    digests: dict[str, str] = {}
    for file in found:
        where = f"{declared}/{file}"
        digests.setdefault(sha256(read_bytes(inside(path, file, where), where)), file)
    again = len(found) - len(digests)
    return ConceptFolder(declared, path, tuple(digests.values()), tuple(digests), again, others)


def concept_digests(declared: Iterable[str], folder: Path) -> dict[str, str]:
    """Digest of each folder of concept pictures, by its path as the spec writes it."""
    return {one: concept_folder(one, folder, "concepts").digest for one in sorted(set(declared))}


def _path(declared: str, folder: Path, key: str) -> Path:
    try:
        return inside(folder, declared, key)
    except DataError as error:
        expected = "a folder inside the spec's, such as concepts/striped"
        raise DataError(key, error.problem.found, expected, "Put the pictures in a folder beside the spec.") from None
