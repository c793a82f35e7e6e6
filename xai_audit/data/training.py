"""What the model was trained on, as far as it is declared: images, rows of a table, or a list of digests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.digests import dhash, pixel_digest, row_digests
from xai_audit.data.features import read_features, text_columns
from xai_audit.data.folders import list_images
from xai_audit.data.images import decode, read_bytes
from xai_audit.data.labels import RowProblems
from xai_audit.data.tables import read_table, require_file
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import sha256
from xai_audit.evidence.paths import inside, resolve
from xai_audit.spec.tables import MissingCodes, TableInput

SHA256 = re.compile(r"[0-9a-f]{64}")
DHASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Training:
    """Digests of the training images."""

    images: int
    exact: frozenset[str]
    """sha256 of pixels, or of files."""
    hashes: tuple[str, ...]
    """Difference hashes, where known."""
    names: tuple[str, ...]
    """Name of each hash's image."""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RowDigests:
    """Digests of the training rows."""

    rows: int
    exact: frozenset[str]
    """As digests.row_digests makes them."""
    notes: tuple[str, ...] = ()


def read_training_rows(declared: str, folder: Path, model_input: TableInput, codes: MissingCodes) -> RowDigests:
    """The training rows that `data.training` names: a table with the model's features, or a list of digests.

    A row that could not be a case of the audit is left out, and counted in a note. Raises DataError.
    """
    path = resolve(declared, folder, "data.training")
    if path.is_dir():
        fix = "Name the CSV or parquet file of the training rows."
        raise DataError(declared, "a folder", "a table of the training rows, or a list of digests", fix)
    if path.suffix.lower() not in (".csv", ".parquet"):
        require_file(path, declared, "a table of the training rows, or a list of digests")
        listed = _from_list(path, declared)
        return RowDigests(listed.images, listed.exact)
    used = {name: values for name, values in codes.items() if name in model_input.names}
    table = read_table(path, declared, text_columns(model_input), used)
    problems = RowProblems()
    features = read_features(table, model_input, problems)
    digests = [digest for row, digest in enumerate(row_digests(features)) if row not in problems.found]
    wrong = len(problems.found)
    notes = (f"{wrong} of {len(features)} training rows cannot be read and were not compared.",) if wrong else ()
    return RowDigests(len(features), frozenset(digests), notes)


def training_table(
    declared: str, folder: Path, model_input: TableInput, codes: MissingCodes
) -> NDArray[np.float64] | None:
    """Features of the readable training rows, (rows, features); None where only their digests are listed."""
    path = resolve(declared, folder, "data.training")
    if path.suffix.lower() not in (".csv", ".parquet"):
        return None
    used = {name: values for name, values in codes.items() if name in model_input.names}
    problems = RowProblems()
    features = read_features(read_table(path, declared, text_columns(model_input), used), model_input, problems)
    return features[[row for row in range(len(features)) if row not in problems.found]]


def training_units(declared: str | None, listed: str | None, column: str, folder: Path) -> frozenset[str] | None:
    """Units of the training data: those of a list, one a line, or of the training table's own column; None if unknown.

    Raises DataError for a list without a unit.
    """
    if listed is not None:
        path = resolve(listed, folder, "measures: units")
        require_file(path, listed, "a text file with one unit a line")
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        found = frozenset(line for line in lines if line and not line.startswith("#"))
        if not found:
            raise DataError(listed, "no unit", "one unit of the training data a line", "Write the list again.")
        return found
    if declared is None or not declared.lower().endswith((".csv", ".parquet")):
        return None
    path = resolve(declared, folder, "data.training")
    table = read_table(path, declared, {column})
    return frozenset(map(str, table.frame[column].dropna())) if column in table.frame.columns else None


def read_training(declared: str, folder: Path, progress: Callable[[int], None]) -> Training:
    """What `data.training` names; every image of a folder is read, `progress` receiving 0 after each.

    A digest file has one image a line: sha256 of its pixels (see digests.pixel_digest) or of its file, then optionally
    its difference hash and its name. Raises DataError for a wrong line, and for a training image that cannot be read.
    """
    path = resolve(declared, folder, "data.training")
    if path.is_dir():
        return _from_folder(path, declared, progress)
    require_file(path, declared, "a folder of images or a list of digests")
    return _from_list(path, declared)


def training_digest(declared: str, folder: Path) -> str:
    """Digest of what `data.training` names: of the list, or of the names and files of the folder."""
    path = resolve(declared, folder, "data.training")
    if not path.is_dir():
        require_file(path, declared, "a folder of images or a list of digests")
        return sha256(path.read_bytes())
    images, _ = list_images(path, declared)
    lines = [f"{sha256(read_bytes(inside(path, file, declared), f'{declared}/{file}'))} {file}\n" for file in images]
    return sha256("".join(lines).encode())


def _from_folder(path: Path, declared: str, progress: Callable[[int], None]) -> Training:
    images, others = list_images(path, declared)
    if not images:
        raise DataError(declared, "no image", "the training images", "Correct `data.training`.")
    exact: set[str] = set()
    hashes: list[str] = []
    for file in images:
        where = f"{declared}/{file}"
        data = read_bytes(inside(path, file, where), where)
        pixels = decode(data, where).pixels
        exact.update((pixel_digest(pixels), sha256(data)))
        hashes.append(dhash(pixels))
        progress(0)
    notes = (f"{len(others)} files of {declared} are no images and were not compared.",) if others else ()
    return Training(len(images), frozenset(exact), tuple(hashes), images, notes)


def _from_list(path: Path, declared: str) -> Training:
    exact: list[str] = []
    hashes: list[str] = []
    names: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(
            declared, "a file that is not UTF-8 text", "a list of digests", "Write the list again."
        ) from None
    for number, line in enumerate(lines, start=1):
        parts = line.split(maxsplit=2)
        if not parts or parts[0].startswith("#"):
            continue
        _check(parts, f"{declared} line {number}")
        exact.append(parts[0].lower())
        if len(parts) > 1:
            hashes.append(parts[1].lower())
            names.append(parts[2].strip() if len(parts) > 2 else f"line {number}")
    if not exact:
        raise DataError(declared, "no digest", "one digest a line", "Write the list again, or remove `data.training`.")
    without = len(exact) - len(hashes)
    notes = (
        f"{without} of {len(exact)} training images have no difference hash: look-alikes of them were not sought.",
    )
    return Training(len(exact), frozenset(exact), tuple(hashes), tuple(names), notes if without else ())


def _check(parts: list[str], where: str) -> None:
    fix = "Write the line as: sha256, then optionally the difference hash and a name."
    if not SHA256.fullmatch(parts[0].lower()):
        raise DataError(where, f'"{parts[0][:80]}"', "the sha256 of an image, 64 hex digits", fix)
    if len(parts) > 1 and not DHASH.fullmatch(parts[1].lower()):
        raise DataError(where, f'"{parts[1][:80]}"', "16 hex digits of a difference hash", fix)
