"""A table is read whole, typed by whole columns, and every oddity is named with its line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import write

from xai_audit.data.column_types import kind_of
from xai_audit.data.tables import Table, read_table
from xai_audit.errors import DataError


def read(folder: Path, text: str, *as_text: str) -> Table:
    return read_table(write(folder / "t.csv", text), "t.csv", as_text)


def test_a_column_has_the_one_kind_that_all_its_cells_have(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "int,float,bool,date,text,padded,mixed,gap\n"
        "1,1.5,true,2026-01-31,a,007,1,2\n"
        "-2,2e3,False,2026-02-28,NA,010,x,\n",
    )
    kinds = {str(name): kind_of(table.frame[name]) for name in table.frame.columns}
    assert kinds == {
        "int": "number", "float": "number", "bool": "bool", "date": "text",
        "text": "text", "padded": "text", "mixed": "text", "gap": "number",
    }  # fmt: skip
    assert table.frame["int"].tolist() == [1, -2]
    assert table.frame["text"].tolist() == ["a", "NA"]
    assert table.frame["padded"].tolist() == ["007", "010"]
    assert table.frame["bool"].tolist() == [True, False]


def test_text_columns_stay_as_written(tmp_path: Path) -> None:
    table = read(tmp_path, "id,label\n007,NA\n1.0,nan\n,None\n", "id", "label")
    assert table.frame["id"].tolist() == ["007", "1.0", None]
    assert table.frame["label"].tolist() == ["NA", "nan", "None"]


def test_nan_is_missing_in_a_column_of_numbers_only(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n1,nan\nnan,x\n")
    assert np.isnan(table.frame["a"][1])
    assert table.frame["b"].tolist() == ["nan", "x"]


@pytest.mark.parametrize("cell", ["2026-02-30", "inf", "1e999", "12345678901234567890123", "1_000", "0x10", "٣"])
def test_what_only_looks_like_a_date_or_number_stays_text_or_finite(tmp_path: Path, cell: str) -> None:
    column = read(tmp_path, f"a\n{cell}\n").frame["a"]
    assert kind_of(column) == "text" or np.isfinite(column[0])


def test_lines_are_those_of_the_file_also_after_quoted_line_ends_and_blank_lines(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n1,"x\ny"\n\n2,z\n')
    assert table.lines.tolist() == [2, 5]
    assert table.place(1) == "t.csv line 5"


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert list(read_table(tmp_path / "t.csv", "t.csv", ()).frame.columns) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "t.csv line 3: found 1 cells; expected 2"),
        ("a,b\n1,2,3\n", "t.csv line 2: found 3 cells; expected 2"),
        ("a,b\n", "a header and no rows"),
        ("a,a\n1,2\n", 'two columns called "a"'),
        ("a;b\n1;2\n", "Save the table with commas"),
        ('a,b\n1,"x\n', "t.csv line 2: found a row that cannot be read"),
        ("a,b\n1,\0\n", "t.csv line 2: found a NUL character"),
        ("\n", "an empty table"),
    ],
)
def test_a_broken_table_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_table_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a\nx\nä\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"t.csv line 3: found a byte that is not UTF-8 \(0xe4"):
        read_table(tmp_path / "t.csv", "t.csv", ())


def test_an_empty_missing_or_foreign_file_is_named_and_no_folder_is(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "folder.csv").mkdir()
    for name, message in [
        ("empty.csv", "0 bytes"),
        ("folder.csv", "a folder"),
        ("none.csv", "no such file"),
        ("table.xlsx", "type .xlsx"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            read_table(tmp_path / name, name, ())
        assert str(tmp_path) not in str(caught.value)


def test_an_unknown_column_is_answered_with_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "Lable" \(data.source.label\).*Did you mean "label"\?'):
        read(tmp_path, "label\nx\n").column("Lable", "data.source.label")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"n": [1, 2], "x": [0.5, None], "s": ["007", None], "b": [True, False], "d": pd.to_datetime(["2026-01-01"] * 2)}
    )
    frame["gap"] = pd.array([1, None], dtype="Int64")
    frame["c"] = pd.Categorical(["u", "v"])
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet", "t.parquet", ())
    kinds = [kind_of(table.frame[name]) for name in table.frame.columns]
    assert kinds == ["number", "number", "text", "bool", "text", "number", "text"]
    assert table.frame["s"].tolist() == ["007", None]
    assert table.frame["d"].tolist() == ["2026-01-01"] * 2
    assert table.place(0) == "t.parquet row 1"


def test_a_damaged_parquet_file_is_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"no parquet table") as caught:
        read_table(tmp_path / "t.parquet", "t.parquet", ())
    assert str(tmp_path) not in str(caught.value)
