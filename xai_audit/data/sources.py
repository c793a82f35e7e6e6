"""Opening a data source: tables and listings are read and checked, no image is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.array_source import open_array_source
from xai_audit.data.bad_cases import BadCase
from xai_audit.data.box_tables import read_box_masks
from xai_audit.data.column_types import text
from xai_audit.data.crops import named_by_box, read_crops
from xai_audit.data.dataset import Dataset
from xai_audit.data.features import read_features, text_columns
from xai_audit.data.file_pixels import FilePixels
from xai_audit.data.folders import list_classes, require_folder
from xai_audit.data.generated import open_generator
from xai_audit.data.labels import RowProblems, class_labels, flags, numbers
from xai_audit.data.mask_columns import in_columns, mask_boxes, mask_files
from xai_audit.data.pixels import NoPixels
from xai_audit.data.rows import Rows, assemble
from xai_audit.data.scores import stored_scores
from xai_audit.data.tables import Table, read_table
from xai_audit.data.units import open_units, table_of, without_cases
from xai_audit.errors import DataError
from xai_audit.evidence.paths import resolve
from xai_audit.spec.schema import (
    Arrays,
    AuditSpec,
    Generator,
    ImageFolder,
    ImageTable,
    Input,
    Model,
    NoSource,
    Predictions,
    Source,
)
from xai_audit.spec.tables import TableInput, TableSource

__all__ = ["BadCase", "Dataset", "open_dataset"]


def open_dataset(spec: AuditSpec, folder: Path) -> Dataset:
    """The cases that the spec names, `data.where` applied and labels checked; `folder` is the spec's.

    Raises DataError for what is wrong with the source as a whole; for single rows too, all of them in one error, unless
    `data.on_bad_case` is record: then they are in `Dataset.bad`.
    """
    source = spec.data.source
    if isinstance(source, NoSource):
        return without_cases()
    if isinstance(source, Predictions):
        return _open_predictions(spec, source, folder)
    if isinstance(source, TableSource) and spec.model is None and spec.causal is not None:
        return open_units(spec, source, folder)
    if spec.model is None:
        raise DataError(
            "data.source",
            f"{'rows' if isinstance(source, TableSource) else 'images'} ({source.kind}) and no model",
            "a `model` with its classes, or stored predictions",
            "Declare the model, or use kind: predictions.",
        )
    _require_same_kind(source, spec.model.input)
    if isinstance(source, Arrays):
        return open_array_source(spec, source, folder)
    if isinstance(source, Generator):
        return open_generator(spec, source)
    if isinstance(source, TableSource):
        return _open_features(spec, source, spec.model, folder)
    return _open_folder(spec, source, folder) if isinstance(source, ImageFolder) else _open_table(spec, source, folder)


def _require_same_kind(source: Source, model_input: Input) -> None:
    if isinstance(source, TableSource) != isinstance(model_input, TableInput):
        found = f"{source.kind} for a model of {'rows' if isinstance(model_input, TableInput) else 'images'}"
        expected = "kind table with `model.input.features`, or images with `model.input.size`"
        raise DataError("data.source.kind", found, expected, "Correct one of the two.")


def _open_predictions(spec: AuditSpec, source: Predictions, folder: Path) -> Dataset:
    if spec.model is not None:
        raise DataError(
            "data.source",
            "stored predictions beside a model",
            "one of them: no model is run on stored predictions",
            "Remove `model`, or name a source with images.",
        )
    if spec.data.masks:
        raise DataError("data.masks", "masks of stored predictions", "a source with images", "Remove `data.masks`.")
    as_text = {source.id or ""} | (set() if source.task == "regression" else {source.label})
    path = resolve(source.table, folder, "data.source.table")
    table = read_table(path, source.table, as_text, spec.data.missing_codes)
    problems = RowProblems()
    ids = _ids(table, _shown(spec, source.id), "data.source.id")
    labels = _labels(table, source.label, source.task, spec.classes, (), problems)
    scores = stored_scores(table, source, problems)
    rows = Rows(table, ids, labels, problems, NoPixels(), scores=scores)
    return assemble(rows, spec)


def _open_table(spec: AuditSpec, source: ImageTable, folder: Path) -> Dataset:
    columns = in_columns(spec.data.masks)
    as_text = {source.image, source.id or ""} | {mask for mask in columns.values() if isinstance(mask, str)}
    if isinstance(source.label, str) and spec.task != "regression":
        as_text.add(source.label)
    path = resolve(source.table, folder, "data.source.table")
    table = read_table(path, source.table, as_text, spec.data.missing_codes)
    root = path.parent if source.root is None else resolve(source.root, folder, "data.source.root")
    require_folder(root, source.root or source.table)
    problems = RowProblems()
    files = _text_cells(table, source.image, "data.source.image")
    for row, file in enumerate(files):
        if file is None:
            problems.add(row, f"column {source.image}: found no path; expected an image file")
    outputs = (spec.model.outputs or ()) if spec.model else ()
    labels = _labels(table, source.label, spec.task, spec.classes, outputs, problems)
    pixels = FilePixels(
        root,
        tuple(file or "" for file in files),
        tuple(dict.fromkeys((root, path.parent))),
        mask_files(table, columns),
        mask_boxes(table, columns, problems),
        read_box_masks(spec.data.masks, folder, files, problems),
        None if source.crop is None else read_crops(table, source.crop, problems),
    )
    ids = _ids_of_images(spec, source, table, files, pixels)
    return assemble(Rows(table, ids, labels, problems, pixels), spec)


def _ids_of_images(
    spec: AuditSpec, source: ImageTable, table: Table, files: Sequence[str | None], pixels: FilePixels
) -> tuple[str | None, ...]:
    """The column that names cases, or the image and where it was cut out, unless one of them is withheld."""
    if source.id is not None or pixels.crops is None or source.crop is None:
        key = "data.source.id" if source.id else "data.source.image"
        return _ids(table, _shown(spec, source.id or source.image), key)
    if {source.image, *source.crop.box} & set(spec.data.show.withhold):
        return _ids(table, None, "data.source.image")
    return named_by_box(files, pixels.crops)


def _open_features(spec: AuditSpec, source: TableSource, model: Model, folder: Path) -> Dataset:
    assert isinstance(model.input, TableInput)
    if spec.data.masks:
        raise DataError("data.masks", "masks of a table", "images", "Remove `data.masks`.")
    as_text = {source.id or ""} | text_columns(model.input)
    if isinstance(source.label, str) and spec.task != "regression":
        as_text.add(source.label)
    table = table_of(source, folder, as_text, spec.data.missing_codes)
    problems = RowProblems()
    features = read_features(table, model.input, problems)
    assert source.label is not None, "a model's table declares its label"
    labels = _labels(table, source.label, spec.task, spec.classes, model.outputs or (), problems)
    ids = _ids(table, _shown(spec, source.id), "data.source.id")
    return assemble(Rows(table, ids, labels, problems, NoPixels(), features=features), spec)


def _open_folder(spec: AuditSpec, source: ImageFolder, folder: Path) -> Dataset:
    if spec.task not in ("single_label", "binary_logit"):
        raise DataError(
            "data.source.kind",
            f"image_folder for task {spec.task}",
            "single_label or binary_logit: a folder gives one class",
            "Use image_table.",
        )
    if in_columns(spec.data.masks):
        raise DataError("data.masks", "columns of masks for an image_folder", "columns of a table", "Use image_table.")
    root = resolve(source.root, folder, "data.source.root")
    found = list_classes(root, source.root, spec.classes)
    frame = pd.DataFrame({"file": text(found.files), "label": text(found.labels)})
    table = Table(source.root, frame, np.arange(1, len(frame) + 1, dtype=np.int64), "file")
    problems = RowProblems()
    labels = class_labels(found.labels, spec.classes, "label", problems)
    boxes = read_box_masks(spec.data.masks, folder, found.files, problems)
    pixels = FilePixels(root, found.files, box_masks=boxes)
    rows = Rows(table, found.files, labels, problems, pixels, notes=found.notes, bad=found.bad)
    return assemble(rows, spec)


def _shown(spec: AuditSpec, column: str | None) -> str | None:
    """The column that names cases, unless `data.show` withholds it: cases are then named by their rows."""
    return None if column in spec.data.show.withhold else column


def _ids(table: Table, column: str | None, key: str) -> tuple[str | None, ...]:
    if column is None:
        return tuple(f"{table.row_word} {line}" for line in table.lines)
    return tuple(_text_cells(table, column, key))


def _text_cells(table: Table, name: str, key: str) -> list[str | None]:
    return [None if cell is None or pd.isna(cell) else str(cell) for cell in table.column(name, key)]


def _labels(
    table: Table,
    columns: str | tuple[str, ...],
    task: str,
    classes: Sequence[str],
    outputs: Sequence[str],
    problems: RowProblems,
) -> NDArray[Any]:
    key = "data.source.label"
    if task == "multi_label":
        if isinstance(columns, str) or len(columns) != len(classes):
            found = "one column" if isinstance(columns, str) else f"{len(columns)} columns"
            _label_columns(found, f"{len(classes)} columns of 0 and 1, in the order of `classes`")
        return np.stack([flags(table.column(name, key), name, problems) for name in columns], axis=1)
    if task == "regression":
        names = (columns,) if isinstance(columns, str) else columns
        if outputs and len(outputs) != len(names):
            _label_columns(f"{len(names)} columns", f"{len(outputs)}, one for each of `model.outputs`")
        return np.stack([numbers(table.column(name, key), name, problems) for name in names], axis=1)
    if not isinstance(columns, str):
        _label_columns(f"{len(columns)} columns", f"one column for task {task}")
    return class_labels(_text_cells(table, columns, key), classes, columns, problems)


def _label_columns(found: str, expected: str) -> NoReturn:
    raise DataError("data.source.label", found, expected, "Correct `label`, or `model.task`.")
