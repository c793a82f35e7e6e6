"""Charts of named features: means by slice, swarms, dependence, and whiskers by group."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, breadth, short
from xai_audit.report.stamps import Stamp, strike_axes
from xai_audit.report.style import BLUE, INK, MUTED, drawing, font_files, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

Floats = npt.NDArray[np.float64]
LONGEST_LABEL = 34
MANY_DOTS = 600
"""From so many on, dots are drawn as an image inside the chart: a path a dot would make the file huge."""
RIGHT_TO_LEFT = frozenset({"R", "AL", "RLE", "RLO", "RLI"})


@dataclass(frozen=True)
class Bars:
    """Signed values by label, with standard errors or intervals, of one method or slice."""

    title: str
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    stamp: Stamp | None = None


@dataclass(frozen=True)
class Swarm:
    """The contributions of one feature over all cases, with the feature's value as a share of its range."""

    label: str
    contributions: Floats
    level: Floats
    """(cases,) in [0, 1]; NaN where a value is missing or withheld."""


@dataclass(frozen=True)
class Dependence:
    """A feature's values against its contributions; categories by their place, with their names."""

    label: str
    x: Floats
    y: Floats
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Whisker:
    """One estimate with its interval, of a group."""

    name: str
    estimate: float
    low: float | None
    high: float | None
    is_reference: bool = False


@dataclass(frozen=True)
class Whiskers:
    """Estimates of all groups on one axis, and the value that means no difference."""

    title: str
    rows: tuple[Whisker | None, ...]
    neutral: float | None = None
    scale: float = 1.0
    is_percent: bool = False


@cache
def _fonts() -> tuple[Any, ...]:
    from matplotlib.ft2font import FT2Font

    return tuple(FT2Font(str(file)) for file in font_files())


def can_draw(text: str) -> bool:
    """Whether a chart's fonts have every sign, and they run from left to right."""
    return all(
        any(font.get_char_index(ord(sign)) for font in _fonts())
        and unicodedata.bidirectional(sign) not in RIGHT_TO_LEFT
        for sign in text
        if not sign.isspace()
    )


def chart_label(text: str, number: int, longest: int = LONGEST_LABEL) -> str:
    """A name beside an axis; its number in the table of features where the chart cannot draw it."""
    line = " ".join(text.split())
    return clipped(line, longest) if can_draw(line) else f"#{number}"


def clipped(text: str, longest: int) -> str:
    """A text cut at its end, at a space where one is near: the beginning of a name says what it is."""
    if breadth(text) <= longest:
        return text
    cut = next(text[:end] for end in range(longest - 1, -1, -1) if breadth(text[:end]) < longest)
    space = cut.rfind(" ")
    return f"{(cut[:space] if space > longest // 2 else cut).rstrip(' ,;:(')}…"


def row_label(title: str, value: str, number: int) -> str:
    """A feature and its value on a case, on two lines where one is too short; the value is never lost."""
    value = chart_label(value, number, 18)
    title = chart_label(title, number, 2 * LONGEST_LABEL)
    if breadth(title) + breadth(value) + 3 <= LONGEST_LABEL:
        return f"{title} = {value}"
    first, *rest = wrap(title, LONGEST_LABEL * len(title) // breadth(title))
    left = clipped(" ".join(rest), LONGEST_LABEL - breadth(value) - 3)
    return f"{first}\n{left} = {value}".replace("\n = ", "\n= ")


def _category(text: str, number: int, longest: int) -> str:
    """One of several names of a kind: the middle goes, since both ends tell them apart."""
    return short(text, longest) if can_draw(text) else f"#{number}"


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4)


def means_chart(context: Context, name: str, labels: Sequence[str], panels: Sequence[Bars], alt: str) -> Image:
    """Means by feature, a panel a slice on the same axis, with intervals."""
    return context.sketch(name, paint_means, (tuple(labels), tuple(panels)), alt)


def paint_means(pen: Pen, labels: Sequence[str], panels: Sequence[Bars]) -> Chart:
    """The same, drawn."""
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    width = WIDTH if columns > 1 else WIDTH * 0.72
    height = (0.5 + 0.19 * len(labels)) * lines + 0.1
    layout = {"nrows": lines, "ncols": columns, "squeeze": False, "sharex": True, "sharey": True}
    with drawing(width, height, **layout) as (figure, places):
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for place, panel in zip(places.flat, panels, strict=False):
            rows = np.arange(len(labels))
            place.barh(rows, panel.values, height=0.6, color=BLUE)
            place.hlines(rows, panel.low, panel.high, color=INK, lw=1.3, capstyle="butt")
            place.set_title(short(panel.title, 26))
            place.tick_params(labelbottom=True)
            place.xaxis.set_major_locator(_few_ticks())
            place.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
            quiet(place)
            if panel.stamp is not None:
                strike_axes(place, panel.stamp)
        for place in places[:, 0]:
            place.set_yticks(range(len(labels)), labels)
            place.set_ylim(len(labels) - 0.4, -0.6)
        return svg(figure)


def swarm_chart(context: Context, name: str, swarms: Sequence[Swarm], stamp: Stamp | None, alt: str) -> Image:
    """One line a feature, one dot a case: light for a low value of the feature, dark for a high one, open for none."""
    return context.sketch(name, paint_swarm, (tuple(swarms), stamp), alt)


def paint_swarm(pen: Pen, swarms: Sequence[Swarm], stamp: Stamp | None) -> Chart:
    """The same, drawn."""
    dots = sum(len(swarm.contributions) for swarm in swarms)
    with drawing(WIDTH, 0.7 + 0.26 * len(swarms)) as (figure, axes):
        spread = max(1e-12, *(float(np.ptp(swarm.contributions)) for swarm in swarms))
        for row, swarm in enumerate(swarms):
            lift = _lifts(swarm.contributions, spread / 60)
            known = np.isfinite(swarm.level)
            axes.scatter(
                swarm.contributions[known], row - lift[known], c=[_shade(level) for level in swarm.level[known]], s=8,
                linewidths=0.25, edgecolors=INK, rasterized=dots > MANY_DOTS, zorder=3,
            )  # fmt: skip
            axes.scatter(
                swarm.contributions[~known], row - lift[~known], facecolors="none", edgecolors=MUTED, s=8,
                linewidths=0.6, rasterized=dots > MANY_DOTS, zorder=3,
            )  # fmt: skip
        axes.axvline(0, color=INK, lw=0.7)
        axes.set_yticks(range(len(swarms)), [swarm.label for swarm in swarms])
        axes.set_ylim(len(swarms) - 0.4, -0.6)
        axes.set_xlabel(pen.label("figure.contribution"))
        axes.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
        quiet(axes)
        if stamp is not None:
            strike_axes(axes, stamp)
        return svg(figure)


def _lifts(values: Floats, width: float) -> Floats:
    """How far each dot moves off its line so that dots beside each other are all seen: the same for the same values."""
    bins = np.floor((values - values.min()) / max(width, 1e-12)).astype(int) if len(values) else values
    lift, seen = np.zeros(len(values)), dict[int, int]()
    for place in np.argsort(values, kind="stable"):
        count = seen.get(int(bins[place]), 0)
        seen[int(bins[place])] = count + 1
        lift[place] = (-1) ** count * ((count + 1) // 2)
    most = np.abs(lift).max(initial=0.0)
    return np.asarray(lift * min(0.08, 0.38 / most) if most else lift)


def _shade(level: float) -> tuple[float, float, float]:
    pale, deep = (0.98, 0.90, 0.72), (0.30, 0.08, 0.02)
    red, green, blue = (a + (b - a) * float(level) for a, b in zip(pale, deep, strict=True))
    return red, green, blue


def dependence_chart(context: Context, name: str, panels: Sequence[Dependence], stamp: Stamp | None, alt: str) -> Image:
    """A panel a feature: its value across, its contribution upwards; missing values are not drawn."""
    return context.sketch(name, paint_dependence, (tuple(panels), stamp), alt)


def paint_dependence(pen: Pen, panels: Sequence[Dependence], stamp: Stamp | None) -> Chart:
    """The same, drawn."""
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    dots = sum(len(panel.x) for panel in panels)
    with drawing(WIDTH / 3 * columns, 1.75 * lines, nrows=lines, ncols=columns, squeeze=False, sharey=True) as (
        figure,
        places,
    ):
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for index, (place, panel) in enumerate(zip(places.flat, panels, strict=False)):
            place.axhline(0, color=MUTED, lw=0.7)
            place.scatter(panel.x, panel.y, s=7, color=BLUE, alpha=0.75, linewidths=0, rasterized=dots > MANY_DOTS)
            place.set_title(panel.label)
            if panel.categories:
                names = [_category(each, at, 11) for at, each in enumerate(panel.categories)]
                place.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
                place.set_xlim(-0.5, len(names) - 0.5)
            else:
                place.xaxis.set_major_locator(_few_ticks())
            if index % columns == 0:
                place.set_ylabel(pen.label("figure.contribution"))
            place.yaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
            quiet(place, "both")
            if stamp is not None:
                strike_axes(place, stamp)
        return svg(figure)


def whiskers_chart(context: Context, name: str, panels: Sequence[Whiskers], groups: Sequence[str], alt: str) -> Image:
    """Groups down, a panel each for the rate, the difference and the ratio; an open square is the reference group."""
    return context.sketch(name, paint_whiskers, (tuple(panels), tuple(groups)), alt)


def paint_whiskers(pen: Pen, panels: Sequence[Whiskers], groups: Sequence[str]) -> Chart:
    """The same, drawn."""
    with drawing(WIDTH, 0.55 + 0.25 * len(groups), ncols=len(panels), squeeze=False, sharey=True) as (figure, places):
        for place, panel in zip(places.flat, panels, strict=True):
            if panel.neutral is not None:
                place.axvline(panel.neutral * panel.scale, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=1)
            for row, each in enumerate(panel.rows):
                if each is not None:
                    _whisker(place, row, each, panel.scale)
            place.set_title(panel.title)
            place.xaxis.set_major_locator(_few_ticks())
            place.xaxis.set_major_formatter(
                lambda tick, _, panel=panel: pen.numbers.tick(tick, is_percent=panel.is_percent)
            )
            quiet(place)
        places.flat[0].set_yticks(range(len(groups)), [_category(each, at, 24) for at, each in enumerate(groups)])
        places.flat[0].set_ylim(len(groups) - 0.4, -0.6)
        return svg(figure)


def _whisker(place: Axes, row: int, each: Whisker, scale: float) -> None:
    if each.low is not None and each.high is not None:
        place.plot([each.low * scale, each.high * scale], [row, row], color=BLUE, lw=1.6, solid_capstyle="butt")
    place.plot([each.estimate * scale], [row], marker="s" if each.is_reference else "o", color=BLUE, ms=6, ls="none",
               markerfacecolor="white" if each.is_reference else BLUE, mew=1.4)  # fmt: skip
