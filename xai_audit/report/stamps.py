"""Marks burnt into pictures that may not be believed: seen in grey, in print, and when the picture is copied away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WHITE, BLACK = (255, 255, 255), (12, 12, 12)
STRUCK_WIDTH, TAG_WIDTH = 0.86, 0.4
"""Share of the picture's width that the word of a failed and of a weak picture takes at most."""
LARGEST, SMALLEST = 60, 7
"""Heights of letters in pixels."""


@dataclass(frozen=True)
class Stamp:
    """A word across a picture."""

    word: str
    is_struck: bool
    """Struck through from corner to corner with the word across; else the word stands small in a corner."""


def stamped(picture: Image, stamp: Stamp) -> Image:
    """A copy of an RGB picture with the stamp: black on white, so that it is seen on any ground."""
    from PIL import ImageDraw

    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    (_strike if stamp.is_struck else _tag)(pen, drawn.size, stamp.word)
    return drawn


def _strike(pen: ImageDraw, size: tuple[int, int], word: str) -> None:
    width, height = size
    thin = max(2, min(size) // 70)
    for ends in (((0, 0), (width, height)), ((0, height), (width, 0))):
        pen.line(ends, fill=WHITE, width=3 * thin)
        pen.line(ends, fill=BLACK, width=thin)
    font = _fitting(word, round(width * STRUCK_WIDTH), height // 4)
    left, top, right, bottom = font.getbbox(word)
    half_w, half_h = (right - left) / 2 + 3, (bottom - top) / 2 + 3
    box = (width / 2 - half_w, height / 2 - half_h, width / 2 + half_w, height / 2 + half_h)
    pen.rectangle(box, fill=WHITE, outline=BLACK, width=thin)
    pen.text((width / 2 - (left + right) / 2, height / 2 - (top + bottom) / 2), word, fill=BLACK, font=font)


def _tag(pen: ImageDraw, size: tuple[int, int], word: str) -> None:
    width, height = size
    font = _fitting(word, round(width * TAG_WIDTH), height // 8)
    left, top, right, bottom = font.getbbox(word)
    box_w, box_h = right - left + 6, bottom - top + 6
    pen.rectangle((width - box_w - 1, height - box_h - 1, width - 1, height - 1), fill=WHITE, outline=BLACK)
    pen.text((width - box_w + 2 - left, height - box_h + 2 - top), word, fill=BLACK, font=font)


def _fitting(word: str, width: int, height: int) -> FreeTypeFont:
    """The largest font in which the word is no wider and no higher than this."""
    for size in range(max(SMALLEST, min(LARGEST, 2 * height)), SMALLEST, -1):
        left, top, right, bottom = _font(size).getbbox(word)
        if right - left <= width and bottom - top <= height:
            return _font(size)
    return _font(SMALLEST)


@cache
def _font(size: int) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def strike_axes(axes: Axes, stamp: Stamp) -> None:
    """The same over a chart: struck through with the word across, or the word in a corner."""
    from matplotlib.lines import Line2D

    frame = {"facecolor": "white", "edgecolor": "black", "boxstyle": "square,pad=0.3", "linewidth": 1.2}
    if not stamp.is_struck:
        axes.text(0.99, 0.02, stamp.word, transform=axes.transAxes, ha="right", va="bottom", fontsize=8,
                  weight="bold", color="black", bbox=frame, zorder=20)  # fmt: skip
        return
    for ends in ((0, 1), (1, 0)):
        axes.add_line(Line2D((0, 1), ends, transform=axes.transAxes, color="white", lw=4, zorder=18))
        axes.add_line(Line2D((0, 1), ends, transform=axes.transAxes, color="black", lw=1.4, zorder=19))
    axes.text(0.5, 0.5, stamp.word, transform=axes.transAxes, ha="center", va="center", fontsize=15, weight="bold",
              color="black", bbox=frame, zorder=20)  # fmt: skip
