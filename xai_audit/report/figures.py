"""Charts: drawn from arrays, with an alt text computed from the same arrays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_audit.report.document import Chart, Image
from xai_audit.report.numbers import form_of
from xai_audit.report.style import BLUE, INK, MARKS, MUTED, ORANGE, PALE, drawing, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

MOST_ROWS = 25
"""Rows of a forest plot; the table beside it holds all."""
LONGEST_NAME = 28
LONGEST_LEVEL = 6
"""Characters of a class name that stays level under a matrix."""
WIDTH = 6.7


@dataclass(frozen=True)
class Dot:
    """One estimate with its interval."""

    name: str
    estimate: float
    low: float | None
    high: float | None
    n: int
    verdict: str = "none"
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bin:
    """Cases whose stated confidence lies in one range."""

    n: int
    confidence: float
    accuracy: float
    low: float | None
    high: float | None


TITLES_ABREAST = 66
"""Characters that the titles of small multiples in one row may have together."""


def _columns(panels: int) -> int:
    return panels if panels <= 4 else 3


def _title(name: str, columns: int) -> str:
    """The title of one of several panels, short enough to leave its neighbours room."""
    return short(name, min(LONGEST_NAME, TITLES_ABREAST // columns))


def breadth(text: str) -> int:
    """How many letters wide a text is: a Chinese character takes the room of two."""
    return sum(2 if unicodedata.east_asian_width(sign) in ("W", "F") else 1 for sign in text)


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name that fits beside an axis; the middle goes, since both ends tell names apart."""
    if breadth(name) <= longest:
        return name
    half = (longest - 1) * len(name) // (2 * breadth(name))
    return f"{name[:half]}…{name[-half:]}"


def forest(context: Context, measure: str, unit: str, dots: Sequence[Dot]) -> Image:
    """Estimates of one measure by slice with their intervals, the limit as a line."""
    from xai_audit.report.context import heading

    arguments = (measure, unit, heading(context.measure_name(measure)), tuple(dots))
    return context.sketch(f"forest-{measure}", paint_forest, arguments, forest_alt(context, measure, unit, dots))


def paint_forest(pen: Pen, measure: str, unit: str, axis: str, dots: Sequence[Dot]) -> Chart:
    """The same, drawn; `axis` names the measure."""
    form = form_of(measure, unit)
    scale = 100.0 if form == "percent" else 1.0
    with drawing(WIDTH, 0.6 + 0.23 * len(dots)) as (figure, axes):
        for row, dot in enumerate(dots):
            marker, colour, fill = MARKS[dot.verdict]
            if dot.low is not None and dot.high is not None:
                axes.plot([dot.low * scale, dot.high * scale], [row, row], color=colour, lw=1.6, solid_capstyle="butt")
            axes.plot(
                [dot.estimate * scale], [row], marker=marker, color=colour, ms=6.5, mew=1.3, ls="none",
                markerfacecolor=colour if fill == "full" else "white",
            )  # fmt: skip
            for limit in dot.limits:
                axes.plot(
                    [limit * scale] * 2, [row - 0.38, row + 0.38], color=INK, lw=2.2, solid_capstyle="butt", zorder=1
                )
        axes.set_yticks(range(len(dots)), [short(dot.name) for dot in dots])
        axes.set_ylim(len(dots) - 0.4, -0.6)
        axes.set_xlim(*_range(dots, scale, bounded=form in ("percent", "unit")))
        axes.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=form == "percent"))
        _within(axes, scale if form in ("percent", "unit") else None)
        axes.set_xlabel(axis)
        quiet(axes)
        return svg(figure)


def _within(axes: Axes, full: float | None) -> None:
    """No mark at the axis beyond what a share can be."""
    low, high = axes.get_xlim()
    if full is not None:
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high and -1e-9 <= tick <= full + 1e-9])


def _range(dots: Sequence[Dot], scale: float, bounded: bool) -> tuple[float, float]:
    marks = [value for dot in dots for value in (dot.low, dot.high, dot.estimate, *dot.limits) if value is not None]
    low, high = min(marks) * scale, max(marks) * scale
    room = max((high - low) * 0.08, 0.02 * scale)
    if not bounded:
        return low - room, high + room
    return max(low - room, -0.01 * scale), min(high + room, 1.01 * scale)


def forest_alt(context: Context, measure: str, unit: str, dots: Sequence[Dot]) -> str:
    """How many slices, the lowest and the highest, and where they lie beside the limit."""
    lowest, highest = min(dots, key=lambda dot: dot.estimate), max(dots, key=lambda dot: dot.estimate)
    write = context.numbers
    text = context.words.plural("alt.forest", len(dots)).format(
        count=write.count(len(dots)), measure=context.measure_name(measure), lowest=lowest.name, highest=highest.name,
        low=write.value(measure, lowest.estimate, unit), high=write.value(measure, highest.estimate, unit),
        n_low=write.group(lowest.n), n_high=write.group(highest.n),
    )  # fmt: skip
    for dot in dots:
        for limit in dot.limits:
            side = context.label("alt.limit.below" if dot.estimate < limit else "alt.limit.above").format(
                slice=dot.name,
                limit=write.limit(measure, limit, unit),
                estimate=write.value(measure, dot.estimate, unit),
            )
            text = context.words.joined((text, side))
    return text


def bars(context: Context, title: str, names: Sequence[str], groups: Sequence[tuple[str, Sequence[int]]]) -> Image:
    """Counts by class, one panel a slice; the count stands at the bar, and one that may not be shown has none."""
    shown = tuple((group, tuple(counts)) for group, counts in groups)
    return context.sketch(title, paint_bars, (tuple(names), shown), bars_alt(context, names, groups))


def paint_bars(pen: Pen, names: Sequence[str], groups: Sequence[tuple[str, Sequence[int]]]) -> Chart:
    """The same, drawn."""
    columns = _columns(len(groups))
    lines = -(-len(groups) // columns)
    height = 0.55 + 0.24 * len(names)
    with drawing(WIDTH, height * lines + 0.15, nrows=lines, ncols=columns, squeeze=False, sharey=True) as (
        figure,
        axes,
    ):
        for panel in axes.flat[len(groups) :]:
            panel.set_visible(False)
        for panel, (group, counts) in zip(axes.flat, groups, strict=False):
            shown = [max(count, 0) for count in counts]
            panel.barh(range(len(names)), shown, color=BLUE, height=0.6)
            for row, count in enumerate(counts):
                panel.annotate(
                    pen.numbers.shown(count),
                    (shown[row], row),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7.5,
                )
            panel.set_yticks(range(len(names)), [short(name, 22) for name in names])
            panel.set_ylim(len(names) - 0.5, -0.5)
            panel.set_xlim(0, max([*shown, 1]) * 1.25)
            panel.set_title(_title(group, columns))
            panel.xaxis.set_visible(False)
            panel.spines["bottom"].set_visible(False)
            panel.tick_params(length=0)
        return svg(figure)


def bars_alt(context: Context, names: Sequence[str], groups: Sequence[tuple[str, Sequence[int]]]) -> str:
    """The counts themselves, group by group."""
    write = context.numbers
    counted = [
        (group, [f"{name} {write.shown(count)}" for name, count in zip(names, counts, strict=True)])
        for group, counts in groups
    ]
    return context.words.joined(
        context.label("alt.bars").format(group=group, counts=context.words.listed(counts)) for group, counts in counted
    )


def reliability(context: Context, panels: Sequence[tuple[str, Sequence[Bin]]]) -> Image:
    """Stated confidence against the share that was right, one panel a slice, the diagonal as the ideal."""
    shown = tuple((group, tuple(bins)) for group, bins in panels)
    return context.sketch("reliability", paint_reliability, (shown,), reliability_alt(context, panels))


def paint_reliability(pen: Pen, panels: Sequence[tuple[str, Sequence[Bin]]]) -> Chart:
    """The same, drawn."""
    columns = _columns(len(panels))
    lines = -(-len(panels) // columns)
    side = {1: 2.9, 4: 1.68}.get(columns, 2.2)
    with drawing(side * columns + 0.1, (side + 0.15) * lines, nrows=lines, ncols=columns, squeeze=False) as (
        figure,
        axes,
    ):
        for panel in axes.flat[len(panels) :]:
            panel.set_visible(False)
        for index, (panel, (group, bins)) in enumerate(zip(axes.flat, panels, strict=False)):
            panel.plot([0, 100], [0, 100], color=MUTED, lw=0.8, ls=(0, (4, 2)))
            for entry in bins:
                x = entry.confidence * 100
                if entry.low is not None and entry.high is not None:
                    panel.plot([x, x], [entry.low * 100, entry.high * 100], color=BLUE, lw=1.2)
            panel.plot(
                [b.confidence * 100 for b in bins], [b.accuracy * 100 for b in bins], color=BLUE, lw=0.7, alpha=0.6
            )
            largest = max([b.n for b in bins], default=1)
            panel.scatter(
                [b.confidence * 100 for b in bins], [b.accuracy * 100 for b in bins],
                s=[10 + 40 * b.n / largest for b in bins], color=BLUE, zorder=3, edgecolor="white", linewidth=0.5,
            )  # fmt: skip
            panel.set_xlim(-2, 102)
            panel.set_ylim(-2, 102)
            panel.set_aspect("equal")
            panel.set_title(_title(group, columns))
            panel.set_xlabel(pen.label("figure.stated_confidence"))
            if index % columns == 0:
                panel.set_ylabel(pen.label("figure.share_right"))
            quiet(panel, "both")
        return svg(figure)


def reliability_alt(context: Context, panels: Sequence[tuple[str, Sequence[Bin]]]) -> str:
    """For every slice: how many bins, the widest gap and on which side of the diagonal it lies."""
    write, texts = context.numbers, []
    for group, bins in panels:
        if not bins:
            texts.append(context.label("alt.reliability_empty").format(group=group))
            continue
        widest = max(bins, key=lambda entry: abs(entry.accuracy - entry.confidence))
        side = "over" if widest.confidence > widest.accuracy else "under"
        texts.append(
            context.label(f"alt.reliability.{side}").format(
                group=group, bins=write.count(len(bins)), n=write.group(widest.n),
                confidence=write.value("confidence", widest.confidence, "share"),
                accuracy=write.value("accuracy_of_bin", widest.accuracy, "share"),
            )
        )  # fmt: skip
    return context.words.joined(texts)


def confusion(context: Context, classes: Sequence[str], panels: Sequence[tuple[str, Sequence[Sequence[int]]]]) -> Image:
    """Counts by true and predicted class, one panel a slice; shade is the share of the row."""
    shown = tuple((group, tuple(tuple(line) for line in counts)) for group, counts in panels)
    alt = confusion_alt(context, classes, panels)
    return context.sketch("confusion", paint_confusion, (tuple(classes), shown), alt)


def paint_confusion(pen: Pen, classes: Sequence[str], panels: Sequence[tuple[str, Sequence[Sequence[int]]]]) -> Chart:
    """The same, drawn."""
    columns = _columns(len(panels))
    lines = -(-len(panels) // columns)
    width = WIDTH / max(3, columns) if columns > 1 or len(classes) <= 4 else WIDTH * 0.7
    height = max(1.7, 0.9 + 0.32 * len(classes))
    with drawing(width * columns, height * lines, nrows=lines, ncols=columns, squeeze=False) as (figure, axes):
        for panel in axes.flat[len(panels) :]:
            panel.set_visible(False)
        for index, (panel, (group, counts)) in enumerate(zip(axes.flat, panels, strict=False)):
            _matrix(pen, panel, classes, counts)
            panel.set_title(_title(group, columns))
            panel.set_xlabel(pen.label("figure.predicted"))
            if index % columns == 0:
                panel.set_ylabel(pen.label("figure.true_class"))
        return svg(figure)


def _matrix(pen: Pen, panel: Axes, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    from matplotlib.patches import Rectangle

    for row, line in enumerate(counts):
        total = sum(max(count, 0) for count in line)
        for column, count in enumerate(line):
            share = max(count, 0) / total if total else 0.0
            hidden = count < 0
            panel.add_patch(Rectangle(
                (column - 0.5, row - 0.5), 1, 1, facecolor=PALE if hidden else _shade(share), edgecolor="white", lw=1.2,
                hatch="////" if hidden else None,
            ))  # fmt: skip
            if row == column:
                panel.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=INK, lw=0.9))
            text = pen.numbers.shown(count) if count >= 0 else ""
            panel.text(column, row, text, ha="center", va="center", color="white" if share > 0.55 else INK)
    size = len(classes)
    panel.set_xlim(-0.5, size - 0.5)
    panel.set_ylim(size - 0.5, -0.5)
    names = [short(name, 14) for name in classes]
    is_slanted = size > 3 or any(len(each) > LONGEST_LEVEL for each in names)
    panel.set_xticks(
        range(size), names, rotation=40 if is_slanted else 0, ha="right" if is_slanted else "center",
        rotation_mode="anchor" if is_slanted else "default",
    )  # fmt: skip
    panel.set_yticks(range(size), names)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _shade(share: float) -> tuple[float, float, float]:
    pale, deep = (0.94, 0.96, 0.98), (0.09, 0.30, 0.50)
    red, green, blue = (a + (b - a) * share for a, b in zip(pale, deep, strict=True))
    return red, green, blue


def confusion_alt(
    context: Context, classes: Sequence[str], panels: Sequence[tuple[str, Sequence[Sequence[int]]]]
) -> str:
    """For every slice: how many were right, and the commonest confusion."""
    texts = []
    for group, counts in panels:
        known = [[max(count, 0) for count in line] for line in counts]
        total, right = sum(map(sum, known)), sum(known[i][i] for i in range(len(known)))
        wrong = [(known[i][j], i, j) for i in range(len(known)) for j in range(len(known)) if i != j]
        worst = max(wrong, key=lambda entry: (entry[0], -entry[1], -entry[2]))
        texts.append(
            context.label("alt.confusion").format(
                group=group, right=context.numbers.count(right), total=context.numbers.group(total),
                worst=context.numbers.count(worst[0]), true=classes[worst[1]], predicted=classes[worst[2]],
            )
        )  # fmt: skip
    return context.words.joined(texts)


def relevance(context: Context, dots: Sequence[Dot], chance: Sequence[float | None]) -> Image:
    """Share of relevance inside a mask by method and slice; an upright line is the share that chance would give."""
    arguments = (tuple(dots), tuple(chance))
    return context.sketch("relevance", paint_relevance, arguments, relevance_alt(context, dots, chance))


def paint_relevance(pen: Pen, dots: Sequence[Dot], chance: Sequence[float | None]) -> Chart:
    """The same, drawn."""
    with drawing(WIDTH, 0.7 + 0.27 * len(dots)) as (figure, axes):
        for row, (dot, expected) in enumerate(zip(dots, chance, strict=True)):
            if dot.low is not None and dot.high is not None:
                axes.plot([dot.low * 100, dot.high * 100], [row, row], color=BLUE, lw=1.6, solid_capstyle="butt")
            axes.plot([dot.estimate * 100], [row], marker="o", color=BLUE, ms=6, ls="none")
            if expected is not None:
                axes.plot([expected * 100], [row], marker="|", color=ORANGE, ms=13, mew=2.2, ls="none")
        axes.set_yticks(range(len(dots)), [short(dot.name, 40) for dot in dots])
        axes.set_ylim(len(dots) - 0.4, -0.6)
        axes.set_xlim(-1, 101)
        axes.set_xlabel(pen.label("figure.relevance_axis"))
        quiet(axes)
        return svg(figure)


def relevance_alt(context: Context, dots: Sequence[Dot], chance: Sequence[float | None]) -> str:
    """How many estimates, how many of them above chance, the lowest and the highest."""
    above = sum(expected is not None and dot.estimate > expected for dot, expected in zip(dots, chance, strict=True))
    lowest, highest = min(dots, key=lambda dot: dot.estimate), max(dots, key=lambda dot: dot.estimate)
    write = context.numbers
    return context.words.plural("alt.relevance", len(dots)).format(
        count=write.count(len(dots)), above=write.count(above), lowest=lowest.name, highest=highest.name,
        low=write.value("relevance_mass", lowest.estimate, "share"),
        high=write.value("relevance_mass", highest.estimate, "share"),
    )  # fmt: skip
