"""A back end of matplotlib that draws once and writes twice: a small SVG for the browser, PDF operators for print.

Letters are text in the SVG, stretched to the width they were measured at, and outlines in the PDF: it needs no font,
and WeasyPrint, which would take half a second for a chart, has nothing to draw.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.path import Path
from matplotlib.textpath import TextToPath
from matplotlib.transforms import Affine2D, Bbox

RASTER_DPI = 200
"""Of parts with so many marks that they are drawn as an image."""
HATCH_TILE = 72.0
"""Side of the square that a hatch repeats, in points."""
FAMILIES = "'DejaVu Sans','Noto Sans CJK SC','Microsoft YaHei','PingFang SC',Verdana,sans-serif"
"""Fonts of the SVG, which cannot bring its own."""
CAPS = {"butt": 0, "round": 1, "projecting": 2}
JOINS = {"miter": 0, "round": 1, "bevel": 2}
SVG_CAPS = {"round": "round", "projecting": "square"}
MOST_DIGITS = 1e5
NEARLY = 0.01
"""Points by which something may leave its clip before it is cut."""

OPERATORS = {1: " m", 2: " l", 3: " c", 4: " c"}

Commands = Sequence[tuple[int, Sequence[float]]]


@dataclass(frozen=True)
class Look:
    """How one shape is painted."""

    face: tuple[float, ...] | None
    """Red, green, blue and opacity, each from 0 to 1; None for no filling."""
    edge: tuple[float, ...] | None
    width: float
    dash: tuple[float, tuple[float, ...]]
    cap: str
    join: str


@dataclass(frozen=True, eq=False)
class Pasted:
    """A part that was drawn as pixels."""

    pixels: npt.NDArray[np.uint8]
    """(rows, columns, 4), the first row at the top."""


@dataclass
class Sheet:
    """What has been drawn so far, in both forms; `y` of the SVG runs down, that of the PDF up."""

    width: float
    height: float
    svg: list[str] = field(default_factory=list)
    definitions: dict[str, str] = field(default_factory=dict)
    pdf: list[str] = field(default_factory=list)
    opacities: dict[tuple[float, float], str] = field(default_factory=dict)
    pasted: list[Pasted] = field(default_factory=list)


def short(value: float) -> str:
    """A coordinate to a hundredth of a point, never with an exponent, which PDF does not have."""
    return f"{round(value, 2):g}" if abs(value) < MOST_DIGITS else f"{value:.0f}"


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def _rgb(colour: Sequence[float]) -> str:
    return " ".join(f"{part:.4f}" for part in colour[:3])


def svg_path(commands: Commands, height: float) -> str:
    """Path data with y running down."""
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    parts: list[str] = []
    for code, points in commands:
        parts.append(letters[code])
        if code != Path.CLOSEPOLY:
            turned = [height - value if place % 2 else value for place, value in enumerate(points)]
            parts.append(" ".join(map(short, turned)))
    return "".join(parts)


def pdf_path(commands: Commands) -> str:
    """Path operators; a curve of the second degree as one of the third."""
    return "\n".join(
        "h" if code == Path.CLOSEPOLY else " ".join(map(short, points)) + OPERATORS[code]
        for code, points in _of_third_degree(commands)
    )


def _of_third_degree(commands: Commands) -> Iterator[tuple[int, Sequence[float]]]:
    x = y = 0.0
    for code, points in commands:
        if code == Path.CURVE3:
            a, b, x1, y1 = points
            points = (x + 2 * (a - x) / 3, y + 2 * (b - y) / 3, x1 + 2 * (a - x1) / 3, y1 + 2 * (b - y1) / 3, x1, y1)
        yield code, points
        if code != Path.CLOSEPOLY:
            x, y = points[-2], points[-1]


def commands_of(path: Path, transform: Any, **how: Any) -> list[tuple[int, tuple[float, ...]]]:
    """Codes and points of a path in points of the page."""
    segments = path.iter_segments(transform, curves=True, **how)
    return [(int(code), tuple(float(value) for value in points)) for points, code in segments]


_TEXT: Any = TextToPath()


@dataclass(frozen=True, eq=False)
class Outline:
    """PDF operators of a letter or a formula, with a place for each of its numbers."""

    form: str
    points: npt.NDArray[np.float64]
    """(numbers / 2, 2) in hundredths of an em."""

    @classmethod
    def of(cls, vertices: Any, codes: Any) -> Outline:
        """The outline of a path of matplotlib."""
        commands = list(_of_third_degree(commands_of(Path(vertices, codes), None))) if len(vertices) else []
        lines = [
            "h" if code == Path.CLOSEPOLY else " ".join(["%.0f"] * len(points)) + OPERATORS[code]
            for code, points in commands
        ]
        numbers = [value for code, points in commands if code != Path.CLOSEPOLY for value in points]
        return cls("\n".join(lines), np.array(numbers, dtype=np.float64).reshape(-1, 2))


_PATHS: dict[str, Any] = {}
_LETTERS: dict[str, Outline] = {}
"""Of every letter seen so far, by its font and number there."""


@lru_cache(maxsize=4096)
def _outlines(text: str, font: Any, is_math: bool) -> str:
    """PDF operators of a line of text, a hundred units an em and none of them split: less than can be printed."""
    if is_math:
        whole = Outline.of(*_TEXT.get_text_path(font, text, ismath=True))
        return whole.form % tuple(whole.points.ravel())
    placed, paths, _ = _TEXT.get_glyphs_with_font(_TEXT._get_font(font), text, _PATHS)
    for name in {each[0] for each in placed} - _LETTERS.keys():
        _LETTERS[name] = Outline.of(*paths[name])
    letters = [(_LETTERS[name], (x, y)) for name, x, y, _ in placed if _LETTERS[name].form]
    numbers = [letter.points + at for letter, at in letters]
    return "\n".join(letter.form for letter, _ in letters) % tuple(np.concatenate(numbers).ravel()) if letters else ""


@lru_cache(maxsize=4096)
def _measured(text: str, font: Any, is_math: bool) -> tuple[float, float, float]:
    width, height, descent = _TEXT.get_text_width_height_descent(text, font, is_math)
    return float(width), float(height), float(descent)


class VectorRenderer(RendererBase):
    """Takes what matplotlib draws, 72 dots an inch with y running up, and writes it on a sheet."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__()
        self.sheet = Sheet(width, height)

    def get_canvas_width_height(self) -> tuple[float, float]:
        """Size in points."""
        return self.sheet.width, self.sheet.height

    def flipy(self) -> bool:
        """Whether y runs down."""
        return False

    def option_image_nocomposite(self) -> bool:
        """Whether images are drawn one by one."""
        return True

    def get_image_magnification(self) -> float:
        """Pixels of an image for each point."""
        return RASTER_DPI / 72

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        """Size of a line of text in points, of its outlines."""
        return _measured(s, prop.copy(), bool(ismath))

    def draw_path(self, gc: Any, path: Path, transform: Any, rgbFace: Any = None) -> None:
        """A shape, filled, hatched and outlined as the context says."""
        look, hatch = look_of(gc, rgbFace), gc.get_hatch_path()
        if look.face is None and look.edge is None and hatch is None:
            return
        is_line = look.face is None and hatch is None
        commands = commands_of(path, transform, simplify=is_line and path.should_simplify)
        if not commands:
            return
        reach = look.width if look.edge is not None else 0.0
        with_clip = self._clip(gc, extent_of(commands, reach))
        svg, pdf = svg_path(commands, self.sheet.height), pdf_path(commands)
        if hatch is not None:
            self._hatched(gc, look, svg, pdf, commands, with_clip)
            look = Look(None, look.edge, look.width, look.dash, look.cap, look.join)
        self._put(svg_shape(svg, look), self._paint(pdf, look), with_clip)

    def draw_markers(
        self, gc: GraphicsContextBase, marker_path: Path, marker_trans: Any, path: Path, trans: Any, rgbFace: Any = None
    ) -> None:
        """The same shape at every vertex of a path."""
        at = [tuple(points[-2:]) for points, _ in path.iter_segments(trans, simplify=False) if len(points)]
        self._marks(look_of(gc, rgbFace), gc, marker_path, marker_trans, at)

    def draw_path_collection(self, gc: Any, master_transform: Any, paths: Any, all_transforms: Any, offsets: Any,
                             offset_trans: Any, *look: Any, **more: Any) -> None:  # fmt: skip
        """Shapes of one kind, each with its own place and look."""
        facecolors, edgecolors, linewidths, linestyles, antialiaseds, urls, offset_position = look
        base: Any = self  # the two generators are matplotlib's own help for back ends
        found = list(base._iter_collection_raw_paths(master_transform, paths, all_transforms))
        if more.get("hatchcolors") is None:
            more["hatchcolors"] = []
        for x, y, (path, transform), context, face in base._iter_collection(
            gc, found, offsets, offset_trans, facecolors, edgecolors, linewidths, linestyles, antialiaseds, urls,
            offset_position, **more,
        ):  # fmt: skip
            if context.get_hatch_path() is None:
                self._marks(look_of(context, face), context, path, transform, [(x, y)])
            else:
                self.draw_path(context, path, transform.frozen().translate(x, y), face)

    def _marks(self, look: Look, gc: Any, path: Path, transform: Any, at: Iterable[Sequence[float]]) -> None:
        commands = commands_of(path, transform, simplify=False)
        places = [(float(x), float(y)) for x, y in at if np.isfinite(x) and np.isfinite(y)]
        if not commands or not places or (look.face is None and look.edge is None):
            return
        name = self._defined("m", f'<path id="{{id}}" d="{svg_path(commands, 0.0)}"/>')
        uses = "".join(f'<use href="#{name}" x="{short(x)}" y="{short(self.sheet.height - y)}"/>' for x, y in places)
        operators, state = pdf_path(commands), self._paint("", look)
        paint, rest = state.rsplit("\n", 1)[-1], state.rsplit("\n", 1)[0]
        moved = "\n".join(f"q 1 0 0 1 {short(x)} {short(y)} cm\n{operators}\n{paint}\nQ" for x, y in places)
        extents = [extent_of(commands, look.width).translated(x, y) for x, y in places]
        with_clip = self._clip(gc, Bbox.union(extents))
        self._put(f"<g{svg_look(look)}>{uses}</g>", f"{rest}\n{moved}", with_clip)

    def _hatched(self, gc: Any, look: Look, svg: str, pdf: str, commands: Commands, with_clip: tuple[str, str]) -> None:
        """The filling of a shape: its colour, then the hatch, tile by tile, inside its outline."""
        if look.face is not None:
            filled = Look(look.face, None, 0.0, (0.0, ()), "butt", "miter")
            self._put(svg_shape(svg, filled), self._paint(pdf, filled), with_clip)
        lines = Look(
            gc.get_hatch_color(), gc.get_hatch_color(), gc.get_hatch_linewidth(), (0.0, ()), "butt", "miter"
        )  # fmt: skip
        tile = commands_of(gc.get_hatch_path(), Affine2D().scale(HATCH_TILE), simplify=False)
        pattern = (
            f'<pattern id="{{id}}" patternUnits="userSpaceOnUse" width="72" height="72"{svg_look(lines)}>'
            f'<path d="{svg_path(tile, HATCH_TILE)}"/></pattern>'
        )
        name = self._defined("h", pattern)
        operators, state = pdf_path(tile), self._paint("", lines)
        rest, paint = state.rsplit("\n", 1)
        places = tiles_over(extent_of(commands, 0.0))
        tiles = "\n".join(f"q 1 0 0 1 {short(x)} {short(y)} cm\n{operators}\n{paint}\nQ" for x, y in places)
        self._put(f'<path d="{svg}" fill="url(#{name})"/>', f"{pdf}\nW n\n{rest}\n{tiles}", with_clip)

    def draw_image(self, gc: GraphicsContextBase, x: float, y: float, im: Any, transform: Any = None) -> None:
        """Pixels whose last row is the lowest on the page."""
        from PIL import Image as Pillow

        pixels = np.ascontiguousarray(im[::-1])
        rows, columns = pixels.shape[:2]
        if not rows or not columns:
            return
        width, height = columns * 72 / RASTER_DPI, rows * 72 / RASTER_DPI
        out = io.BytesIO()
        Pillow.fromarray(pixels).save(out, format="PNG", optimize=True)
        uri = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        top = self.sheet.height - y - height
        at = f'x="{short(x)}" y="{short(top)}" width="{short(width)}" height="{short(height)}"'
        self.sheet.pasted.append(Pasted(pixels))
        name = f"/I{len(self.sheet.pasted) - 1}"
        with_clip = self._clip(gc, Bbox.from_bounds(x, y, width, height))
        drawn = f"{short(width)} 0 0 {short(height)} {short(x)} {short(y)} cm {name} Do"
        self._put(f'<image {at} preserveAspectRatio="none" href="{uri}"/>', drawn, with_clip)

    def draw_text(self, gc: GraphicsContextBase, x: float, y: float, s: str, prop: Any, angle: float,
                  ismath: Any = False, mtext: Any = None) -> None:  # fmt: skip
        """A line of text whose base line begins at a place: letters in the SVG, outlines where it is a formula."""
        colour, size = _painted(gc, gc.get_rgb()), float(prop.get_size_in_points())
        outlines = _outlines(s, prop.copy(), bool(ismath))
        if not outlines or colour is None:
            return
        filled = Look(colour, None, 0.0, (0.0, ()), "butt", "miter")
        turn = Affine2D().scale(size / _TEXT.FONT_SCALE).rotate_deg(angle).translate(x, y)
        matrix = " ".join(f"{value:.6f}" for value in turn.to_values())
        pdf = f"{matrix} cm\n" + self._paint(outlines, filled)
        extent = Bbox.from_extents(x, y, x, y)
        if ismath:
            vertices, codes = _TEXT.get_text_path(prop, s, ismath=True)
            drawn = commands_of(Path(vertices, codes), turn)
            self._put(svg_shape(svg_path(drawn, self.sheet.height), filled), pdf, self._clip(gc, extent))
            return
        width = self.get_text_width_height_descent(s, prop, False)[0]
        self._put(self._svg_text(s, prop, (x, y), angle, width, filled), pdf, self._clip(gc, extent))

    def _svg_text(self, s: str, prop: Any, at: tuple[float, float], angle: float, width: float, look: Look) -> str:
        x, y = short(at[0]), short(self.sheet.height - at[1])
        turned = f' transform="rotate({short(-angle)} {x} {y})"' if angle % 360 else ""
        heavy = ' font-weight="700"' if str(prop.get_weight()) in ("bold", "700") else ""
        length = f' textLength="{short(width)}" lengthAdjust="spacingAndGlyphs"' if len(s) > 1 else ""
        size = short(float(prop.get_size_in_points()))
        return f'<text x="{x}" y="{y}" font-size="{size}"{heavy}{length}{turned}{svg_look(look)}>{escape(s)}</text>'

    def _put(self, svg: str, pdf: str, with_clip: tuple[str, str]) -> None:
        clip, rectangle = with_clip
        self.sheet.svg.append(f'<g clip-path="url(#{clip})">{svg}</g>' if clip else svg)
        self.sheet.pdf.append(f"q\n{rectangle}{pdf}\nQ")

    def _clip(self, gc: Any, extent: Bbox) -> tuple[str, str]:
        """Name of the clip in the SVG and its operators in the PDF; both empty where nothing would be cut."""
        path, transform = gc.get_clip_path()
        if path is not None:
            commands = commands_of(path, transform, simplify=False)
            within = extent_of(commands, 0.0)
        elif gc.get_clip_rectangle() is not None:
            within = Bbox(gc.get_clip_rectangle().get_points())
            x0, y0, x1, y1 = within.extents
            commands = [(1, (x0, y0)), (2, (x1, y0)), (2, (x1, y1)), (2, (x0, y1)), (79, (0.0, 0.0))]
        else:
            return "", ""
        if path is None and _is_inside(extent, within):
            return "", ""
        shape = f'<clipPath id="{{id}}"><path d="{svg_path(commands, self.sheet.height)}"/></clipPath>'
        return self._defined("c", shape), f"{pdf_path(commands)}\nW n\n"

    def _defined(self, kind: str, shape: str) -> str:
        """Name of something that is used more than once."""
        known = self.sheet.definitions
        return known.setdefault(shape, f"{kind}{len(known)}")

    def _paint(self, path: str, look: Look) -> str:
        """The path with the state before it and what to do with it, in a line of its own, after it."""
        face, edge = look.face, look.edge
        state: list[str] = []
        opacity = (face[3] if face else 1.0, edge[3] if edge else 1.0)
        if opacity != (1.0, 1.0):
            known = self.sheet.opacities
            state.append(f"{known.setdefault(opacity, f'/G{len(known)}')} gs")
        if face is not None:
            state.append(f"{_rgb(face)} rg")
        if edge is not None:
            offset, lengths = look.dash
            dashes = " ".join(map(short, lengths))
            state.append(f"{_rgb(edge)} RG {short(look.width)} w {CAPS[look.cap]} J {JOINS[look.join]} j")
            state.append(f"[{dashes}] {short(offset)} d")
        verb = "B" if face is not None and edge is not None else "f" if face is not None else "S"
        return "\n".join([*state, path, verb] if path else [*state, verb])


def look_of(gc: Any, face: Any) -> Look:
    """What a context and a filling come to; what cannot be seen is None."""
    offset, lengths = gc.get_dashes()
    width = float(gc.get_linewidth())
    edge = _painted(gc, gc.get_rgb()) if width > 0 else None
    filling = None if face is None else _painted(gc, tuple(face) if len(face) > 3 else (*face, 1.0))
    dash = (float(offset or 0.0), tuple(float(each) for each in lengths)) if lengths is not None else (0.0, ())
    return Look(filling, edge, width, dash, str(gc.get_capstyle()), str(gc.get_joinstyle()))


def _painted(gc: Any, colour: Sequence[float]) -> tuple[float, ...] | None:
    alpha = gc.get_alpha() if gc.get_forced_alpha() else colour[3]
    return (*(float(part) for part in colour[:3]), round(float(alpha), 4)) if alpha else None


def svg_look(look: Look) -> str:
    """Attributes of a shape; black filling and no outline need none."""
    said = ' fill="none"' if look.face is None else f' fill="{_hex(look.face)}"'
    if look.face is not None and look.face[3] != 1:
        said += f' fill-opacity="{look.face[3]:g}"'
    if look.edge is None:
        return said
    said += f' stroke="{_hex(look.edge)}" stroke-width="{short(look.width)}"'
    if look.edge[3] != 1:
        said += f' stroke-opacity="{look.edge[3]:g}"'
    offset, lengths = look.dash
    if lengths:
        said += f' stroke-dasharray="{" ".join(map(short, lengths))}"'
        said += f' stroke-dashoffset="{short(offset)}"' if offset else ""
    said += f' stroke-linecap="{SVG_CAPS[look.cap]}"' if look.cap in SVG_CAPS else ""
    return said + (f' stroke-linejoin="{look.join}"' if look.join != "miter" else "")


def svg_shape(data: str, look: Look) -> str:
    """A path with its look."""
    return f'<path d="{data}"{svg_look(look)}/>'


def extent_of(commands: Commands, reach: float) -> Bbox:
    """The smallest box around a path, `reach` wider on every side."""
    points = np.array([value for code, each in commands if code != Path.CLOSEPOLY for value in each]).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return Bbox.from_extents(x0 - reach, y0 - reach, x1 + reach, y1 + reach)


def _is_inside(inner: Bbox, outer: Bbox) -> bool:
    x0, y0, x1, y1 = inner.extents
    a0, b0, a1, b1 = outer.extents
    return bool(x0 >= a0 - NEARLY and y0 >= b0 - NEARLY and x1 <= a1 + NEARLY and y1 <= b1 + NEARLY)


def tiles_over(box: Bbox) -> list[tuple[float, float]]:
    """Corners of the hatch's squares that a box touches."""
    x0, y0, x1, y1 = (int(np.floor(value / HATCH_TILE)) for value in box.extents)
    return [(column * HATCH_TILE, row * HATCH_TILE) for column in range(x0, x1 + 1) for row in range(y0, y1 + 1)]


def svg_file(sheet: Sheet) -> bytes:
    """The sheet as an SVG file without a date or a tool's name."""
    width, height = short(sheet.width), short(sheet.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" viewBox="0 0 {width} {height}"'
        f' font-family="{FAMILIES}">'
    )
    shapes = [shape.replace("{id}", name) for shape, name in sheet.definitions.items()]
    defined = f"<defs>{''.join(shapes)}</defs>" if shapes else ""
    return f"{head}{defined}{''.join(sheet.svg)}</svg>".encode()


def pdf_file(sheet: Sheet) -> bytes:
    """The sheet as a PDF of one page, which becomes a form of the report's PDF."""
    import pikepdf
    from pikepdf import Dictionary, Name

    document = pikepdf.new()
    document.add_blank_page(page_size=(sheet.width, sheet.height))
    page = document.pages[0]
    states = {name: Dictionary(Type=Name.ExtGState, ca=face, CA=edge) for (face, edge), name in sheet.opacities.items()}
    images = {f"/I{place}": _image(document, each) for place, each in enumerate(sheet.pasted)}
    page.Resources = Dictionary()
    if states:
        page.Resources.ExtGState = Dictionary(states)
    if images:
        page.Resources.XObject = Dictionary(images)
    page.Contents = document.make_stream("\n".join(sheet.pdf).encode())
    out = io.BytesIO()
    document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return out.getvalue()


def _image(document: Any, pasted: Pasted) -> Any:
    from pikepdf import Name

    rows, columns = pasted.pixels.shape[:2]
    about = {"/Type": Name.XObject, "/Subtype": Name.Image, "/Width": columns, "/Height": rows, "/BitsPerComponent": 8}

    def stream(part: npt.NDArray[np.uint8], space: Any) -> Any:
        found = document.make_stream(zlib.compress(np.ascontiguousarray(part).tobytes(), 9), about)
        found.Filter, found.ColorSpace = Name.FlateDecode, space
        return found

    picture = stream(pasted.pixels[..., :3], Name.DeviceRGB)
    if pasted.pixels[..., 3].min() < 255:
        picture.SMask = document.make_indirect(stream(pasted.pixels[..., 3], Name.DeviceGray))
    return picture
