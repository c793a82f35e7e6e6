"""Tables of a causal audit without a model: inline or from a file, with counts, and no data at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from causal_text import GIVEN, TABLE

from xai_audit.errors import CodedProblem, DataError, SpecErrors
from xai_audit.opening import digest_inputs
from xai_audit.spec.load import LoadedSpec, load_spec

ROWS = "rows: [\n    [day, dry, old, 1.5, 0, 30], [night, damp, new, 2.5, 1, 20], [day, damp, new, 2.0, 0, 10]]}"
INLINE = f"columns: [shift, humidity, coating, load, defect, n], weight: n, {ROWS}"


def written(folder: Path, text: str) -> LoadedSpec:
    (folder / "audit.yaml").write_text(text, encoding="utf-8")
    return load_spec(folder / "audit.yaml")


def test_rows_of_the_spec_are_the_table(tmp_path: Path) -> None:
    dataset = digest_inputs(written(tmp_path, TABLE)).dataset
    assert dataset.ids == ("row 1", "row 2", "row 3")
    assert dataset.frame["load"].tolist() == [1.5, 2.5, 2.0]
    assert dataset.frame["defect"].dtype == "int64"
    assert dataset.labels.shape == (3, 0)
    assert not dataset.has_images


def test_a_changed_row_is_another_run(tmp_path: Path) -> None:
    first = digest_inputs(written(tmp_path, TABLE)).run_id
    assert digest_inputs(written(tmp_path, TABLE)).run_id == first
    assert digest_inputs(written(tmp_path, TABLE.replace("1.5, 0, 30", "1.5, 0, 31"))).run_id != first


def test_changed_code_is_another_run(tmp_path: Path) -> None:
    linear = "kind: linear, intercept: 3, weights: {}, noise: {normal: [0, 0.5]}"
    text = GIVEN.replace(linear, 'kind: additive, call: "own.py:load", noise: {normal: [0, 1]}')
    (tmp_path / "own.py").write_text("def load():\n    return 3\n", encoding="utf-8")
    first = digest_inputs(written(tmp_path, text)).run_id
    (tmp_path / "own.py").write_text("def load():\n    return 4\n", encoding="utf-8")
    assert digest_inputs(written(tmp_path, text)).run_id != first


def test_no_data_is_no_case_and_an_empty_slice(tmp_path: Path) -> None:
    inputs = digest_inputs(written(tmp_path, GIVEN))
    assert inputs.dataset.ids == ()
    assert {name: len(cases) for name, cases in inputs.slices.items()} == {"all": 0}


def test_levels_that_are_texts_are_read_as_texts(tmp_path: Path) -> None:
    """007 and 1 in a file are names where the levels are names."""
    text = (
        TABLE.replace(INLINE, "table: t.csv}").replace("[day, night]", '["007", "1"]').replace("night}, on", '"1"}, on')
    )
    (tmp_path / "t.csv").write_text(
        "shift,humidity,coating,load,defect\n007,dry,old,1.5,0\n1,damp,new,2,1\n", encoding="utf-8"
    )
    dataset = digest_inputs(written(tmp_path, text)).dataset
    assert dataset.frame["shift"].tolist() == ["007", "1"]


def test_a_column_that_a_file_lacks_is_named_where_the_spec_names_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("shift,humidity,paint,load,defect\nday,dry,old,1.5,0\n", encoding="utf-8")
    loaded = written(tmp_path, TABLE.replace(INLINE, "table: t.csv}"))
    with pytest.raises(SpecErrors) as caught:
        digest_inputs(loaded)
    (found,) = caught.value.problems
    assert isinstance(found, CodedProblem)
    assert found.code == "column_missing"
    assert found.found == "column 'coating' not in t.csv; columns are shift, humidity, paint, load, defect"
    assert "error[column_missing] causal.variables.coating.source.column" in found.where


def test_a_column_of_two_kinds_is_refused(tmp_path: Path) -> None:
    loaded = written(tmp_path, TABLE.replace("2.0, 0, 10", "much, 0, 10"))
    with pytest.raises(DataError, match="column load with numbers and text"):
        digest_inputs(loaded)
