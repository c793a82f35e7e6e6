"""The share of right answers against the share of cases that are kept, with its band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xai_audit.measures.set_aside import Kept
from xai_audit.report.context import Context
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH
from xai_audit.report.style import BLUE, INK, drawing, quiet, svg

if TYPE_CHECKING:
    from xai_audit.report.pen import Pen

NAME = "set-aside"


def set_aside_chart(context: Context, points: Sequence[Kept]) -> Image:
    """One line from all cases at the left to the surest tenth at the right, its intervals, and the level of all."""
    return context.sketch(NAME, paint_set_aside, (tuple(points),), set_aside_alt(context, points))


def paint_set_aside(pen: Pen, points: Sequence[Kept]) -> Chart:
    """The same, drawn."""
    kept = [100 * point.share for point in points]
    with drawing(WIDTH, 2.3) as (figure, axes):
        axes.axhline(100 * points[0].accuracy, color=INK, lw=0.9, ls=(0, (4, 2)))
        for share, point in zip(kept, points, strict=True):
            if point.interval is not None:
                ends = [100 * point.interval.low, 100 * point.interval.high]
                axes.plot([share, share], ends, color=BLUE, lw=1.6, solid_capstyle="butt")
        axes.plot(kept, [100 * point.accuracy for point in points], color=BLUE, marker="o", ms=4.5, lw=1.4)
        axes.set_xlim(103, -3 + min(kept))
        axes.set_xlabel(pen.label("set_aside.axis.kept"))
        axes.set_ylabel(pen.label("set_aside.axis.right"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=True))
        quiet(axes, "both")
        return svg(figure)


def set_aside_alt(context: Context, points: Sequence[Kept]) -> str:
    """Accuracy with all cases and with the fewest, and where it is highest."""
    write, last, best = context.numbers, points[-1], max(points, key=lambda point: point.accuracy)
    return context.label("alt.set_aside").format(
        points=write.count(len(points)),
        all=write.value("accuracy", points[0].accuracy, "share"),
        last=write.value("accuracy", last.accuracy, "share"),
        kept=write.value("share", last.share, "share"),
        best=write.value("accuracy", best.accuracy, "share"),
        at=write.value("share", best.share, "share"),
    )
