"""A formula in LaTeX set as a picture, in lines that fit the page."""

from __future__ import annotations

from xai_audit.report.document import Drawn, Image
from xai_audit.report.figures import WIDTH
from xai_audit.report.style import INK, drawing, svg

SIZE, SMALLEST = 10.5, 7.0
"""Size of letters in points, and the smallest that is still read."""


def formula(name: str, text: str, alt: str) -> Image | None:
    """The formula as SVG; None where it holds what cannot be set, and the text must do."""
    lines = _lines(text)
    try:
        widths = [_inches(line) for line in lines]
    except ValueError:
        return None
    size = max(SMALLEST, min(SIZE, SIZE * WIDTH / max(*widths, 0.1)))
    with drawing(WIDTH, 0.42 * len(lines) * size / SIZE + 0.12) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, 1)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_axis_off()
        for row, line in enumerate(lines):
            axes.text(0.0, row, f"${line}$", fontsize=size, color=INK, va="center", ha="left", parse_math=True)
        return Image(name, "image/svg+xml", Drawn.of(svg(figure)), alt)


def _lines(text: str) -> list[str]:
    """The formula broken before its sums and factors, so that no line is wider than the page at the smallest size."""
    plain = text.replace(r"\left.", r"\left.")
    pieces, depth, start = [], 0, 0
    for at, sign in enumerate(plain):
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(sign, 0)
        if depth == 0 and at > start and plain.startswith(r"\, ", at):
            pieces.append(plain[start:at])
            start = at
    pieces.append(plain[start:])
    lines, room = [""], WIDTH * SIZE / SMALLEST
    for piece in pieces:
        try:
            is_long = bool(lines[-1]) and _inches(lines[-1] + piece) > room
        except ValueError:
            is_long = False
        lines = [*lines, rf"\qquad {piece}"] if is_long else [*lines[:-1], lines[-1] + piece]
    return lines


def _inches(text: str) -> float:
    """Width at full size; ValueError for what cannot be set."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    return float(MathTextParser("path").parse(f"${text}$", dpi=72, prop=FontProperties(size=SIZE)).width) / 72
