"""Slices hold what their filters say, and their digests follow every change of what they hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import FOUR, four_cases, opened, pixels, save, write

from xai_audit.data.dataset import Dataset
from xai_audit.data.filters import absent_values
from xai_audit.data.slices import dataset_digest, members, slice_digest, source_digests
from xai_audit.errors import DataError
from xai_audit.spec.schema import Slice


def part(**where: Any) -> Slice:
    return Slice.model_validate({"name": "part", "where": where})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return opened(four_cases(tmp_path))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"site": "A"}, [0, 1]),
        ({"site": "007"}, [3]),
        ({"site": {"in": ("B", "007")}}, [2, 3]),
        ({"brightness": 90}, [2]),
        ({"brightness": 60.5}, [1]),
        ({"brightness": {"below": 60.5}}, [0]),
        ({"brightness": {"at_least": 60.5}}, [1, 2, 3]),
        ({"brightness": {"between": (60.5, 90.0)}}, [1, 2]),
        ({"seen": True}, [0, 2, 3]),
        ({"seen": False}, [1]),
        ({"day": "2026-01-01"}, [0, 2]),
        ({"day": {"in": ("2026-01-02", "2026-01-03")}}, [1, 3]),
        ({"species": "dog", "site": "A"}, [1]),
        ({"site": {"missing": False}}, [0, 1, 2, 3]),
    ],
)
def test_a_slice_holds_what_its_filter_says(dataset: Dataset, where: dict, expected: list[int]) -> None:
    assert members(dataset, part(**where)).tolist() == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"sight": "A"}, r'no column "sight" \(slices.part.where.sight\).*Did you mean "site"'),
        ({"site": 7}, r'column site: found text, compared with 7, a number .* in quotes: "7"'),
        ({"brightness": "90"}, r'column brightness: found numbers, compared with "90", text .* without quotes'),
        ({"seen": "true"}, r"found true and false, compared with .true., text"),
        ({"seen": 1}, r"found true and false, compared with 1, a number"),
        ({"brightness": True}, r"found numbers, compared with true, true or false"),
        ({"site": {"below": 3.0}}, r'found text \("A" at line 2\), compared with a number'),
        ({"site": "a"}, r'slices.part: found no case among 4 with site: .*Did you mean "A"'),
        ({"brightness": {"below": 10.0}}, "found no case among 4"),
        ({"site": None}, "found an empty value"),
        ({"site": {"missing": True}}, "found no case among 4"),
    ],
)
def test_a_filter_that_cannot_hold_is_an_error(dataset: Dataset, where: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        members(dataset, part(**where))


def test_a_missing_value_meets_no_condition_but_missing(tmp_path: Path) -> None:
    table = FOUR.replace(",60.5,false,2026-01-02", ",,,")
    found = opened(four_cases(tmp_path, table), on_bad_case="record")
    for where in ({"brightness": {"below": 1e9}}, {"seen": {"in": (True, False)}}, {"brightness": {"missing": False}}):
        assert members(found, part(**where)).tolist() == [0, 2, 3]
    for column in ("brightness", "seen", "day"):
        assert members(found, part(**{column: {"missing": True}})).tolist() == [1]


def test_a_value_that_occurs_nowhere_is_told(dataset: Dataset) -> None:
    assert absent_values(dataset.table, part(site={"in": ("A", "Z")}).where) == [("site", "Z")]
    assert absent_values(dataset.table, part(site={"in": ("A", "B")}).where) == []


def digest_of(folder: Path, **spec: Any) -> str:
    found = opened(folder, **spec)
    return slice_digest(found.ids, source_digests(found, lambda _: None), list(found.labels))


def test_a_digest_is_the_sha256_of_its_sorted_lines() -> None:
    import hashlib

    lines = b'["a","d1",0]\n["b","d2",[0,1]]\n'
    assert (
        slice_digest(["b", "a"], ["d2", "d1"], [np.asarray([0, 1]), np.int64(0)]) == hashlib.sha256(lines).hexdigest()
    )


def test_a_digest_follows_image_label_mask_and_row_but_not_the_order_of_rows(tmp_path: Path) -> None:
    rows = FOUR.splitlines(keepends=True)
    before = digest_of(four_cases(tmp_path))
    assert digest_of(tmp_path) == before
    write(tmp_path / "index.csv", rows[0] + "".join(reversed(rows[1:])))
    assert digest_of(tmp_path) == before
    changed = set()
    for old, new in [
        ("0.png,cat", "0.png,dog"),
        ("A,10", "A,11"),
        (",007,", ",C,"),
        ("images/3.png", "images/./3.png"),
    ]:
        write(tmp_path / "index.csv", FOUR.replace(old, new))
        changed.add(digest_of(tmp_path))
    write(tmp_path / "index.csv", FOUR)
    save(tmp_path / "images" / "0.png", pixels(99))
    changed.add(digest_of(tmp_path))
    assert len(changed | {before}) == 6


def test_a_digest_follows_the_masks(tmp_path: Path) -> None:
    table = "file,species,mask\nimages/0.png,cat,m.png\nimages/1.png,dog,\n"
    plane = np.full((8, 8, 1), 255, dtype=np.uint8)
    save(tmp_path / "m.png", plane)
    before = digest_of(four_cases(tmp_path, table), masks={"animal": "mask"})
    plane[0] = 0
    save(tmp_path / "m.png", plane)
    assert digest_of(tmp_path, masks={"animal": "mask"}) != before


def test_unreadable_files_are_all_in_one_error_or_digested_as_such(tmp_path: Path) -> None:
    four_cases(tmp_path)
    (tmp_path / "images" / "1.png").unlink()
    (tmp_path / "images" / "3.png").write_bytes(b"")
    seen: list[int] = []
    with pytest.raises(DataError) as caught:
        source_digests(opened(tmp_path), seen.append)
    assert seen == [1, 1, 1, 1]
    assert "2 bad cases of 4" in str(caught.value)
    assert "images/1.png: found no such file" in str(caught.value)
    recorded = source_digests(opened(tmp_path, on_bad_case="record"), lambda _: None)
    (tmp_path / "images" / "1.png").write_bytes(b"")
    assert source_digests(opened(tmp_path, on_bad_case="record"), lambda _: None) != recorded


def test_the_digest_of_all_data_follows_rows_left_out(tmp_path: Path) -> None:
    found = []
    for label in ("bird", "fish"):
        table = FOUR.replace("0.png,cat", f"0.png,{label}")
        dataset = opened(four_cases(tmp_path, table), on_bad_case="record")
        found.append(dataset_digest(dataset, source_digests(dataset, lambda _: None)))
    assert found[0] != found[1]
