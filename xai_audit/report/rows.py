"""The explained cases of a table: features with their titles, values as words, and each method's contributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context
from xai_audit.report.explained import methods_with_maps
from xai_audit.report.sections.fits import Arrays
from xai_audit.spec.tables import Feature, TableInput

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """A feature as the report speaks of it."""

    number: int
    """From one, in the order of the model's input."""
    column: str
    title: str
    categories: tuple[str, ...]
    is_withheld: bool


@dataclass(frozen=True, eq=False)
class ExplainedRows:
    """The cases that the explanation methods saw, as rows."""

    record: Evidence
    cases: tuple[dict[str, Any], ...]
    features: tuple[Named, ...]
    values: Floats
    """(cases, features): numbers, or codes of categories; NaN is missing, or withheld."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Rows by the id of the case."""
        return {str(case["id"]): place for place, case in enumerate(self.cases)}


@dataclass(frozen=True, eq=False)
class Contributions:
    """What one method says of the rows: a signed value a player and case."""

    label: str
    record: Evidence
    ids: tuple[str, ...]
    values: Floats
    """(cases, players)."""
    errors: Floats | None
    """(cases, players); none where the method has none."""
    members: tuple[tuple[int, ...], ...]
    """Features of each player, by their places."""
    extras: Arrays

    @cached_property
    def places(self) -> dict[str, int]:
        """Rows by the id of the case."""
        return {case: place for place, case in enumerate(self.ids)}

    def explained(self, case: str) -> str:
        """Class or output whose score the values of a case add up to; empty where the method names none."""
        names, place = self.record.details.get("explained") or [], self.places.get(case)
        return str(names[place]) if place is not None and place < len(names) else ""

    def name(self, features: Sequence[Named], player: int) -> str:
        """A player by the titles of its features."""
        return " + ".join(features[place].title for place in self.members[player])


def table_input(context: Context) -> TableInput | None:
    """The features that the model reads, where it reads a table."""
    found = context.spec.model.input if context.spec.model is not None else None
    return found if isinstance(found, TableInput) else None


def named_features(context: Context, wanted: TableInput) -> tuple[Named, ...]:
    """Features with the titles that people know."""
    withheld = context.spec.data.show.withhold
    return tuple(_named(context, place, each, each.column in withheld) for place, each in enumerate(wanted.features))


def _named(context: Context, place: int, feature: Feature, is_withheld: bool) -> Named:
    title = context.text(feature.title) if feature.title is not None else feature.column
    return Named(place + 1, feature.column, title, feature.categories or (), is_withheld)


def explained_rows(context: Context) -> ExplainedRows | None:
    """The chosen rows, or none where their step has no result or the model reads no table."""
    wanted, record = table_input(context), context.first("cases")
    if wanted is None or record is None:
        return None
    values = context.run.arrays(record.id).get("features")
    count = len(record.details["cases"])
    known = np.full((count, len(wanted.features)), np.nan) if values is None else np.asarray(values, dtype=np.float64)
    shaped = known.reshape(count, len(wanted.features))
    return ExplainedRows(record, tuple(record.details["cases"]), named_features(context, wanted), shaped)


def value_text(context: Context, feature: Named, value: float) -> str:
    """A value as people read it: a category's word, a number, missing, withheld."""
    if feature.is_withheld:
        return context.label("numbers.withheld")
    if np.isnan(value):
        return context.label("rows.missing")
    if feature.categories:
        place = int(value)
        known = 0 <= place < len(feature.categories)
        return feature.categories[place] if known else context.numbers.plain(value, 4)
    if float(value).is_integer() and abs(value) < 1e6:
        return context.numbers.count(int(value))
    return context.numbers.plain(float(value), 4)


def each_contribution(context: Context, rows: ExplainedRows) -> Iterator[Contributions]:
    """The contributions of every method that explained rows."""
    for method, record in methods_with_maps(context):
        arrays = context.run.arrays(record.id)
        found = _by_player(method.label, record, arrays, len(rows.features))
        if found is not None:
            yield found


def _by_player(label: str, record: Evidence, arrays: Arrays, features: int) -> Contributions | None:
    """One column a player: features that come and go together carry the same value and are counted once."""
    raw = np.asarray(arrays["raw"], dtype=np.float64)
    ids = tuple(str(case) for case in record.details["case_ids"])
    painted = raw.reshape(len(ids), -1) if len(ids) else np.zeros((0, features))
    if painted.shape[1] != features:
        return None
    labels = np.arange(features)
    if "segments" in arrays and len(ids):
        labels = np.asarray(arrays["segments"]).reshape(len(ids), -1)[0].astype(int)
    members = tuple(tuple(np.flatnonzero(labels == player).tolist()) for player in dict.fromkeys(labels.tolist()))
    first = [places[0] for places in members]
    errors = arrays.get("standard_error")
    spread = None if errors is None else np.asarray(errors, dtype=np.float64).reshape(len(ids), features)[:, first]
    extras = {name: array for name, array in arrays.items() if name != "raw"}
    return Contributions(label, record, ids, painted[:, first], spread, members, extras)


def player_value(context: Context, rows: ExplainedRows, found: Contributions, case: str, player: int) -> str:
    """The value of a player on a case; of a group all its features' values."""
    values = rows.values[rows.places[case]]
    return context.words.listed(
        value_text(context, rows.features[place], values[place]) for place in found.members[player]
    )
