"""Charts of units and concepts: small multiples in one figure each, readable in grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_audit.report.bar_charts import can_draw
from xai_audit.report.curve_chart import DASHES
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.maps import Floats
from xai_audit.report.style import BAND, BLUE, INK, MUTED, ORANGE, RULE, drawing, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

COLUMNS = 3
LONGEST = 34
LOWEST = 1e-5
"""Smallest share that a histogram draws."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Values of one unit over slices."""

    title: str
    edges: Floats
    """(bins + 1,)"""
    shares: tuple[tuple[str, Floats], ...]
    """Slice and share of its values in each bin."""


@dataclass(frozen=True)
class Overlap:
    """A concept: the overlap of its best unit beside the highest that could be, and what chance gives."""

    name: str
    iou: float
    low: float | None
    high: float | None
    ceiling: float
    chance: float
    is_found: bool
    """Whether a unit is its detector."""


@dataclass(frozen=True)
class Spread:
    """An estimate with its interval, and another one beside it that it is compared with."""

    name: str
    estimate: float | None
    low: float | None = None
    high: float | None = None
    beside: tuple[float, float, float] | None = None
    is_strong: bool = True
    """Filled where it stands out from chance."""
    remark: str = ""
    """What is written in place of an estimate."""


@dataclass(frozen=True, eq=False)
class Rise:
    """How the objective of one made picture rose."""

    title: str
    curve: Floats
    real: float | None
    """The best real picture's."""


def label_of(text: str, place: int, longest: int = LONGEST) -> str:
    """A name beside an axis; its place in the table where the chart's font cannot draw it."""
    return short(text, longest) if can_draw(text) else f"#{place + 1}"


def _panels(count: int, height: float, **layout: Any) -> Any:
    rows = -(-count // COLUMNS)
    return drawing(WIDTH, height * rows + 0.35, nrows=rows, ncols=COLUMNS, squeeze=False, **layout)


def histograms_chart(context: Context, name: str, panels: Sequence[Histogram], alt: str) -> Image:
    """A panel a unit: its values across, the share of places upwards, each grid line a hundred times the one below."""
    return context.sketch(name, paint_histograms, (tuple(panels),), alt)


def paint_histograms(pen: Pen, panels: Sequence[Histogram]) -> Chart:
    """The same, drawn."""
    with _panels(len(panels), 1.25, sharey=True) as (figure, places):
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for place, panel in zip(places.flat, panels, strict=False):
            for line, (label, shares) in enumerate(panel.shares):
                colour, dash = (BLUE, "-") if line == 0 else DASHES[(line - 1) % len(DASHES)]
                drawn = np.where(shares > 0, np.maximum(shares, LOWEST), np.nan)
                place.stairs(drawn, panel.edges, color=colour, ls=dash, lw=1.5 if line == 0 else 1.0, baseline=None,
                             label=label_of(label, line, 22))  # fmt: skip
            place.set_yscale("log")
            place.set_ylim(LOWEST * 0.8, 1.3)
            place.set_yticks([1e-4, 1e-2, 1.0], [pen.numbers.tick(t, is_percent=True) for t in (0.01, 1.0, 100.0)])
            place.minorticks_off()
            place.set_title(panel.title)
            _few(pen, place)
            quiet(place, "y")
        handles, labels = places.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, handlelength=2.6, fontsize=7.5)
        return svg(figure)


def _few(pen: Pen, place: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    place.xaxis.set_major_locator(MaxNLocator(nbins=4))
    place.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))


def overlap_chart(
    context: Context, name: str, rows: Sequence[Overlap], limit: float, counts: Sequence[tuple[str, int, int]], alt: str
) -> Image:
    """Left: overlap by concept between chance and its ceiling. Right: counts on the layer's own basis and a turned one.

    `counts` are name, own and turned.
    """
    return context.sketch(name, paint_overlap, (tuple(rows), limit, tuple(counts)), alt)


def paint_overlap(pen: Pen, rows: Sequence[Overlap], limit: float, counts: Sequence[tuple[str, int, int]]) -> Chart:
    """The same, drawn."""
    layout = {"ncols": 2, "squeeze": False, "gridspec_kw": {"width_ratios": [2.5, 1]}}
    with drawing(WIDTH, max(1.5, 0.75 + 0.27 * len(rows)), **layout) as (figure, places):
        main, beside = places.flat
        for row, each in enumerate(rows):
            main.plot([each.chance, each.ceiling], [row, row], color=RULE, lw=5, solid_capstyle="butt", zorder=1)
            main.plot([each.ceiling], [row], marker="|", color=ORANGE, ms=12, mew=2.2, ls="none", zorder=2)
            if each.low is not None and each.high is not None:
                main.plot([each.low, each.high], [row, row], color=BLUE, lw=1.6, solid_capstyle="butt", zorder=3)
            main.plot([each.iou], [row], marker="o", color=BLUE, ms=5.5, ls="none", zorder=4, mew=1.2,
                      markerfacecolor=BLUE if each.is_found else "white")  # fmt: skip
        main.axvline(limit, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=1)
        main.set_yticks(range(len(rows)), [label_of(each.name, at) for at, each in enumerate(rows)])
        main.set_ylim(len(rows) - 0.4, -0.6)
        main.set_xlim(0, max([limit * 1.4, *(max(each.ceiling, each.iou, each.high or 0) for each in rows)]) * 1.05)
        main.set_xlabel(pen.label("figure.overlap"))
        _few(pen, main)
        quiet(main)
        _turned(pen, beside, counts)
        return svg(figure)


def _turned(pen: Pen, place: Axes, counts: Sequence[tuple[str, int, int]]) -> None:
    """Pairs of bars: full for the layer's own units, hatched for the turned ones."""
    at = np.arange(len(counts))
    for shift, pick, colour, face, hatch in ((-0.2, 1, BLUE, BLUE, None), (0.2, 2, MUTED, "white", "////")):
        values = [int(each[pick]) for each in counts]
        label = pen.label("figure.own_basis" if pick == 1 else "figure.turned_basis")
        place.bar(at + shift, values, width=0.36, facecolor=face, edgecolor=colour, hatch=hatch, lw=0.8, label=label)
        for x, value in zip(at + shift, values, strict=True):
            place.annotate(pen.numbers.count(value), (x, value), xytext=(0, 2), textcoords="offset points",
                           ha="center", fontsize=7.5)  # fmt: skip
    place.set_xticks(at, [each[0] for each in counts])
    place.set_ylim(0, max(1, *(max(each[1:]) for each in counts)) * 1.25)
    place.yaxis.set_visible(False)
    place.spines["left"].set_visible(False)
    place.tick_params(length=0)
    place.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=7, ncols=1, handlelength=1.4)


def spreads_chart(context: Context, name: str, rows: Sequence[Spread], neutral: float, axis: str, alt: str) -> Image:
    """Estimates with intervals about a dashed line; open where chance could do as much; grey bands beside."""
    return context.sketch(name, paint_spreads, (tuple(rows), neutral, axis), alt)


def paint_spreads(pen: Pen, rows: Sequence[Spread], neutral: float, axis: str) -> Chart:
    """The same, drawn."""
    with drawing(WIDTH, 0.6 + 0.25 * len(rows)) as (figure, axes):
        for row, each in enumerate(rows):
            _spread(axes, row, each, neutral)
        axes.axvline(neutral, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=1)
        axes.set_yticks(range(len(rows)), [label_of(each.name, at, 44) for at, each in enumerate(rows)])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(axis)
        _few(pen, axes)
        quiet(axes)
        return svg(figure)


def _spread(axes: Axes, row: int, each: Spread, neutral: float) -> None:
    if each.beside is not None:
        estimate, low, high = each.beside
        axes.plot([low, high], [row, row], color=BAND, lw=6.5, solid_capstyle="butt", zorder=1)
        axes.plot([estimate], [row], marker="|", color=MUTED, ms=9, mew=1.6, ls="none", zorder=2)
    if each.estimate is None:
        axes.annotate(each.remark, (neutral, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.5,
                      color=MUTED)  # fmt: skip
        return
    if each.low is not None and each.high is not None:
        axes.plot([each.low, each.high], [row, row], color=BLUE, lw=1.6, solid_capstyle="butt", zorder=3)
    axes.plot([each.estimate], [row], marker="o", color=BLUE, ms=5.5, mew=1.2, ls="none", zorder=4,
              markerfacecolor=BLUE if each.is_strong else "white")  # fmt: skip


def rises_chart(context: Context, name: str, panels: Sequence[Rise], alt: str) -> Image:
    """A panel a made picture: the objective step by step, and the best real picture as a dashed line."""
    return context.sketch(name, paint_rises, (tuple(panels),), alt)


def paint_rises(pen: Pen, panels: Sequence[Rise]) -> Chart:
    """The same, drawn."""
    with _panels(len(panels), 1.2) as (figure, places):
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for at, (place, panel) in enumerate(zip(places.flat, panels, strict=False)):
            place.plot(np.arange(1, len(panel.curve) + 1), panel.curve, color=BLUE, lw=1.4,
                       label=pen.label("figure.made_picture"))  # fmt: skip
            if panel.real is not None:
                place.axhline(panel.real, color=ORANGE, lw=1.1, ls=(0, (4, 2)), label=pen.label("figure.best_real"))
            place.set_title(label_of(panel.title, at, 26))
            _few(pen, place)
            place.yaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
            quiet(place, "y")
        handles, labels = places.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, handlelength=2.6, fontsize=7.5)
        figure.supxlabel(pen.label("figure.steps"), fontsize=8)
        return svg(figure)
