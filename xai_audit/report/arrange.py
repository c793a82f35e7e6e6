"""Places the panels of a chart: as large as what is written around them allows, measured once.

matplotlib's own layout measures everything four times; here each panel is measured once, and room for what hangs over
its sides is kept along its whole row and column, so that panels stay in line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAD, BETWEEN = 3.0, 6.0
"""Points around the chart, and between its rows and columns beyond what is written there."""
FIRST = {"left": 0.2, "right": 0.97, "bottom": 0.15, "top": 0.9}
"""Where panels stand while they are measured: near enough for as many marks at the axes as there will be."""


def arrange(figure: Figure, renderer: Any) -> None:
    """Put every panel of the one grid of a figure, whose dots are points, beside legends and a common axis title."""
    panels = [axes for axes in figure.axes if axes.get_visible()]
    grid = panels[0].get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    rows, columns = grid.get_geometry()
    figure.subplots_adjust(**FIRST)
    left, right, below, above = np.zeros(columns), np.zeros(columns), np.zeros(rows), np.zeros(rows)
    places = []
    for axes in panels:
        spec: Any = axes.get_subplotspec()
        row, column = spec.rowspan.start, spec.colspan.start
        around: Any = axes.get_tightbbox(renderer, for_layout_only=True)
        box = axes.get_window_extent(renderer)
        left[column], right[column] = max(left[column], box.x0 - around.x0), max(right[column], around.x1 - box.x1)
        below[row], above[row] = max(below[row], box.y0 - around.y0), max(above[row], around.y1 - box.y1)
        places.append((axes, row, column))
    width, height = (72.0 * side for side in figure.get_size_inches())
    top, bottom = _kept(figure, renderer, height)
    starts, wide = _stretches(width, left, right, np.array(grid.get_width_ratios() or [1.0] * columns, float))
    ratios = np.array(grid.get_height_ratios() or [1.0] * rows, float)
    heads, high = _stretches(height - top - bottom, above, below, ratios)
    for axes, row, column in places:
        y = height - top - heads[row] - high[row]
        axes.set_position((starts[column] / width, y / height, wide[column] / width, high[row] / height))


def _stretches(length: float, before: Any, after: Any, ratios: Any) -> tuple[Any, Any]:
    """Where each of some panels in a row begins and how long it is."""
    gaps = 2 * PAD + BETWEEN * (len(ratios) - 1)
    free = max(length - gaps - before.sum() - after.sum(), 0.1 * length)
    sizes = free * ratios / ratios.sum()
    starts = PAD + np.cumsum(before) + np.concatenate([[0.0], np.cumsum(sizes + after + BETWEEN)[:-1]])
    return starts, sizes


def _kept(figure: Figure, renderer: Any, height: float) -> tuple[float, float]:
    """Points that legends take at the top and titles of all axes at the bottom."""
    tops = [height - legend.get_window_extent(renderer).y0 + PAD for legend in figure.legends]
    bottoms = [text.get_window_extent(renderer).y1 for text in figure.texts]
    return max(tops, default=0.0), max(bottoms, default=0.0)
