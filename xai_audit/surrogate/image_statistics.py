"""Numbers read off the images as the model sees them: inside masks, and in the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.bad_cases import case_place
from xai_audit.data.dataset import Dataset
from xai_audit.data.preprocess import prepare
from xai_audit.errors import Refusal
from xai_audit.spec.methods import GridFeature, RegionFeature
from xai_audit.spec.schema import AuditSpec, ModelInput
from xai_audit.surrogate.samples import Column, Values

WHOLE = "image"
"""The region that is the whole image."""
LUMA = np.asarray([0.299, 0.587, 0.114])
CHANNELS = ("red", "green", "blue")

Entry: TypeAlias = RegionFeature | GridFeature
Pixels = NDArray[np.float64]
"""(channels, height, width) in [0, 1]."""
Mask = NDArray[np.bool_]


def image_statistics(
    entries: Sequence[Entry], dataset: Dataset, indexes: NDArray[np.int64], spec: AuditSpec, where: str
) -> list[tuple[Column, Values]]:
    """A column for each region and each cell, with its values (cases,); every image is read once.

    Raises Refusal where the source has no images, a mask is not declared, or a case has no place in a region whose
    brightness or colour is asked for.
    """
    if not dataset.has_images or spec.model is None or not isinstance(spec.model.input, ModelInput):
        fix = "Name columns of the table."
        raise Refusal(f"{where}.features", "a statistic of images, of cases without any", "columns", fix)
    regions = tuple(dict.fromkeys(e.region for e in entries if isinstance(e, RegionFeature) and e.region != WHOLE))
    unknown = [region for region in regions if region not in dataset.concepts]
    if unknown:
        fix = "Declare the mask under `data.masks`, or write `region: image`."
        raise Refusal(f"{where}.features", f'"{unknown[0]}", which is no mask', "a declared mask", fix)
    coloured = [entry.statistic for entry in entries if entry.statistic in CHANNELS]
    if coloured and spec.model.input.channels != 3:
        found, fix = f"statistic {coloured[0]} of grey images", "Ask for brightness."
        raise Refusal(f"{where}.features", found, "three channels", fix)
    columns = [column for entry in entries for column in _columns(entry)]
    table = np.empty((len(indexes), len(columns)))
    for row, index in enumerate(indexes.tolist()):
        pixels = prepare(dataset.image(index), spec.model.input).astype(np.float64)
        masks = {region: dataset.seen_mask(index, region, spec.model.input) for region in regions}
        numbers = [number for entry in entries for number in _numbers(entry, pixels, masks)]
        table[row] = numbers
        for column, number in zip(columns, numbers, strict=True):
            if np.isnan(number):
                raise _empty(column, case_place(dataset.ids[index]), where)
    return [(column, table[:, place]) for place, column in enumerate(columns)]


def _empty(column: Column, case: str, where: str) -> Refusal:
    region = column.source["region"]
    found = f"{case}: nothing of {region} in the image, so that its {column.source['statistic']} does not exist"
    fix = f"Ask for `statistic: share`, or take a slice whose cases all show {region}."
    return Refusal(f"{where}.features", found, "the region in every case", fix)


def cell_of(row: int, column: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """The pixels of a cell; cells of one grid differ by one pixel at most."""
    edges = [[side * place // parts for place in range(parts + 1)] for side, parts in zip(size, grid, strict=True)]
    return slice(edges[0][row], edges[0][row + 1]), slice(edges[1][column], edges[1][column + 1])


def _columns(entry: Entry) -> list[Column]:
    if isinstance(entry, RegionFeature):
        source = {"kind": "region", "region": entry.region, "statistic": entry.statistic}
        return [Column(f"{entry.statistic} of {entry.region}", "number", source)]
    rows, columns = entry.grid
    return [
        Column(
            f"{entry.statistic} of cell {row + 1},{column + 1} of {rows} x {columns}", "number",
            {"kind": "cell", "row": row + 1, "column": column + 1, "grid": [rows, columns],
             "statistic": entry.statistic},
        )
        for row, column in product(range(rows), range(columns))
    ]  # fmt: skip


def _numbers(entry: Entry, pixels: Pixels, masks: dict[str, Mask]) -> list[float]:
    if isinstance(entry, GridFeature):
        places = product(range(entry.grid[0]), range(entry.grid[1]))
        parts = [cell_of(row, column, entry.grid, pixels.shape[1:]) for row, column in places]
        return [_statistic(entry.statistic, pixels[:, y, x].reshape(len(pixels), -1)) for y, x in parts]
    inside = np.ones(pixels.shape[1:], dtype=np.bool_) if entry.region == WHOLE else masks[entry.region]
    if entry.statistic == "share":
        return [float(inside.mean())]
    return [_statistic(entry.statistic, pixels[:, inside])]


def _statistic(statistic: str, inside: NDArray[np.float64]) -> float:
    """Of some pixels (channels, pixels); NaN for none. Brightness and contrast are of the luma (grey as it is)."""
    if inside.shape[1] == 0:
        return float("nan")
    if statistic in CHANNELS:
        return float(inside[CHANNELS.index(statistic)].mean())
    luma = LUMA @ inside if len(inside) == 3 else inside[0]
    return float(luma.mean() if statistic == "brightness" else luma.std())
