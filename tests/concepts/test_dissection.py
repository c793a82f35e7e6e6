"""Dissection against closed forms, against maps drawn pixel by pixel, and against itself shown in other ways."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from dissections import Case, cells, drawn, pooled_iou, thresholds
from torch import nn

from xai_audit.concepts import shuffles
from xai_audit.concepts.dissection import Asked, Dissected, Dissection, rotation
from xai_audit.concepts.overlap import Picture, ceiling
from xai_audit.errors import StepError

EXACT = 1e-6
"""METHODS 9: Network Dissection against its closed form."""


def conv_case(seed: int, *, size: tuple[int, int] = (31, 26), grid_stride: int = 3, cases: int = 24) -> Case:
    """Activations of a small net with random weights on random pictures, and masks of random rectangles."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 5, 5, stride=grid_stride, padding=1), nn.Tanh(), nn.Conv2d(5, 7, 3, padding=1))
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        activation = net(torch.from_numpy(rng.random((cases, 3, *size), np.float32))).numpy()
    masks = np.zeros((cases, 4, *size), np.bool_)
    for case in range(cases):
        for concept in range(4):
            top, left, height, width = rng.integers(0, 20, 4)
            masks[case, concept, top : top + height, left : left + width] = True
    rows, columns = (1.0 + grid_stride * np.arange(n) for n in activation.shape[2:])
    annotated = rng.random((cases, 2)) < 0.7
    return Case(activation, masks, (rows, columns), (0, 1, 1, 0), annotated, quantile=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_overlaps_are_those_of_maps_drawn_pixel_by_pixel(seed: int) -> None:
    case = conv_case(seed, grid_stride=1 + seed)
    found, expected = case.dissected(), pooled_iou(case)
    assert expected.max() > 0.01
    np.testing.assert_allclose(found.units.iou, expected, rtol=0, atol=EXACT)
    assert np.array_equal(found.units.thresholds.values, thresholds(case.activation, case.quantile))


def test_random_directions_are_dissected_as_units_are() -> None:
    case = conv_case(5)
    turned = np.einsum("lk,nkij->nlij", case.turn(), case.activation.astype(np.float64))
    alone = replace(case, activation=turned)
    np.testing.assert_allclose(case.dissected().rotated.iou, pooled_iou(alone), rtol=0, atol=2e-3)  # float32 borders
    in_float64 = replace(case, activation=case.activation.astype(np.float64))
    np.testing.assert_allclose(in_float64.dissected().rotated.iou, pooled_iou(alone), rtol=0, atol=EXACT)


def test_a_rotation_keeps_lengths_and_angles() -> None:
    turn = rotation(40, np.random.default_rng(0))
    np.testing.assert_allclose(turn @ turn.T, np.eye(40), atol=1e-12)
    assert np.abs(turn - np.eye(40)).max() > 0.2
    assert np.array_equal(turn, rotation(40, np.random.default_rng(0)))


def red_shapes(prevalence: float, quantile: float) -> Case:
    """40 pictures of 20 x 20 with a red block of exact area; the unit is the red channel, no two values alike."""
    rng = np.random.default_rng(3)
    cases, side = 40, 20
    masks = np.zeros((cases, 1, side, side), np.bool_)
    red = round(prevalence * side * side)
    for case in range(cases):
        masks[case, 0].ravel()[(rng.integers(side * side) + np.arange(red)) % (side * side)] = True
    values = rng.permutation(cases * side * side).reshape(masks.shape) / (cases * side * side)
    return Case((values + masks).astype(np.float64), masks, quantile=quantile)


@pytest.mark.parametrize(
    ("prevalence", "quantile"), [(0.05, 0.005), (0.4, 0.005), (0.005, 0.005), (0.01, 0.04), (0.2, 0.1), (0.0025, 0.2)]
)
def test_the_red_channel_reaches_the_ceiling_of_red(prevalence: float, quantile: float) -> None:
    found = red_shapes(prevalence, quantile).dissected()
    assert found.units.iou[0, 0] == pytest.approx(ceiling(prevalence, quantile), abs=EXACT)
    assert found.units.ceilings[0, 0] == pytest.approx(ceiling(prevalence, quantile), abs=EXACT)


def test_no_overlap_exceeds_its_own_ceiling() -> None:
    for seed in range(4):
        units = conv_case(seed).dissected().units
        assert (units.iou <= units.ceilings + 1e-12).all()


def test_permuted_units_permute_rows() -> None:
    case, order = conv_case(7), np.array([3, 0, 6, 1, 5, 2, 4])
    whole, moved = case.dissected().units, replace(case, activation=case.activation[:, order]).dissected().units
    assert np.array_equal(moved.iou, whole.iou[order])
    assert np.array_equal(moved.chance.p, whole.chance.p[order])
    assert np.array_equal(moved.is_detector, whole.is_detector[order])
    assert len(np.unique(whole.iou[:, 0])) > 1


def test_union_is_taken_over_cases_annotated_for_the_category_only() -> None:
    case = conv_case(9)
    assert case.annotated is not None
    whole = case.dissected().units.iou
    other = case.masks.copy()
    other[:, [0, 3]] ^= ~case.annotated[:, 0][:, None, None, None]
    other[:, [1, 2]] ^= ~case.annotated[:, 1][:, None, None, None]
    assert np.array_equal(replace(case, masks=other).dissected().units.iou, whole)
    everywhere = replace(case, annotated=np.ones_like(case.annotated)).dissected().units.iou
    assert np.abs(everywhere - whole).max() > 1e-3
    np.testing.assert_allclose(everywhere, pooled_iou(replace(case, annotated=None)), rtol=0, atol=EXACT)


def test_a_concept_absent_where_its_category_is_annotated_counts_in_the_union() -> None:
    values = np.zeros((4, 1, 4, 4))
    values[:, 0, :2, :2] = 1 + np.arange(16).reshape(4, 2, 2)
    masks = np.zeros((4, 1, 4, 4), np.bool_)
    masks[:2, 0, :2, :2] = True
    case = Case(values, masks, quantile=0.25)
    absent = case.dissected().units.iou[0, 0]
    assert absent == pytest.approx(8 / 16)  # answers in all four cases, marked in two
    unknown = replace(case, annotated=np.array([[True], [True], [False], [False]])).dissected().units.iou[0, 0]
    assert unknown == pytest.approx(1)


def test_constant_dead_and_saturated_units_are_silent_and_not_scored() -> None:
    case = conv_case(11)
    case.activation[:, 0] = 0
    case.activation[:, 1] = 2.5
    case.activation[:, 2] = np.minimum(case.activation[:, 2], np.quantile(case.activation[:, 2], 0.9))
    found = case.dissected().units
    assert found.is_scored.tolist() == [False] * 3 + [True] * 4
    assert np.isnan(found.iou[:3]).all() and not np.isnan(found.iou[3:]).any()
    assert not found.is_detector[:3].any() and not found.is_over[:3].any()
    np.testing.assert_allclose(found.iou[3:], pooled_iou(case)[3:], rtol=0, atol=EXACT)


def test_a_unit_with_one_value_above_the_others_is_scored() -> None:
    case = conv_case(12)
    case.activation[:, 0] = 0
    case.activation[0, 0, 0, 0] = 1
    found = case.dissected().units
    assert found.is_scored.all() and found.thresholds.above[0] == 1
    assert found.thresholds.values[0] == 0


def same(one: Dissected, other: Dissected) -> bool:
    parts = [
        (d.units.iou, d.units.chance.p, d.rotated.iou, d.rotated.chance.p, d.means, d.minima) for d in (one, other)
    ]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*parts, strict=True))


def test_the_size_of_batches_changes_nothing() -> None:
    case = conv_case(13)
    assert same(case.dissected(batch=1), case.dissected(batch=8))
    assert same(case.dissected(batch=1), case.dissected(batch=24))


def test_kept_activations_and_a_second_look_give_the_same() -> None:
    case = conv_case(14)
    again = replace(case, more={"largest_kept": case.activation.nbytes - 1})
    kept = replace(case, more={"largest_kept": case.activation.nbytes})
    assert (again.dissection().looks, kept.dissection().looks) == (2, 1)
    assert same(again.dissected(), kept.dissected())
    assert np.array_equal(again.dissection().top.maps, kept.dissection().top.maps)


def test_means_and_minima_are_of_all_places() -> None:
    case = conv_case(15)
    found, values = case.dissected(), case.activation.astype(np.float64).swapaxes(0, 1).reshape(7, -1)
    np.testing.assert_allclose(found.means, values.mean(axis=1), rtol=1e-12)
    assert np.array_equal(found.minima, values.min(axis=1))


def test_sums_of_cases_add_up_to_the_pooled_overlap() -> None:
    case = conv_case(16)
    made = case.dissection()
    found = made.dissected(np.random.default_rng(0)).units
    units = np.array([2, 5, 0, 2])
    sums, answers = made.case_sums(units), drawn(case)
    for concept, unit in enumerate(units):
        both, alone, marked = sums[:, concept].sum(axis=0)
        assert both / (alone + marked - both) == pytest.approx(found.iou[unit, concept], abs=1e-12)
    assert case.annotated is not None
    inside = case.annotated[:, 1]
    assert np.array_equal(sums[:, 1, 1], answers[:, 5].sum(axis=(1, 2)) * inside)
    assert np.array_equal(sums[:, 1, 2], case.masks[:, 1].sum(axis=(1, 2)) * inside)


def test_largest_activations_of_a_case() -> None:
    case = conv_case(17)
    largest = case.dissection().largest(np.array([4, 1]))
    assert np.array_equal(largest, case.activation.max(axis=(2, 3))[:, [4, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_no_numbers_are_an_error(bad: float) -> None:
    case = conv_case(18)
    case.activation[5, 2, 0, 0] = bad
    with pytest.raises(StepError, match="a value that is not finite"):
        case.dissection()


def six_colours(cases: int = 60) -> Case:
    """A net made by hand: each of six units is one of six concepts, each a block in some place of half of the cases."""
    rng = np.random.default_rng(21)
    masks = np.zeros((cases, 6, 24, 24), np.bool_)
    for case in range(cases):
        for concept in range(6):
            if rng.random() < 0.5:
                top, left = 3 * rng.integers(0, 7, 2)
                masks[case, concept, top : top + 6, left : left + 6] = True
    values = masks.reshape(cases, 6, 8, 3, 8, 3).mean(axis=(3, 5)) + 0.01 * rng.random((cases, 6, 8, 8))
    return Case(values.astype(np.float32), masks, shuffles=99, quantile=0.02)


def test_a_net_whose_units_are_concepts_loses_them_under_rotation() -> None:
    found = six_colours().dissected()
    assert found.units.is_detector.all()
    assert found.units.best.tolist() == list(range(6))
    assert len(found.units.found) == 6
    assert len(found.rotated.found) < 6


def test_a_unit_over_the_limit_that_chance_explains_is_no_detector() -> None:
    case = six_colours()
    rng = np.random.default_rng(0)
    everywhere = np.zeros_like(case.masks[:, :1])
    everywhere[:, :, :6, :6] = True  # the same place in every case: where it lies says nothing of a case
    values = case.activation[:, :1].copy()
    values[:, :, :2, :2] += 2 + 0.1 * rng.random((len(values), 1, 2, 2))
    beside = case.masks[:, 1:2]  # differs, so that marks are dealt out and not moved
    found = replace(case, activation=values, masks=np.concatenate([everywhere, beside], axis=1)).dissected().units
    assert found.is_over[0] and not found.is_significant[0] and not found.is_detector[0]
    assert found.chance.p[0] == 1


def test_cells_are_centres_of_equal_parts() -> None:
    rows, columns = cells((2, 4), (8, 8))
    assert rows.tolist() == [1.5, 5.5] and columns.tolist() == [0.5, 2.5, 4.5, 6.5]


def memory(cases: int) -> int:
    """Most bytes held while cases come in one by one, which are made as they are asked for."""
    units, grid, size = 8, (5, 5), (16, 16)
    rng = np.random.default_rng(0)
    masks = rng.random((10, 2, *size)) < 0.3
    asked = Asked(
        "dissect", cases, units, grid, Picture.of(cells(grid, size), size), np.zeros(2, np.int64),
        np.ones((cases, 1), np.bool_), lambda place: masks[place % 10], 0.005, 0.04, 19,
    )  # fmt: skip
    tracemalloc.start()
    try:
        made = Dissection(asked, np.dtype(np.float32), rotation(units, rng))
        for _ in range(cases):
            made.tally(rng.standard_normal((1, units, *grid), dtype=np.float32))
        made.settle()
        made.dissected(rng)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_hardly_grows_with_the_number_of_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffles, "_AT_ONCE", 2**12)  # buffers of one size for few cases and many
    memory(20)  # what is imported and made once
    few, many = memory(100), memory(700)
    assert (many - few) / 600 < 600  # marks by cell take 256 bytes of it; activations and masks would take 1,312
