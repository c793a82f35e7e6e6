"""Curves of checks as small multiples: one panel a method, its own line thick, the controls thin in other dashes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, drawing, quiet, svg

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

COLUMNS = 3
LONGEST_UPRIGHT = 18
"""Letters of an upright title in a line; a panel is no higher."""
MOST_PANELS = 12
DASHES: tuple[tuple[str, object], ...] = ((MUTED, (0, (4, 2))), (ORANGE, (0, (1, 1.4))), (INK, (0, (6, 2, 1, 2))))
"""Colour and dash of the first, second and third control; the dash alone tells them apart."""


@dataclass(frozen=True)
class Line:
    """One curve with its name."""

    name: str
    x: tuple[float, ...]
    """Shares from none to all."""
    y: tuple[float, ...]
    """NaN where no case has a number."""


@dataclass(frozen=True)
class Panel:
    """The curves of one method: its own, and perhaps a second one drawn thin and solid."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Axes:
    """What both axes say, and where an upper limit lies."""

    name: str
    """Name of the image's file."""
    x: str
    y: str
    limit: float | None = None


def curves_chart(context: Context, axes: Axes, panels: Sequence[Panel], controls: Sequence[Line], alt: str) -> Image:
    """One panel a method on the same axes; the controls in each."""
    return context.sketch(axes.name, paint_curves, (axes, tuple(panels), tuple(controls)), alt)


def paint_curves(pen: Pen, axes: Axes, panels: Sequence[Panel], controls: Sequence[Line]) -> Chart:
    """The same, drawn."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    lines = (*controls, *(line for panel in panels for line in panel.lines))
    ends = [value for line in lines for value in line.y if math.isfinite(value)]
    marks = ends if axes.limit is None else [*ends, axes.limit, 0.0]
    low, high = min(marks), max(marks)
    room = (high - low) or 1.0
    with drawing(WIDTH / COLUMNS * columns, 1.65 * rows + 0.45, nrows=rows, ncols=columns, squeeze=False, sharex=True,
                 sharey=True) as (figure, places):  # fmt: skip
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for index, (place, panel) in enumerate(zip(places.flat, panels, strict=False)):
            for control, (colour, dash) in zip(controls, DASHES, strict=False):
                place.plot(control.x, control.y, color=colour, ls=dash, lw=1.0, label=control.name)
            if axes.limit is not None:
                place.axhline(axes.limit, color=INK, lw=1.4, label=pen.label("figure.limit"))
            for number, line in enumerate(panel.lines):
                label = pen.label("figure.this_method") if number == 0 else line.name
                place.plot(line.x, line.y, color=BLUE, lw=2.0 if number == 0 else 0.9, label=label)
            place.set_title(short(panel.lines[0].name, 26))
            place.set_ylim(low - 0.05 * room, high + 0.05 * room)
            place.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick * 100, is_percent=True))
            if index % columns == 0:
                place.set_ylabel("\n".join(wrap(axes.y, LONGEST_UPRIGHT)))
            if index >= len(panels) - columns:
                place.set_xlabel(axes.x)
                place.tick_params(labelbottom=True)
            quiet(place, "both")
        handles, labels = places.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, handlelength=2.6, fontsize=7.5)
        return svg(figure)
