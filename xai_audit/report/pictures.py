"""Pictures of cases: the input and maps over it, encoded anew from arrays so that nothing of a file comes along."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_audit.explain.shares import BORDER, CENTRE
from xai_audit.report.context import Context
from xai_audit.report.document import Chart, Image
from xai_audit.report.maps import Floats, Range, ShownMaps
from xai_audit.report.pen import Pen
from xai_audit.report.stamps import Stamp, stamped
from xai_audit.report.style import INK, drawing, svg

Bytes = npt.NDArray[np.uint8]

QUALITY = 85
LARGEST_SIDE = 224
SMALLEST_SIDE = 96
BUDGET = 2_200_000
"""Bytes for all pictures of cases; the side shrinks first, then fewer cases are shown and the rest counted."""
BYTES_A_PIXEL = 0.35
HATCH_EVERY = 6
GROUND = 240.0
"""Grey behind a map that lies over no image."""
LINE = 96.0
LIGHT = 127.0

_SEQUENTIAL = ((0.0, (253, 231, 37)), (0.35, (246, 146, 30)), (0.7, (190, 40, 60)), (1.0, (92, 10, 84)))
"""From bright to dark with rising value, so that a print in grey keeps the order."""
_POSITIVE = ((0.0, (255, 214, 140)), (0.5, (236, 130, 30)), (1.0, (150, 52, 4)))
_NEGATIVE = ((0.0, (190, 214, 240)), (0.5, (70, 130, 190)), (1.0, (14, 52, 110)))


def _ramp(stops: Sequence[tuple[float, tuple[int, int, int]]], value: Floats) -> Floats:
    places = [place for place, _ in stops]
    return np.stack([np.interp(value, places, [colour[k] for _, colour in stops]) for k in range(3)], axis=-1)


def _colours(value: Floats, is_signed: bool) -> Floats:
    if not is_signed:
        return _ramp(_SEQUENTIAL, value)
    return np.where((value < 0)[..., None], _ramp(_NEGATIVE, -value), _ramp(_POSITIVE, value))


def overlay(image: Bytes, one: Floats, scale: Range) -> Bytes:
    """A map over the greyed input: the stronger the value the more colour; negative values are blue and hatched."""
    grey = np.repeat(_rgb(image).mean(axis=2, keepdims=True), 3, axis=2) * 0.75 + 255 * 0.25
    return _painted(grey, one, scale)


def map_alone(one: Floats, scale: Range, side: int) -> Bytes:
    """A map over even grey, with dotted lines around the parts whose shares are counted: all but the border, centre.

    A small map is enlarged in whole steps to about `side` before the lines are drawn, so that they stay thin.
    """
    factor = max(1, side // max(one.shape))
    large = np.kron(one, np.ones((factor, factor)))
    drawn = _painted(np.full((*large.shape, 3), GROUND), large, scale)
    for start, end in ((BORDER, 1 - BORDER), CENTRE):
        drawn[_dotted_box(large.shape, start, end)] = LINE
    return drawn


def _painted(ground: Floats, one: Floats, scale: Range) -> Bytes:
    value = np.clip(one / scale.end, -1, 1) if scale.end > 0 else np.zeros_like(one)
    strength = np.clip(np.abs(value) * 1.1, 0, 0.85)[..., None]
    drawn = ground * (1 - strength) + _colours(value, scale.is_signed) * strength
    if scale.is_signed:
        rows, columns = np.indices(value.shape)
        lines = ((rows + columns) % HATCH_EVERY < 1) & (value < -0.15)
        drawn[lines] = drawn[lines] * 0.35
    return drawn.round().astype(np.uint8)


def _dotted_box(shape: tuple[int, ...], start: float, end: float) -> npt.NDArray[np.bool_]:
    height, width = shape
    rows, columns = np.indices(shape)
    top, bottom = round(start * height), max(round(end * height) - 1, 0)
    left, right = round(start * width), max(round(end * width) - 1, 0)
    is_line = np.isin(rows, (top, bottom)) & (columns >= left) & (columns <= right)
    is_line |= np.isin(columns, (left, right)) & (rows >= top) & (rows <= bottom)
    return np.asarray(is_line & ((rows + columns) % 4 < 2))


def _rgb(image: Bytes) -> Floats:
    pixels = image.astype(np.float64)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]


def outlined(picture: Bytes, mask: npt.NDArray[np.bool_]) -> Bytes:
    """The picture with the mask's border: white beside black, seen on any ground."""
    inner = _shrunk(mask)
    drawn = picture.copy()
    drawn[mask & ~inner] = (255, 255, 255)
    drawn[inner & ~_shrunk(inner)] = (10, 10, 10)
    return drawn


def bordered(picture: Bytes, labels: npt.NDArray[np.integer | np.floating]) -> Bytes:
    """The picture with thin lines between superpixels: black on light ground, white on dark."""
    drawn = picture.copy()
    sides = _at_size(np.asarray(labels).reshape(labels.shape[-2:]), (picture.shape[0], picture.shape[1]))
    is_border = np.zeros(sides.shape, dtype=bool)
    is_border[:-1] |= sides[:-1] != sides[1:]
    is_border[:, :-1] |= sides[:, :-1] != sides[:, 1:]
    ground = drawn[is_border].astype(np.float64)
    line = np.where(ground.mean(axis=1, keepdims=True) > LIGHT, 0.0, 255.0)
    drawn[is_border] = (ground * 0.4 + line * 0.6).round().astype(np.uint8)
    return drawn


def _at_size(labels: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Labels at another size, each place the nearest one's."""
    rows, columns = (np.arange(wide) * have // wide for wide, have in zip(size, labels.shape, strict=True))
    return np.asarray(labels[rows[:, None], columns])


def _shrunk(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    padded = np.pad(mask, 1, constant_values=False)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def input_picture(image: Bytes) -> Bytes:
    """The input as RGB."""
    return _rgb(image).round().astype(np.uint8)


def side_for(pictures: int, size: tuple[int, int]) -> int:
    """Longest side in pixels at which so many pictures stay within the budget."""
    affordable = int((BUDGET / max(pictures, 1) / BYTES_A_PIXEL) ** 0.5)
    return max(SMALLEST_SIDE, min(LARGEST_SIDE, max(size), affordable))


def cases_within_budget(pictures_a_case: int) -> int:
    """How many cases fit even at the smallest side."""
    return max(1, int(BUDGET / (pictures_a_case * BYTES_A_PIXEL * SMALLEST_SIDE**2)))


def jpeg(picture: Bytes, side: int, stamp: Stamp | None = None) -> bytes:
    """JPEG of an array; small pictures are enlarged in whole steps, so that pixels stay pixels; then stamped."""
    from PIL import Image as Pillow

    drawn = Pillow.fromarray(np.ascontiguousarray(picture))
    longest = max(drawn.size)
    factor = max(1, side // longest) if longest <= side else side / longest
    if factor != 1:
        size = (max(1, round(drawn.size[0] * factor)), max(1, round(drawn.size[1] * factor)))
        drawn = drawn.resize(size, Pillow.Resampling.NEAREST if factor > 1 else Pillow.Resampling.LANCZOS)
    if stamp is not None:
        drawn = stamped(drawn, stamp)
    out = io.BytesIO()
    drawn.save(out, format="JPEG", quality=QUALITY, optimize=True, subsampling="4:2:0")
    return out.getvalue()


def input_alt(context: Context, image: Bytes) -> str:
    """Size and brightness of the input."""
    return context.label("alt.input").format(
        width=context.numbers.count(image.shape[1]), height=context.numbers.count(image.shape[0]),
        brightness=context.numbers.plain(float(image.mean())),
    )  # fmt: skip


def map_alt(context: Context, shown: ShownMaps, index: int) -> str:
    """Largest and smallest value, where the largest lies, and how much of the image reaches half of it."""
    name = context.method_name(shown.label)
    if shown.remarks[index]:
        return context.label("alt.map_empty").format(method=name, remark=context.label(shown.remarks[index]))
    return array_alt(context, name, shown.maps[index], is_signed=shown.scale.is_signed)


def array_alt(context: Context, name: str, one: Floats, *, is_signed: bool) -> str:
    """The same of any map with a name."""
    high, low = float(one.max()), float(one.min())
    share = float((one >= high / 2).mean()) if high > 0 else 0.0
    text = context.label("alt.map").format(
        method=name, place=place_of_largest(context, one), high=context.numbers.plain(high),
        low=context.numbers.plain(low), share=context.numbers.value("area", share, "share"),
    )  # fmt: skip
    negative = float((one < 0).mean())
    if is_signed and negative > 0:
        below = context.label("alt.map_negative").format(share=context.numbers.value("area", negative, "share"))
        text = context.words.joined((text, below))
    return text


def place_of_largest(context: Context, one: Floats) -> str:
    """Where a map is largest, in words: one of nine parts of the image."""
    row, column = np.unravel_index(int(one.argmax()), one.shape)
    return context.label(f"alt.place.p{_third(int(row), one.shape[0])}{_third(int(column), one.shape[1])}")


def _third(place: int, length: int) -> int:
    return min(2, 3 * place // length)


def scale_image(context: Context, name: str, label: str, scale: Range) -> Image:
    """The colour scale of a method with its ends; `name` tells the picture from others."""
    alt = context.label("alt.scale.signed" if scale.is_signed else "alt.scale.plain").format(
        method=context.method_name(label), low=context.numbers.plain(scale.start), high=context.numbers.plain(scale.end)
    )
    return context.sketch(name, paint_scale, (scale,), alt)


def paint_scale(pen: Pen, scale: Range) -> Chart:
    """The same, drawn."""
    with drawing(2.05, 0.42) as (figure, axes):
        line = np.linspace(-1 if scale.is_signed else 0, 1, 128)
        strength = np.clip(np.abs(line) * 1.1, 0, 0.85)[:, None]
        colours = _colours(line, scale.is_signed) * strength + 235 * (1 - strength)
        axes.imshow(colours[None].astype(np.uint8), aspect="auto", extent=(scale.start, scale.end or 1.0, 0, 1))
        if scale.is_signed:
            axes.fill_between(
                [scale.start, 0], 0, 1, facecolor="none", edgecolor=INK, hatch="\\\\\\\\", linewidth=0, alpha=0.6
            )
        ticks = [scale.start, 0.0, scale.end] if scale.is_signed else [0.0, scale.end]
        axes.set_xticks(ticks, [pen.numbers.plain(tick) for tick in ticks])
        axes.set_yticks([])
        axes.tick_params(length=2, labelsize=7.5)
        axes.spines["left"].set_visible(False)
        return svg(figure)


def legend_image(context: Context, name: str, *, is_signed: bool) -> Image:
    """A colour bar in words: what no colour, full colour and hatching mean, whatever the method."""
    keys = ("against", "nothing", "towards") if is_signed else ("nothing", "most")
    words = [context.label(f"gallery.legend.{key}") for key in keys]
    alt = context.label("alt.legend").format(words=context.words.listed(words))
    return context.sketch(name, paint_legend, (tuple(words), is_signed), alt)


def paint_legend(pen: Pen, words: Sequence[str], is_signed: bool) -> Chart:
    """The same, drawn."""
    with drawing(2.4, 0.42) as (figure, axes):
        start = -1.0 if is_signed else 0.0
        line = np.linspace(start, 1, 128)
        strength = np.clip(np.abs(line) * 1.1, 0, 0.85)[:, None]
        colours = _colours(line, is_signed) * strength + 235 * (1 - strength)
        axes.imshow(colours[None].astype(np.uint8), aspect="auto", extent=(start, 1, 0, 1))
        if is_signed:
            axes.fill_between([-1, 0], 0, 1, facecolor="none", edgecolor=INK, hatch="\\\\\\\\", linewidth=0, alpha=0.6)
        axes.set_xticks(np.linspace(start, 1, len(words)), words)
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.set_yticks([])
        axes.tick_params(length=2, labelsize=7.5)
        axes.spines["left"].set_visible(False)
        return svg(figure)
