"""Listing a folder of images: one sub-folder a class, every file accounted for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_audit.data.bad_cases import BadCase
from xai_audit.data.images import SUFFIXES
from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.errors import DataError

SYSTEM_FILES = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Listing:
    """What a folder of images holds, sorted by path."""

    files: tuple[str, ...]
    """Relative to the root, with `/` between folders."""
    labels: tuple[str, ...]
    bad: tuple[BadCase, ...]
    notes: tuple[str, ...]


def list_classes(root: Path, name: str, classes: Sequence[str]) -> Listing:
    """Images of root/<class>/; DataError for a folder that is no class or holds no image. `name` is root as written."""
    require_folder(root, name)
    found, hidden = _listing(root)
    folders = [entry.name for entry in _sorted(root) if entry.is_dir() and not _is_hidden(entry.name)]
    for folder in folders:
        if folder not in classes:
            raise DataError(
                name,
                f'a folder "{folder}"',
                f"a folder a class, {one_of(classes)}",
                f"{did_you_mean(folder, classes)}Rename the folder, move it out, or correct `model.classes`.",
            )
    images = [file for file in found if "/" in file and is_image(file) and not (root / file).is_dir()]
    images = [file for file in images if printable(file) == file]
    filled = {file.split("/")[0] for file in images}
    for folder in folders:
        if folder not in filled:
            raise DataError(
                f"{name}/{folder}",
                "no image",
                "at least one image in a class's folder",
                "Add images, or remove the folder.",
            )
    if not images:
        raise DataError(name, "no image", f"a folder a class, {one_of(classes)}", "Correct `data.source.root`.")
    notes = [f"{hidden} hidden files and files of the operating system were not looked at."] if hidden else []
    absent = [label for label in classes if label not in folders]
    if absent:
        notes.append(
            f"No folder, and so no case, for {len(absent)} of {len(classes)} classes: {', '.join(absent[:20])}."
        )
    taken = set(images)
    bad = tuple(BadCase(printable(file), _why_bad(root, file)) for file in found if file not in taken)
    return Listing(tuple(images), tuple(file.split("/")[0] for file in images), bad, tuple(notes))


def list_images(root: Path, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Image files anywhere under `root`, and the other files; hidden ones in neither."""
    require_folder(root, name)
    found, _ = _listing(root)
    images = tuple(file for file in found if is_image(file) and not (root / file).is_dir())
    return images, tuple(file for file in found if file not in set(images))


def require_folder(root: Path, name: str) -> None:
    """DataError unless `root` is a folder."""
    if not root.is_dir():
        found = "a file" if root.exists() else "no such folder"
        raise DataError(name, found, "a folder", "Correct the path; it is relative to the folder of the spec.")


def is_image(file: str) -> bool:
    """Whether the name ends as an image's."""
    return file.lower().endswith(SUFFIXES)


def printable(file: str) -> str:
    """The name, with bytes that are not UTF-8 written as escapes."""
    return file.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _listing(root: Path) -> tuple[list[str], int]:
    found: list[str] = []
    hidden = 0
    for file in _walk(root, ""):
        if any(_is_hidden(part) for part in file.split("/")):
            hidden += 1
        else:
            found.append(file)
    return sorted(found), hidden


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """Files under a folder; a link to a folder counts as a file, so that it is named and not followed."""
    for entry in _sorted(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"folder {folder.name}",
            f"a folder that cannot be read ({error.strerror})",
            "its files",
            "Check its permissions.",
        ) from None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _why_bad(root: Path, file: str) -> str:
    if (root / file).is_dir():
        return "found a link to a folder; expected an image"
    if printable(file) != file:
        return "found a file name that is not UTF-8; expected one that can be written in a report"
    if not is_image(file):
        return f"found a file that is no image; expected a name that ends in {', '.join(SUFFIXES)}"
    return "found an image outside the folders of the classes; expected root/<class>/<image>"
