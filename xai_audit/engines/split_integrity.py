"""The step of split integrity: every case is read once more and compared with the training data and the other cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.alike_rows import ROUNDING, alike_between, alike_rows, placed, spread_of
from xai_audit.data.digests import dhash, pixel_digest, row_digests
from xai_audit.data.look_alikes import DISTANCE, Pair, look_alikes, look_alikes_between
from xai_audit.data.training import read_training, read_training_rows, training_table, training_units
from xai_audit.engines.recording import result_of
from xai_audit.evidence.store import StepResult
from xai_audit.measures.split_integrity import (
    AMONG_CASES,
    WITH_TRAINING,
    Ties,
    copies_of,
    differs_within,
    has_copy,
    split_integrity,
)
from xai_audit.plan import Step

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

LISTED = 50
"""Groups and pairs that a record lists; all are counted."""


@dataclass
class _Search:
    """What was found of each kind, and why a kind was not looked for."""

    found: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    not_sought: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def split_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The measure on each slice of a unit, from one search over all cases."""
    ties = _ties(context, unit[0].parameters)
    results = []
    for step in unit:
        found = split_integrity(ties, np.asarray(context.slices[str(step.slice)]))
        context.progress.advance(step.cases)
        results.append(result_of(step, found.details, values=found.values))
    return results


def _ties(context: Context, parameters: Mapping[str, Any]) -> Ties:
    search = _Search(details={"training": context.spec.data.training is not None})
    if context.is_table:
        _rows(context, search, float(parameters.get("rounding") or ROUNDING))
    elif context.dataset.has_images:
        _images(context, search)
    else:
        search.not_sought |= dict.fromkeys((*WITH_TRAINING[:2], *AMONG_CASES), "not_read")
    _units(context, search, parameters.get("units"))
    return Ties(search.found, search.not_sought, context.spec.data.cluster is not None, search.details)


def _images(context: Context, search: _Search) -> None:
    """Exact copies by the pixels, look-alikes by difference hashes of at most DISTANCE bits apart."""
    pixels, files, hashes = [], [], []
    for index in range(len(context.dataset.ids)):
        picture = context.dataset.picture(index)
        pixels.append(pixel_digest(picture.pixels))
        files.append(picture.digest)
        hashes.append(dhash(picture.pixels))
    search.details |= {"looked_at": "images", "distance": DISTANCE, "bits": 64}
    near = look_alikes(hashes)
    same = np.asarray(pixels)
    pairs = [pair for pair in near.pairs if same[pair.first] != same[pair.second]]
    _among(context, search, copies_of(same), _in_pairs(pairs, len(same)))
    search.details["look_alike_pairs"] = _listed_pairs(context, pairs)
    search.details["not_compared"] = near.flat + near.uncompared
    if context.spec.data.training is None:
        search.not_sought |= dict.fromkeys(WITH_TRAINING[:2], "no_training")
        return
    training = read_training(context.spec.data.training, context.spec_folder, lambda _: None)
    exact = np.asarray([p in training.exact or f in training.exact for p, f in zip(pixels, files, strict=True)])
    search.found["training_copies"] = exact
    search.details["training_cases"] = training.images
    if not training.hashes:
        search.not_sought["training_look_alikes"] = "no_hashes"
        return
    alike = look_alikes_between(hashes, training.hashes)
    search.found["training_look_alikes"] = _in_pairs(alike.pairs, len(same), first_only=True) & ~exact


def _rows(context: Context, search: _Search, rounding: float) -> None:
    """Exact copies by the features that the model reads, look-alikes by a rounding in standard deviations."""
    wanted = context.table_input
    assert wanted is not None
    features, codes = context.features, [feature.categories is not None for feature in wanted.features]
    digests = row_digests(features)
    spread = spread_of(features)
    points = placed(features, spread, codes)
    search.details |= {"looked_at": "rows", "rounding": rounding, "not_compared": 0}
    near = alike_rows(points, rounding)
    _among(context, search, copies_of(np.asarray(digests)), near)
    declared = context.spec.data.training
    if declared is None:
        search.not_sought |= dict.fromkeys(WITH_TRAINING[:2], "no_training")
        return
    rows = read_training_rows(declared, context.spec_folder, wanted, context.spec.data.missing_codes)
    search.found["training_copies"] = np.asarray([digest in rows.exact for digest in digests])
    search.details["training_cases"] = rows.rows
    table = training_table(declared, context.spec_folder, wanted, context.spec.data.missing_codes)
    if table is None:
        search.not_sought["training_look_alikes"] = "digests_only"
        return
    search.found["training_look_alikes"] = alike_between(points, placed(table, spread, codes), rounding)


def _among(context: Context, search: _Search, group: NDArray[np.int64], near: NDArray[np.bool_] | None) -> None:
    """Copies among the audited cases, and where they cross units or carry another label."""
    search.found["copies"] = has_copy(group)
    search.details["copy_groups"] = _listed_groups(context, group)
    if near is None:
        search.not_sought["look_alikes"] = "too_many"
    else:
        search.found["look_alikes"] = near
    clusters, labels = context.dataset.clusters, context.dataset.labels
    if clusters is None:
        search.not_sought["copies_across_units"] = "no_units"
    else:
        search.found["copies_across_units"] = differs_within(group, clusters)
    if labels.dtype.kind == "f":
        search.not_sought["copies_of_other_label"] = "no_classes"
    else:
        codes = labels if labels.ndim == 1 else np.unique(labels, axis=0, return_inverse=True)[1].ravel()
        search.found["copies_of_other_label"] = differs_within(group, codes.astype(np.int64))


def _units(context: Context, search: _Search, listed: object) -> None:
    """Whether a case's unit (patient, module) is a unit of the training data too."""
    column = context.spec.data.cluster
    if column is None:
        search.not_sought["training_units"] = "no_units"
        return
    known = training_units(context.spec.data.training, None if listed is None else str(listed), column,
                           context.spec_folder)  # fmt: skip
    if known is None:
        search.not_sought["training_units"] = "no_list"
        return
    own = [str(cell) for cell in context.dataset.table.column(column, "data.cluster")]
    search.found["training_units"] = np.asarray([unit in known for unit in own])
    search.details["units_listed"] = len(known)


def _in_pairs(pairs: Sequence[Pair], cases: int, *, first_only: bool = False) -> NDArray[np.bool_]:
    found = np.zeros(cases, dtype=bool)
    found[[pair.first for pair in pairs]] = True
    if not first_only:
        found[[pair.second for pair in pairs]] = True
    return found


def _listed_pairs(context: Context, pairs: Sequence[Pair]) -> list[list[Any]]:
    ids = context.dataset.ids
    return [[ids[pair.first], ids[pair.second], pair.distance] for pair in pairs[:LISTED]]


def _listed_groups(context: Context, group: NDArray[np.int64]) -> list[list[str]]:
    ids = context.dataset.ids
    repeated = [int(one) for one in dict.fromkeys(group.tolist()) if (group == one).sum() > 1]
    return [[ids[int(place)] for place in np.flatnonzero(group == one)] for one in repeated[:LISTED]]
