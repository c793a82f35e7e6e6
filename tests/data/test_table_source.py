"""Rows of a table as cases: features as numbers, every wrong cell told with line, column and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_audit.data.dataset import Dataset
from xai_audit.data.slices import members, source_digests
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError
from xai_audit.spec.schema import AuditSpec

FEATURES: tuple[Any, ...] = (
    "age",
    {"column": "pay", "when_missing": 0},
    {"column": "home", "categories": ("own", "rent"), "when_missing": "own"},
)
HEADER = "age,pay,home,label\n"
GAP = float("nan")


def spec_of(
    features: tuple[Any, ...] = FEATURES,
    table: str = "t.csv",
    slices: tuple[Any, ...] = ({"name": "all"},),
    **data: Any,
) -> AuditSpec:
    return AuditSpec.model_validate({
        "version": 1,
        "audit": {"id": "a", "title": "t", "owner": {"name": "n", "role": "r"}},
        "model": {
            "factory": "a.py:b", "task": "single_label", "classes": ("no", "yes"), "input": {"features": features},
        },
        "data": {"source": {"kind": "table", "table": table, "label": "label"}} | data,
        "slices": slices,
    })  # fmt: skip


def opened(folder: Path, text: str, features: tuple[Any, ...] = FEATURES, **data: Any) -> Dataset:
    (folder / "t.csv").write_bytes(text.encode())
    return open_dataset(spec_of(features, **data), folder)


def features(dataset: Dataset) -> np.ndarray[Any, Any]:
    assert dataset.features is not None
    return dataset.features


def test_numbers_stay_and_categories_become_codes(tmp_path: Path) -> None:
    found = opened(tmp_path, HEADER + "40,1.5,rent,yes\n-3,2e3,own,no\n")
    assert features(found).tolist() == [[40, 1.5, 1], [-3, 2000, 0]]
    assert features(found).dtype == np.float64
    assert found.labels.tolist() == [1, 0]
    assert found.ids == ("line 2", "line 3")
    assert not found.has_images


def test_gaps_are_nan_where_the_model_has_a_use_for_them(tmp_path: Path) -> None:
    found = opened(tmp_path, HEADER + "40,,,yes\n41,nan,own,no\n")
    assert np.array_equal(features(found), [[40, GAP, GAP], [41, GAP, 0]], equal_nan=True)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("old,1,own,yes", 'line 3, column age: found "old"; expected a finite number'),
        ("inf,1,own,yes", 'line 3, column age: found "inf"; expected a finite number'),
        ("1e999,1,own,yes", 'column age: found "1e999"; expected a finite number'),
        (",1,own,yes", "column age: found no value; expected a number, or `when_missing` for the feature"),
        ("40,1,Own,yes", 'column home: found "Own"; expected one of: own, rent. Did you mean "own"?'),
        ("40,1,own,", "column label: found no label"),
        ("40,1,own,maybe", 'column label: found "maybe"'),
    ],
)
def test_wrong_cell_is_a_bad_case_with_line_column_and_value(tmp_path: Path, row: str, said: str) -> None:
    text = HEADER + "39,1,own,no\n" + row + "\n38,2,rent,yes\n"
    with pytest.raises(DataError) as caught:
        opened(tmp_path, text)
    assert said in str(caught.value)
    found = opened(tmp_path, text, on_bad_case="record")
    assert [case.id for case in found.bad] == ["line 3"]
    assert said.removeprefix("line 3, ") in found.bad[0].problem
    assert features(found).tolist() == [[39, 1, 0], [38, 2, 1]]


def test_undeclared_category_may_be_missing_from_the_spec(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        opened(tmp_path, HEADER + "39,1,own,no\n40,1,boat,yes\n")
    start = (
        "Add it to `categories` if the model knows it. Otherwise correct these cases, or set `data.on_bad_case: record`"
    )
    assert caught.value.problem.fix.startswith(start)
    with pytest.raises(DataError) as caught:
        opened(tmp_path, HEADER + "39,1,own,no\nold,1,own,yes\n")
    assert caught.value.problem.fix.startswith("Correct these cases")


def test_infinite_number_in_parquet_is_a_bad_case(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [1.0, np.inf], "pay": [1, 2], "home": ["own", "rent"], "label": ["yes", "no"]})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="row 2, column age: found inf; expected a finite number"):
        open_dataset(spec_of(table="t.parquet"), tmp_path)


def test_parquet_and_csv_give_the_same_features(tmp_path: Path) -> None:
    found = opened(tmp_path, HEADER + "40,,rent,yes\n41,2.5,,no\n")
    frame = pd.DataFrame({"age": [40, 41], "pay": [None, 2.5], "home": ["rent", None], "label": ["yes", "no"]})
    frame.to_parquet(tmp_path / "t.parquet")
    other = open_dataset(spec_of(table="t.parquet"), tmp_path)
    assert np.array_equal(features(found), features(other), equal_nan=True)
    frame["home"] = pd.Categorical(frame["home"])
    frame.to_parquet(tmp_path / "t.parquet")
    assert np.array_equal(features(open_dataset(spec_of(table="t.parquet"), tmp_path)), features(found), equal_nan=True)


@pytest.mark.parametrize("values", [[1, 2], [1.0, 2.0], ["1", "2"], [True, False]])
def test_categories_that_look_like_numbers_are_the_texts_of_the_table(tmp_path: Path, values: list[Any]) -> None:
    names = ("true", "false") if values[0] is True else ("1", "2")
    pd.DataFrame({"grade": values, "label": ["yes", "no"]}).to_parquet(tmp_path / "t.parquet")
    given = ({"column": "grade", "categories": names},)
    assert features(open_dataset(spec_of(given, table="t.parquet"), tmp_path)).tolist() == [[0], [1]]


def test_true_and_false_are_one_and_nought_where_numbers_are_asked_for(tmp_path: Path) -> None:
    assert features(opened(tmp_path, "a,label\ntrue,yes\nfalse,no\n", ("a",))).tolist() == [[1], [0]]


def test_declared_codes_are_missing_everywhere(tmp_path: Path) -> None:
    text = "pay,home,label\n666,own,yes\n5,?,no\n6.5,rent,no\nNA,own,yes\n"
    codes = {"pay": (666, "NA"), "home": ("?",)}
    found = opened(tmp_path, text, FEATURES[1:], missing_codes=codes)
    assert np.array_equal(features(found), [[GAP, 0], [5, GAP], [6.5, 1], [GAP, 0]], equal_nan=True)
    assert found.frame["pay"].isna().tolist() == [True, False, False, True]
    counts = {key: int(held.sum()) for key, held in found.table.coded.items()}
    assert counts == {("pay", 666): 1, ("pay", "NA"): 1, ("home", "?"): 1}
    assert int(found.take(np.array([1, 2])).table.coded["pay", 666].sum()) == 0
    spec = spec_of(FEATURES[1:], slices=({"name": "all"}, {"name": "rich", "where": {"pay": {"at_least": 6}}}))
    assert members(found, spec.slices[1]).tolist() == [2]


def test_declared_codes_of_parquet_are_missing_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"pay": [666, 5], "home": ["own", "?"], "label": ["yes", "no"]})
    frame.to_parquet(tmp_path / "t.parquet")
    spec = spec_of(FEATURES[1:], table="t.parquet", missing_codes={"pay": (666,), "home": ("?",)})
    assert np.array_equal(features(open_dataset(spec, tmp_path)), [[GAP, 0], [5, GAP]], equal_nan=True)


def test_code_of_an_unknown_column_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "pya" \(data\.missing_codes\).*Did you mean "pay"'):
        opened(tmp_path, HEADER + "40,1,own,yes\n", missing_codes={"pya": (666,)})


def test_code_of_another_kind_is_no_code(tmp_path: Path) -> None:
    found = opened(tmp_path, "pay,label\n1,yes\n0,no\n", ("pay",), missing_codes={"pay": (True, "1.0")})
    assert features(found).tolist() == [[1], [0]]


def test_feature_that_the_table_lacks_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "agee" \(model\.input\.features\[0\]\).*Did you mean "age"'):
        opened(tmp_path, HEADER + "40,1,own,yes\n", ("agee",))


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        (HEADER.replace("\n", "\r\n") + "40,1,own,yes\r\n41,2,rent,no\r\n", FEATURES, [[40, 1, 0], [41, 2, 1]]),
        ("\ufeff" + HEADER + "40,1,own,yes\n", FEATURES, [[40, 1, 0]]),
        ("stadt,label\nMünchen,yes\n北京,no\n", ({"column": "stadt", "categories": ("北京", "München")},), [[1], [0]]),
        ("a,label\n5,yes\n", ("a",), [[5]]),
        ("a,b,label\n,5,yes\nnan,6,no\n", ({"column": "a", "when_missing": 1}, "b"), [[GAP, 5], [GAP, 6]]),
    ],
    ids=["crlf", "bom", "unicode", "one row, one feature", "a column of gaps"],
)  # fmt: skip
def test_unusual_tables_read_well(tmp_path: Path, text: str, given: tuple[Any, ...], expected: list[Any]) -> None:
    assert np.array_equal(features(opened(tmp_path, text, given)), expected, equal_nan=True)


def test_filter_and_take_keep_features_beside_their_rows(tmp_path: Path) -> None:
    text = HEADER + "".join(f"{age},1,own,{'yes' if age % 2 else 'no'}\n" for age in range(10))
    found = opened(tmp_path, text, where={"age": {"at_least": 4}})
    assert features(found)[:, 0].tolist() == [4, 5, 6, 7, 8, 9]
    assert features(found.take(np.array([5, 0])))[:, 0].tolist() == [9, 4]
    assert found.take(np.array([5, 0])).ids == ("line 11", "line 6")


def test_digest_of_a_row_is_of_all_its_columns(tmp_path: Path) -> None:
    rows = "40,1,own,yes\n41,1,own,yes\n"
    first = source_digests(opened(tmp_path, HEADER + rows), lambda _: None)
    again = source_digests(opened(tmp_path, HEADER + rows.replace("41", "42")), lambda _: None)
    assert first[0] == again[0]
    assert first[1] != again[1]
    assert len(set(first)) == 2


def test_withheld_id_does_not_name_cases(tmp_path: Path) -> None:
    source = {"kind": "table", "table": "t.csv", "label": "label", "id": "who"}
    text = "who,a,label\nAnn,1,yes\nBob,2,no\n"
    shown = opened(tmp_path, text, ("a",), source=source)
    assert shown.ids == ("Ann", "Bob")
    assert opened(tmp_path, text, ("a",), source=source, show={"withhold": ("who",)}).ids == ("line 2", "line 3")


def test_rows_and_images_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEADER + "40,1,own,yes\n")
    source = {"kind": "image_table", "table": "t.csv", "image": "age", "label": "label"}
    with pytest.raises(DataError, match="image_table for a model of rows"):
        open_dataset(spec_of(source=source), tmp_path)
