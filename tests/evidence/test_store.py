"""Steps are kept whole or not at all, and read back equal."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_audit.errors import EvidenceError, StepError
from xai_audit.evidence import files, store
from xai_audit.evidence.records import ArrayRef, Evidence, Failure, Passes, Value
from xai_audit.evidence.store import (
    Rows,
    StepResult,
    evidence_bytes,
    locked,
    read_run,
    read_step,
    read_steps,
    record_from_json,
    record_to_json,
    rows_bytes,
    write_step,
)

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_values = st.builds(
    Value, name=st.text(), estimate=st.none() | _numbers, low=st.none() | _numbers, high=st.none() | _numbers,
    n=st.integers(0, 10**9), unit=st.sampled_from(["share", "score"]), label=st.text(),
)  # fmt: skip
_records = st.builds(
    Evidence, id=st.from_regex(r"[0-9a-f]{12}", fullmatch=True), kind=st.just("performance"), subject=st.text(),
    slice=st.none() | st.text(), status=st.sampled_from(["measured", "failed", "not_applicable"]),
    values=st.lists(_values, max_size=3).map(tuple), passes=st.builds(Passes, st.integers(0), st.integers(0)),
    failure=st.none() | st.builds(Failure, st.text(), st.text()),
    arrays=st.just((ArrayRef("raw", "float32", (2, 3)),)), parents=st.lists(st.text(), max_size=2).map(tuple),
    details=st.dictionaries(st.text(), st.lists(_numbers)),
)  # fmt: skip


def record(**parts: Any) -> Evidence:
    return Evidence(
        **{"id": "a" * 12, "kind": "performance", "subject": "accuracy", "slice": "all", "status": "measured", **parts}
    )


@given(_records)
def test_a_record_written_and_read_is_equal(entry: Evidence) -> None:
    import json

    assert record_from_json(json.loads(json.dumps(record_to_json(entry)))) == entry


def test_a_step_is_read_back_with_its_arrays_and_rows(tmp_path: Path) -> None:
    arrays = {"raw": np.arange(6, dtype=np.float32).reshape(2, 3)}
    write_step(tmp_path, StepResult(record(), arrays, Rows(("a", "b"), {"score": [0.1, 1 / 3]})))
    kept = read_steps(tmp_path)
    assert set(kept) == {"a" * 12}
    back = read_step(tmp_path, kept["a" * 12])
    np.testing.assert_array_equal(back.arrays["raw"], arrays["raw"])
    assert back.rows.columns["score"] == [0.1, 1 / 3]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_kept(tmp_path: Path, bad: float) -> None:
    value = Value("accuracy", bad, None, None, 10, "share")
    with pytest.raises(StepError, match="not finite"):
        write_step(tmp_path, StepResult(record(values=(value,)), {}, Rows()))
    assert not read_steps(tmp_path)


def test_a_value_that_json_cannot_hold_is_never_kept(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="plain numbers, texts, lists and mappings"):
        write_step(tmp_path, StepResult(record(details={"count": np.int64(3)}), {}, Rows()))
    assert not read_steps(tmp_path)


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_full_disk_leaves_no_step_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = iter(range(10))

    def full(handle: int) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    monkeypatch.setattr(files, "sync_folder", lambda folder: None)
    result = StepResult(record(), {"raw": np.zeros(3, np.float32)}, Rows())
    with pytest.raises(OSError, match="No space"):
        write_step(tmp_path, result)
    assert not read_steps(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]


def test_rows_join_columns_of_several_steps_by_case(tmp_path: Path) -> None:
    import io

    import pandas as pd

    data = rows_bytes([Rows(("a", "b", "c"), {"score": [0.1, 0.2, 0.3]}), Rows(("c", "a"), {"mass": [3.0, 1.0]})])
    frame = pd.read_parquet(io.BytesIO(data))
    assert frame["id"].tolist() == ["a", "b", "c"]
    assert frame["score"].tolist() == [0.1, 0.2, 0.3]
    assert frame["mass"].fillna(-1).tolist() == [1.0, -1.0, 3.0]
    assert data == rows_bytes(
        [Rows(("a", "b", "c"), {"score": [0.1, 0.2, 0.3]}), Rows(("c", "a"), {"mass": [3.0, 1.0]})]
    )


def test_evidence_is_one_canonical_line_a_record() -> None:
    text = evidence_bytes([record(), record(id="b" * 12)]).decode()
    assert text.count("\n") == 2
    assert '"id":"aaaaaaaaaaaa"' in text.splitlines()[0]


def test_two_runs_never_write_into_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(EvidenceError, match="another run"), locked(tmp_path / "run"):
        pass
    with locked(tmp_path / "run"):
        pass


def test_what_a_killed_process_left_under_temporary_names_is_removed(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in (".report.html.17.tmp", "figures/.a.svg.17.tmp", "findings.json"):
        (tmp_path / name).write_bytes(b"half")
    with locked(tmp_path):
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["findings.json"]


def test_an_unfinished_or_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no such folder"):
        read_run(tmp_path / "none")
    (tmp_path / store.PARTIAL).mkdir()
    with pytest.raises(EvidenceError, match="unfinished run"):
        read_run(tmp_path)
