"""Masks from a table of boxes: any number of boxes a picture, and pictures in which none was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.column_types import kind_of
from xai_audit.data.filters import missing_by_column, selected
from xai_audit.data.labels import RowProblems
from xai_audit.data.mask_columns import edges_of
from xai_audit.data.masks import box_mask, found_in_box
from xai_audit.data.suggestions import did_you_mean
from xai_audit.data.tables import Table, read_table
from xai_audit.errors import DataError
from xai_audit.evidence.paths import resolve
from xai_audit.spec.schema import Boxes, Mask


@dataclass(frozen=True)
class Box:
    """A box and where it stands."""

    edges: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax in pixels of the stored picture."""
    place: str
    """`boxes.csv line 17`."""


@dataclass(frozen=True)
class BoxMask:
    """The boxes of one concept by picture.

    A picture that the table names at all was looked at: one without a box of this concept has an empty tuple here, and
    an empty mask. A picture that it does not name is not annotated.
    """

    by_picture: Mapping[str, tuple[Box, ...]]

    def mask(self, picture: str, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
        """The pixels in any of the picture's boxes, (H, W) = size. Raises DataError for a box that does not fit."""
        mask = np.zeros(size, dtype=np.bool_)
        for box in self.by_picture[picture]:
            mask |= box_mask(box.edges, size, f"{where}, {box.place}")
        return mask

    def words(self, picture: str) -> str:
        """The boxes of a picture in words; the same words, the same mask."""
        return "boxes " + ";".join(",".join(repr(edge) for edge in box.edges) for box in self.by_picture[picture])


def read_box_masks(
    masks: Mapping[str, Mask], folder: Path, pictures: Sequence[str | None], problems: RowProblems
) -> dict[str, BoxMask]:
    """The masks that come from tables of boxes; `pictures` names the picture of each row of the source.

    A box that is none is a problem of every row whose picture it is in. Raises DataError for a table that names none
    of the pictures, for a filter that no box meets, and for columns that are not there.
    """
    found: dict[str, BoxMask] = {}
    tables: dict[tuple[str, str], Table] = {}
    for concept, declared in masks.items():
        if isinstance(declared, Boxes):
            key, named = f"data.masks.{concept}", (declared.boxes, declared.image)
            if named not in tables:
                path = resolve(declared.boxes, folder, f"{key}.boxes")
                tables[named] = read_table(path, declared.boxes, {declared.image})
            found[concept] = _box_mask(tables[named], declared, key, pictures, problems)
    return found


def _box_mask(
    table: Table, declared: Boxes, key: str, pictures: Sequence[str | None], problems: RowProblems
) -> BoxMask:
    names = _names(table, declared, key)
    cases = _rows_by_picture(pictures)
    here = [row for row, name in enumerate(names) if name in cases]
    if not here:
        found = f'no box of any picture of the source; the first is of "{names[0]}"'
        fix = f"{did_you_mean(names[0], cases)}Correct `{key}.image`."
        raise DataError(table.name, found, "names as the source writes them", fix)
    chosen = selected(table, declared.where, f"{key}.where")
    if not chosen.any():
        raise DataError(table.name, f"no box that meets `{key}.where`", "at least one", _near(table, declared))
    gone = missing_by_column(table, declared.where, f"{key}.where")
    edges = np.stack([edges_of(table, name, f"{key}.box") for name in declared.box], axis=1)
    boxes: dict[str, list[Box]] = {names[row]: [] for row in here}
    for row in (row for row in here if not np.isnan(edges[row]).all()):
        problem = next((_unfiltered(key, name) for name in gone if gone[name][row]), "")
        problem = problem or (found_in_box(edges[row]) if chosen[row] else "")
        if problem:
            for case in cases[names[row]]:
                problems.add(case, f"mask {key.removeprefix('data.masks.')}, {table.place(row)}: {problem}")
        elif chosen[row]:
            x0, y0, x1, y1 = edges[row].tolist()
            boxes[names[row]].append(Box((x0, y0, x1, y1), table.place(row)))
    return BoxMask({picture: tuple(some) for picture, some in boxes.items()})


def _names(table: Table, declared: Boxes, key: str) -> list[str]:
    """The picture of each box."""
    cells = table.column(declared.image, f"{key}.image")
    for row in np.flatnonzero(cells.isna().to_numpy()).tolist():
        fix = "Fill in the cell, or remove the row."
        raise DataError(table.place(row), f"a box of no picture ({key}.image)", "every box to name its picture", fix)
    return [str(cell) for cell in cells]


def _rows_by_picture(pictures: Sequence[str | None]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(pictures):
        if name is not None:
            rows.setdefault(name, []).append(row)
    return rows


def _unfiltered(key: str, column: str) -> str:
    return f"column {column}: found no value; expected one, because `{key}.where` filters on it"


def _near(table: Table, declared: Boxes) -> str:
    """Did you mean: of the first condition that names a text which no row holds."""
    for name, condition in declared.where.items():
        wanted = condition.equals if condition.in_ is None else condition.in_[0]
        if isinstance(wanted, str) and kind_of(table.frame[name]) == "text":
            known = [str(value) for value in table.frame[name].dropna().unique()]
            if wanted not in known:
                return f"{did_you_mean(wanted, known)}Correct the filter."
    return "Correct the filter, or remove the mask."
