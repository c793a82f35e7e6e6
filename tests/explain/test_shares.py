from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from xai_audit.errors import StepError
from xai_audit.explain.shares import BORDER_BY_CHANCE, CENTRE_BY_CHANCE, shares, within

RNG = np.random.default_rng(0)


def test_chance_is_the_share_of_the_area() -> None:
    assert pytest.approx(0.36, abs=1e-15) == BORDER_BY_CHANCE
    assert CENTRE_BY_CHANCE == 0.25


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (10, 10), (96, 96), (224, 131)])
def test_an_even_map_gives_chance_whatever_its_size(size: tuple[int, int]) -> None:
    found = shares(np.full((2, *size), 7.5))
    np.testing.assert_allclose(found.border, 0.36, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.centre, 0.25, rtol=0, atol=1e-12)


def test_one_pixel_lies_where_it_lies() -> None:
    maps = np.zeros((4, 20, 40))
    maps[0, 0, 0] = maps[1, 1, 20] = maps[2, 10, 20] = maps[3, 4, 20] = 3.0
    found = shares(maps)
    assert found.border.tolist() == [1, 1, 0, 0]
    assert found.centre.tolist() == [0, 0, 1, 0]


def test_a_pixel_that_a_region_cuts_counts_in_part() -> None:
    """5 pixels a side: the border is half a pixel wide, the centre spans 1.25 to 3.75."""
    maps = np.zeros((3, 5, 5))
    maps[0, 0, 2] = maps[1, 0, 0] = maps[2, 1, 2] = 1.0
    found = shares(maps)
    np.testing.assert_allclose(found.border, [0.5, 0.75, 0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.centre, [0, 0, 0.75], rtol=0, atol=1e-15)


def plain_share(one: np.ndarray, start: float, end: float) -> float:
    """Share of relevance in the box by summing a picture enlarged 20 times."""
    large = np.kron(one, np.ones((20, 20)))
    rows, columns = ((np.arange(side) + 0.5) / side for side in large.shape)
    is_in = np.outer((rows > start) & (rows < end), (columns > start) & (columns < end))
    return float(large[is_in].sum() / large.sum())


def test_shares_equal_those_counted_on_an_enlarged_picture() -> None:
    maps = RNG.gamma(1.0, 1.0, (3, 13, 8))
    found = shares(maps)
    np.testing.assert_allclose(found.border, [1 - plain_share(one, 0.1, 0.9) for one in maps], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.centre, [plain_share(one, 0.25, 0.75) for one in maps], rtol=0, atol=1e-10)


def test_shares_do_not_depend_on_the_scale_of_a_map() -> None:
    maps = RNG.gamma(1.0, 1.0, (2, 9, 9))
    for factor in (1e-300, 1e300):
        np.testing.assert_allclose(shares(maps * factor).border, shares(maps).border, rtol=1e-12)


def test_an_empty_map_has_no_shares_and_is_told_apart() -> None:
    found = shares(np.stack([np.zeros((8, 8)), np.eye(8)]).astype(np.float32))
    assert found.is_defined.tolist() == [False, True]
    assert (found.border[0], found.centre[0]) == (0, 0)


def test_shares_of_no_maps_are_none() -> None:
    assert shares(np.zeros((0, 8, 8))).border.shape == (0,)


def test_a_mask_of_each_case_is_its_own_region() -> None:
    """4 x 4 map with 4 pixels of value 2 in the mask and 1 elsewhere: 8/20 (METHODS, relevance_mass)."""
    mask = np.zeros((2, 4, 4), dtype=bool)
    mask[0, :2, :2] = mask[1, 2:, 2:] = True
    assert within(np.where(mask, 2.0, 1.0), mask).tolist() == [0.4, 0.4]
    assert within(np.where(mask[::-1], 2.0, 1.0), mask).tolist() == [0.2, 0.2]


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_negative_or_broken_map_is_refused(value: float) -> None:
    maps = np.ones((1, 4, 4))
    maps[0, 2, 2] = value
    with pytest.raises(StepError, match="negative or not finite"):
        shares(maps)


def test_the_input_stays_as_it_was() -> None:
    maps = RNG.gamma(1.0, 1.0, (2, 6, 6))
    before = maps.copy()
    shares(maps)
    np.testing.assert_array_equal(maps, before)


def test_no_torch_is_needed() -> None:
    code = "import sys, xai_audit.explain.shares; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
