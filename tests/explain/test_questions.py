"""Questions: the same pixels by every way to describe them, and keys that are equal just where pixels are."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from torch import Tensor

from xai_audit.explain.questions import ORIGINAL, Coalitions, NoisyPoints, PathPoints, SoftMasks, Windows, unit_masks

IMAGE = torch.from_numpy(nets.pixels(1)[0])
FILL = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def quadrants() -> np.ndarray:
    """(16, 16): 0 to 3."""
    return np.kron(np.array([[0, 1], [2, 3]]), np.ones((8, 8), np.int64))


BOXES = np.array([[0, 0, 8, 8], [0, 8, 8, 16], [8, 0, 16, 8], [8, 8, 16, 16]])


def test_coalitions_windows_and_masks_of_the_same_pixels_agree() -> None:
    one_absent = ~np.eye(4, dtype=bool)
    coalitions, windows = Coalitions(quadrants(), one_absent, FILL), Windows(BOXES, FILL)
    shown = torch.from_numpy((quadrants() != np.arange(4)[:, None, None]).astype(np.float32))
    masks = SoftMasks(shown, np.arange(4), FILL)
    for chosen in (rows(0, 1, 2, 3), rows(2), rows(3, 1)):
        assert torch.equal(coalitions.compose(IMAGE, chosen), windows.compose(IMAGE, chosen))
        assert torch.equal(masks.compose(IMAGE, chosen), windows.compose(IMAGE, chosen))
    covered = windows.compose(IMAGE, rows(1))[0]
    np.testing.assert_array_equal(covered[:, :8, 8:], FILL[:, :8, 8:])
    assert torch.equal(covered[:, 8:], IMAGE[:, 8:])


def test_full_and_empty_masks_are_known_by_their_pixels() -> None:
    present = np.array([[True, True], [False, False], [True, False]])
    coalitions = Coalitions(np.repeat([[0, 1]], 16, 0).repeat(8, 1), present, FILL)
    windows = Windows(np.array([[3, 3, 3, 9], [0, 0, 16, 16], [0, 0, 16, 8]]), FILL)
    assert coalitions.keys()[0] == windows.keys()[0] == ORIGINAL
    assert coalitions.keys()[1] == windows.keys()[1]
    assert len({*coalitions.keys(), *windows.keys()}) == 4
    assert windows.keys() != Windows(windows.boxes, FILL + 1).keys()
    assert windows.keys() == Windows(windows.boxes.copy(), FILL.copy()).keys()


def test_masks_are_known_by_their_maps_and_fill() -> None:
    maps = torch.rand(3, 4, 4)
    one = SoftMasks(maps, np.array([0, 2]), FILL).keys()
    assert one == SoftMasks(maps, np.array([0, 2]), FILL.copy()).keys()
    assert one[0] != one[1]
    assert one != SoftMasks(maps, np.array([0, 2]), FILL + 1).keys()
    assert one != SoftMasks(maps.clone(), np.array([0, 2]), FILL).keys()


def test_masks_reach_from_0_to_1_and_flat_ones_are_0() -> None:
    maps = torch.stack([torch.rand(4, 5) - 9, torch.full((4, 5), 3.0)])
    masks = unit_masks(maps, (16, 20))
    assert (float(masks[0].min()), float(masks[0].max())) == (0, 1)
    assert (masks[1] == 0).all()


def test_a_path_leads_from_the_base_to_the_image() -> None:
    path = PathPoints(FILL, np.array([0.0, 0.25, 1.0]))
    start, quarter, end = path.compose(IMAGE, rows(0, 1, 2))
    assert torch.equal(start, torch.from_numpy(FILL))
    torch.testing.assert_close(quarter, 0.75 * torch.from_numpy(FILL) + 0.25 * IMAGE, rtol=0, atol=1e-6)
    assert torch.equal(end, IMAGE)
    assert len(path) == 3


def test_noise_of_a_row_is_its_own_whatever_the_batch() -> None:
    noisy = NoisyPoints(0.1, 11, 6)
    whole = noisy.compose(IMAGE, torch.arange(6))
    assert torch.equal(noisy.compose(IMAGE, rows(4, 2)), whole[[4, 2]])
    assert len(torch.unique(whole.flatten(1), dim=0)) == 6
    assert torch.equal(NoisyPoints(0.1, 12, 6).compose(IMAGE, rows(0))[0], whole[1])
    assert float((whole - IMAGE).std()) == pytest.approx(0.1, rel=0.05)
    assert torch.equal(NoisyPoints(0.0, 11, 1).compose(IMAGE, rows(0))[0], IMAGE)


@pytest.mark.parametrize(
    "question",
    [
        Windows(BOXES, FILL), Coalitions(quadrants(), np.eye(4, dtype=bool), FILL),
        SoftMasks(torch.rand(4, 3, 3), np.arange(4), FILL), PathPoints(FILL, np.linspace(0, 1, 4)),
        NoisyPoints(0.2, 0, 4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_have_the_image_s_precision_and_leave_it_alone(question: Windows, dtype: torch.dtype) -> None:
    image = IMAGE.to(dtype, copy=True)
    made = question.compose(image, rows(3, 0))
    assert made.dtype == dtype
    assert made.shape == (2, 3, 16, 16)
    made.zero_()
    assert torch.equal(image, IMAGE.to(dtype))
