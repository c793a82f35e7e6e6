"""Reference distributions, one small panel a variable: density of numbers, shares of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_audit.report.context import Context
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, drawing, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.pen import Pen

MOST_PANELS = 12
ACROSS = 3
MOST_BARS = 8
BARS = 12
"""Steps of a number's panel."""
ENDS = 1
"""Quantiles of the fifty that are left out at either end: one case alone shall not be read off an axis."""


def baseline_chart(context: Context, variables: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Image:
    """The first twelve variables; each panel has its own axes."""
    shown = tuple(zip((dict(each) for each in variables), names, strict=True))[:MOST_PANELS]
    return context.sketch("drift-baseline", paint_baseline, (shown,), baseline_alt(context, shown))


def paint_baseline(pen: Pen, shown: Sequence[tuple[Mapping[str, Any], str]]) -> Chart:
    """The same, drawn."""
    lines = -(-len(shown) // ACROSS)
    with drawing(WIDTH, 0.2 + 1.35 * lines, nrows=lines, ncols=ACROSS, squeeze=False) as (figure, axes):
        for panel in axes.flat[len(shown) :]:
            panel.set_visible(False)
        for panel, (variable, name) in zip(axes.flat, shown, strict=False):
            if variable["categories"]:
                _shares(pen, panel, variable)
            else:
                _density(pen, panel, variable)
            panel.set_title(short(name, 26))
        return svg(figure)


def _density(pen: Pen, panel: Axes, variable: Mapping[str, Any]) -> None:
    """Shares of cases in steps of one width."""
    low, high = ends_of(variable)
    edges = [low + (high - low) * place / BARS for place in range(BARS + 1)]
    if high > low:
        panel.stairs(_between(variable, edges), edges, fill=True, facecolor="#cfdcea", edgecolor=BLUE, lw=1.0)
    else:
        panel.axvline(low, color=BLUE, lw=1.6)
    median = variable["quantiles"][len(variable["quantiles"]) // 2]
    panel.axvline(median, color=INK, lw=1.0, ls=(0, (4, 2)))
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.locator_params(axis="x", nbins=4)
    panel.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
    quiet(panel)


def ends_of(variable: Mapping[str, Any]) -> tuple[float, float]:
    """From where to where the panel reaches."""
    return variable["quantiles"][ENDS], variable["quantiles"][-1 - ENDS]


def _between(variable: Mapping[str, Any], edges: Sequence[float]) -> list[float]:
    """Share of the known cases between each two edges, read off the quantiles."""
    from numpy import diff, interp, linspace

    quantiles = variable["quantiles"]
    below = interp(edges, quantiles, linspace(0, 1, len(quantiles)))
    found: list[float] = diff(below).tolist()
    return found


def _shares(pen: Pen, panel: Axes, variable: Mapping[str, Any]) -> None:
    pairs = list(zip(variable["categories"], variable["shares"], strict=False))[:MOST_BARS]
    panel.barh(range(len(pairs)), [share * 100 for _, share in pairs], color=BLUE, height=0.6)
    panel.set_yticks(range(len(pairs)), [short(name, 12) for name, _ in pairs])
    panel.set_ylim(len(pairs) - 0.5, -0.5)
    panel.locator_params(axis="x", nbins=4)
    panel.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=True))
    quiet(panel)


def baseline_alt(context: Context, shown: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    """Of each panel the middle half of the cases, or the commonest category."""
    first = context.words.plural("alt.baseline", len(shown)).format(count=context.numbers.count(len(shown)))
    return context.words.joined([first, *(_said(context, variable, name) for variable, name in shown)])


def _said(context: Context, variable: Mapping[str, Any], name: str) -> str:
    write = context.numbers
    if variable["categories"]:
        share, commonest = max(zip(variable["shares"], variable["categories"], strict=False))
        return context.label("alt.baseline_category").format(
            name=name, category=commonest, share=write.value("share", share, "share")
        )
    quarter = len(variable["quantiles"]) // 4
    low, high = variable["quantiles"][quarter], variable["quantiles"][-1 - quarter]
    return context.label("alt.baseline_number").format(
        name=name, low=number_of(context, variable, low), high=number_of(context, variable, high)
    )


def number_of(context: Context, variable: Mapping[str, Any], number: float) -> str:
    """A value of a variable: a score of a class as a probability."""
    if variable["kind"] == "score" and context.spec.classes:
        return context.numbers.probability(number)
    return context.numbers.plain(number)
