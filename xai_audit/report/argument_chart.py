"""A safety argument drawn from left to right, its parts as the Goal Structuring Notation shapes them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xai_audit.report.context import Context
from xai_audit.report.document import Chart, Image
from xai_audit.report.figures import WIDTH
from xai_audit.report.style import INK, MUTED, PALE, drawing, svg
from xai_audit.verdict.argument import SUPPORTS, Branch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xai_audit.report.pen import Pen

ROW = 0.62
"""Inches from one leaf to the next below."""
BOX = 0.50
GAP = 0.22
"""Inches between two columns."""
MOST_ROWS = 14
"""Leaves on one drawing; a larger argument is drawn in parts."""
MOST_LINES = 2
LETTER = 0.058
"""Inches that a narrow letter takes at the size of the text; a wide one takes two."""
CLOSING = "，。；：！？、）”"
"""Signs that never begin a line."""
BOLD = 0.064
"""The same of a bold letter."""


@dataclass(frozen=True)
class Box:
    """A node as it is drawn."""

    head: str
    """Its id; of a leaf also sign and word of what it comes to."""
    kind: str
    lines: tuple[str, ...]
    column: int
    row: float
    upper: int | None
    """Place of the node that it stands under."""


def argument_charts(context: Context, top: Branch, marks: dict[str, str]) -> tuple[tuple[Branch, Image], ...]:
    """One drawing, or one of the top and one of each part that is too large to stand in it, with what each shows.

    `marks` has the sign and the word of each state of a leaf.
    """
    return tuple((part, _chart(context, f"argument-{part.node.id}", part, cut, marks)) for part, cut in parts_of(top))


def parts_of(top: Branch) -> list[tuple[Branch, frozenset[str]]]:
    """What each drawing shows: a branch, and the ids of those below it that are drawn without what is under them."""
    cut: set[str] = set()
    while _rows(top, cut) > MOST_ROWS:
        candidates = [
            branch
            for branch in top.every()
            if branch is not top and branch.below and branch.node.id not in cut and _is_shown(top, branch, cut)
        ]
        if not candidates:
            break
        cut.add(max(candidates, key=lambda branch: (_rows(branch, cut), -len(branch.node.id))).node.id)
    inner = [branch for branch in top.every() if branch.node.id in cut]
    return [(top, frozenset(cut)), *(part for branch in inner for part in parts_of(branch))]


def _is_shown(top: Branch, wanted: Branch, cut: set[str]) -> bool:
    if top is wanted:
        return True
    return top.node.id not in cut and any(_is_shown(branch, wanted, cut) for branch in top.below)


def _rows(branch: Branch, cut: set[str] | frozenset[str], is_top: bool = True) -> int:
    if not branch.below or (branch.node.id in cut and not is_top):
        return 1
    return sum(_rows(child, cut, is_top=False) for child in branch.below)


def boxes(context: Context, top: Branch, cut: frozenset[str], marks: dict[str, str], width: float) -> list[Box]:
    """Every node of a drawing with its place; what stands under one follows it."""
    made: list[Box] = []
    next_row = 0.0

    def place(branch: Branch, column: int, upper: int | None) -> float:
        nonlocal next_row
        at, is_cut = len(made), branch.node.id in cut and column > 0
        text = context.text(branch.node.text)
        mark = context.label("argument.drawn_below") if is_cut else marks.get(branch.state, "")
        head = _fitting(f"{branch.node.id}  {mark}".rstrip(), int((width - 0.1) / BOLD))
        lines = wrapped(text, int((width - 0.14) / LETTER), MOST_LINES)
        made.append(Box(head, branch.node.kind, lines, column, 0.0, upper))
        below = () if is_cut else branch.below
        rows = [place(child, column + 1, at) for child in below]
        if not rows:
            rows, next_row = [next_row], next_row + 1
        row = (rows[0] + rows[-1]) / 2
        made[at] = replace(made[at], row=row)
        return row

    place(top, 0, None)
    return made


def wrapped(text: str, letters: int, most: int) -> tuple[str, ...]:
    """The text in lines of so many narrow letters, a wide one counting twice; what does not fit ends in an ellipsis."""
    lines, line = [], ""
    for word in _words(text):
        if line and _wide(line + word) > letters:
            lines.append(line.strip())
            line = ""
        line += word if line else word.lstrip()
    lines.append(line.strip())
    kept = [_fitting(each, letters) for each in lines[:most]]
    if len(lines) > most:
        kept[-1] = _fitting(kept[-1] + "…", letters)
    return tuple(kept)


def _words(text: str) -> list[str]:
    """Words with the space before them; each wide letter is a word of its own, with the sign that closes it."""
    words: list[str] = []
    for sign in text:
        is_new = sign.isspace() or _wide(sign) > 1 or not words or _wide(words[-1][-1:]) > 1
        if is_new and not (words and sign in CLOSING):
            words.append(sign)
        else:
            words[-1] += sign
    return words


def _wide(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _fitting(line: str, letters: int) -> str:
    if _wide(line) <= letters:
        return line
    while line and _wide(line) >= letters:
        line = line[:-1]
    return line.rstrip("…") + "…"


def _chart(context: Context, name: str, top: Branch, cut: frozenset[str], marks: dict[str, str]) -> Image:
    step = WIDTH / (1 + _depth(top, cut))
    drawn = tuple(boxes(context, top, cut, marks, step - GAP))
    return context.sketch(name, paint_argument, (drawn, step), argument_alt(context, top))


def paint_argument(pen: Pen, drawn: Sequence[Box], step: float) -> Chart:
    """The boxes of one drawing, each column `step` inches wide; their words are chosen already."""
    width = step - GAP
    height = ROW * (1 + max(box.row for box in drawn)) + 0.06
    with drawing(WIDTH, height) as (figure, axes):
        figure.set_layout_engine("none")
        axes.set_position((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        axes.set_axis_off()
        at = [(box.column * step + 0.05, 0.33 + ROW * box.row) for box in drawn]
        for box, (x, y) in zip(drawn, at, strict=True):
            if box.upper is not None:
                _line(axes, (at[box.upper][0] + width, at[box.upper][1]), (x, y), is_support=box.kind in SUPPORTS)
        for box, (x, y) in zip(drawn, at, strict=True):
            _shape(axes, box, x, y, width)
        return svg(figure)


def _depth(branch: Branch, cut: frozenset[str], is_top: bool = True) -> int:
    if not branch.below or (branch.node.id in cut and not is_top):
        return 0
    return 1 + max(_depth(child, cut, is_top=False) for child in branch.below)


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, is_support: bool) -> None:
    """Solid with a filled head for support, dashed with an open one for what a claim rests on."""
    axes.annotate(
        "", xy=end, xytext=start,
        arrowprops={
            "arrowstyle": "-|>" if is_support else "->", "color": INK if is_support else MUTED, "lw": 0.9,
            "ls": "-" if is_support else (0, (3, 2)), "shrinkA": 0, "shrinkB": 0,
            "connectionstyle": "arc3,rad=0",
        },
    )  # fmt: skip


def _shape(axes: Axes, box: Box, x: float, y: float, width: float) -> None:
    """Rectangle for a goal, parallelogram for a strategy, round for a solution and for what a claim rests on."""
    from matplotlib.patches import FancyBboxPatch, Polygon

    left, right, low, high = x, x + width, y - BOX / 2, y + BOX / 2
    look: dict[str, Any] = {"facecolor": PALE if box.kind in SUPPORTS else "white", "edgecolor": INK, "lw": 0.9}
    if box.kind == "strategy":
        corners = [(left + 0.08, low), (right, low), (right - 0.08, high), (left, high)]
        axes.add_patch(Polygon(corners, closed=True, **look))
    elif box.kind == "defeater":
        corners = [
            (left, y),
            (left + 0.1, low),
            (right - 0.1, low),
            (right, y),
            (right - 0.1, high),
            (left + 0.1, high),
        ]
        axes.add_patch(Polygon(corners, closed=True, **{**look, "edgecolor": "#9c1c1c", "ls": (0, (4, 2))}))
    else:
        radius = 0.0 if box.kind == "goal" else BOX / 2.2 if box.kind == "solution" else 0.12
        style = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
        dashes = "-" if box.kind in SUPPORTS else (0, (3, 2))
        axes.add_patch(FancyBboxPatch((left, low), width, BOX, boxstyle=style, **{**look, "ls": dashes}))
    lines = (box.head, *box.lines)
    for place, text in enumerate(lines):
        shift = (place - (len(lines) - 1) / 2) * 0.14
        axes.text(
            (left + right) / 2, y + shift, text, ha="center", va="center", fontsize=7.0,
            fontweight="bold" if place == 0 else "normal",
        )  # fmt: skip


def argument_alt(context: Context, top: Branch) -> str:
    """What the top claims, how many nodes of each kind there are, and which leaves are not met."""
    count = context.numbers.count
    kinds: Sequence[str] = ("goal", "strategy", "solution", "context", "assumption", "justification", "defeater")
    every = [branch.node.kind for branch in top.every()]
    parts = [
        context.words.plural(f"argument.count.{kind}", every.count(kind)).format(count=count(every.count(kind)))
        for kind in kinds
        if kind in every
    ]
    listed = context.words.listed(parts)
    unmet = [leaf.node.id for leaf in top.leaves if leaf.state != "pass"]
    text = context.label("alt.argument").format(
        top=top.node.id, kinds=listed, met=count(top.met), leaves=count(len(top.leaves))
    )
    if not unmet:
        return text
    named = context.words.listed(unmet)
    return context.words.joined([text, context.label("alt.argument_unmet").format(ids=named)])
