from __future__ import annotations

import numpy as np
import pytest

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources, baseline_record, fill
from xai_audit.spec.schema import Baseline, Blur, Sample

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
