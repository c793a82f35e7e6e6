"""Bars of one case, drawn straight onto a sheet: every bar ends where its value is, and every word stays inside."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Shape

from xai_audit.errors import RenderError
from xai_audit.report import vector
from xai_audit.report.bar_charts import Bars
from xai_audit.report.brush import painting
from xai_audit.report.contribution_chart import PAD, paint_contributions
from xai_audit.report.document import Chart
from xai_audit.report.pen import Forms, Pen
from xai_audit.report.stamps import Stamp
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, RULE, drawing, svg

VALUES = (1.2, -0.9, 0.3, 0.0, -0.001)
LABELS = ("Monthly income, thousands = 2.491", "Other obligations, share of income\n= 1.314", "c", "d = no", "e")
WIDE = re.compile(r'<text x="(-?[\d.]+)" y="(-?[\d.]+)" font-size="([\d.]+)"[^>]*?textLength="([\d.]+)"')


@pytest.fixture
def pen() -> Pen:
    return Forms("en", 5, ()).pen


def bars(title: str = "Shapley values", values: tuple[float, ...] = VALUES, **more: Any) -> Bars:
    return Bars(title, values, **more)


def shapes(chart: Chart, colour: str) -> list[list[float]]:
    """Left and right end of every shape outlined in a colour, in the order in which they were drawn."""
    found = re.findall(rf'<path d="([^"]+)"[^>]* stroke="{colour}"', chart.svg.decode())
    across = [[float(x) for x in re.findall(r"[ML](-?[\d.]+) ", path)] for path in found]
    return [[min(xs), max(xs)] for xs in across]


def texts(chart: Chart) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg.decode())


def test_bars_reach_from_zero_to_their_values_on_one_scale(pen: Pen) -> None:
    low, high = tuple(value - 0.1 for value in VALUES), tuple(value + 0.1 for value in VALUES)
    chart = paint_contributions(pen, LABELS, [bars(low=low, high=high)])
    towards, against = shapes(chart, ORANGE), shapes(chart, BLUE)
    zero = towards[0][0]
    scale = (towards[0][1] - zero) / VALUES[0]
    assert np.allclose(towards, [[zero, zero + scale * value] for value in VALUES if value >= 0], atol=0.02)
    assert np.allclose(against, [[zero + scale * value, zero] for value in VALUES if value < 0], atol=0.02)
    whiskers = [ends for ends in shapes(chart, INK) if ends[1] > ends[0]]
    wanted = [[zero + scale * a, zero + scale * b] for a, b in zip(low, high, strict=True)]
    assert np.allclose(whiskers, wanted, atol=0.02)
    lines = [ends[0] for ends in shapes(chart, RULE)]
    marks = [float(text.replace("−", "-")) for text in texts(chart) if re.fullmatch(r"−?[\d.]+", text)][: len(lines)]
    assert len(marks) >= 3
    assert np.allclose(lines, [zero + scale * mark for mark in marks], atol=0.02)


def test_every_word_is_there_and_stays_on_the_sheet(pen: Pen) -> None:
    for panels in ([bars()], [bars(), bars("LIME", (9.99e5, 1e-7, 0.0, 0.0, 0.0))], [bars(), bars("B"), bars("C")]):
        chart = paint_contributions(pen, LABELS, panels)
        said = texts(chart)
        assert {line for label in LABELS for line in label.split("\n")} <= set(said)
        assert {panel.title for panel in panels} <= set(said)
        width, height = (float(side) for side in re.findall(rb'(?:width|height)="([\d.]+)pt"', chart.svg)[:2])
        for left, base, size, length in WIDE.findall(chart.svg.decode()):
            assert float(left) >= PAD - 0.1
            assert float(left) + float(length) <= width - PAD + 0.1
            assert float(size) * 0.7 <= float(base) <= height - 0.2 * float(size)
        if len(panels) <= 2:
            assert sum(text in said for text in ("1.2", "−0.90", "0.30")) == 3


def test_panels_do_not_run_into_each_other(pen: Pen) -> None:
    chart = paint_contributions(pen, LABELS, [bars(), bars("LIME"), bars("Other")])
    frames = [ends for ends in shapes(chart, MUTED) if ends[1] > ends[0]]
    assert len(frames) == 3
    assert len({round(right - left, 1) for left, right in frames}) == 1
    assert all(one[1] < other[0] for one, other in pairwise(frames))


def test_no_value_at_all_and_a_single_one_are_drawn(pen: Pen) -> None:
    for values in ((0.0,), (-3.0,), (2e-9,)):
        chart = paint_contributions(pen, ("only",), [bars(values=values)])
        assert "only" in texts(chart)
        assert b"nan" not in chart.svg
        assert b"inf" not in chart.svg


@pytest.mark.parametrize("is_struck", [True, False])
def test_stamp_of_a_panel_is_drawn_last_and_over_it(pen: Pen, *, is_struck: bool) -> None:
    marked = bars(stamp=Stamp("FAILED", is_struck))
    chart = paint_contributions(pen, LABELS, [marked])
    drawn = chart.svg.decode()
    assert "FAILED" not in texts(paint_contributions(pen, LABELS, [bars()]))
    assert drawn.rindex("FAILED") > max(drawn.rindex(ORANGE), drawn.rindex(BLUE))
    crosses = re.findall(r'stroke="#000000" stroke-width="1.4"', drawn)
    assert len(crosses) == (2 if is_struck else 0)
    if not is_struck:  # a row of its own: no bar lies below the word
        base = WIDE.findall(drawn[: drawn.index("FAILED")])[-1][1]
        bottoms = [float(y) for path in re.findall(rf'<path d="([^"]+)"[^>]*stroke="(?:{ORANGE}|{BLUE})"', drawn)
                   for y in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", path)]  # fmt: skip
        assert float(base) - 8 > max(bottoms)


def test_sign_that_no_font_has_is_refused_every_time() -> None:
    for _ in range(2):  # what was measured with a box in it must not be kept
        with pytest.raises(RenderError, match="NAZAR AMULET"), drawing(1.0, 1.0) as (figure, axes):
            axes.set_title("\N{NAZAR AMULET}")
            svg(figure)
        with pytest.raises(RenderError, match="NAZAR AMULET"), painting(1.0, 1.0) as brush:
            brush.words(1.0, 1.0, "\N{NAZAR AMULET}")


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("text", ["Monthly income = 2.491", "−0.5 %", "", " ", "中文 审计 gÄf", "ffi AVAW ×²"])
def test_outlines_of_letters_are_those_of_the_whole_text(text: str, weight: str) -> None:
    font = FontProperties(family=["DejaVu Sans", "Noto Sans CJK SC"], size=8, weight=weight)
    vertices, codes = vector._TEXT.get_text_path(font, text)
    whole = vector.commands_of(Shape(vertices, codes), None) if len(vertices) else []
    numbers = [f"{value:.0f}" for _, points in vector._of_third_degree(whole) for value in points]
    ours = re.findall(r"-?\d+", vector._outlines(text, font, False))
    ends = sum(2 for code, _ in whole if code == Shape.CLOSEPOLY)  # closing a shape has no numbers in PDF
    assert len(ours) == len(numbers) - ends
    assert [n for (code, points) in vector._of_third_degree(whole) if code != Shape.CLOSEPOLY
            for n in (f"{value:.0f}" for value in points)] == ours  # fmt: skip
