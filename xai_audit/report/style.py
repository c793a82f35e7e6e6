"""One look for every chart: quiet, readable in grey and by colour-blind readers, the same bytes every time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_audit.errors import RenderError
from xai_audit.report.document import Chart

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
    "none": ("o", BLUE, "none"),
}
"""Marker, colour and fill of a verdict in a chart: the shape alone tells them apart."""

CJK = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Noto Sans CJK JP", "Droid Sans Fallback")
"""Families that have Chinese, of which the first is taken; of a collection of fonts matplotlib knows the first face."""

_LOOK: Any = {
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
    "path.simplify": True,
    "axes.unicode_minus": True,
}


@cache
def cjk_fonts() -> tuple[str, ...]:
    """Family of the system's Chinese font as matplotlib names it; none where there is none."""
    from matplotlib import font_manager

    known = {entry.name for entry in font_manager.fontManager.ttflist}
    return tuple(name for name in CJK if name in known)[:1]


def font_files() -> tuple[Path, ...]:
    """The files that charts take their letters from."""
    from matplotlib import font_manager

    families = ("DejaVu Sans", *cjk_fonts())
    found = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in families]
    return tuple(Path(str(file)) for file in found)


class Sized(Exception):
    """How large a chart will be, in inches."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(width, height)
        self.size = width, height


_IS_SIZED = ContextVar("is_sized", default=False)


def size_of(paint: Callable[[], object]) -> tuple[float, float]:
    """Width and height in points of the chart that a function draws; it is left before anything is drawn."""
    token = _IS_SIZED.set(True)
    try:
        paint()
    except Sized as found:
        return 72 * found.size[0], 72 * found.size[1]
    finally:
        _IS_SIZED.reset(token)
    raise RenderError("a chart of the report", "no figure", "a painter that opens a drawing", "Report this fault.")


def stop_if_sized(width: float, height: float) -> None:
    """Go on if the chart is drawn; where only its size is asked for, raises Sized with it, in inches."""
    if _IS_SIZED.get():
        raise Sized(width, height)


@contextmanager
def our_look() -> Iterator[None]:
    """Matplotlib with our look, whatever it is set to."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_LOOK, "font.family": ["DejaVu Sans", *cjk_fonts()]})
        yield


@contextmanager
def drawing(width: float, height: float, **layout: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of our look and its axes, sizes in inches; nothing global is left changed."""
    stop_if_sized(width, height)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    with our_look():
        figure = NewFigure(figsize=(width, height), dpi=72, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(**layout)


def svg(figure: Figure) -> Chart:
    """The figure drawn, for the browser and for print, without a date or a tool's name.

    Its panels are arranged first, unless the figure has no layout. RenderError for a sign that no font has.
    """
    import matplotlib
    from matplotlib.backends.backend_mixed import MixedModeRenderer

    from xai_audit.report.arrange import arrange
    from xai_audit.report.vector import RASTER_DPI, VectorRenderer, pdf_file, svg_file

    width, height = (float(side) for side in figure.get_size_inches())
    figure.dpi = 72
    for ground in (figure.patch, *(axes.patch for axes in figure.axes)):
        ground.set_alpha(0.0)
    with matplotlib.rc_context(_LOOK), no_missing_glyphs():
        renderer = VectorRenderer(72 * width, 72 * height)
        if isinstance(figure.get_layout_engine(), _constrained()):
            figure.set_layout_engine(None)
            arrange(figure, renderer)
        mixed_mode: Any = MixedModeRenderer
        mixed = mixed_mode(figure, width, height, RASTER_DPI, renderer)
        figure.draw(mixed)
    return Chart(svg_file(renderer.sheet), pdf_file(renderer.sheet))


def _constrained() -> type:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return ConstrainedLayoutEngine


@contextmanager
def no_missing_glyphs() -> Iterator[None]:
    """RenderError where matplotlib would only warn and draw a box."""
    with warnings.catch_warnings():
        # An error, so that nothing that was measured with a box in it is kept for the next chart.
        warnings.filterwarnings("error", message="Glyph ")
        try:
            yield
        except UserWarning as missing:
            if not str(missing).startswith("Glyph "):
                raise
            raise RenderError(
                "a chart of the report",
                str(missing),
                "a font for every sign",
                "Install one: apt-get install fonts-noto-cjk for Chinese, fonts-noto-core for other scripts.",
            ) from missing


def quiet(axes: Axes, grid: str = "x") -> None:
    """Light grid lines in one direction and no ticks in the other."""
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(axis="both", length=0)
