"""The numbers of docs/how-to/find-concepts.md, from the formulas that they illustrate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "find-concepts.md"
QUANTILE, LIMIT = 0.005, 0.04


def test_the_table_of_ceilings_is_right() -> None:
    """Ceiling min(p, q) / max(p, q), and pq / (p + q - pq) for a unit that knows nothing of the concept."""
    rows = re.findall(r"^\| ([\d.]+) % \| ([\d.]+) \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 5
    for share, ceiling, chance in rows:
        p = float(share) / 100
        assert float(ceiling) == pytest.approx(min(p, QUANTILE) / max(p, QUANTILE), abs=6e-4)
        assert float(chance) == pytest.approx(p * QUANTILE / (p + QUANTILE - p * QUANTILE), abs=6e-4)


def test_the_shares_out_of_reach_are_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    above, below = re.findall(r"above ([\d.]+) % is out of reach, and everything below ([\d.]+) %", text)[0]
    assert float(above) / 100 == pytest.approx(QUANTILE / LIMIT)
    assert float(below) / 100 == pytest.approx(QUANTILE * LIMIT)
    assert "a concept of 40 % can never pass" in text
    raised = float(re.findall(r"lifts the ceiling of a 40 % concept to\n([\d.]+)\)", text)[0])
    assert raised == pytest.approx(0.05 / 0.4)
