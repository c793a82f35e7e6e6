"""Superpixels and groups of features: numbered without gaps, the same every time, refused where they say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from skimage import segmentation

from xai_audit.data import superpixels
from xai_audit.data.superpixels import contiguous, feature_groups, label_map, player_names, segments_record
from xai_audit.errors import Refusal
from xai_audit.spec.methods import Felzenszwalb, Grid, Groups, Quickshift, Segments, Slic

MAKER: TypeAdapter[Any] = TypeAdapter(Segments)
KINDS = ("grid", "slic", "quickshift", "felzenszwalb")
NAMES = ("age", "income", "debts", "city")


def photo(channels: int = 3, side: int = 48, noise: float = 0.02) -> np.ndarray:
    """Coloured blocks with a little noise: every kind finds parts in it."""
    rng = np.random.default_rng(3)
    blocks = rng.random((channels, 4, 4)).repeat(side // 4, 1).repeat(side // 4, 2)
    return np.clip(blocks + noise * rng.normal(size=blocks.shape), 0, 1).astype(np.float32)


def made(name: Any) -> Any:
    return MAKER.validate_python(name)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_have_no_gap_and_come_out_alike_every_time(kind: str, channels: int) -> None:
    image = photo(channels)
    kept = image.copy()
    first, second = (label_map(made(kind), image, "methods.lime.segments") for _ in range(2))
    assert first.shape == (48, 48)
    assert first.dtype == np.int64
    assert np.unique(first).tolist() == list(range(int(first.max()) + 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, kept)


def test_cells_of_a_grid_are_counted_row_by_row_and_as_large_as_can_be() -> None:
    found = label_map(Grid(grid=(2, 3)), np.zeros((3, 4, 7), np.float32), "here")
    wanted = [[0, 0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 5, 5]] * 2
    np.testing.assert_array_equal(found, wanted)


def test_a_grid_of_pixels_and_one_too_fine() -> None:
    pixels = np.zeros((1, 3, 4))
    np.testing.assert_array_equal(label_map(Grid(grid=(3, 4)), pixels, "here"), np.arange(12).reshape(3, 4))
    with pytest.raises(Refusal, match=r"a grid of 4 x 4; expected at most 3 x 4"):
        label_map(Grid(grid=(4, 4)), pixels, "here")


@pytest.mark.parametrize(("side", "cells", "told"), [(23, (23, 22), "506"), (4, (1, 1), "1 superpixels")])
def test_the_number_of_superpixels_is_told_where_it_is_refused(side: int, cells: Any, told: str) -> None:
    with pytest.raises(Refusal, match=f"{told}.*expected 2 to 500"):
        label_map(Grid(grid=cells), np.zeros((1, side, side)), "here")


def test_two_and_five_hundred_are_taken() -> None:
    assert label_map(Grid(grid=(1, 2)), np.zeros((1, 4, 4)), "here").max() == 1
    assert label_map(Grid(grid=(20, 25)), np.zeros((1, 25, 25)), "here").max() == 499


@pytest.mark.parametrize("kind", ["quickshift", "felzenszwalb"])
def test_a_constant_image_has_one_superpixel_and_is_refused(kind: str) -> None:
    with pytest.raises(Refusal, match=f"found 1 superpixels of kind {kind}; expected 2 to 500.*grid"):
        label_map(made(kind), np.full((3, 24, 24), 0.5, np.float32), "here")


def test_slic_of_a_constant_image_is_a_grid() -> None:
    found = label_map(Slic(slic=4), np.full((3, 24, 24), 0.5, np.float32), "here")
    assert found.max() == 3


@pytest.mark.parametrize("kind", ["slic", "grid"])
def test_tiny_images(kind: str) -> None:
    segments = Slic() if kind == "slic" else Grid(grid=(2, 2))
    found = label_map(segments, photo(side=4), "here")
    assert found.shape == (4, 4)
    assert 2 <= found.max() + 1 <= 16


def test_quickshift_is_as_the_lime_package_calls_it_and_its_seed_counts() -> None:
    """The package lime filters `random_seed` out, so scikit-image's own seed, 42, is what it always draws with."""
    image = photo(noise=0)
    given = np.moveaxis(image, 0, 2)
    theirs = segmentation.quickshift(given.astype(np.float64), kernel_size=4, max_dist=200, ratio=0.2, rng=42)
    np.testing.assert_array_equal(label_map(Quickshift(), image, "here", 42), contiguous(theirs))
    ties = made({"quickshift": {"kernel_size": 1, "max_dist": 4}})  # in blocks of one colour noise alone decides
    one, again, other = (label_map(ties, image, "here", seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_no_other_kind_reads_the_seed() -> None:
    image = photo(noise=0.1)
    for kind in (Grid(), Slic(), Felzenszwalb()):
        np.testing.assert_array_equal(label_map(kind, image, "here", 0), label_map(kind, image, "here", 1))


def test_global_random_state_is_neither_read_nor_moved() -> None:
    np.random.seed(5)
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    label_map(Quickshift(), photo(), "here", 1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]


def test_gaps_are_closed_in_order() -> None:
    np.testing.assert_array_equal(contiguous(np.array([[7, 3], [3, 40]])), [[1, 0], [0, 2]])


def test_labels_from_one_are_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """METHODS 5: labels starting at 1 make lime never hide the last segment."""
    monkeypatch.setattr(superpixels, "_found", lambda *_: np.array([[1, 2], [2, 9]]))
    np.testing.assert_array_equal(label_map(Slic(), np.zeros((3, 2, 2)), "here"), [[0, 1], [1, 2]])


def test_features_alone_and_in_groups() -> None:
    for segments in (None, "features"):
        np.testing.assert_array_equal(feature_groups(made(segments) if segments else None, NAMES, "x"), [[0, 1, 2, 3]])
    groups = Groups(groups={"money": ("debts", "income")})
    np.testing.assert_array_equal(feature_groups(groups, NAMES, "x"), [[1, 0, 0, 2]])
    assert player_names(groups, NAMES) == ("money", "age", "city")
    assert player_names(None, NAMES) == NAMES


@pytest.mark.parametrize(
    ("groups", "names", "told"),
    [
        ({"a": ("age", "debt")}, NAMES, "'debt' in group 'a', which is no feature"),
        ({"a": ("age",), "b": ("age",)}, NAMES, "'age' in group 'b', which is in another group or there twice"),
        ({"a": ("age", "age")}, NAMES, "there twice"),
        ({"a": NAMES}, NAMES, "1 features or groups of them; expected 2 to 500"),
        ({"a": ("f0",)}, tuple(f"f{n}" for n in range(501)), "501 features"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups: Any, names: tuple[str, ...], told: str) -> None:
    with pytest.raises(Refusal, match=told):
        feature_groups(Groups(groups=groups), names, "methods.lime.segments")


def test_superpixels_of_a_table_and_features_of_an_image_are_refused() -> None:
    with pytest.raises(Refusal, match="slic of a table"):
        feature_groups(Slic(), NAMES, "here")
    for segments in ("features", Groups(groups={"a": ("age",)})):
        with pytest.raises(Refusal, match="of an image; expected grid, slic, quickshift or felzenszwalb"):
            label_map(made(segments) if segments == "features" else segments, photo(), "here")


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_recorded(kind: str) -> None:
    record = segments_record(made(kind))
    assert record["kind"] == kind
    settings = {
        "grid": {"rows": 7, "columns": 7},
        "slic": {"n": 50, "compactness": 10.0, "sigma": 0.0, "max_num_iter": 10},
        "quickshift": {"kernel_size": 4, "max_dist": 200, "ratio": 0.2, "rng": "seed of audit, method and case"},
        "felzenszwalb": {"scale": 100, "sigma": 0.5, "min_size": 50},
    }[kind]
    assert settings.items() <= record.items()
