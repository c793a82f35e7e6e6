"""World T: traffic signs under weather, with stickers that stop signs attract (CAUSAL.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from xai_audit.synthetic.coefficients import Ends, Law3, Law4, Law5, Number, Side, Size
from xai_audit.synthetic.shapes import digits, inside, pixel_centres, regular, strokes
from xai_audit.synthetic.units import Chance, Discrete, Masks, Picture, Published, Row, World, sigmoid, two

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CLASSES = ("stop", "yield", "limit30", "limit80", "no entry")
WEATHERS = ("clear", "rain", "fog", "night")
STOP, YIELD, LIMIT30, LIMIT80, NO_ENTRY = range(5)
CLEAR, RAIN, FOG, NIGHT = range(4)


@dataclass(frozen=True)
class TrafficSign:
    """Coefficients."""

    side: Side = 64
    region: Law3 = (1 / 3, 1 / 3, 1 / 3)
    """P(region)."""
    weather: tuple[Law4, Law4, Law4] = ((0.6, 0.2, 0.1, 0.1), (0.3, 0.4, 0.2, 0.1), (0.4, 0.1, 0.2, 0.3))
    """P(clear, rain, fog, night | region)."""
    signs: tuple[Law5, Law5, Law5] = (
        (0.3, 0.2, 0.2, 0.1, 0.2),
        (0.2, 0.2, 0.2, 0.2, 0.2),
        (0.1, 0.2, 0.2, 0.3, 0.2),
    )
    """P(stop, yield, limit30, limit80, no entry | region)."""
    sticker: Number = -2.0
    """Logit of a sticker on a sign that is no stop sign."""
    s: Number = 2.0
    """Added on a stop sign."""
    dist_ends: Ends = (8.0, 60.0)
    """Distance in metres: uniform between them."""
    tilt_sd: Size = 8.0
    """Of the tilt, in degrees."""
    fog: Size = 0.03
    """k of alpha = 1 - exp(-k distance)."""
    haze: tuple[Size, Size, Size, Size] = (0.1, 0.4, 1.0, 0.5)
    """Of clear, rain, fog, night: visibility = exp(-haze k distance)."""
    noise: Size = 0.015


EDGES = (
    ("region", "weather"),
    ("region", "sign"),
    ("sign", "sticker"),
    ("weather", "visibility"),
    ("dist", "visibility"),
    ("region", "image"),
    ("weather", "image"),
    ("sign", "image"),
    ("sticker", "image"),
    ("dist", "image"),
    ("tilt", "image"),
)


def sticker_chance(sign: float, c: TrafficSign) -> float:
    """P(sticker | sign)."""
    return sigmoid(c.sticker + c.s * (sign == STOP))


def visibility(weather: float, dist: float, c: TrafficSign) -> float:
    """Share of the contrast that is left at the sign."""
    return float(np.exp(-c.haze[int(weather)] * c.fog * dist))


ADJUSTMENT: Published = {
    ("sticker", "score"): (("sign",),),
    ("weather", "score"): (("region",),),
    ("sign", "score"): (("region",),),
}


def traffic_sign(coefficients: TrafficSign | None = None) -> World:
    """The world; pictures are (side, side, 3), masks sign, glyph, sticker, background."""
    return World("traffic_sign", coefficients or TrafficSign(), {
        "region": Discrete((0, 1, 2), lambda row, c: c.region),
        "weather": Discrete(WEATHERS, lambda row, c: c.weather[int(row["region"])]),
        "sign": Discrete(CLASSES, lambda row, c: c.signs[int(row["region"])]),
        "sticker": two(lambda row, c: sticker_chance(row["sign"], c)),
        "dist": lambda row, rng, c: rng.uniform(*c.dist_ends),
        "tilt": lambda row, rng, c: rng.normal(0, c.tilt_sd),
        "visibility": lambda row, rng, c: visibility(row["weather"], row["dist"], c),
    }, EDGES, render, ("sign", "glyph", "sticker", "background"), ADJUSTMENT)  # fmt: skip


def render(row: Row, chance: Chance, c: TrafficSign) -> tuple[Picture, Masks]:
    """Sky and ground, pole and sign, sticker, then the weather."""
    y, x = pixel_centres(c.side, c.side)
    picture = _scene(y, x, int(row["region"]), chance)
    u, v = _on_sign(y, x, row)
    outline, colours, glyph = _sign(u, v, int(row["sign"]))
    pole = (np.abs(u) < 0.08) & (v > 0)
    picture = np.where(pole[..., None], 0.45, picture)
    picture = np.where(outline[..., None], colours, picture)
    picture = np.where((glyph & outline)[..., None], _GLYPH[int(row["sign"])], picture)
    place = chance.of("sticker place")
    a, b = place.uniform(-0.45, 0.45, 2)
    patch = (np.abs(u - a) < 0.2) & (np.abs(v - b) < 0.2) & outline
    has_sticker = row["sticker"] == 1
    picture = np.where((patch & has_sticker)[..., None], np.array([0.95, 0.85, 0.1]), picture)
    picture = _weather(picture, row, chance, c)
    picture = picture + chance.of("pixels").normal(0, c.noise, picture.shape)
    masks = {
        "sign": outline,
        "glyph": glyph & outline & ~(patch & has_sticker),
        "sticker": patch & has_sticker,
        "background": ~outline & ~pole,
    }
    return picture.astype(np.float32), masks


def _scene(y: Floats, x: Floats, region: int, chance: Chance) -> Floats:
    sky = np.array([[0.55, 0.7, 0.9], [0.6, 0.65, 0.75], [0.75, 0.8, 0.85]])[region]
    ground = np.array([[0.35, 0.5, 0.3], [0.45, 0.42, 0.4], [0.6, 0.52, 0.38]])[region]
    horizon = chance.of("horizon").uniform(0.55, 0.75)
    scene = np.where((y < horizon)[..., None], sky, ground)
    return np.asarray(scene - 0.1 * y[..., None])


def _on_sign(y: Floats, x: Floats, row: Row) -> tuple[Floats, Floats]:
    """Coordinates in which the sign has radius 1: nearer signs are larger, tilted ones are turned."""
    radius = np.clip(4.0 / row["dist"], 0.1, 0.36)
    angle = np.deg2rad(row["tilt"])
    across, down = (x - 0.5) / radius, (y - 0.42) / radius
    return across * np.cos(angle) + down * np.sin(angle), -across * np.sin(angle) + down * np.cos(angle)


_RED, _WHITE = np.array([0.8, 0.1, 0.1]), np.array([0.95, 0.95, 0.95])
_GLYPH = {STOP: _WHITE, YIELD: _WHITE, LIMIT30: np.full(3, 0.1), LIMIT80: np.full(3, 0.1), NO_ENTRY: _WHITE}


def _sign(u: Floats, v: Floats, kind: int) -> tuple[Bools, Floats, Bools]:
    """Outline, colours (height, width, 3) and glyph of a sign."""
    r = np.hypot(u, v)
    outline = {
        STOP: inside(u, v, [(0.95 * a, 0.95 * b) for a, b in regular(8, 1 / 16)]),
        YIELD: inside(u, v, regular(3, 1 / 4)),
    }.get(kind, r < 0.95)
    if kind == YIELD:
        glyph = inside(u, v, [(0.55 * a, 0.55 * b) for a, b in regular(3, 1 / 4)])
    elif kind == STOP:
        glyph = strokes(u, v, [((-0.5, 0.0), (0.5, 0.0))], 0.35)
    elif kind == NO_ENTRY:
        glyph = (np.abs(u) < 0.65) & (np.abs(v) < 0.18)
    else:
        glyph = digits(u, v, "30" if kind == LIMIT30 else "80", 0.8, 0.16)
    ring = np.where((r < 0.7)[..., None], _WHITE, _RED)
    colours = ring if kind in (LIMIT30, LIMIT80) else np.broadcast_to(_RED, (*u.shape, 3))
    return outline, np.asarray(colours), glyph


def _weather(picture: Floats, row: Row, chance: Chance, c: TrafficSign) -> Floats:
    weather = int(row["weather"])
    if weather == FOG:
        alpha = 1 - np.exp(-c.fog * row["dist"])
        return np.asarray((1 - alpha) * picture + alpha * 0.8)
    if weather == NIGHT:
        return np.asarray(0.35 * picture)
    if weather == RAIN:
        drops = chance.of("rain").random(picture.shape[:2]) < 0.02
        streaks = gaussian_filter1d(drops.astype(np.float64), 3, axis=0)
        return np.asarray(0.85 * picture + 1.2 * streaks[..., None])
    return picture
