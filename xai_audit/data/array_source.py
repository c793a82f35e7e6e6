"""Images, labels and columns of an .npz file as a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.arrays import ArrayFile, Header, open_arrays
from xai_audit.data.column_types import from_typed, text
from xai_audit.data.dataset import Dataset
from xai_audit.data.labels import RowProblems, class_labels, flags, index_labels, numbers
from xai_audit.data.pixels import ArrayPixels
from xai_audit.data.rows import Rows, assemble
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.evidence.paths import resolve
from xai_audit.spec.schema import Arrays, AuditSpec, Border, Boxes, Outside

IMAGE_TYPES = ("uint8", "float16", "float32", "float64")


def open_array_source(spec: AuditSpec, source: Arrays, folder: Path) -> Dataset:
    """The cases of an .npz file; a case's id is its index. DataError for a shape or dtype that does not fit."""
    stored = open_arrays(resolve(source.file, folder, "data.source.file"), source.file)
    images = stored.header(source.image, "data.source.image")
    _check_images(images, f"{source.file} array {source.image}")
    count = images.shape[0]
    masks = _mask_arrays(spec, stored, images)
    used = {source.image, *masks.values()}
    columns = {name: header for name, header in stored.headers.items() if name not in used and header.shape == (count,)}
    frame = pd.DataFrame({name: _column(stored.read(name)) for name in columns}, index=range(count))
    table = Table(source.file, frame, np.arange(count, dtype=np.int64), "case").without_codes(spec.data.missing_codes)
    problems = RowProblems()
    labels = _labels(spec, source, stored, count, problems)
    pixels = ArrayPixels(stored.mapped(source.image), {concept: stored.mapped(name) for concept, name in masks.items()})
    left = [name for name in stored.headers if name not in used and name not in columns and name != source.label]
    notes = (f"Arrays of {source.file} not used, for their shape: {', '.join(sorted(left))}.",) if left else ()
    return assemble(Rows(table, tuple(str(row) for row in range(count)), labels, problems, pixels, notes=notes), spec)


def _check_images(header: Header, where: str) -> None:
    shape = header.shape
    if header.dtype.name not in IMAGE_TYPES:
        raise DataError(
            where, f"dtype {header.dtype.name}", "uint8, or float in [0, 1]", "Convert the images, stating their range."
        )
    if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[3] not in (1, 3)):
        first = " The channels stand first: use numpy.moveaxis(images, 1, -1)." if _channels_first(shape) else ""
        raise DataError(
            where,
            f"shape {shape}",
            "(cases, height, width) or (cases, height, width, 1 or 3)",
            f"Reshape the array.{first}",
        )


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3)


def _mask_arrays(spec: AuditSpec, stored: ArrayFile, images: Header) -> Mapping[str, str]:
    found = {}
    for concept, name in spec.data.masks.items():
        key = f"data.masks.{concept}"
        if isinstance(name, Outside | Border):
            continue
        if not isinstance(name, str):
            what = "a table of boxes" if isinstance(name, Boxes) else "four columns of a box"
            raise DataError(key, what, "the name of an array", "Name an array (cases, height, width).")
        header = stored.header(name, key)
        if header.shape != images.shape[:3]:
            raise DataError(
                f"{stored.name} array {name}",
                f"shape {header.shape}",
                f"{images.shape[:3]}, as the images",
                "Reshape it.",
            )
        if header.dtype.kind not in "bui":
            raise DataError(
                f"{stored.name} array {name}", f"dtype {header.dtype.name}", "bool or uint8", "Convert the masks."
            )
        found[concept] = name
    return found


def _labels(spec: AuditSpec, source: Arrays, stored: ArrayFile, count: int, problems: RowProblems) -> NDArray[Any]:
    header = stored.header(source.label, "data.source.label")
    where = f"{source.file} array {source.label}"
    if not header.shape or header.shape[0] != count:
        found = f"{header.shape[0]} labels" if header.shape else "a single number"
        raise DataError(
            where, f"{found} for {count} images", f"{count} labels", "Store one label an image, in their order."
        )
    values = stored.read(source.label)
    if spec.task == "multi_label":
        width = len(spec.classes)
        _require_shape(values, (count, width), where, f"(cases, {width}) of 0 and 1")
        parts = [flags(pd.Series(values[:, place]), spec.classes[place], problems) for place in range(width)]
        return np.stack(parts, axis=1)
    if spec.task == "regression":
        outputs = len(spec.model.outputs) if spec.model and spec.model.outputs else None
        columns = values.reshape(count, -1)
        _require_shape(columns, (count, outputs or columns.shape[1]), where, f"(cases, {outputs or 'outputs'})")
        _require_kind(values, "fiu", where, "numbers")
        return np.stack([numbers(pd.Series(column), source.label, problems) for column in columns.T], axis=1)
    flat = values.reshape(count) if values.shape == (count, 1) else values
    _require_shape(flat, (count,), where, "(cases,) class indexes or class names")
    if flat.dtype.kind in "US":
        return class_labels([cell or None for cell in _texts(flat)], spec.classes, source.label, problems)
    _require_kind(flat, "iu", where, "class indexes (integers) or class names")
    return index_labels(flat, spec.classes, source.label, problems)


def _require_shape(values: NDArray[Any], shape: tuple[int, ...], where: str, expected: str) -> None:
    if values.shape != shape:
        raise DataError(where, f"shape {values.shape}", expected, "Reshape the labels, or correct `model.task`.")


def _require_kind(values: NDArray[Any], kinds: str, where: str, expected: str) -> None:
    if values.dtype.kind not in kinds:
        raise DataError(where, f"dtype {values.dtype.name}", expected, "Convert the labels.")


def _column(values: NDArray[Any]) -> pd.Series[Any]:
    if values.dtype.kind in "US":
        return text([cell or None for cell in _texts(values)])
    return from_typed(pd.Series(values))


def _texts(values: NDArray[Any]) -> list[str]:
    return [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in values.tolist()]
