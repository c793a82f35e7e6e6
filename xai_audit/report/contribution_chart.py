"""What pushed one case up and down: a bar a feature, a panel a method, drawn without matplotlib's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_audit.report.bar_charts import Bars
from xai_audit.report.brush import Box, Brush, painting
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, RULE

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

PALE_BLUE = "#b9d0e8"
PAD, GAP = 3.0, 3.5
"""Points at the edge of the chart, and between an axis and what is written at it."""
BETWEEN = 9.0
"""Points between two panels beyond what is written there."""
HEAD, FOOT = 20.0, 14.5
"""Points above the panels for their titles, and below for the numbers at the axis."""
ROUNDS = 6
"""A narrower panel lets its numbers reach further over its end, by a quarter as much each time."""
TITLE, VALUE = 8.5, 7.0
"""Heights of letters of a title and of the number at a bar."""
ROW, TALL_ROW = 0.21, 0.31
"""Inches of a bar whose name has one line, and where one has two."""


@dataclass(frozen=True)
class Scale:
    """The values at the two ends of a panel and where on the sheet they are."""

    low: float
    high: float
    left: float
    right: float

    def x(self, value: float) -> float:
        """Where a value is."""
        return self.left + (self.right - self.left) * (value - self.low) / (self.high - self.low)


def contributions_chart(context: Context, name: str, labels: Sequence[str], panels: Sequence[Bars], alt: str) -> Image:
    """Signed bars of one case, a panel a method on its own axis; against is blue and hatched."""
    return context.sketch(name, paint_contributions, (tuple(labels), tuple(panels)), alt)


def paint_contributions(pen: Pen, labels: Sequence[str], panels: Sequence[Bars]) -> Chart:
    """The same, drawn."""
    room = 1.0 if any(panel.stamp is not None and not panel.stamp.is_struck for panel in panels) else 0.0
    rows = len(labels) + room
    height = 0.55 + (TALL_ROW if any("\n" in label for label in labels) else ROW) * rows
    with painting(WIDTH, height) as brush:
        boxes = _boxes(pen, brush, labels, panels, 72 * height)
        step = (boxes[0].top - boxes[0].bottom) / rows
        heights = [boxes[0].top - step * (place + 0.5) for place in range(len(labels))]
        for label, y in zip(labels, heights, strict=True):
            brush.words(boxes[0].left - GAP, y, label, across=1.0)
        for panel, box in zip(panels, boxes, strict=True):
            _panel(pen, brush, panel, box, heights, step, has_values=_has_values(panels))
            brush.words(
                box.left, box.top + HEAD / 2 - 1, short(panel.title, 60 // len(panels)), size=TITLE, is_bold=True
            )
        return brush.chart


def _has_values(panels: Sequence[Bars]) -> bool:
    return len(panels) <= 2


def _ends(panel: Bars, *, has_values: bool) -> tuple[float, float]:
    """What an axis shows at its two ends: all bars with their intervals, and room for a number to the right."""
    values = [0.0, *panel.values, *panel.low, *panel.high]
    low, high = min(values), max(values)
    span = high - low or 1.0
    return low - (0.04 * span if low < 0 else 0.0), high + (0.32 if has_values else 0.06) * span


def _boxes(pen: Pen, brush: Brush, labels: Sequence[str], panels: Sequence[Bars], height: float) -> list[Box]:
    """Panels of one width beside the names, so far apart that no number at one runs into the next."""
    names = max((brush.measure(label) for label in labels), default=0.0)
    start = PAD + names + GAP
    free = 72 * WIDTH - PAD - start - BETWEEN * (len(panels) - 1)
    width, before, after = free / len(panels), [0.0], [0.0]
    for _ in range(ROUNDS):
        over = [_over(pen, brush, panel, width, has_values=_has_values(panels)) for panel in panels]
        before, after = [left for left, _ in over], [right for _, right in over]
        before[0] = max(0.0, before[0] - GAP - names)  # below the names there is room
        width = (free - sum(before) - sum(after)) / len(panels)
    boxes, left = [], start
    for one, other in zip(before, after, strict=True):
        boxes.append(Box(left + one, FOOT, left + one + width, height - HEAD))
        left += one + width + other + BETWEEN
    return boxes


def _over(pen: Pen, brush: Brush, panel: Bars, width: float, *, has_values: bool) -> tuple[float, float]:
    """How far what is written in a panel of some width reaches over its left and its right end."""
    scale = Scale(*_ends(panel, has_values=has_values), 0.0, width)
    at_axis = [(scale.x(tick), brush.measure(_tick(pen, tick)) / 2) for tick in _ticks(scale)]
    ends = [x + half for x, half in at_axis] + [end for _, _, end in _numbers(pen, brush, panel, scale) if has_values]
    return max(0.0, *(half - x for x, half in at_axis)), max(0.0, max(ends, default=0.0) - width)


def _numbers(pen: Pen, brush: Brush, panel: Bars, scale: Scale) -> list[tuple[str, float, float]]:
    """The number at each bar, where it begins and where it ends.

    To the right of the bar or of zero: on the left it would run into the names.
    """
    found = []
    for row, value in enumerate(panel.values):
        start = scale.x(max(0.0, value, panel.high[row] if panel.high else 0.0)) + PAD
        text = pen.numbers.plain(float(value), 2)
        found.append((text, start, start + brush.measure(text, VALUE)))
    return found


def _panel(pen: Pen, brush: Brush, panel: Bars, box: Box, heights: Sequence[float], step: float, *,
           has_values: bool) -> None:  # fmt: skip
    scale = Scale(*_ends(panel, has_values=has_values), box.left, box.right)
    for tick in _ticks(scale):
        brush.line(((scale.x(tick), box.bottom), (scale.x(tick), box.top)), RULE, 0.5)
        brush.words(scale.x(tick), box.bottom - GAP - 4.0, _tick(pen, tick), across=0.5)
    for row, (value, y) in enumerate(zip(panel.values, heights, strict=True)):
        ends, half = sorted((scale.x(0.0), scale.x(value))), 0.31 * step
        bar = Box(ends[0], y - half, ends[1], y + half)
        brush.box(bar, *((ORANGE, ORANGE) if value >= 0 else (PALE_BLUE, BLUE)), hatch="" if value >= 0 else "////")
        if panel.low:
            brush.line(((scale.x(panel.low[row]), y), (scale.x(panel.high[row]), y)), INK, 1.1)
    brush.line(((scale.x(0.0), box.bottom), (scale.x(0.0), box.top)), INK, 0.7)
    brush.line(((box.left, box.top), (box.left, box.bottom), (box.right, box.bottom)), MUTED, 0.6)
    if has_values:
        for (text, start, _), y in zip(_numbers(pen, brush, panel, scale), heights, strict=True):
            brush.words(start, y, text, size=VALUE)
    if panel.stamp is not None:
        brush.strike(box, panel.stamp)


def _ticks(scale: Scale) -> list[float]:
    """A few round values between the ends."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=4).tick_values(scale.low, scale.high)
    return [float(tick) for tick in found if scale.low <= tick <= scale.high]


def _tick(pen: Pen, tick: float) -> str:
    return pen.numbers.tick(tick, is_percent=False)
