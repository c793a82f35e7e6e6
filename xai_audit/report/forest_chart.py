"""One query by every adjustment set and estimator: numbers with intervals, bounds as boxes, the raw contrast apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_audit.report.causal_numbers import ends_text, exact_text
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, drawing, quiet, svg

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

MOST_ROWS = 30


@dataclass(frozen=True)
class Line:
    """One number with how it came about."""

    by: str
    amount: Mapping[str, Any]
    is_raw: bool = False
    """The raw contrast, which is no answer."""
    is_used: bool = False
    """The answer itself."""


def forest_chart(context: Context, name: str, lines: Sequence[Line], axis: str) -> Image:
    """The answer filled, others open; the raw contrast as a cross below them all; a line at nothing."""
    return context.sketch(name, paint_answers, (tuple(lines[:MOST_ROWS]), axis), forest_alt(context, lines))


def paint_answers(pen: Pen, drawn: Sequence[Line], axis: str) -> Chart:
    """The same, drawn."""
    with drawing(WIDTH, 0.65 + 0.25 * len(drawn)) as (figure, axes):
        axes.axvline(0.0, color=MUTED, lw=0.8, ls=(0, (4, 2)), zorder=1)
        for row, line in enumerate(drawn):
            low, high = float(line.amount["low"]), float(line.amount["high"])
            color = ORANGE if line.is_raw else BLUE
            axes.plot([low, high], [row, row], color=color, lw=1.6, solid_capstyle="butt")
            if line.amount.get("bounds") is not None:
                inner = [float(end) for end in line.amount["bounds"]]
                axes.plot(inner, [row, row], color=color, lw=6.0, solid_capstyle="butt", alpha=0.6)
                continue
            axes.plot(
                [float(line.amount["estimate"])], [row], marker="X" if line.is_raw else "o", color=color, ms=6.5,
                fillstyle="full" if line.is_used or line.is_raw else "none", mew=1.3, ls="none",
                markerfacecoloralt="white",
            )  # fmt: skip
        axes.set_yticks(range(len(drawn)), [short(line.by, 34) for line in drawn])
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.set_xlabel(axis)
        axes.xaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=False))
        axes.tick_params(axis="y", labelcolor=INK)
        quiet(axes)
        return svg(figure)


def forest_alt(context: Context, lines: Sequence[Line]) -> str:
    """Each line in words: what it is by, its number and its interval."""
    return context.words.joined(_said(context, line) for line in lines)


def _said(context: Context, line: Line) -> str:
    amount = line.amount
    if amount.get("bounds") is not None:
        low, high = (exact_text(context, float(end)) for end in amount["bounds"])
        return context.label("causal.alt.bounds").format(by=line.by, low=low, high=high)
    if amount.get("standing") == "exact":
        return context.label("causal.alt.exact").format(by=line.by, value=exact_text(context, amount["estimate"]))
    value, low, high = ends_text(context, amount["estimate"], amount["low"], amount["high"])
    return context.label("causal.alt.estimate").format(by=line.by, value=value, low=low, high=high)
