"""Where methods look beside what changes the score: shares of relevance at the left, measured changes at the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, drawing, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "oooo")
"""Fill of each method's bars; the hatch alone tells them apart."""
RED = "#9c1c1c"
SIGNS = {"shortcut": ("X", RED, "full"), "misleading": ("D", ORANGE, "none"), "agrees": ("o", BLUE, "full"),
         "undecided": ("s", MUTED, "none"), "missed": ("^", ORANGE, "none"), "quiet": ("o", MUTED, "none")}  # fmt: skip
"""Marker, colour and fill of what a region comes to."""


@dataclass(frozen=True)
class Region:
    """One region: the shares of the methods, and what changing it does to the score."""

    label: str
    verdict: str
    word: str
    shares: Mapping[str, Mapping[str, Any]]
    change: Mapping[str, Any]


def beside_chart(context: Context, name: str, regions: Sequence[Region], methods: Sequence[str]) -> Image:
    """Bars of each method by region, and beside them the measured change with its interval and its placebo."""
    named = tuple((method, context.method_name(method)) for method in methods)
    return context.sketch(name, paint_beside, (tuple(regions), named), beside_alt(context, regions, methods))


def paint_beside(pen: Pen, regions: Sequence[Region], methods: Sequence[tuple[str, str]]) -> Chart:
    """The same, drawn; methods with their names in words."""
    height = 0.9 + (0.2 + 0.13 * max(len(methods), 1)) * len(regions)
    with drawing(WIDTH, height, ncols=2, sharey=True) as (figure, axes):
        left, right = axes
        _shares(pen, left, regions, methods)
        _changes(pen, right, regions)
        left.set_yticks(range(len(regions)), [short(region.label, 22) for region in regions])
        left.set_ylim(len(regions) - 0.45, -0.55)
        if methods:
            handles, labels = left.get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper left", ncols=3, fontsize=7)
        return svg(figure)


def _shares(pen: Pen, axes: Axes, regions: Sequence[Region], methods: Sequence[tuple[str, str]]) -> None:
    thick = 0.7 / max(len(methods), 1)
    for at, (method, said) in enumerate(methods):
        rows = [row - 0.35 + thick * (at + 0.5) for row in range(len(regions))]
        found = [region.shares.get(method) or {} for region in regions]
        shares = [100 * float(share.get("estimate") or 0.0) for share in found]
        axes.barh(
            rows, shares, height=thick * 0.9, color="white" if at else BLUE, edgecolor=BLUE, lw=0.8,
            hatch=HATCHES[at % len(HATCHES)], label=short(said, 26),
        )  # fmt: skip
        for row, share in zip(rows, found, strict=True):
            if share.get("low") is not None and share.get("high") is not None:
                ends = [100 * float(share["low"]), 100 * float(share["high"])]
                axes.plot(ends, [row, row], color=INK, lw=1.2, solid_capstyle="butt")
    axes.set_title(pen.label("causal.beside.share_title"))
    axes.set_xlim(left=0)
    axes.set_xlabel(pen.label("causal.beside.share_axis"))
    quiet(axes)


def _changes(pen: Pen, axes: Axes, regions: Sequence[Region]) -> None:
    axes.axvline(0.0, color=MUTED, lw=0.8, ls=(0, (4, 2)))
    for row, region in enumerate(regions):
        change = region.change
        if change.get("estimate") is None:
            continue
        marker, color, fill = SIGNS.get(region.verdict, SIGNS["undecided"])
        if change.get("low") is not None and change.get("high") is not None:
            ends = [float(change["low"]), float(change["high"])]
            axes.plot(ends, [row, row], color=color, lw=1.8, solid_capstyle="butt")
        axes.plot(
            [float(change["estimate"])], [row], marker=marker, color=color, ms=7, ls="none", fillstyle=fill, mew=1.4,
            markerfacecoloralt="white",
        )  # fmt: skip
        placebo = placebo_of(change)
        if placebo is not None:
            axes.plot([placebo], [row], marker="|", color=MUTED, ms=13, mew=1.8, ls="none")
        axes.annotate(region.word, (float(change["estimate"]), row), xytext=(0, 7), textcoords="offset points",
                      ha="center", fontsize=7, color=color)  # fmt: skip
    axes.set_title(pen.label("causal.beside.change_title"))
    axes.set_xlabel(pen.label("causal.beside.change_axis"))
    axes.margins(x=0.18)
    quiet(axes)


def placebo_of(change: Mapping[str, Any]) -> float | None:
    """What the same change does where it should not matter."""
    placebo = change.get("placebo")
    if isinstance(placebo, Mapping):
        placebo = placebo.get("estimate")
    return None if placebo is None else float(placebo)


def beside_alt(context: Context, regions: Sequence[Region], methods: Sequence[str]) -> str:
    """Region by region: the largest share, the measured change, and what it comes to."""
    said = []
    for region in regions:
        shares = {m: float((region.shares.get(m) or {}).get("estimate") or 0.0) for m in methods}
        largest = max(shares.values(), default=0.0)
        change = region.change.get("estimate")
        said.append(
            context.label("causal.alt.beside").format(
                region=region.label, share=context.numbers.value("area", largest, "share"),
                change="–" if change is None else context.numbers.plain(float(change)), word=region.word,
            )
        )  # fmt: skip
    return context.words.joined(said)
