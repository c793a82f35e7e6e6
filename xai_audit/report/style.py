"""One look for every chart: quiet, readable in grey and by colour-blind readers, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b2a3a"
MUTED = "#5b6b7b"
RULE = "#c9d2db"
BLUE = "#1f5f99"
ORANGE = "#b4540a"
PALE = "#e9eef3"
BAND = "#b9c4cf"

MARKS: dict[str, tuple[str, str, str]] = {
    "pass": ("o", "#1d6b4f", "full"),
    "fail": ("X", "#9c1c1c", "full"),
    "inconclusive": ("D", "#8a5a00", "none"),
    "waived": ("s", "#5b4a8a", "none"),
    "none": ("o", BLUE, "full"),
}
"""Marker, colour and fill of a verdict in a chart: the shape alone tells them apart."""

_LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "xai-audit",
    "path.simplify": True,
    "figure.dpi": 100,
    "axes.unicode_minus": True,
}


@contextmanager
def drawing(width: float, height: float, **layout: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of our look and its axes, sizes in inches; nothing global is left changed."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        figure = NewFigure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(**layout)


def svg(figure: Figure) -> bytes:
    """The figure as SVG without a date or a tool's name."""
    import matplotlib

    out = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context(_LOOK):
        figure.savefig(out, format="svg", metadata=metadata, transparent=True)
    return out.getvalue()


def svg_at_once(figure: Figure) -> bytes:
    """The same of a figure whose parts stand where they were put: it is drawn once, and not first to be laid out."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    with matplotlib.rc_context(_LOOK):
        figure.patch.set_alpha(0.0)
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return out.getvalue()


def quiet(axes: Axes, grid: str = "x") -> None:
    """Light grid lines in one direction and no ticks in the other."""
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(axis="both", length=0)
