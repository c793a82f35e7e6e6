from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from xai_audit.explain.stages import display, reduce, relevance_map, sign, upsample

RAW = np.random.default_rng(0).normal(size=(3, 4, 5, 6))


def test_reduce() -> None:
    np.testing.assert_allclose(reduce(RAW, "sum"), RAW.sum(1))
    np.testing.assert_allclose(reduce(RAW, "max_abs"), np.abs(RAW).max(1))
    np.testing.assert_allclose(reduce(RAW, "l2"), np.linalg.norm(RAW, axis=1))
    assert reduce(RAW[:, 0], "max_abs") is not None
    np.testing.assert_array_equal(reduce(RAW[:, 0], "max_abs"), RAW[:, 0])


def test_sign() -> None:
    maps = np.array([[[-2.0, 0.0, 3.0]]])
    assert sign(maps, "relu").tolist() == [[[0, 0, 3]]]
    assert sign(maps, "signed").tolist() == [[[-2, 0, 3]]]
    assert sign(maps, "abs").tolist() == [[[2, 0, 3]]]


@pytest.mark.parametrize("size", [(5, 6), (10, 12), (224, 224), (7, 50), (3, 4), (1, 1), (2, 90)])
@pytest.mark.parametrize("shape", [(5, 6), (7, 7), (1, 1), (1, 8), (14, 3)])
def test_upsample_equals_torch(shape: tuple[int, int], size: tuple[int, int]) -> None:
    maps = np.random.default_rng(1).normal(size=(2, *shape))
    wanted = F.interpolate(torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=False, antialias=False)[0]
    np.testing.assert_allclose(upsample(maps, size), wanted.numpy(), rtol=0, atol=1e-6)
    assert upsample(maps.astype(np.float32), size).dtype == np.float32


def test_relevance_is_not_negative_and_at_image_size() -> None:
    layer = relevance_map(RAW[:, 0], "sum", (10, 12))
    np.testing.assert_allclose(layer, upsample(np.maximum(RAW[:, 0], 0), (10, 12)))
    np.testing.assert_allclose(relevance_map(RAW, "max_abs", (5, 6)), np.abs(RAW).max(1))


def test_display_scales_between_minimum_and_maximum() -> None:
    shown = display(np.array([[1.0, 2.0], [3.0, 5.0]]), symmetric=False)
    assert (shown.low, shown.high, shown.case, shown.sentence) == (1, 5, "scaled", "")
    np.testing.assert_allclose(shown.values, [[0, 0.25], [0.5, 1]])


def test_display_is_symmetric_around_zero() -> None:
    shown = display(np.array([[-1.0, 0.0], [2.0, 4.0]]), symmetric=True)
    assert (shown.low, shown.high) == (-4, 4)
    np.testing.assert_allclose(shown.values, [[-0.25, 0], [0.5, 1]])


@pytest.mark.parametrize(
    ("values", "case"),
    [
        ([[0.0, 0.0]], "all_zero"),
        ([[2.0, 2.0]], "constant"),
        ([[-3.0, -1.0]], "all_negative"),
        ([[-3.0, -3.0]], "all_negative"),
        ([[-3.0, 0.0]], "all_negative"),
    ],
)
def test_a_map_that_shows_nothing_is_named_and_not_stretched(values: list[list[float]], case: str) -> None:
    shown = display(np.array(values), symmetric=False)
    assert shown.case == case
    assert shown.sentence.endswith(".")
    assert not shown.values.any()


def test_mixed_signs_lose_their_negative_part_on_a_scale_that_is_not_symmetric() -> None:
    shown = display(np.array([[-4.0, 1.0, 2.0]]), symmetric=False)
    assert shown.values.tolist() == [[0, 0.5, 1]]
    assert (shown.low, shown.high) == (0, 2)
