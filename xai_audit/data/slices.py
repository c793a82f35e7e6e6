"""Slices: which cases belong to one, and the digests by which a slice is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.bad_cases import BadCase, bad_case, settle
from xai_audit.data.column_types import missing_in
from xai_audit.data.dataset import Dataset
from xai_audit.data.filters import selected
from xai_audit.data.suggestions import did_you_mean
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.spec.schema import Slice


def members(dataset: Dataset, part: Slice) -> NDArray[np.int64]:
    """Indexes of the cases in a slice, ascending. Raises DataError for an unknown column, a comparison of two kinds of
    value, or an empty slice; of an audit without data every slice is empty."""
    indexes = np.flatnonzero(selected(dataset.table, part.where, f"slices.{part.name}.where"))
    if not len(indexes) and dataset.source != "none":
        raise DataError(
            f"slices.{part.name}",
            f"no case among {len(dataset.ids)}{_after(dataset)} with {_conditions(part)}",
            "at least one case",
            f"{_nearest(dataset, part)}Correct the filter, or remove the slice.",
        )
    return np.asarray(indexes, dtype=np.int64)


def source_digests(dataset: Dataset, progress: Callable[[int], None]) -> tuple[str, ...]:
    """One digest a case, of all that the audit takes from it: image, masks and its row in the table.

    `progress` receives 1 after each case. A case whose files cannot be read is an error under `fail` (all of them in
    one); under `record` its digest is that of the problem.
    """
    digests, bad = [], []
    for index, (case_id, row) in enumerate(zip(dataset.ids, _rows(dataset), strict=True)):
        try:
            digests.append(_case_digest(dataset, index, row))
        except DataError as error:
            bad.append(bad_case(case_id, error))
            digests.append(sha256(canonical(["unreadable", bad[-1].problem]).encode()))
        progress(1)
    settle(bad, len(dataset.ids), dataset.policy, dataset.table.name)
    return tuple(digests)


def slice_digest(ids: Sequence[str], digests: Sequence[str], labels: Sequence[Any]) -> str:
    """sha256 over the lines `id, digest, label` of a slice's cases as JSON lists, sorted by id."""
    lines = [
        canonical([case_id, digest, np.asarray(label).tolist()])
        for case_id, digest, label in sorted(zip(ids, digests, labels, strict=True), key=lambda case: case[0])
    ]
    return sha256("".join(f"{line}\n" for line in lines).encode())


def dataset_digest(dataset: Dataset, digests: Sequence[str]) -> str:
    """Digest of all cases and of the rows left out, whether or not a slice holds them."""
    left_out = [[case.id, case.problem] for case in dataset.bad]
    return sha256(canonical([slice_digest(dataset.ids, digests, list(dataset.labels)), left_out]).encode())


def unreadable(dataset: Dataset, bad: Sequence[BadCase]) -> NDArray[np.bool_]:
    """Which cases are among the bad ones, (cases,)."""
    out = {case.id for case in bad}
    return np.asarray([case_id in out for case_id in dataset.ids], dtype=np.bool_)


def _case_digest(dataset: Dataset, index: int, row: tuple[str | None, ...]) -> str:
    masks = {concept: dataset.mask_digest(index, concept) for concept in dataset.concepts}
    return sha256(canonical({"image": dataset.file_digest(index), "masks": masks, "row": row}).encode())


def _rows(dataset: Dataset) -> Iterable[tuple[str | None, ...]]:
    """Each case's row of the table as text, None where missing; an npz may hold no column at all."""
    columns = [_as_text(dataset.frame[name]) for name in dataset.frame.columns]
    return zip(*columns, strict=True) if columns else [()] * len(dataset.ids)


def _as_text(column: pd.Series[Any]) -> list[str | None]:
    gone = missing_in(column).tolist()
    return [None if missing else str(cell) for cell, missing in zip(column.tolist(), gone, strict=True)]


def _after(dataset: Dataset) -> str:
    return f" ({len(dataset.bad)} bad cases left out)" if dataset.bad else ""


def _conditions(part: Slice) -> str:
    said = [
        f"{name}: {canonical(condition.model_dump(exclude_unset=True, by_alias=True))}"
        for name, condition in part.where.items()
    ]
    return ", ".join(said) or "no condition"


def _nearest(dataset: Dataset, part: Slice) -> str:
    for name, condition in part.where.items():
        wanted = condition.equals if condition.in_ is None else condition.in_[0]
        if isinstance(wanted, str):
            known = [str(value) for value in dataset.frame[name].dropna().unique()]
            if wanted not in known:
                return did_you_mean(wanted, known)
    return ""
