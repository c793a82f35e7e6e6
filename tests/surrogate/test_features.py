from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.errors import Refusal
from xai_audit.spec.load import LoadedSpec, load_spec
from xai_audit.spec.methods import DecisionTree
from xai_audit.spec.tables import TableInput
from xai_audit.surrogate.features import entries_of, from_rows, read_features
from xai_audit.surrogate.image_statistics import cell_of

SPEC = """version: 1
audit: {{id: made, title: Made, owner: {{name: A. Tester, role: owner}}}}
model:
  factory: nets.py:build
  task: single_label
  classes: [a, b]
  input: {{size: [4, 6], channels: {channels}}}
data:
  source: {{kind: arrays, file: cases.npz}}
  masks: {{spot: spot}}
{slices}
"""
SLICES = "slices: [{name: all}, {name: x, where: {site: x}}, {name: dim, where: {level: {below: 3}, site: x}}]"


def images(folder: Path, channels: int = 3, slices: str = SLICES, **arrays: np.ndarray) -> LoadedSpec:
    """Four cases: the left half of value k/10 in red, k/5 in green and 0 in blue; the right half black."""
    pixels = np.zeros((4, 4, 6, channels), dtype=np.float32)
    for case in range(4):
        pixels[case, :, :3, 0] = case / 10
        if channels == 3:
            pixels[case, :, :3, 1] = case / 5
    spot = np.zeros((4, 4, 6), dtype=np.uint8)
    spot[:, 0, 0] = spot[1:, 1:3, :2] = 1
    columns = {"site": np.asarray(["x", "y", "x", "z"]), "level": np.asarray([1.5, 2.5, 3.5, 4.5])}
    np.savez(
        folder / "cases.npz", images=pixels, labels=np.asarray([0, 1, 0, 1]), **{"spot": spot, **columns, **arrays}
    )
    (folder / "spec.yaml").write_text(SPEC.format(channels=channels, slices=slices))
    return load_spec(folder / "spec.yaml")


def read(loaded: LoadedSpec, *features: object, indexes: tuple[int, ...] = (0, 1, 2, 3)):  # type: ignore[no-untyped-def]
    method = DecisionTree.model_validate({"use": "decision_tree", "features": list(features)}, strict=False)
    dataset = open_dataset(loaded.spec, loaded.folder)
    entries = entries_of(method, loaded.spec)
    return read_features(entries, dataset, np.asarray(indexes), loaded.spec, None, "methods.tree")


def test_columns_are_numbers_or_categories(tmp_path: Path) -> None:
    columns, values = read(images(tmp_path), "level", "site")
    assert [(each.name, each.kind, each.categories) for each in columns] == [
        ("level", "number", ()), ("site", "category", ("x", "y", "z")),
    ]  # fmt: skip
    assert values.tolist() == [[1.5, 0], [2.5, 1], [3.5, 0], [4.5, 2]]


def test_statistics_inside_a_mask_and_of_the_whole_image(tmp_path: Path) -> None:
    columns, values = read(
        images(tmp_path),
        *({"region": "spot", "statistic": each} for each in ("brightness", "share", "red", "contrast")),
        {"region": "image"},
        {"region": "image", "statistic": "green"},
    )
    luma = np.arange(4) * (0.299 * 0.1 + 0.587 * 0.2)
    assert [each.name for each in columns][:2] == ["brightness of spot", "share of spot"]
    np.testing.assert_allclose(values[:, 0], luma, atol=1e-7)
    np.testing.assert_allclose(values[:, 1], [1 / 24, 5 / 24, 5 / 24, 5 / 24], atol=1e-12)
    np.testing.assert_allclose(values[:, 2], np.arange(4) / 10, atol=1e-7)
    np.testing.assert_allclose(values[:, 3], 0, atol=1e-7)
    np.testing.assert_allclose(values[:, 4], luma / 2, atol=1e-7)
    np.testing.assert_allclose(values[:, 5], np.arange(4) / 10, atol=1e-7)


def test_cells_of_a_grid_go_row_by_row(tmp_path: Path) -> None:
    columns, values = read(images(tmp_path, channels=1), {"grid": [1, 2]}, {"grid": [2, 2], "statistic": "contrast"})
    assert [(c.source["row"], c.source["column"]) for c in columns] == [(1, 1), (1, 2), (1, 1), (1, 2), (2, 1), (2, 2)]
    np.testing.assert_allclose(values[3], [0.3, 0, 0, 0, 0, 0], atol=1e-7)


def test_cells_cover_every_pixel_once() -> None:
    seen = np.zeros((7, 5), dtype=int)
    for row in range(3):
        for column in range(2):
            seen[cell_of(row, column, (3, 2), (7, 5))] += 1
    assert (seen == 1).all()


def test_the_default_is_what_slices_name(tmp_path: Path) -> None:
    loaded = images(tmp_path)
    assert entries_of(DecisionTree(use="decision_tree"), loaded.spec) == ("site", "level")


@pytest.mark.parametrize(
    ("feature", "arrays", "why"),
    [
        ("nowhere", {}, '"nowhere", which is no column'),
        (
            "hole",
            {"hole": np.asarray([1.0, np.nan, 2, 3])},
            "no value of hole in 1 of 4 cases, the first at cases.npz case 1",
        ),
        ("hole", {"hole": np.asarray([1.0, 4, np.inf, 3])}, "no value of hole in 1 of 4 cases"),
        ({"region": "spot", "statistic": "share"}, {"spot": np.ones((4, 4, 6))}, "the same in all 4 cases"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, feature: object, arrays: dict[str, np.ndarray], why: str) -> None:
    if "spot" in arrays:
        arrays = {"spot": arrays["spot"].astype(np.uint8)}
    with pytest.raises(Refusal, match=why):
        read(images(tmp_path, **arrays), feature)


def test_a_case_without_the_region_has_a_share_of_none_and_no_brightness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = images(tmp_path)
    monkeypatch.setattr(Dataset, "has_mask", lambda self, index, concept: index != 2)
    assert read(loaded, {"region": "spot", "statistic": "share"})[1][2, 0] == 0
    with pytest.raises(Refusal, match='case "2": nothing of spot in the image, so that its brightness does not exist'):
        read(loaded, {"region": "spot"})


def test_a_column_of_names_is_refused(tmp_path: Path) -> None:
    loaded = images(tmp_path)
    dataset = open_dataset(loaded.spec, loaded.folder)
    from xai_audit.surrogate import features

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(features, "MOST_CATEGORIES", 2)
        with pytest.raises(Refusal, match="3 distinct texts in column site"):
            read_features(("site",), dataset, np.arange(4), loaded.spec, None, "methods.tree")


TABLE = TableInput.model_validate(
    {
        "features": [
            "age",
            {"column": "income", "when_missing": 30.0, "missing_flag": True},
            {"column": "home", "categories": ("own", "rent", "other"), "when_missing": "other"},
        ]
    },
    strict=False,
)


def test_missing_values_count_as_what_the_model_is_given() -> None:
    from xai_audit.surrogate.features import _model_columns

    columns = [column for place, feature in enumerate(TABLE.features) for column in _model_columns(feature, place)]
    assert [(each.name, each.kind, each.place) for each in columns] == [
        ("age", "number", 0), ("income", "number", 1), ("income is missing", "flag", 1), ("home", "category", 2),
    ]  # fmt: skip
    rows = np.asarray([[40, 20, 0], [50, np.nan, np.nan]])
    assert from_rows(columns, TABLE, rows).tolist() == [[40, 20, 0, 0], [50, 30, 1, 2]]
    with pytest.raises(Refusal, match="1 rows without age"):
        from_rows(columns, TABLE, np.asarray([[np.nan, 20, 0]]))
