"""Where relevance lies: border and centre by method, each beside the share that chance would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_audit.explain.shares import BORDER_BY_CHANCE, CENTRE_BY_CHANCE
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, ORANGE, drawing, quiet, svg

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen


@dataclass(frozen=True)
class Places:
    """Mean shares of one method's relevance."""

    name: str
    border: float
    centre: float
    n: int
    """Cases that the means are over."""


def regions_chart(context: Context, places: Sequence[Places]) -> Image:
    """A dot for the centre and an open square for the border, one line a method; chance as upright lines."""
    return context.sketch("regions", paint_regions, (tuple(places),), regions_alt(context, places))


def paint_regions(pen: Pen, places: Sequence[Places]) -> Chart:
    """The same, drawn."""
    with drawing(WIDTH, 0.75 + 0.2 * len(places)) as (figure, axes):
        axes.axvline(CENTRE_BY_CHANCE * 100, color=BLUE, lw=1.0, ls=(0, (4, 2)), zorder=1)
        axes.axvline(BORDER_BY_CHANCE * 100, color=ORANGE, lw=1.0, ls=(0, (1, 1.5)), zorder=1)
        rows = range(len(places))
        axes.plot(
            [each.centre * 100 for each in places], rows, marker="o", color=BLUE, ms=6, ls="none",
            label=pen.label("figure.in_centre"),
        )  # fmt: skip
        axes.plot(
            [each.border * 100 for each in places], rows, marker="s", color=ORANGE, ms=5.5, ls="none",
            markerfacecolor="white", mew=1.5, label=pen.label("figure.in_border"),
        )  # fmt: skip
        axes.set_yticks(rows, [short(each.name, 40) for each in places])
        axes.set_ylim(len(places) - 0.4, -0.6)
        axes.set_xlim(-1, 101)
        axes.set_xlabel(pen.label("figure.share_of_relevance"))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderpad=0, handletextpad=0.2)
        quiet(axes)
        return svg(figure)


def regions_alt(context: Context, places: Sequence[Places]) -> str:
    """How many methods have more in the border, or in the centre, than chance, and the largest of both."""
    border, centre = max(places, key=lambda each: each.border), max(places, key=lambda each: each.centre)
    write = context.numbers
    return context.words.plural("alt.regions", len(places)).format(
        count=write.count(len(places)), cases=write.group(max(each.n for each in places)),
        border_above=write.count(sum(each.border > BORDER_BY_CHANCE for each in places)),
        centre_above=write.count(sum(each.centre > CENTRE_BY_CHANCE for each in places)),
        border_name=border.name, border=write.value("area", border.border, "share"),
        centre_name=centre.name, centre=write.value("area", centre.centre, "share"),
        border_chance=write.value("area", BORDER_BY_CHANCE, "share"),
        centre_chance=write.value("area", CENTRE_BY_CHANCE, "share"),
    )  # fmt: skip
