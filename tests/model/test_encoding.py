"""The matrix and the frame that a model is given of a row, against closed forms and a plain second encoding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from xai_audit.model.encoding import as_frame, encode, noise_rows
from xai_audit.spec.tables import Feature, TableInput

AGE = Feature(column="age", mean=40.0, std=10.0)
INCOME = Feature(column="income", mean=30.0, when_missing=20.0, missing_flag=True)
HOME = Feature(column="home", categories=("own", "rent", "other"), when_missing="rent", missing_flag=True)
GRADE = Feature(column="grade", categories=("low", "high"), encoding="code")
GIVEN = TableInput(features=(AGE, INCOME, HOME, GRADE))
GAP = float("nan")


def rows(*values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None, :]


def plain(row: list[float], given: TableInput) -> list[float]:
    """The same, written one cell at a time."""
    out: list[float] = []
    for value, feature in zip(row, given.features, strict=True):
        gone = value != value
        if feature.categories is None:
            number = feature.when_missing if gone and feature.when_missing is not None else value
            out.append((number - (feature.mean or 0.0)) / (feature.std or 1.0))  # type: ignore[operator]
        else:
            name = feature.when_missing if gone else feature.categories[int(value)]
            if feature.encoding == "code":
                out.append(float(feature.categories.index(str(name))))
            else:
                out += [float(name == other) for other in feature.categories]
        if feature.missing_flag:
            out.append(float(gone))
    return out


def test_columns_of_a_row_are_those_of_the_closed_form() -> None:
    found = encode(rows([50, 31, 2, 1], [40, GAP, GAP, 0]), GIVEN)
    expected = [[1, 1, 0, 0, 0, 1, 0, 1], [0, -10, 1, 0, 1, 0, 1, 0]]
    assert found.tolist() == expected
    assert found.dtype == torch.float64
    assert found.shape[1] == GIVEN.width == 8


def test_made_up_rows_agree_with_a_plain_second_encoding() -> None:
    made = noise_rows(GIVEN, 200, seed=5)
    values = made[:, 0, 0].numpy().copy()
    values[::7, 1], values[::5, 2] = GAP, GAP
    found = encode(torch.from_numpy(values)[:, None, None, :], GIVEN).numpy()
    assert np.array_equal(found, np.array([plain(row, GIVEN) for row in values.tolist()]))
    assert set(values[:, 3]) == {0.0, 1.0}


def test_gradient_of_a_number_is_one_over_its_scale_and_of_anything_else_nothing() -> None:
    given = rows([50, 31, 2, 1], [40, GAP, GAP, 0]).requires_grad_()
    weights = torch.arange(1.0, 9.0, dtype=torch.float64)
    (found,) = torch.autograd.grad((encode(given, GIVEN) * weights).sum(), given)
    assert found[:, 0, 0].tolist() == [[0.1, 2, 0, 8], [0.1, 0, 0, 8]]


def test_missing_category_without_a_stand_in_is_a_row_of_zeros() -> None:
    given = TableInput(features=(Feature(column="home", categories=("own", "rent")),))
    assert encode(rows([GAP], [1]), given).tolist() == [[0, 0], [0, 1]]


def test_frame_holds_the_raw_columns_with_gaps_and_texts() -> None:
    home = Feature(column="home", categories=("own", "rent"))
    given = TableInput(features=(Feature(column="age"), home, Feature(column="pay", when_missing=3)), given_as="frame")
    matrix = encode(rows([GAP, 1, 7], [40, GAP, GAP]), given).numpy()
    found = as_frame(matrix, given)
    assert list(found.columns) == ["age", "home", "pay"]
    assert found["home"].tolist()[0] == "rent"
    assert found.isna().to_numpy().tolist() == [[True, False, False], [False, True, False]]
    assert found["pay"].tolist() == [7.0, 3.0]
    assert pd.api.types.is_string_dtype(found["home"].dropna())


def test_encoding_leaves_its_rows_as_they_were() -> None:
    given = rows([50, GAP, 2, 1])
    before = given.clone()
    encode(given, GIVEN).fill_(7)
    assert torch.equal(given, before) or torch.allclose(given, before, equal_nan=True)
