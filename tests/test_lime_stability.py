"""The study behind lime's preset: its numbers by hand, its rows, and the page that shows the stored ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.lime_stability import DESIGNS, FILE, Design, drawn_rows, read, stability, table
from xai_audit.explain.linear import Fit

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "explain-with-lime-and-shap.md"


def fit(coefficients: list[float], error: float) -> Fit:
    b = np.array(coefficients)
    return Fit(b, np.full_like(b, error), 0.0, 0.75, False)


def test_numbers_of_two_seeds_by_hand() -> None:
    """12 coefficients of which one changes by 1: a spread of 1 / sqrt(2) in one of 12, and one interval that misses."""
    steady = [float(k) for k in range(12, 0, -1)]
    moved = [12.0, 11, 10, 9, 8, 7, 6, 5, 4, 2, 3, 1]
    found = stability([fit(steady, 0.1), fit(moved, 0.1)])
    assert found["players"] == 12
    assert found["rank_correlation"] == pytest.approx(1 - 6 * 2 / (12 * 143))
    assert found["vsi"] == pytest.approx(0.9)
    assert found["csi"] == pytest.approx(10 / 12)
    mean = (np.array(steady) + moved) / 2
    assert found["noise"] == pytest.approx(np.sqrt(1 / 12) / np.sqrt((mean**2).mean()))
    assert found["told"] == pytest.approx(0.1 / np.sqrt(1 / 12))
    assert found["r2"] == 0.75


def test_seeds_that_agree_have_no_noise() -> None:
    found = stability([fit([3.0, 2.0, 1.0], 0.0)] * 3)
    assert (found["vsi"], found["csi"], found["noise"], found["told"]) == (1, 1, 0, 1)
    assert found["rank_correlation"] == pytest.approx(1)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_every_design_asks_a_thousand_rows(design: Design) -> None:
    drawn = drawn_rows(design, 50, 3)
    assert drawn.rows.shape == (1000, 50)
    assert drawn.rows[0].all()
    if design.rows != "single":
        np.testing.assert_array_equal(drawn.rows[1::2], ~drawn.rows[::2])
    spread = drawn.rows.mean(1).std()
    assert (spread > 0.25) == (design.rows == "pairs of all sizes")


def test_the_page_shows_the_stored_numbers() -> None:
    assert table(read(FILE)) in PAGE.read_text(encoding="utf-8")


def test_pairs_are_steadier_than_the_published_estimator_on_every_net() -> None:
    """What the page says of the preset holds in the stored numbers."""
    rows = read(FILE)
    for net in {row.net for row in rows}:
        noise = {(row.design, row.target, row.kernel_width): row.noise for row in rows if row.net == net}
        steady = noise["slic 50, mean, pairs", "logit", None]
        assert steady < 0.5 * noise["slic 50, mean, single", "prob", 0.25]
        assert steady < 0.75 * noise["quickshift, mean, single", "prob", 0.25]
