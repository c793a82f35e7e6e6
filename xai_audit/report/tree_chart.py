"""A surrogate tree drawn as an indented outline, and its fidelity by number of leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH, short
from xai_audit.report.shown_tree import ShownNode, step_words
from xai_audit.report.style import BLUE, INK, MUTED, ORANGE, PALE, RULE, drawing, quiet, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from xai_audit.report.pen import Pen

LINE, INDENT, SIZE = 0.2, 0.17, 7.5
"""Height of a line and width of a step in inches; size of letters in points."""
SHORTEST = 9
"""Letters that are left of a name that is too long."""
ANSWER, BAR, COUNT = 4.25, 5.35, 6.0
"""Where the columns begin, in inches."""
BAR_WIDTH = 0.55


@dataclass(frozen=True)
class Line:
    """One node in words: its test and cases, and of a leaf its answer and the share of its cases that are alike."""

    depth: int
    said: str
    cases: str
    is_leaf: bool
    answer: str
    spread: float | None


def tree_chart(context: Context, record: Evidence, nodes: Sequence[ShownNode]) -> Image:
    """One line a node, indented by its depth: its test, and for a leaf its answer, a bar and the cases."""
    lines = tuple(_in_words(context, record, node) for node in nodes)
    return context.sketch(f"tree-{record.subject}", paint_tree, (lines,), tree_alt(context, record, nodes))


def _in_words(context: Context, record: Evidence, node: ShownNode) -> Line:
    said = plain(step_words(context, record, node.way[-1])) if node.way else context.label("surrogate.every_case")
    answer = plain(node.answer) if node.is_leaf else ""
    return Line(node.depth, said, context.numbers.shown(node.cases), node.is_leaf, answer, node.spread)


def paint_tree(pen: Pen, nodes: Sequence[Line]) -> Chart:
    """The same, drawn."""
    height = LINE * (len(nodes) + 1.3)
    with drawing(WIDTH, height) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(len(nodes) - 0.2, -1.5)
        axes.set_axis_off()
        _heads(pen, axes)
        for row, node in enumerate(nodes):
            _branch(axes, nodes, row)
            _line(axes, row, node)
        return svg(figure)


def _heads(pen: Pen, axes: Axes) -> None:
    at = {"tests": 0.0, "answer": ANSWER, "alike": BAR, "cases": WIDTH}
    for key, place in at.items():
        side = "right" if key == "cases" else "left"
        axes.text(place, -1, pen.label(f"surrogate.head.{key}"), fontsize=7, color=MUTED, va="center", ha=side)
    axes.plot([0, WIDTH], [-0.5, -0.5], color=RULE, lw=0.6)


def _branch(axes: Axes, nodes: Sequence[Line], row: int) -> None:
    """From the parent's line down to this one and a little to the right."""
    depth = nodes[row].depth
    if depth == 0:
        return
    parent = next(above for above in range(row - 1, -1, -1) if nodes[above].depth == depth - 1)
    x = INDENT * (depth - 1) + 0.06
    style: dict[str, Any] = {"color": MUTED, "lw": 0.8, "solid_capstyle": "butt"}
    axes.plot([x, x], [parent + 0.38, row], **style)
    axes.plot([x, x + INDENT - 0.08], [row, row], **style)


def _line(axes: Axes, row: int, node: Line) -> None:
    x = INDENT * node.depth
    fitted(axes, (x, row), node.said, ANSWER - 0.1 - x, fontsize=SIZE, color=INK)
    axes.text(WIDTH, row, node.cases, fontsize=7, color=INK if node.is_leaf else MUTED, va="center", ha="right")
    if not node.is_leaf:
        return
    fitted(axes, (ANSWER, row), node.answer, BAR - ANSWER - 0.1, fontsize=SIZE, color=INK, fontweight="bold")
    if node.spread is not None:
        _bar(axes, row, node.spread)


def fitted(axes: Axes, at: tuple[float, float], said: str, width: float, **look: Any) -> Text:
    """A line of text that is no wider than `width` inches; the middle of a longer one goes."""
    line = axes.text(*at, said, va="center", **look)
    fits, too_many = SHORTEST, len(said)
    if drawn_width(line) <= width:
        return line
    while too_many - fits > 1:
        letters = (fits + too_many) // 2
        line.set_text(short(said, letters))
        fits, too_many = (letters, too_many) if drawn_width(line) <= width else (fits, letters)
    line.set_text(short(said, fits))
    return line


def drawn_width(line: Text) -> float:
    """Inches that a line takes in the SVG, whose letters are outlines (a raster's are narrower or wider)."""
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), line.get_text(), prop=line.get_fontproperties())
    return float(outline.get_extents().width) / 72


def _bar(axes: Axes, row: int, share: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((BAR, row - 0.27), BAR_WIDTH, 0.54, facecolor=PALE, edgecolor=MUTED, lw=0.5, hatch="////"))
    axes.add_patch(Rectangle((BAR, row - 0.27), BAR_WIDTH * share, 0.54, facecolor=BLUE, edgecolor=MUTED, lw=0.5))


def tree_alt(context: Context, record: Evidence, nodes: Sequence[ShownNode]) -> str:
    """Leaves, depth, the first test, and the leaf where most cases arrive."""
    leaves = [node for node in nodes if node.is_leaf]
    write = context.numbers
    largest = max(leaves, key=lambda node: node.cases)
    first = plain(step_words(context, record, next(node.way[0] for node in nodes if node.way)))
    return context.label("surrogate.alt.tree").format(
        leaves=write.count(len(leaves)), depth=write.count(max(node.depth for node in nodes)), first=first,
        answer=plain(largest.answer), cases=write.shown(largest.cases),
    )  # fmt: skip


def curve_chart(context: Context, record: Evidence) -> Image:
    """Fidelity against leaves with intervals, the declared least and the baseline as lines."""
    curve, least = tuple(dict(point) for point in record.details["curve"]), record.details["limits"]["min_fidelity"]
    return context.sketch(f"tree-curve-{record.subject}", paint_curve, (curve, least), curve_alt(context, record))


def paint_curve(pen: Pen, curve: Sequence[Mapping[str, Any]], least: float) -> Chart:
    """The same, drawn; shares from 0 to 1."""
    least, base = least * 100, curve[0]["fidelity"] * 100
    with drawing(WIDTH, 2.1) as (figure, axes):
        for point in curve:
            if point["low"] is not None:
                ends = [point["low"] * 100, point["high"] * 100]
                axes.plot([point["leaves"]] * 2, ends, color=BLUE, lw=1.4, solid_capstyle="butt")
        leaves, values = [point["leaves"] for point in curve], [point["fidelity"] * 100 for point in curve]
        axes.plot(leaves, values, marker="o", color=BLUE, ms=5, lw=0.8)
        axes.axhline(least, color=INK, lw=1.2, label=pen.label("surrogate.least"))
        axes.axhline(base, color=ORANGE, lw=1.0, ls=(0, (4, 2)), label=pen.label("surrogate.baseline"))
        axes.set_xticks(leaves)
        axes.set_xlabel(pen.label("surrogate.leaves_axis"))
        axes.yaxis.set_major_formatter(lambda tick, _: pen.numbers.tick(tick, is_percent=True))
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderpad=0)
        quiet(axes, "y")
        return svg(figure)


def curve_alt(context: Context, record: Evidence) -> str:
    """From one leaf to all of them, and where the tree is best."""
    curve, write = record.details["curve"], context.numbers
    best = max(curve, key=lambda point: point["fidelity"])
    parts = {"first": curve[0], "last": curve[-1], "best": best}
    numbers = {key: write.value("fidelity", point["fidelity"], "share") for key, point in parts.items()}
    return context.label("surrogate.alt.curve").format(
        **numbers, leaves=write.count(curve[-1]["leaves"]), best_leaves=write.count(best["leaves"])
    )
