"""Curves over the strength of an operator: one panel a quantity, one line a slice with its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_audit.report.causal_numbers import exact_text
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, drawing, quiet, svg

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

COLUMNS = 2
LOOKS: tuple[tuple[str, str, str], ...] = (
    (BLUE, "o", "-"), (ORANGE, "s", "--"), (INK, "D", ":"), (MUTED, "^", "-."),
)  # fmt: skip
"""Colour, marker and dash of each slice; marker and dash alone tell them apart."""


@dataclass(frozen=True)
class Curve:
    """One slice: level, estimate, low and high of each point."""

    name: str
    points: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SeverityPanel:
    """One quantity over all slices."""

    title: str
    curves: tuple[Curve, ...]


def severity_chart(context: Context, name: str, panels: Sequence[SeverityPanel], axis: str) -> Image:
    """Small multiples with bands."""
    return context.sketch(name, paint_severity, (tuple(panels), axis), severity_alt(context, panels))


def paint_severity(pen: Pen, panels: Sequence[SeverityPanel], axis: str) -> Chart:
    """The same, drawn."""
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    with drawing(WIDTH, 1.75 * lines + 0.4, nrows=lines, ncols=columns, squeeze=False) as (figure, places):
        for place in places.flat[len(panels) :]:
            place.set_visible(False)
        for place, panel in zip(places.flat, panels, strict=False):
            for curve, (color, marker, dash) in zip(panel.curves, LOOKS, strict=False):
                levels = [float(point["level"]) for point in curve.points]
                middle = [float(point["estimate"]) for point in curve.points]
                ends = [(point["low"], point["high"]) for point in curve.points if point.get("low") is not None]
                if len(ends) == len(levels):
                    place.fill_between(
                        levels, [float(low) for low, _ in ends], [float(high) for _, high in ends], color=color,
                        alpha=0.15, lw=0,
                    )  # fmt: skip
                place.plot(
                    levels, middle, color=color, marker=marker, ls=dash, ms=4, lw=1.4, label=short(curve.name, 20)
                )
            place.set_title(short(panel.title, 40))
            place.set_xlabel(axis)
            quiet(place, "both")
        handles, labels = places.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=7.5)
        return svg(figure)


def severity_alt(context: Context, panels: Sequence[SeverityPanel]) -> str:
    """From the weakest to the strongest setting, panel by panel and slice by slice; a slice without a number is in the
    table, not in the picture."""
    said = []
    for panel in panels:
        for curve in (curve for curve in panel.curves if curve.points):
            first, last = curve.points[0], curve.points[-1]
            said.append(
                context.label("causal.alt.severity").format(
                    panel=panel.title, slice=curve.name, first=context.numbers.plain(float(first["estimate"])),
                    at_first=exact_text(context, float(first["level"])),
                    last=context.numbers.plain(float(last["estimate"])),
                    at_last=exact_text(context, float(last["level"])),
                )
            )  # fmt: skip
    return context.words.joined(said)
