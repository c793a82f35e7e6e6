from __future__ import annotations

import numpy as np
import pytest

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources, baseline_record, fill, fills, segment_fill
from xai_audit.spec.methods import Background, Baseline, Blur, Sample

IMAGE = np.random.default_rng(0).random((3, 20, 24)).astype(np.float32)
SOURCES = FillSources((0.1, 0.2, 0.3), {"a": 1 - IMAGE})


@pytest.mark.parametrize(
    ("baseline", "wanted"), [("black", [0, 0, 0]), ("grey", [0.5, 0.5, 0.5]), ("mean_colour", [0.1, 0.2, 0.3])]
)
def test_plain_colours(baseline: Baseline, wanted: list[float]) -> None:
    found = fill(baseline, IMAGE, SOURCES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(np.reshape(wanted, (3, 1, 1)), IMAGE.shape), atol=1e-7)


def test_sample_is_the_other_case() -> None:
    np.testing.assert_array_equal(fill(Sample(sample="a"), IMAGE, SOURCES), 1 - IMAGE)


def test_blur_keeps_a_constant_and_channels_apart() -> None:
    constant = np.full_like(IMAGE, 0.25)
    np.testing.assert_allclose(fill(Blur(blur=3.0), constant, SOURCES), constant, atol=1e-6)
    one = np.zeros_like(IMAGE)
    one[1, 10, 12] = 1
    blurred = fill(Blur(blur=2.0), one, SOURCES)
    assert blurred[0].max() == blurred[2].max() == 0
    assert blurred[1].sum() == pytest.approx(1, abs=1e-3)


def test_blur_is_a_gaussian_of_sigma_pixels() -> None:
    one = np.zeros((1, 41, 41))
    one[0, 20, 20] = 1
    row = fill(Blur(blur=2.0), one, SOURCES)[0, 20]
    weights = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
    np.testing.assert_allclose(row[12:29], weights * weights.max() / weights.sum() ** 2, atol=1e-12)


def test_blur_of_an_image_smaller_than_its_kernel() -> None:
    assert np.isfinite(fill(Blur(), IMAGE[:, :3, :3], SOURCES)).all()


@pytest.mark.parametrize(
    ("baseline", "sources", "told"),
    [
        ("mean_colour", FillSources(), "no mean colour"),
        ("mean_colour", FillSources((0.5,)), "a mean colour of 1 numbers; expected 3"),
        (Sample(sample="b"), SOURCES, "case 'b'"),
        (Sample(sample="a"), FillSources(samples={"a": IMAGE[:, :5]}), "pixels of shape"),
    ],
)
def test_refusals(baseline: Baseline, sources: FillSources, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        fill(baseline, IMAGE, sources)


def test_every_parameter_is_recorded() -> None:
    assert baseline_record(Blur(), SOURCES) == {"kind": "blur", "sigma": 10.0, "mode": "reflect", "truncate": 4.0}
    assert baseline_record("mean_colour", SOURCES) == {"kind": "mean_colour", "colour": [0.1, 0.2, 0.3]}
    assert baseline_record(Sample(sample="a"), SOURCES) == {"kind": "sample", "case": "a"}


LABELS = np.array([[0] * 8 + [2] * 16] * 10 + [[2] * 24] * 10)
"""Superpixels 0 and 2; none has the number 1."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_superpixel_wears_its_mean_channel_by_channel(dtype: type) -> None:
    image = IMAGE.astype(dtype)
    kept = image.copy()
    found = segment_fill("superpixel_mean", image, LABELS, SOURCES)
    assert found.dtype == dtype
    for label in (0, 2):
        wanted = image[:, label == LABELS].astype(np.float64).mean(1)
        np.testing.assert_allclose(
            found[:, label == LABELS], np.repeat(wanted[:, None], (label == LABELS).sum(), 1), atol=1e-7
        )
    np.testing.assert_array_equal(image, kept)


def test_the_mean_of_a_superpixel_of_one_colour_is_that_colour() -> None:
    colours = np.random.default_rng(1).random((3, 3))
    image = colours[:, LABELS]
    np.testing.assert_allclose(segment_fill("superpixel_mean", image, LABELS, SOURCES), image, rtol=0, atol=1e-13)


def test_other_fills_do_not_read_superpixels() -> None:
    for baseline in ("black", Blur(blur=2.0), Sample(sample="a")):
        np.testing.assert_array_equal(segment_fill(baseline, IMAGE, LABELS, SOURCES), fill(baseline, IMAGE, SOURCES))
        np.testing.assert_array_equal(fills(baseline, IMAGE, LABELS, SOURCES), fill(baseline, IMAGE, SOURCES)[None])


ROW = np.array([[[4.0, np.nan, 2.0]]])
BACKGROUND = Background(background=3, slice="young")
TABLE = FillSources(
    mean=np.array([[[1.5, 0.5, 1.0]]]),
    median=np.array([[[1.0, 0.25, 1.0]]]),
    rows={BACKGROUND: np.array([[[[1.0, 2.0, 3.0]]], [[[4.0, np.nan, 6.0]]]])},
)


def test_mean_and_median_of_a_table() -> None:
    np.testing.assert_array_equal(fill("mean", ROW, TABLE), [[[1.5, 0.5, 1.0]]])
    np.testing.assert_array_equal(fill("median", ROW, TABLE), [[[1.0, 0.25, 1.0]]])
    np.testing.assert_array_equal(fills("mean", ROW, np.array([[0, 1, 2]]), TABLE), [[[[1.5, 0.5, 1.0]]]])


def test_a_background_is_all_its_rows_with_what_is_missing_in_them() -> None:
    found = fills(BACKGROUND, ROW, np.array([[0, 1, 2]]), TABLE)
    np.testing.assert_array_equal(found, TABLE.rows[BACKGROUND])


NOWHERE = FillSources()


@pytest.mark.parametrize(
    ("baseline", "image", "sources", "told"),
    [
        ("superpixel_mean", IMAGE, SOURCES, "a method without superpixels"),
        ("mean", IMAGE, SOURCES, "no table, or one that was not profiled; expected features of a table"),
        ("median", IMAGE, SOURCES, "no table"),
        ("mean", IMAGE, TABLE, "pixels of shape"),
        (BACKGROUND, IMAGE, TABLE, "a method that takes one fill"),
    ],
)
def test_fills_that_do_not_fit_are_refused(
    baseline: Baseline, image: np.ndarray, sources: FillSources, told: str
) -> None:
    with pytest.raises(Refusal, match=told):
        fill(baseline, image, sources)


@pytest.mark.parametrize(
    ("image", "rows", "told"),
    [
        (ROW, {}, "no background drawn; expected rows of slice 'young'"),
        (ROW, {BACKGROUND: np.zeros((0, 1, 1, 3))}, "no rows"),
        (IMAGE, TABLE.rows, "pixels of shape"),
    ],
)
def test_backgrounds_that_are_not_there_are_refused(
    image: np.ndarray, rows: dict[Background, np.ndarray], told: str
) -> None:
    with pytest.raises(Refusal, match=told):
        fills(BACKGROUND, image, LABELS, FillSources(rows=rows))


def test_what_tables_and_superpixels_are_hidden_by_is_recorded() -> None:
    assert baseline_record("mean", TABLE) == {"kind": "mean", "values": [1.5, 0.5, 1.0]}
    assert baseline_record("median", TABLE) == {"kind": "median", "values": [1.0, 0.25, 1.0]}
    assert baseline_record(BACKGROUND, TABLE) == {"kind": "background", "slice": "young", "asked_for": 3, "rows": 2}
    wanted = {"kind": "superpixel_mean", "value": "each superpixel's mean of the image"}
    assert baseline_record("superpixel_mean", SOURCES) == wanted
