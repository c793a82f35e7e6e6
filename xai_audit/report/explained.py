"""What the evidence holds of the explained cases: their pictures and masks, and for each method numbers of its maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.evidence.records import Evidence
from xai_audit.explain.shares import BORDER_BY_CHANCE, CENTRE_BY_CHANCE, shares, within
from xai_audit.report.context import Context
from xai_audit.report.inside import OF_METHODS
from xai_audit.report.maps import Floats, ShownMaps, shown_maps

if TYPE_CHECKING:
    from xai_audit.spec.methods import Method

MASK = "mask:"


@dataclass(frozen=True, eq=False)
class Chosen:
    """The cases that the explanation methods saw."""

    record: Evidence
    cases: tuple[dict[str, Any], ...]
    images: npt.NDArray[np.uint8] | None
    """(cases, height, width, channels); none where the spec shows no images."""
    masks: Mapping[str, npt.NDArray[np.bool_]]
    """By name, (cases, height, width)."""
    size: tuple[int, int]
    """Height and width at which maps are drawn."""

    @property
    def places(self) -> Mapping[str, int]:
        """Rows of images and masks by the id of the case."""
        return {case["id"]: place for place, case in enumerate(self.cases)}

    @property
    def rules(self) -> Mapping[str, str]:
        """How cases were chosen, by the rule's name."""
        rules: dict[str, str] = self.record.details["rules"]
        return rules

    def of_slice(self, name: str) -> frozenset[str]:
        """Ids of the chosen cases in a slice."""
        return frozenset(case["id"] for case in self.cases if name in case["slices"])


def chosen_cases(context: Context) -> Chosen | None:
    """The chosen cases, or none where their step has no result."""
    record = context.first("cases")
    if record is None:
        return None
    arrays = context.run.arrays(record.id)
    masks = {name.removeprefix(MASK): array > 0 for name, array in arrays.items() if name.startswith(MASK)}
    images = arrays.get("images")
    return Chosen(record, tuple(record.details["cases"]), images, masks, _size(context, images, masks))


def _size(
    context: Context, images: npt.NDArray[np.uint8] | None, masks: Mapping[str, npt.NDArray[np.bool_]]
) -> tuple[int, int]:
    for array in (images, *masks.values()):
        if array is not None:
            return array.shape[1], array.shape[2]
    assert context.spec.model is not None
    return context.spec.model.input.size


def record_of(context: Context, method: Method) -> Evidence | None:
    """The step of a method, whatever came of it."""
    kinds = context.of_kind("explanation", "surrogate", *OF_METHODS)
    return next((record for record in kinds if record.subject == method.label), None)


def methods_with_maps(context: Context) -> tuple[tuple[Method, Evidence], ...]:
    """Methods that gave one map a case, with their steps."""
    found = [(method, record_of(context, method)) for method in context.spec.methods]
    return tuple(
        (method, record)
        for method, record in found
        if record is not None and record.status == "measured" and registry.method(method.use).gives_map
    )


@dataclass(frozen=True)
class Region:
    """How much of a method's relevance lies in one part of the image."""

    by_case: Mapping[str, float]
    """Shares by case id, of the cases that have one."""
    by_chance: float
    """Mean share of the area, over the same cases."""

    @property
    def mean(self) -> float:
        """Mean over the cases, of which there is one at least."""
        return sum(self.by_case.values()) / len(self.by_case)

    def of(self, cases: Iterable[str]) -> Region:
        """The same over some of the cases, beside the same chance."""
        return Region({case: self.by_case[case] for case in sorted(cases) if case in self.by_case}, self.by_chance)


@dataclass(frozen=True)
class Located:
    """Where one method's relevance lies."""

    record: Evidence
    label: str
    cases: tuple[str, ...]
    regions: Mapping[str, Region]
    """Of the border, of the centre and of each mask ("mask:NAME")."""

    @property
    def empty(self) -> int:
        """Maps without any relevance."""
        return len(self.cases) - len(self.regions["border"].by_case)


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """One method's maps, and what can be counted in them."""

    located: Located
    shown: ShownMaps
    extras: Mapping[str, npt.NDArray[Any]]
    """What else the step kept, one row a case."""

    @property
    def places(self) -> Mapping[str, int]:
        """Rows of the maps by the id of the case."""
        return {case: place for place, case in enumerate(self.located.cases)}

    def mean(self, cases: Iterable[str]) -> Floats:
        """Mean (height, width) of the maps of some cases, as they are drawn."""
        rows = [self.places[case] for case in sorted(cases)]
        return np.asarray(self.shown.maps[rows].mean(axis=0, dtype=np.float64))


def each_method(context: Context, chosen: Chosen) -> Iterator[MethodMaps]:
    """The maps of one method after the other; only one method's are held at a time."""
    for method, record in methods_with_maps(context):
        arrays = context.run.arrays(record.id)
        shown = shown_maps(method.label, method.use, arrays["raw"], chosen.size)
        ids = tuple(record.details["case_ids"])
        located = Located(record, method.label, ids, _regions(shown.relevance, ids, chosen))
        yield MethodMaps(located, shown, {name: array for name, array in arrays.items() if name != "raw"})


def _regions(relevance: Floats, ids: Sequence[str], chosen: Chosen) -> dict[str, Region]:
    found = shares(relevance)
    regions = {
        "border": Region(_of_cases(ids, found.border, found.is_defined), BORDER_BY_CHANCE),
        "centre": Region(_of_cases(ids, found.centre, found.is_defined), CENTRE_BY_CHANCE),
    }
    rows = [chosen.places[case] for case in ids]
    for name, masks in chosen.masks.items():
        regions[f"{MASK}{name}"] = _in_mask(relevance, ids, masks[rows], found.is_defined)
    return regions


def _in_mask(
    relevance: Floats, ids: Sequence[str], masks: npt.NDArray[np.bool_], is_defined: npt.NDArray[np.bool_]
) -> Region:
    """A mask that is empty or fills the image says nothing, and its case is left out."""
    areas = masks.mean(axis=(1, 2))
    is_used = is_defined & (areas > 0) & (areas < 1)
    by_chance = float(areas[is_used].mean()) if is_used.any() else 0.0
    return Region(_of_cases(ids, within(relevance, masks), is_used), by_chance)


def _of_cases(ids: Sequence[str], values: npt.NDArray[np.float64], is_used: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {case: float(value) for case, value, used in zip(ids, values, is_used, strict=True) if used}
