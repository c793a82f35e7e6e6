"""Runs of pixels against maps drawn pixel by pixel; upsampling anchored at centres; ceilings and chance."""

from __future__ import annotations

import numpy as np
import pytest
from dissections import cells, weights
from numpy.typing import NDArray

from xai_audit.concepts.overlap import CELLS, Axis, Picture, RunningCounts, ceiling, chance, iou

SHAPES = [
    ((7, 5), (40, 33), None),
    ((6, 6), (6, 6), None),
    ((1, 4), (20, 30), None),
    ((9, 8), (7, 50), None),  # more places than pixels
    ((5, 5), (3, 2), None),
    ((4, 4), (60, 60), (np.array([-9.5, 3, 40, 71]), np.array([20.25, 21, 22, 23]))),  # centres outside, and crowded
]


@pytest.fixture(params=SHAPES, ids=[f"{grid} on {size}" for grid, size, _ in SHAPES])
def shape(request: pytest.FixtureRequest) -> tuple[Picture, NDArray[np.float64]]:
    grid, size, centres = request.param
    rng = np.random.default_rng(1)
    return Picture.of(centres or cells(grid, size), size), rng.standard_normal((9, *grid))


def painted(picture: Picture, above: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The runs as pixels."""
    found = np.zeros((len(above), *picture.size), np.bool_)
    for runs in picture.runs(above):
        for number in range(len(runs.map)):
            start = runs.first[number]
            row = found[runs.map[number], runs.row[number]]
            assert not row[start : start + runs.length[number]].any()
            row[start : start + runs.length[number]] = True
    return found


def test_runs_are_the_pixels_whose_interpolated_value_exceeds_zero(shape: tuple[Picture, NDArray[np.float64]]) -> None:
    picture, above = shape
    down, across = (weights(axis.centres, axis.pixels) for axis in (picture.rows, picture.columns))
    drawn = np.einsum("yi,nij,xj->nyx", down, above, across) > 0
    assert drawn.any() and not drawn.all()
    assert np.array_equal(painted(picture, above), drawn)


def test_each_run_lies_in_one_cell(shape: tuple[Picture, NDArray[np.float64]]) -> None:
    picture, above = shape
    for runs in picture.runs(above):
        last = runs.first + runs.length - 1
        assert (runs.length > 0).all()
        assert np.array_equal(picture.columns.cell[runs.first], picture.columns.cell[last])
        assert np.array_equal(
            runs.cell, picture.rows.cell[runs.row] * picture.columns.cells + picture.columns.cell[last]
        )


def test_runs_do_not_depend_on_how_many_maps_are_taken_at_once(
    shape: tuple[Picture, NDArray[np.float64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, above = shape
    whole = painted(picture, above)
    monkeypatch.setattr("xai_audit.concepts.overlap._AT_ONCE", 1)
    assert np.array_equal(painted(picture, above), whole)
    assert len(list(picture.runs(above))) == len(above)


def test_outside_the_outermost_centres_the_edge_value_holds() -> None:
    picture = Picture.of((np.array([4.0]), np.array([10.0, 14.0])), (8, 24))
    drawn = painted(picture, np.array([[[1.0, -1.0]]]))[0]
    assert np.array_equal(drawn, np.tile(np.arange(24) < 12, (8, 1)))  # 0 half way, which does not exceed 0


def test_a_tie_with_the_threshold_does_not_exceed_it() -> None:
    for value in (0.1, 1 / 3, 0.7):
        values = np.array([[[value, value, value + 1]]], np.float32)
        above = values.astype(np.float64) - np.float32(value)
        picture = Picture.of((np.array([0.0]), np.array([0.0, 7.0, 14.0])), (1, 20))
        assert np.array_equal(painted(picture, above)[0, 0], np.arange(20) > 7)


def test_a_crossing_on_a_pixel_leaves_that_pixel_out() -> None:
    picture = Picture.of((np.array([0.0]), np.array([0.0, 4.0])), (1, 5))
    assert painted(picture, np.array([[[3.0, -1.0]]]))[0, 0].tolist() == [True, True, True, False, False]
    assert painted(picture, np.array([[[-1.0, 1.0]]]))[0, 0].tolist() == [False, False, False, True, True]


def test_nothing_above_the_threshold_has_no_run() -> None:
    picture = Picture.of(cells((3, 3), (9, 9)), (9, 9))
    assert sum(len(runs.map) for runs in picture.runs(np.zeros((2, 3, 3)))) == 0
    assert not list(picture.runs(np.zeros((0, 3, 3))))


def test_masks_are_counted_in_runs_and_cells(shape: tuple[Picture, NDArray[np.float64]]) -> None:
    picture, above = shape
    masks = np.random.default_rng(2).random((3, *picture.size)) < 0.4
    counts = RunningCounts(masks)
    for runs in picture.runs(above):
        inside = counts.inside(runs)
        for number in range(len(runs.map)):
            row = masks[:, runs.row[number], runs.first[number] : runs.first[number] + runs.length[number]]
            assert np.array_equal(inside[:, number], row.sum(axis=1))
    by_cell = counts.by_cell(picture).reshape(3, picture.rows.cells, picture.columns.cells)
    for row in range(picture.rows.cells):
        for column in range(picture.columns.cells):
            part = masks[:, picture.rows.cell == row][:, :, picture.columns.cell == column]
            assert np.array_equal(by_cell[:, row, column], part.sum(axis=(1, 2)))


def test_masks_are_shared_out_to_the_nearest_places() -> None:
    picture = Picture.of((np.array([1.0, 5.0]), np.array([0.0, 6.0])), (8, 9))  # middles at 3 and 3
    mask = np.zeros((1, 8, 9), np.bool_)
    mask[0, :4, :4] = True
    found = RunningCounts(mask).by_place(picture)[..., 0]
    np.testing.assert_allclose(found, [[1, 3 / 18], [3 / 15, 1 / 30]], rtol=1e-15)
    crowded = Axis(np.array([-9.5, 3, 40, 71]), 30)
    assert crowded.spans.tolist() == [[0, 1], [0, 22], [22, 30], [29, 30]]
    assert crowded.nearest.tolist() == [0, 3, 29, 29]
    assert Axis(np.array([0.5, 2.5, 4.75]), 6).nearest.tolist() == [0, 2, 5]


def test_cells_of_the_coarse_grid_differ_by_one_pixel_at_most() -> None:
    axis = Axis(np.array([0.0, 1.0]), 30)
    sizes = np.bincount(axis.cell)
    assert (axis.cells, sizes.min(), sizes.max(), sizes.sum()) == (CELLS, 3, 4, 30)
    assert Axis(np.array([0.0]), 3).cell.tolist() == [0, 1, 2]
    picture = Picture.of(cells((3, 3), (30, 3)), (30, 3))
    assert (picture.cells, int(picture.cell_sizes.sum())) == (24, 90)


def test_centres_must_ascend() -> None:
    with pytest.raises(ValueError, match="centres that do not ascend"):
        Axis(np.array([0.0, 0.0]), 5)


@pytest.mark.parametrize(
    ("prevalence", "quantile", "highest", "expected"),
    [
        (0.05, 0.005, 0.10, 0.00456621),
        (0.2, 0.005, 0.025, 0.0049020),
        (0.002, 0.005, 0.4, 0.0014306),
        (0.4, 0.4, 1, 0.25),
    ],
)
def test_ceiling_and_chance_in_closed_form(prevalence: float, quantile: float, highest: float, expected: float) -> None:
    assert ceiling(prevalence, quantile) == pytest.approx(highest, abs=1e-12)
    assert chance(prevalence, quantile) == pytest.approx(expected, rel=1e-4)


def test_overlap_of_nothing_with_nothing_is_none() -> None:
    counts = [np.array([0, 3, 0]), np.array([0, 4, 2]), np.array([0, 5, 0])]
    assert iou(*counts).tolist() == [0, 0.5, 0]
