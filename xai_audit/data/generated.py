"""Pictures of a world with a known causal model as a dataset: each unit is made when it is asked for."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import text
from xai_audit.data.dataset import Dataset
from xai_audit.data.labels import RowProblems
from xai_audit.data.masks import fits
from xai_audit.data.pixels import Picture, no_mask
from xai_audit.data.rows import Rows, assemble
from xai_audit.data.suggestions import did_you_mean, one_of
from xai_audit.data.tables import Table
from xai_audit.errors import DataError
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.spec.schema import AuditSpec, Border, Generator, Mask, Outside
from xai_audit.synthetic.units import Chance, Discrete, Level, Row, Unit, World
from xai_audit.synthetic.worlds import coefficients_of, world_of

KEPT = 256
"""Pictures that are kept made, so that the masks of a case and a setting that was had before do not make one again."""


@dataclass(frozen=True)
class GeneratedPixels:
    """Pictures and masks of units of a world, and the same units again with some of their causes set."""

    name: str
    coefficients: Mapping[str, Any]
    """Those that the spec names."""
    seed: int
    numbers: tuple[int, ...]
    """Number of the unit of each row."""
    mask_names: Mapping[str, str]
    """By the name that the spec gives a mask: its name in the world."""
    kept: OrderedDict[tuple[float, ...], Unit] = field(default_factory=OrderedDict, compare=False, repr=False)
    facts: dict[int, Row] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def world(self) -> World:
        """The world with its coefficients."""
        return world_of(self.name, self.coefficients)

    def unit(self, row: int) -> Unit:
        """The unit of a row as it is."""
        return self._made(row, self.factual(row))

    def factual(self, row: int) -> Row:
        """The causes of the unit of a row as they are."""
        if row not in self.facts:
            self.facts[row] = self.world.row(Chance(self.seed, self.numbers[row]))
        return self.facts[row]

    def _made(self, row: int, causes: Row) -> Unit:
        """The unit of a row with its causes worked out; one of the same causes is made once."""
        key = (row, *causes.values())
        if key not in self.kept:
            self.kept[key] = self.world.shown(self.seed, self.numbers[row], causes)
            while len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return self.kept[key]

    def under(self, row: int, do: Mapping[str, Level], hold: Collection[str] = ()) -> Unit:
        """The unit of a row, had some causes been set, and those in `hold` been kept at what they are.

        Levels are as the table writes them. Raises ValueError for what is no variable of the world or no level of it.
        """
        factual = self.factual(row)
        held = {name: factual[name] for name in hold}
        forced = {name: self.world.value(name, level) for name, level in do.items()}
        chance = Chance(self.seed, self.numbers[row])
        return self._made(row, self.world.row(chance, {**held, **forced}, factual))

    def shown(self, row: Row) -> dict[str, str | int | float]:
        """A unit's causes as the table writes them."""
        return {name: self.world.level(name, value) for name, value in row.items()}

    def masks_of(self, unit: Unit) -> dict[str, NDArray[np.bool_]]:
        """Masks of a unit by the names that the spec gives them, each (H, W)."""
        return {concept: unit.masks[name] for concept, name in self.mask_names.items()}

    def read(self, row: int, case: str) -> Picture:
        """The image of a row."""
        return Picture(image_of(self.unit(row)), self.digest(row, case))

    def size(self, row: int, case: str) -> tuple[int, int]:
        """Height and width: the same for every row."""
        side = int(self.world.coefficients.side)
        return side, side

    def mask(self, row: int, concept: str, size: tuple[int, int], case: str) -> NDArray[np.bool_]:
        """The mask of a row, (H, W) = size; without a pixel where the cause does not show."""
        if concept not in self.mask_names:
            raise no_mask(case, concept)
        return fits(self.unit(row).masks[self.mask_names[concept]], size, f"{case}, mask {concept}")

    def has_mask(self, row: int, concept: str) -> bool:
        """Every row has one."""
        return concept in self.mask_names

    def digest(self, row: int, case: str) -> str:
        """sha256 of what the picture is made from; none is made."""
        return self._digest(row, "picture")

    def mask_digest(self, row: int, concept: str, case: str) -> str:
        """sha256 of what the mask is made from."""
        return self._digest(row, f"mask {self.mask_names[concept]}")

    def _digest(self, row: int, part: str) -> str:
        return sha256(f"{self._made_of}:{self.numbers[row]}:{part}".encode())

    @cached_property
    def _made_of(self) -> str:
        plain = json.loads(json.dumps(asdict(self.world.coefficients)))
        return sha256(canonical({"world": self.name, "seed": self.seed, "coefficients": plain}).encode())


def image_of(unit: Unit) -> NDArray[np.float32]:
    """The picture of a unit as a case's image, (H, W, C), float32 in [0, 1]."""
    return unit.picture[:, :, None] if unit.picture.ndim == 2 else unit.picture


def open_generator(spec: AuditSpec, source: Generator) -> Dataset:
    """The units that the spec names; a case's id is its unit's number, and its columns are the world's variables.

    Raises DataError for a coefficient, a label or a mask that the world does not have.
    """
    world = _checked_world(source)
    numbers = range(source.first, source.first + source.count)
    masks = _mask_names(spec.data.masks, world)
    pixels = GeneratedPixels(source.name, source.coefficients, source.seed, tuple(numbers), masks)
    rows = [world.row(Chance(source.seed, number)) for number in numbers]
    frame = pd.DataFrame({name: _column(world, name, rows) for name in world.equations})
    table = Table(source.name, frame, np.asarray(numbers, dtype=np.int64), "unit")
    table = table.without_codes(spec.data.missing_codes)
    labels = _labels(spec, source, world, rows)
    ids = tuple(str(number) for number in numbers)
    return assemble(Rows(table, ids, labels, RowProblems(), pixels), spec)


def _checked_world(source: Generator) -> World:
    from pydantic import ValidationError

    known = coefficients_of(source.name)
    for name in source.coefficients:
        if name not in known:
            fix = f"{did_you_mean(name, known)}Correct the coefficient."
            raise DataError(f"data.source.coefficients.{name}", f'no coefficient "{name}"', one_of(known), fix)
    try:
        return world_of(source.name, source.coefficients)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        expected = first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"data.source.coefficients{where}", repr(first["input"]), expected, "Correct the coefficient."
        ) from None


def _mask_names(masks: Mapping[str, Mask], world: World) -> dict[str, str]:
    found = {}
    for concept, name in masks.items():
        if isinstance(name, Outside | Border):
            continue
        if not isinstance(name, str) or name not in world.masks:
            shown = f'no mask "{name}"' if isinstance(name, str) else "boxes"
            near = did_you_mean(name, world.masks) if isinstance(name, str) else ""
            fix = f"{near}Name a mask of the world."
            raise DataError(f"data.masks.{concept}", f"{shown} in the {world.name}", one_of(world.masks), fix)
        found[concept] = name
    return found


def _column(world: World, name: str, rows: list[Row]) -> pd.Series[Any]:
    cells = [world.level(name, row[name]) for row in rows]
    if any(isinstance(cell, str) for cell in cells):
        return text([str(cell) for cell in cells])
    return pd.Series(cells, dtype="int64" if isinstance(world.equations[name], Discrete) else "float64")


def _labels(spec: AuditSpec, source: Generator, world: World, rows: list[Row]) -> NDArray[Any]:
    """Places of levels, (cases,), in the order of `classes`; numbers (cases, 1) for a regression."""
    key = "data.source.label"
    if source.label not in world.equations:
        known = list(world.equations)
        fix = f"{did_you_mean(source.label, known)}Name a variable of the {source.name}."
        raise DataError(key, f'no variable "{source.label}"', one_of(known), fix)
    values = np.asarray([row[source.label] for row in rows])
    if spec.task == "regression":
        return values[:, None]
    equation = world.equations[source.label]
    if spec.task == "multi_label" or not isinstance(equation, Discrete):
        found = f"{source.label} for task {spec.task}"
        expected = "a variable with levels for one label a case, or task regression for numbers"
        raise DataError(key, found, expected, "Correct `label`, or `model.task`.")
    if len(equation.levels) != len(spec.classes):
        levels = ", ".join(map(str, equation.levels))
        found = f"{len(spec.classes)} classes for the {len(equation.levels)} levels of {source.label}: {levels}"
        raise DataError(key, found, "a class a level, in their order", "Correct `model.classes`, or `label`.")
    return values.astype(np.int64)
