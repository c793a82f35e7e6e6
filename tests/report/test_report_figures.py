from __future__ import annotations

import colorsys
from itertools import pairwise

import numpy as np
import pytest
from fixture_run import Made

from xai_audit.report import figures, pictures
from xai_audit.report.build import build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context
from xai_audit.report.figures import Bin, Dot
from xai_audit.report.maps import Range, shown_maps
from xai_audit.report.numbers import SMALL, WITHHELD, Numbers
from xai_audit.report.sections.privacy import shown_counts
from xai_audit.report.style import MARKS

DOTS = (Dot("mono", 0.91, 0.88, 0.94, 140, "pass", (0.85,)), Dot("poly", 0.8, 0.7, 0.9, 60, "inconclusive", (0.85,)))


@pytest.fixture
def context(made: Made) -> Context:
    words = load_catalogue("en")
    return Context(made.run, made.spec, made.findings, "en", words, Numbers(words, 5))


def test_the_same_chart_gives_the_same_bytes(context: Context) -> None:
    first, second = (figures.forest(context, "accuracy", "share", DOTS) for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first.data
    assert b"http://matplotlib" not in first.data.lower()


def test_the_alt_text_follows_the_data(context: Context) -> None:
    before = figures.forest_alt(context, "accuracy", "share", DOTS).replace("\u00a0", " ")
    after = figures.forest_alt(context, "accuracy", "share", (DOTS[0],)).replace("\u00a0", " ")
    assert "Lowest: poly, 80.0 % (60 cases)" in before
    assert "poly: the estimate, 80.0 %, lies below the limit, 85 %" in before
    assert "poly" not in after


def test_the_alt_text_of_a_reliability_diagram_names_the_widest_gap(context: Context) -> None:
    bins = (Bin(40, 0.9, 0.6, 0.5, 0.7), Bin(40, 0.55, 0.5, 0.4, 0.6))
    text = figures.reliability_alt(context, (("all", bins),)).replace("\u00a0", " ")
    assert "stated confidence of 90.0 %, where 60.0 % were right (40 cases): too confident" in text


def test_the_alt_text_of_a_confusion_matrix_counts_the_commonest_confusion(context: Context) -> None:
    text = figures.confusion_alt(context, ("a", "b"), (("all", ((40, 3), (9, 30))),)).replace("\u00a0", " ")
    assert text == "Slice all: 70 of 82 right; commonest confusion: true b, predicted a, 9 cases."


def test_the_alt_text_of_a_map_says_where_it_is_strongest(context: Context) -> None:
    raw = np.zeros((1, 6, 6), dtype=np.float32)
    raw[0, 5, 0] = 2.0
    shown = shown_maps("grad_cam", "grad_cam", raw, (96, 96))
    before = pictures.map_alt(context, shown, 0)
    assert "largest value 2.00 at the bottom left" in before
    moved = shown_maps("grad_cam", "grad_cam", raw[:, ::-1, ::-1], (96, 96))
    assert "at the top right" in pictures.map_alt(context, moved, 0)


@pytest.mark.parametrize(("value", "key"), [(0.0, "map.all_zero"), (0.3, "map.constant"), (-0.3, "map.constant")])
def test_a_flat_map_is_said_and_not_stretched(value: float, key: str) -> None:
    raw = np.full((1, 4, 4), value, dtype=np.float32)
    shown = shown_maps("grad_cam", "grad_cam", raw, (8, 8))
    assert shown.remarks == (key,)


def test_an_all_negative_map_is_said_and_a_signed_one_keeps_its_sign() -> None:
    raw = -np.random.default_rng(0).random((1, 4, 4)).astype(np.float32) - 0.1
    assert shown_maps("grad_cam", "grad_cam", raw, (8, 8)).remarks == ("map.all_negative",)
    signed = shown_maps("occlusion", "occlusion", raw, (8, 8))
    assert signed.scale.is_signed
    assert signed.maps.max() < 0


@pytest.mark.parametrize(("factor", "key"), [(0.01, "map.weak"), (0.1, "")])
def test_a_map_too_weak_for_the_common_scale_is_said(factor: float, key: str) -> None:
    raw = np.stack([np.eye(4) * factor, np.eye(4), np.eye(4)]).astype(np.float32)
    assert shown_maps("occlusion", "occlusion", raw, (4, 4)).remarks == (key, "", "")


def test_maps_of_one_method_share_one_scale() -> None:
    raw = np.stack([np.eye(4), 10 * np.eye(4)]).astype(np.float32)
    shown = shown_maps("grad_cam", "grad_cam", raw, (4, 4))
    image = np.full((4, 4, 1), 128, dtype=np.uint8)
    weak, strong = (pictures.overlay(image, one, shown.scale) for one in shown.maps)
    assert int(strong[0, 0].sum()) < int(weak[0, 0].sum())


def test_positive_and_negative_relevance_differ_in_grey() -> None:
    image = np.full((32, 32, 1), 128, dtype=np.uint8)
    one = np.ones((32, 32), dtype=np.float32)
    positive, negative = (pictures.overlay(image, sign * one, Range(1.0, True, 1.0)).mean(axis=2) for sign in (1, -1))
    assert np.ptp(positive) < 1
    assert np.ptp(negative) > 20, "the hatch must be seen without colour"


def test_the_ramps_grow_darker_all_the_way() -> None:
    for ramp in (pictures._SEQUENTIAL, pictures._POSITIVE, pictures._NEGATIVE):
        colours = pictures._ramp(ramp, np.linspace(0, 1, 32))
        grey = colours @ np.array([0.299, 0.587, 0.114])
        assert all(b < a + 1e-9 for a, b in pairwise(grey))


def test_verdicts_in_charts_differ_by_shape_or_fill() -> None:
    shapes = [(marker, fill) for verdict, (marker, _, fill) in MARKS.items() if verdict != "none"]
    assert len(set(shapes)) == len(shapes)
    assert all(
        colorsys.rgb_to_hls(*(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)))[1] < 0.5 for _, c, _ in MARKS.values()
    )


def test_pictures_are_encoded_anew_without_marks_of_a_file() -> None:
    data = pictures.jpeg(np.zeros((40, 40, 3), dtype=np.uint8), 96)
    assert data[:2] == b"\xff\xd8"
    assert b"Exif" not in data


def test_a_hidden_count_hides_a_neighbour_that_would_tell_it(context: Context) -> None:
    assert shown_counts(context, [100, 3, 40]) == [100, SMALL, WITHHELD]
    assert shown_counts(context, [100, 3, 2]) == [100, SMALL, SMALL]
    assert shown_counts(context, [100, 0, 40]) == [100, 0, 40]
    assert [context.numbers.shown(count) for count in (SMALL, WITHHELD, 7)] == ["< 5", "withheld", "7"]


def test_every_picture_has_an_alt_text_and_every_figure_a_table(made: Made) -> None:
    report = build_report(made.run, made.spec, made.findings, "en")
    assert report.images
    assert all(len(image.alt) > 20 for image in report.images)
    from xai_audit.report.document import Figure, Gallery

    drawn = [block for block in report.blocks if isinstance(block, Figure | Gallery)]
    assert len(drawn) > 10
    assert all(block.data.rows and block.data.attachment and block.number for block in drawn)
