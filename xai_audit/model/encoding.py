"""From a row of a table to what a model reads of it: one-hot codes, scales and stand-ins for missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.spec.tables import Feature, TableInput

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class _Columns:
    """How each column of the matrix comes from the features, on the device; None where there is nothing to do."""

    stand_in: Tensor | None
    """(features,): what stands for a missing value, NaN where nothing does."""
    mean: Tensor | None
    """(features,)"""
    std: Tensor | None
    """(features,)"""
    source: Tensor | None
    """(columns,): feature of each column; None where these are one another."""
    code: Tensor | None
    """(columns,): code that a column of 0 and 1 stands for, NaN for a column of numbers."""
    is_flag: Tensor | None
    """(columns,): the column tells whether the feature is missing."""


def encode(rows: Tensor, model_input: TableInput) -> Tensor:
    """Rows (cases, 1, 1, features) as the matrix (cases, columns) that a model reads, in the precision of the rows.

    Differentiable in the numbers: what is missing and what is a category has a gradient of 0. Of a frame the raw
    features, (cases, features), with what stands for missing values filled in.
    """
    how = _columns(model_input, rows.device, rows.dtype)
    values = rows.flatten(1)
    made = values if how.stand_in is None else torch.where(values.isnan(), how.stand_in, values)
    made = made if how.mean is None else made - how.mean
    made = made if how.std is None else made / how.std
    if how.source is not None:
        made = made.index_select(1, how.source)
        if how.code is not None:
            made = torch.where(how.code.isnan(), made, (made == how.code).to(made.dtype))
        if how.is_flag is not None:
            gone = values.isnan().to(made.dtype).index_select(1, how.source)
            made = torch.where(how.is_flag, gone, made)
    return made.clone() if made is values else made


@lru_cache(maxsize=16)
def _columns(model_input: TableInput, device: torch.device, dtype: torch.dtype) -> _Columns:
    features, is_frame = model_input.features, model_input.given_as == "frame"
    columns = [(place, float("nan"), False) for place in range(len(features))]
    if not is_frame:
        columns = [column for place, feature in enumerate(features) for column in _of_feature(place, feature)]
    source, code, is_flag = (list(part) for part in zip(*columns, strict=True))

    def held(values: Sequence[float], nothing: float) -> Tensor | None:
        is_nothing = [value == nothing or (isnan(value) and isnan(nothing)) for value in values]
        return None if all(is_nothing) else torch.tensor(values, dtype=dtype, device=device)

    return _Columns(
        stand_in=held([_stand_in(feature) for feature in features], float("nan")),
        mean=held([feature.mean or 0.0 for feature in features], 0.0),
        std=held([feature.std or 1.0 for feature in features], 1.0),
        source=None if source == list(range(len(features))) else torch.tensor(source, device=device),
        code=held(code, float("nan")),
        is_flag=torch.tensor(is_flag, device=device) if any(is_flag) else None,
    )


def _of_feature(place: int, feature: Feature) -> list[tuple[int, float, bool]]:
    """The columns of one feature: where it is, the code that a column stands for (NaN: none), is it the flag."""
    is_hot = feature.categories is not None and feature.encoding == "one_hot"
    codes = range(len(feature.categories or ())) if is_hot else [float("nan")]
    flag = [(place, float("nan"), True)] if feature.missing_flag else []
    return [*((place, float(code), False) for code in codes), *flag]


def _stand_in(feature: Feature) -> float:
    """What stands for a missing value, as the feature's number or code; NaN where nothing does."""
    if feature.when_missing is None:
        return float("nan")
    if feature.categories is not None:
        return float(feature.categories.index(str(feature.when_missing)))
    return float(feature.when_missing)


def as_frame(values: npt.NDArray[np.float64], model_input: TableInput) -> pd.DataFrame:
    """Raw features (cases, features) as the columns of the table: numbers in float64 with NaN, categories as text with
    None where they are missing."""
    import pandas as pd

    return pd.DataFrame(
        {feature.column: _cells(values[:, place], feature) for place, feature in enumerate(model_input.features)}
    )


def _cells(values: npt.NDArray[np.float64], feature: Feature) -> npt.NDArray[np.generic]:
    if feature.categories is None:
        return values.copy()
    names = np.asarray([*feature.categories, None], dtype=object)
    return np.asarray(names[np.where(np.isnan(values), len(feature.categories), values).astype(np.int64)])


def noise_rows(model_input: TableInput, cases: int, seed: int) -> Tensor:
    """Made-up rows (cases, 1, 1, features) in float64, the same in every run: numbers around `mean` by `std`, any
    category."""
    drawn = torch.rand(cases, len(model_input.features), generator=torch.Generator().manual_seed(seed)).double()
    for place, feature in enumerate(model_input.features):
        if feature.categories is not None:
            drawn[:, place] = (drawn[:, place] * len(feature.categories)).floor()
        else:
            drawn[:, place] = drawn[:, place] * (feature.std or 1.0) + (feature.mean or 0.0)
    return drawn[:, None, None, :]
