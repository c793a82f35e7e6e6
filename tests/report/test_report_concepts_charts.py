"""Patches and charts of units by known answers: what is bright, what is cut off, what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixture_run import Made

from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.concept_charts import (
    Histogram,
    Overlap,
    Rise,
    Spread,
    histograms_chart,
    label_of,
    overlap_chart,
    rises_chart,
    spreads_chart,
)
from xai_audit.report.context import Context
from xai_audit.report.numbers import Numbers
from xai_audit.report.patches import DIMMED, OUTSIDE, colours, lit_up, made_image, patch, sees_little

EN = load_catalogue("en")
SIDE = 96
WHOLE = {"size": None, "stride": [16, 16], "start": [7.5, 7.5]}
PART = {"size": [48, 48], "stride": [16, 16], "start": [7.5, 7.5]}


@pytest.fixture
def context(made: Made) -> Context:
    return Context(made.run, made.spec, made.findings, "en", EN, Numbers(EN, 5))


def entry(place: tuple[int, int], box: tuple[int, int, int, int]) -> dict[str, Any]:
    return {"case": "a", "value": 1.0, "place": list(place), "box": list(box)}


def peak(row: int, column: int) -> np.ndarray:
    one = np.zeros((6, 6), np.float32)
    one[row, column] = 1.0
    return one


def test_a_patch_is_the_part_that_the_unit_sees() -> None:
    rows, columns = np.indices((SIDE, SIDE))
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    drawn = patch(image, np.ones((6, 6), np.float32), entry((2, 3), (16, 32, 64, 80)), PART, 1.0)
    assert drawn.shape == (96, 96, 3), "enlarged in whole steps to the side of a small picture"
    assert np.array_equal(drawn[::2, ::2], image[16:64, 32:80]), "all of it is bright where the map is high everywhere"


def test_a_patch_at_the_edge_is_as_large_as_one_within_and_grey_beyond() -> None:
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    drawn = patch(image, np.ones((6, 6), np.float32), entry((0, 5), (0, 64, 32, 96)), PART, 1.0)
    assert drawn.shape[:2] == (48 * 3, 48 * 3)
    assert (drawn[:48] == OUTSIDE).all(), "sixteen rows lie above the picture"
    assert (drawn[:, 96:] == OUTSIDE).all(), "sixteen columns lie to the right of it"
    assert (drawn[48:, :96] == 100).all()


def test_where_the_unit_does_not_answer_the_patch_is_dimmed() -> None:
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    drawn = patch(image, peak(1, 1), entry((1, 1), (0, 0, SIDE, SIDE)), WHOLE, 1.0)
    assert (drawn[24, 24] == 200).all(), "the centre of the place (1, 1) lies at pixel 23.5"
    assert (drawn[-1, -1] == round(200 * DIMMED)).all()
    assert drawn.min() == 10 and drawn.max() == 255, "a white line beside a black one goes around it"


def test_the_map_is_placed_by_the_centres_of_the_receptive_fields() -> None:
    """A layer without padding begins further in: the same map lies further in."""
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    shifted = {"size": None, "stride": [16, 16], "start": [23.5, 7.5]}
    first, second = (
        patch(image, peak(1, 1), entry((1, 1), (0, 0, SIDE, SIDE)), each, 1.0) for each in (WHOLE, shifted)
    )
    assert np.array_equal(first[8:72, :], second[24:88, :])


def test_a_small_part_has_its_surroundings() -> None:
    image = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    small = {"size": [3, 3], "stride": [1, 1], "start": [0, 0]}
    assert sees_little(small, image.shape) and not sees_little(PART, image.shape)
    maps = np.ones((SIDE, SIDE), np.float32)
    drawn = patch(image, maps, entry((0, 50), (0, 49, 2, 52)), small, 1.0)
    wide = round(SIDE * 0.34)
    factor = 96 // wide
    assert drawn.shape[:2] == (wide * factor, wide * factor)
    left = (49 + 52 - wide) // 2
    assert np.array_equal(drawn[::factor, ::factor], image[:wide, left : left + wide])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_pictures_of_any_number_of_channels_are_shown(channels: int, context: Context) -> None:
    image = np.full((8, 8, channels), 60, np.uint8)
    assert colours(image).shape == (8, 8, 3) and (colours(image) == 60).all()
    made = made_image(context, "m", "Unit 1", np.full((channels, 8, 8), 0.5), 96)
    assert made.mime == "image/jpeg" and "8 by 8 pixels, mean brightness 128" in made.alt


def test_a_map_without_values_leaves_the_picture_as_dim_as_it_gets() -> None:
    image = np.full((8, 8, 3), 100, np.uint8)
    assert (lit_up(image, np.zeros((8, 8)), 0.0) == round(100 * DIMMED)).all()


def test_charts_are_the_same_bytes_and_change_with_their_numbers(context: Context) -> None:
    edges = np.linspace(0, 1, 9)

    def each(shift: float) -> list[bytes]:
        shares = np.linspace(0.5, 0.0, 8) + shift
        overlap = Overlap("a", 0.2 + shift, 0.1, 0.3, 0.5, 0.01, is_found=True)
        return [
            histograms_chart(context, "h", [Histogram("Unit 1", edges, (("all", shares),))], "alt").data,
            overlap_chart(context, "o", [overlap], 0.04, [("a", 3, 1), ("b", 2, 1)], "alt").data,
            spreads_chart(context, "s", [Spread("x", 0.4 + shift, 0.2, 0.6, (0.1, 0.0, 0.2))], 0.0, "x", "alt").data,
            rises_chart(context, "r", [Rise("Unit 1", np.arange(5.0) + shift, 2.0)], "alt").data,
        ]

    first, again, other = each(0.0), each(0.0), each(0.1)
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_an_estimate_that_does_not_exist_is_said_in_the_chart(context: Context) -> None:
    there = spreads_chart(context, "s", [Spread("x", 0.4), Spread("y", None, remark="Not there")], 0.5, "x", "alt")
    without = spreads_chart(context, "s", [Spread("x", 0.4), Spread("y", None)], 0.5, "x", "alt")
    assert there.data != without.data


def test_names_that_a_chart_cannot_draw_are_numbered() -> None:
    assert label_of("crack", 0) == "crack"
    assert label_of("𒀀𒀁", 1) == "#2"
    assert label_of("a" * 60, 0, 11) == "aaaaa…aaaaa"
