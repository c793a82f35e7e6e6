"""How far methods agree, two by two, as a matrix of numbers on shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import short
from xai_audit.report.style import INK, PALE, drawing, svg

if TYPE_CHECKING:
    from xai_audit.report.context import Context
    from xai_audit.report.pen import Pen

Pairs = Mapping[tuple[str, str], float]


def matrix_chart(context: Context, name: str, names: Sequence[str], pairs: Pairs, alt: str) -> Image:
    """The lower triangle of a symmetric matrix from -1 to 1: shade and number; negative cells are hatched."""
    return context.sketch(name, paint_matrix, (tuple(names), dict(pairs)), alt)


def paint_matrix(pen: Pen, names: Sequence[str], pairs: Pairs) -> Chart:
    """The same, drawn."""
    from matplotlib.patches import Rectangle

    size = len(names)
    with drawing(min(6.7, 2.2 + 0.46 * size), 1.2 + 0.36 * size) as (figure, axes):
        for row, first in enumerate(names):
            for column, second in enumerate(names[:row]):
                value = pairs.get((first, second), pairs.get((second, first)))
                shade = PALE if value is None else _shade(abs(value))
                axes.add_patch(Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor=shade, edgecolor="white", lw=1.0,
                    hatch="////" if value is not None and value < 0 else None,
                ))  # fmt: skip
                if value is not None:
                    text = pen.numbers.value("rank_correlation", value, "share")
                    is_dark = abs(value) > 0.55
                    axes.text(column, row, text, ha="center", va="center", fontsize=7,
                              color="white" if is_dark else INK)  # fmt: skip
        axes.set_xlim(-0.5, size - 1.5)
        axes.set_ylim(size - 0.5, 0.5)
        axes.set_xticks(range(size - 1), [short(each, 18) for each in names[:-1]], rotation=40, ha="right",
                        rotation_mode="anchor")  # fmt: skip
        axes.set_yticks(range(1, size), [short(each, 24) for each in names[1:]])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return svg(figure)


def _shade(share: float) -> tuple[float, float, float]:
    pale, deep = (0.94, 0.96, 0.98), (0.09, 0.30, 0.50)
    red, green, blue = (a + (b - a) * min(share, 1.0) for a, b in zip(pale, deep, strict=True))
    return red, green, blue
