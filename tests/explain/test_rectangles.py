"""Rectangles through sliding kernels, against what really changes, at every window of small maps."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from xai_audit.explain.rectangles import (
    Kernel,
    Places,
    Slide,
    areas,
    every,
    map_places,
    reads,
    sources,
    tidy,
    union,
)

HEIGHT, WIDTH = 7, 9


def kernel(size: int, stride: int, padding: int, dilation: int, height: int = HEIGHT, width: int = WIDTH) -> Kernel:
    """A square kernel over a map of that size."""
    length = [(side + 2 * padding - dilation * (size - 1) - 1) // stride + 1 for side in (height, width)]
    return Kernel(*(Slide(size, stride, padding, dilation, one) for one in length))


def all_boxes(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Every box of a map that has places."""
    down = [(low, high) for low in range(height) for high in range(low + 1, height + 1)]
    across = [(low, high) for low in range(width) for high in range(low + 1, width + 1)]
    return np.array([(top, left, bottom, right) for (top, bottom), (left, right) in product(down, across)])


def covered(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """(boxes, height, width): whether a place lies in the box."""
    y, x = np.arange(height)[:, None], np.arange(width)
    top, left, bottom, right = boxes.T[:, :, None, None]
    return (y >= top) & (y < bottom) & (x >= left) & (x < right)


KERNELS = [
    (1, 1, 0, 1),
    (3, 1, 1, 1),
    (3, 2, 1, 1),
    (2, 2, 0, 1),
    (3, 2, 0, 1),
    (3, 1, 2, 2),
    (5, 3, 2, 1),
    (1, 2, 0, 1),
]


@pytest.mark.parametrize("form", KERNELS)
def test_reached_boxes_hold_every_place_that_reads_a_changed_one(form: tuple[int, int, int, int]) -> None:
    size, stride, padding, dilation = form
    boxes = all_boxes()
    ones = torch.from_numpy(covered(boxes, HEIGHT, WIDTH)).float()[:, None]
    changed = F.conv2d(ones, torch.ones(1, 1, size, size), None, stride, padding, dilation)[:, 0] > 0
    reached = kernel(*form).reached(boxes)
    held = covered(reached, *changed.shape[1:])
    assert not (changed.numpy() & ~held).any()
    if dilation == 1:
        assert np.array_equal(areas(reached), changed.sum((1, 2)).numpy())  # nothing more than that


@pytest.mark.parametrize("form", KERNELS)
def test_parts_read_exactly_the_changed_places(form: tuple[int, int, int, int]) -> None:
    """The sum over what the parts read is the convolution of the change with ones."""
    size, stride, padding, dilation = form
    boxes = all_boxes()[::5]
    source = Places.of(boxes, WIDTH)
    source = source.ordered(np.random.default_rng(0).permutation(len(source)))
    values = np.random.default_rng(1).random((len(boxes), HEIGHT, WIDTH)) * covered(boxes, HEIGHT, WIDTH)
    listed = values[source.row, source.y, source.x]
    places, parts = reads(kernel(*form), source)
    found = np.zeros(len(places))
    for part in parts:
        found[part.start : part.stop] += np.append(listed, 0)[sources(kernel(*form), source, places, part)].sum((1, 2))
    wanted = F.conv2d(
        torch.from_numpy(values)[:, None], torch.ones(1, 1, size, size).double(), None, stride, padding, dilation
    )
    np.testing.assert_allclose(found, wanted[:, 0].numpy()[places.row, places.y, places.x], atol=1e-12)
    pairs = sum((part.stop - part.start) * part.taps for part in parts if part.is_inside)
    ones = torch.from_numpy(covered(boxes, HEIGHT, WIDTH)).double()[:, None]
    needed = F.conv2d(ones, torch.ones(1, 1, size, size).double(), None, stride, padding, dilation).sum()
    assert pairs <= needed  # no zeros are read where a part says that it reads none


@pytest.mark.parametrize("form", KERNELS)
def test_sources_give_the_places_outside_a_position_of_their_own(form: tuple[int, int, int, int]) -> None:
    size = form[0]
    boxes = all_boxes()[::7]
    source = Places.of(boxes, WIDTH)
    values = np.random.default_rng(1).random((len(boxes), HEIGHT, WIDTH)) * covered(boxes, HEIGHT, WIDTH)
    listed = np.append(values[source.row, source.y, source.x], 0)
    one = kernel(*form)
    places, (part,) = every(one, one.reached(boxes))
    found = listed[sources(one, source, places, part)]
    flat = np.concatenate([values.reshape(len(boxes), -1), np.zeros((len(boxes), 1))], 1)
    index = map_places(one, (HEIGHT, WIDTH), places, part)
    assert np.array_equal(found, flat[places.row[:, None, None], index])
    assert found.shape == (len(places), size, size)


def test_union_holds_both_and_leaves_out_boxes_without_places() -> None:
    left = np.array([[1, 2, 3, 4], [0, 0, 0, 0], [1, 1, 2, 2], [0, 0, 0, 0]])
    right = np.array([[2, 0, 5, 3], [3, 3, 4, 4], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert union([left, right]).tolist() == [[1, 0, 5, 4], [3, 3, 4, 4], [1, 1, 2, 2], [0, 0, 0, 0]]


def test_a_box_without_places_reaches_none() -> None:
    boxes = np.array([[0, 0, 0, 0], [2, 2, 3, 3]])
    assert kernel(3, 1, 1, 1).reached(boxes).tolist() == [[0, 0, 0, 0], [1, 1, 4, 4]]
    assert kernel(1, 2, 0, 1).reached(np.array([[1, 1, 2, 2]])).tolist() == [[0, 0, 0, 0]]  # between the strides


def test_boxes_without_places_are_zeros() -> None:
    boxes = np.array([[5, 5, 3, 3], [2, 4, 2, 6], [1, 2, 3, 4]])
    assert tidy(boxes).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]]


def test_places_are_found_in_any_order_and_nowhere_else() -> None:
    boxes = np.array([[1, 2, 3, 5], [0, 0, 0, 0], [0, 0, 1, 2]])
    places = Places.of(boxes, WIDTH)
    assert len(places) == 8
    assert places.flat.tolist() == [11, 12, 13, 20, 21, 22, 0, 1]
    mixed = places.ordered(np.array([7, 0, 2, 1, 6, 5, 4, 3]))
    assert mixed.find(mixed.row, mixed.y, mixed.x).tolist() == list(range(8))
    assert mixed.find(np.array([0, 1, 2]), np.array([0, 0, 0]), np.array([2, 0, 2])).tolist() == [8, 8, 8]
    moved = mixed.shifted(2, 1, WIDTH + 1)
    assert moved.find(mixed.row, mixed.y + 2, mixed.x + 1).tolist() == list(range(8))
    assert moved.boxes[1].tolist() == [0, 0, 0, 0]
