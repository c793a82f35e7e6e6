"""Draws plain shapes and words straight onto a sheet, for the charts that a report has a hundred of.

matplotlib's axes take a third of a second for a small bar chart, nearly all of it for marks that are then thrown away.
Places are in points, y running up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from xai_audit.report.document import Chart
from xai_audit.report.stamps import Stamp
from xai_audit.report.style import INK, cjk_fonts, no_missing_glyphs, our_look, stop_if_sized

if TYPE_CHECKING:
    from xai_audit.report.vector import VectorRenderer

SIZE = 8.0
"""Height of letters where nothing else is said."""
LEADING = 1.2
"""From one line of words to the next, in heights of letters."""
THIN = 0.6


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float


class Brush:
    """Shapes and words in the order in which they are laid over each other."""

    def __init__(self, renderer: VectorRenderer) -> None:
        self._renderer = renderer

    @property
    def chart(self) -> Chart:
        """What was drawn, for the browser and for print."""
        from xai_audit.report.vector import pdf_file, svg_file

        return Chart(svg_file(self._renderer.sheet), pdf_file(self._renderer.sheet))

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        """A line through some points."""
        from matplotlib.path import Path
        from matplotlib.transforms import IdentityTransform

        self._renderer.draw_path(_context(colour, width), Path(list(points)), IdentityTransform())

    def box(self, box: Box, face: str, edge: str, *, hatch: str = "", width: float = THIN) -> None:
        """A filled and outlined rectangle, hatched in the colour of its outline."""
        from matplotlib.colors import to_rgb
        from matplotlib.path import Path
        from matplotlib.transforms import IdentityTransform

        context = _context(edge, width)
        if hatch:
            context.set_hatch(hatch)
            context.set_hatch_color(to_rgb(edge))
            context.set_hatch_linewidth(THIN)
        corners = [(box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)]
        path = Path([*corners, corners[0]], closed=True)
        self._renderer.draw_path(context, path, IdentityTransform(), to_rgb(face))

    def measure(self, text: str, size: float = SIZE, *, is_bold: bool = False) -> float:
        """Width of the longest of some lines."""
        font = _font(size, is_bold)
        return max(self._renderer.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n"))

    def words(self, x: float, y: float, text: str, *, across: float = 0.0, size: float = SIZE, is_bold: bool = False,
              colour: str = INK) -> None:  # fmt: skip
        """Lines of words whose middle is at `y`; of their width the share `across` lies left of `x`."""
        font, context, lines = _font(size, is_bold), _context(colour, 1.0), text.split("\n")
        _, height, descent = self._renderer.get_text_width_height_descent("lp", font, False)
        first = y + LEADING * size * (len(lines) - 1) / 2 + descent - height / 2
        for place, line in enumerate(lines):
            left = x - across * self.measure(line, size, is_bold=is_bold)
            self._renderer.draw_text(context, left, first - LEADING * size * place, line, font, 0.0)

    def strike(self, box: Box, stamp: Stamp) -> None:
        """A stamp over a part of the chart: struck through with the word across, or the word in a corner."""
        if not stamp.is_struck:
            half = self.measure(stamp.word, is_bold=True) / 2
            self._framed(box.right - 4 - half, box.bottom + 9, stamp.word, SIZE)
            return
        rising, falling = ((box.left, box.bottom), (box.right, box.top)), ((box.left, box.top), (box.right, box.bottom))
        for colour, width in (("white", 4.0), ("black", 1.4)):
            self.line(rising, colour, width)
            self.line(falling, colour, width)
        self._framed((box.left + box.right) / 2, (box.bottom + box.top) / 2, stamp.word, 15.0)

    def _framed(self, x: float, y: float, word: str, size: float) -> None:
        reach, half = 0.3 * size, self.measure(word, size, is_bold=True) / 2
        self.box(Box(x - half - reach, y - size / 2 - reach, x + half + reach, y + size / 2 + reach), "white", "black",
                 width=1.2)  # fmt: skip
        self.words(x, y, word, across=0.5, size=size, is_bold=True, colour="black")


@contextmanager
def painting(width: float, height: float) -> Iterator[Brush]:
    """A brush on an empty sheet of our look, sizes in inches. RenderError for a sign that no font has."""
    stop_if_sized(width, height)
    from xai_audit.report.vector import VectorRenderer

    with our_look(), no_missing_glyphs():
        yield Brush(VectorRenderer(72 * width, 72 * height))


def _context(colour: str, width: float) -> Any:
    from matplotlib.backend_bases import GraphicsContextBase

    made = GraphicsContextBase()
    made.set_foreground(colour)
    made.set_linewidth(width)
    return made


@cache
def _font(size: float, is_bold: bool) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=["DejaVu Sans", *cjk_fonts()], size=size, weight="bold" if is_bold else "normal")
