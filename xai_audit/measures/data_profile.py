"""The data profile: one pass over all cases, keeping a few numbers of each and no image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.bad_cases import BadCase, bad_case, settle
from xai_audit.data.columns import describe_columns, spread
from xai_audit.data.dataset import Dataset
from xai_audit.data.digests import dhash, pixel_digest, row_digests
from xai_audit.data.filters import absent_values, missing_by_column
from xai_audit.data.look_alikes import DISTANCE, LookAlikes, Pair, look_alikes, look_alikes_between
from xai_audit.data.preprocess import channel_conversion, prepare
from xai_audit.data.slices import slice_digest, source_digests, unreadable
from xai_audit.data.training import RowDigests, Training, read_training, read_training_rows
from xai_audit.errors import DataError
from xai_audit.evidence.records import Value
from xai_audit.measures.table_profile import row_overlap, table_details
from xai_audit.spec.schema import AuditSpec, ModelInput
from xai_audit.spec.tables import TableInput

LISTED = 1000
"""Pairs of look-alikes listed in evidence; all are counted."""
LUMA = np.asarray([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Profile:
    """What the data are, and what is wrong with them."""

    values: tuple[Value, ...]
    details: dict[str, Any]
    """JSON tables."""
    bad: tuple[BadCase, ...]
    """All cases left out: rows of the table, then images."""
    mean_colour: tuple[float, ...]
    """Mean of each channel over all pixels that the model sees, in [0, 1]; empty without images."""


@dataclass
class Gathered:
    """What the pass keeps: a few numbers a readable case."""

    indexes: list[int] = field(default_factory=list)
    pixels: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    conversions: Counter[str] = field(default_factory=Counter)
    without_mask: Counter[str] = field(default_factory=Counter)
    empty_mask: Counter[str] = field(default_factory=Counter)
    colour: NDArray[np.float64] | None = None
    bad: list[BadCase] = field(default_factory=list)


def profile(
    dataset: Dataset,
    spec: AuditSpec,
    slices: Mapping[str, NDArray[np.int64]],
    folder: Path,
    progress: Callable[[int], None],
    digests: Sequence[str] | None = None,
) -> Profile:
    """The profile of a dataset and its slices (indexes into it); `progress` receives 1 after each case.

    `digests` are those of `source_digests`, taken here when left out. Every image and mask is read once. Raises
    DataError for bad cases under `on_bad_case: fail` (all in one), when no case or no case of a slice is left, and for
    training data that cannot be read.
    """
    known = source_digests(dataset, lambda _: None) if digests is None else digests
    model_input = spec.model.input if spec.model else None
    gathered = _gather(dataset, model_input if isinstance(model_input, ModelInput) else None, progress)
    settle(gathered.bad, len(dataset.ids), dataset.policy, dataset.table.name)
    out = unreadable(dataset, gathered.bad)
    _refuse_empty_slices(slices, out)
    ids = [dataset.ids[index] for index in gathered.indexes]
    copies = _copies(ids, gathered.pixels)
    near = _near(gathered) if dataset.features is None else LookAlikes((), 0, 0)
    training = (
        read_training(spec.data.training, folder, progress) if spec.data.training and dataset.has_images else None
    )
    alike = look_alikes_between(gathered.hashes, training.hashes) if training else LookAlikes((), 0, 0)
    rows = _training_rows(spec, folder)
    overlap = (
        _overlap(ids, gathered, training, alike, spec.data.training is not None)
        if dataset.features is None
        else row_overlap(ids, gathered.pixels, rows)
    )
    good = np.flatnonzero(~out)
    bad = dataset.bad + tuple(gathered.bad)
    colour = () if gathered.colour is None else tuple((gathered.colour / len(ids)).tolist())
    details = {
        "source": dataset.source,
        "cases": len(good),
        "columns": describe_columns(dataset.frame.iloc[good], spec.data.show.withhold),
        "labels": _label_counts(dataset, spec, good),
        "label_spread": _label_spread(dataset, spec, good),
        "labels_by_slice": [[name, _label_counts(dataset, spec, part[~out[part]])] for name, part in slices.items()],
        "slices": [_slice_entry(dataset, name, part, out, known) for name, part in slices.items()],
        "bad_cases": [{"id": case.id, "problem": case.problem} for case in bad],
        "exact_duplicates": copies,
        "near_duplicates": _pairs_of_ids(near, ids),
        "near_duplicate_pairs": len(near.pairs),
        "training": overlap,
        "mean_colour": list(colour),
        **_picture_details(dataset, gathered),
        "missing_in_filters": _missing_in_filters(dataset, spec, good),
        "limits": [*_limits(dataset, spec, near, alike, training, gathered), *(rows.notes if rows else ())],
        **({} if spec.has_scores else {"scored": False}),
        **(table_details(dataset.without(gathered.bad), spec) if dataset.features is not None else {}),
    }
    return Profile(_values(dataset, good, bad, copies, near, overlap), details, bad, colour)


def _picture_details(dataset: Dataset, gathered: Gathered) -> dict[str, Any]:
    """Sizes, brightness and conversions of the pictures, and what their masks lack."""
    return {
        "image_sizes": [
            [size, count] for size, count in sorted(gathered.sizes.items(), key=lambda item: (-item[1], item[0]))
        ],
        "brightness": spread(np.asarray(gathered.brightness)),
        "conversions": [[what, count] for what, count in sorted(gathered.conversions.items())],
        "masks": [
            {"concept": concept, "without": gathered.without_mask[concept], "empty": gathered.empty_mask[concept]}
            for concept in dataset.concepts
        ],
    }


def _training_rows(spec: AuditSpec, folder: Path) -> RowDigests | None:
    if spec.data.training is None or spec.model is None or not isinstance(spec.model.input, TableInput):
        return None
    return read_training_rows(spec.data.training, folder, spec.model.input, spec.data.missing_codes)


def _gather(dataset: Dataset, model_input: ModelInput | None, progress: Callable[[int], None]) -> Gathered:
    if dataset.features is not None:
        progress(len(dataset.ids))
        return Gathered(list(range(len(dataset.ids))), row_digests(dataset.features))
    gathered = Gathered()
    for index, case_id in enumerate(dataset.ids):
        if dataset.has_images:
            try:
                _look_at(dataset, index, model_input, gathered)
            except DataError as error:
                gathered.bad.append(bad_case(case_id, error))
        progress(1)
    return gathered


def _look_at(dataset: Dataset, index: int, model_input: ModelInput | None, gathered: Gathered) -> None:
    """Read one case whole, and only then keep anything of it."""
    picture = dataset.picture(index)
    image = picture.pixels
    height, width = image.shape[:2]
    conversions = list(picture.conversions)
    colour = None
    if model_input is not None:
        colour = prepare(image, model_input).mean(axis=(1, 2), dtype=np.float64)
        conversions.append(channel_conversion(image, model_input.channels))
    absent = [concept for concept in dataset.concepts if not dataset.has_mask(index, concept)]
    stored = [concept for concept in dataset.concepts if concept not in dataset.drawn and concept not in absent]
    empty = [concept for concept in stored if not dataset.mask(index, concept, (height, width)).any()]
    if colour is not None:
        gathered.colour = colour if gathered.colour is None else gathered.colour + colour
    gathered.indexes.append(index)
    gathered.pixels.append(pixel_digest(image))
    gathered.files.append(picture.digest)
    gathered.hashes.append(dhash(image))
    gathered.brightness.append(_brightness(image))
    gathered.sizes[f"{width}x{height}"] += 1
    gathered.conversions.update(text for text in conversions if text)
    gathered.without_mask.update(absent)
    gathered.empty_mask.update(empty)


def _brightness(image: NDArray[Any]) -> float:
    """Mean luma, 0 to 255."""
    means = image.mean(axis=(0, 1), dtype=np.float64) * (1.0 if image.dtype == np.uint8 else 255.0)
    return float(means[0]) if len(means) == 1 else float(means @ LUMA)


def _refuse_empty_slices(slices: Mapping[str, NDArray[np.int64]], out: NDArray[np.bool_]) -> None:
    for name, part in slices.items():
        if out[part].all():
            raise DataError(
                f"slices.{name}",
                f"no usable case: all {len(part)} are bad",
                "at least one case",
                "Correct the cases, or remove the slice; `on_bad_case: record` would leave it empty.",
            )


def _copies(ids: Sequence[str], digests: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for case_id, digest in zip(ids, digests, strict=True):
        groups.setdefault(digest, []).append(case_id)
    return [group for group in groups.values() if len(group) > 1]


def _near(gathered: Gathered) -> LookAlikes:
    """Look-alikes among the images; of exact copies only the first is compared."""
    seen: set[str] = set()
    places: list[int] = []
    for place, digest in enumerate(gathered.pixels):
        if digest not in seen:
            seen.add(digest)
            places.append(place)
    found = look_alikes([gathered.hashes[place] for place in places])
    pairs = tuple(Pair(places[pair.first], places[pair.second], pair.distance) for pair in found.pairs)
    return LookAlikes(pairs, found.flat, found.uncompared)


def _pairs_of_ids(near: LookAlikes, ids: Sequence[str]) -> list[list[Any]]:
    return [[ids[pair.first], ids[pair.second], pair.distance] for pair in near.pairs[:LISTED]]


def _overlap(
    ids: Sequence[str], gathered: Gathered, training: Training | None, near: LookAlikes, declared: bool
) -> dict[str, Any]:
    if training is None:
        return {"declared": declared, "images": 0, "exact": [], "near": []}
    exact = [
        case_id
        for case_id, pixels, file in zip(ids, gathered.pixels, gathered.files, strict=True)
        if pixels in training.exact or file in training.exact
    ]
    known = set(exact)
    alike = [
        [ids[pair.first], training.names[pair.second], pair.distance]
        for pair in near.pairs
        if ids[pair.first] not in known
    ]
    return {"declared": declared, "images": training.images, "exact": exact, "near": alike}


def _label_counts(dataset: Dataset, spec: AuditSpec, indexes: NDArray[np.int64]) -> list[list[Any]]:
    """Cases of each class, each with the label for multi_label; none for a regression."""
    labels = dataset.labels[indexes]
    if labels.dtype.kind == "f":
        return []
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(spec.classes))
    return [[name, int(count)] for name, count in zip(spec.classes, counts, strict=True)]


def _label_spread(dataset: Dataset, spec: AuditSpec, indexes: NDArray[np.int64]) -> list[dict[str, Any]]:
    """For a regression: the spread of each output."""
    labels = dataset.labels[indexes]
    if labels.dtype.kind != "f":
        return []
    declared = spec.model.outputs if spec.model else None
    names = declared or tuple(f"output {place}" for place in range(labels.shape[1]))
    return [{"output": name} | spread(column) for name, column in zip(names, labels.T, strict=True)]


def _slice_entry(
    dataset: Dataset, name: str, part: NDArray[np.int64], out: NDArray[np.bool_], digests: Sequence[str]
) -> dict[str, Any]:
    kept = part[~out[part]]
    clusters = len(kept) if dataset.clusters is None else len(np.unique(dataset.clusters[kept]))
    digest = slice_digest([dataset.ids[i] for i in part], [digests[i] for i in part], [dataset.labels[i] for i in part])
    return {"name": name, "cases": len(kept), "clusters": clusters, "digest": digest}


def _missing_in_filters(dataset: Dataset, spec: AuditSpec, good: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Cases that a slice leaves out because a value that it filters on is missing."""
    found = []
    for part in spec.slices:
        for column, gone in missing_by_column(dataset.table, part.where, f"slices.{part.name}.where").items():
            cases = [dataset.ids[index] for index in good.tolist() if gone[index]]
            if cases:
                found.append({"slice": part.name, "column": column, "cases": cases})
    return found


def _limits(
    dataset: Dataset,
    spec: AuditSpec,
    near: LookAlikes,
    alike: LookAlikes,
    training: Training | None,
    gathered: Gathered,
) -> list[str]:
    said = list(dataset.notes)
    for part in spec.slices:
        said += [
            f'Slice {part.name}: the value "{value}" of {column} occurs in no case.'
            for column, value in absent_values(dataset.table, part.where)
        ]
    for concept, count in sorted(gathered.without_mask.items()):
        said.append(f"{count} cases declare no mask {concept} and take no part in measures inside it.")
    if dataset.features is not None:
        undeclared = ["No training data declared: an overlap with them was not looked for."]
        return said + (undeclared if spec.data.training is None else [])
    if dataset.source == "table":
        return said
    if not dataset.has_images:
        return [*said, "Images were not looked at: the source holds stored predictions."]
    said.append(
        f"Near duplicates are a hint: their difference hashes differ in at most {DISTANCE} of 64 bits. "
        "Turned, mirrored and cropped copies are not found."
    )
    if near.flat:
        said.append(f"{near.flat} images without contrast from left to right were not compared for near duplicates.")
    if near.uncompared:
        said.append(f"{near.uncompared} images were not compared with all others: too many share a part of their hash.")
    if alike.uncompared:
        said.append(f"{alike.uncompared} audited and training images were not compared with all others.")
    if len(near.pairs) > LISTED:
        said.append(f"{len(near.pairs)} pairs of near duplicates; the first {LISTED} are listed.")
    if training is None:
        said.append("No training data declared: an overlap with them was not looked for.")
    return said + list(training.notes if training else ())


def _values(
    dataset: Dataset,
    good: NDArray[np.int64],
    bad: Sequence[BadCase],
    copies: list[list[str]],
    near: LookAlikes,
    overlap: dict[str, Any],
) -> tuple[Value, ...]:
    cells = int(dataset.frame.iloc[good].isna().to_numpy().sum())
    cases = len(good)
    counted = [
        _count("cases", cases, cases, "cases"),
        _count("missing_values", cells, len(good) * dataset.frame.shape[1], "cells"),
        _count("bad_cases", len(bad), cases + len(bad), "cases"),
    ]
    if dataset.features is not None:
        counted.append(_count("exact_duplicates", sum(len(group) for group in copies), cases, "cases"))
        counted.append(_undefined("near_duplicates", "rows of a table are compared exactly"))
        return (*counted, _overlap_value(overlap, cases))
    if not dataset.has_images:
        reason = "images were not looked at"
        names = ("exact_duplicates", "near_duplicates", "training_overlap")
        return (*counted, *(_undefined(name, reason) for name in names))
    alike = {place for pair in near.pairs for place in (pair.first, pair.second)}
    counted.append(_count("exact_duplicates", sum(len(group) for group in copies), cases, "cases"))
    counted.append(_count("near_duplicates", len(alike), cases, "cases"))
    return (*counted, _overlap_value(overlap, cases))


def _overlap_value(overlap: dict[str, Any], cases: int) -> Value:
    if not overlap["declared"]:
        return _undefined("training_overlap", "no training data declared")
    return _count("training_overlap", len(overlap["exact"]), cases, "cases")


def _count(name: str, count: int, n: int, unit: str) -> Value:
    return Value(name, float(count), None, None, n, unit)


def _undefined(name: str, reason: str) -> Value:
    return Value(name, None, None, None, 0, "cases", status="undefined", reason=reason)
