"""World S: a brushed metal surface with lamps, oil and defects, and labels that the night shift gets wrong more often.

CAUSAL.md section 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from xai_audit.synthetic.coefficients import Law3, Number, Positive, Share, Side, Size
from xai_audit.synthetic.shapes import pixel_centres
from xai_audit.synthetic.units import Chance, Discrete, Masks, Picture, Published, Row, World, two

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NONE, SCRATCH, PIT, INCLUSION = range(4)
KINDS = ("none", "scratch", "pit", "inclusion")
Logit = tuple[Number, Number]


@dataclass(frozen=True)
class Metal:
    """Coefficients."""

    side: Side = 64
    line: Law3 = (1 / 3, 1 / 3, 1 / 3)
    """P(line)."""
    shift: Share = 0.5
    """P(night shift)."""
    wear_a: Positive = 2.0
    wear_b: Positive = 5.0
    """Wear is Beta(a, b) ..."""
    wear_of_line_2: Number = 0.2
    """... and on line 2 more."""
    l0: Number = 1.0
    """Lamp of the day shift, as a factor of brightness."""
    l1: Number = -0.25
    """Added by the night shift."""
    lamp_sd: Size = 0.05
    oil0: Share = 0.1
    oil1: Number = 0.3
    """P(oil) by day, and what the night shift adds."""
    flip0: Share = 0.05
    flip1: Number = 0.15
    """P(wrong label) by day, and what the night shift adds."""
    logits: tuple[Logit, Logit, Logit, Logit] = ((0.0, 0.0), (-1.5, 2.5), (-1.8, 2.0), (-2.2, 2.8))
    """Of none, scratch, pit, inclusion: (constant, weight of wear)."""
    noise: Size = 0.02


EDGES = (
    ("line", "wear"),
    ("wear", "defect"),
    ("shift", "lamp"),
    ("shift", "oil"),
    ("shift", "flipped"),
    ("defect", "label"),
    ("flipped", "label"),
    ("line", "image"),
    ("lamp", "image"),
    ("oil", "image"),
    ("defect", "image"),
)


def defect_chances(wear: float, c: Metal) -> Floats:
    """P(defect = none, scratch, pit, inclusion | wear)."""
    z = np.array([constant + weight * wear for constant, weight in c.logits])
    return np.asarray(np.exp(z - z.max()) / np.exp(z - z.max()).sum())


def label_flip(shift: float, c: Metal) -> float:
    """P(label is not the defect | shift)."""
    return min(1.0, max(0.0, c.flip0 + c.flip1 * shift))


def oil_chance(shift: float, c: Metal) -> float:
    """P(oil | shift)."""
    return min(1.0, max(0.0, c.oil0 + c.oil1 * shift))


def _label_chances(row: Row, c: Metal) -> tuple[float, ...]:
    wrong = row["flipped"]
    return tuple(1 - wrong if kind == row["defect"] else wrong / 3 for kind in range(4))


ADJUSTMENT: Published = {
    ("oil", "score"): (("shift",),),
    ("lamp", "score"): (("shift",),),
    ("wear", "defect"): ((),),
    ("line", "defect"): ((),),
    ("shift", "label"): ((),),
    ("defect", "score"): (("line",), ("wear",)),
}
"""Wear lies between line and defect: never adjust for it where the effect of line is asked."""


def metal(coefficients: Metal | None = None) -> World:
    """The world; pictures are (side, side), masks defect, oil, highlight."""
    return World("metal", coefficients or Metal(), {
        "line": Discrete((0, 1, 2), lambda row, c: c.line),
        "shift": two(lambda row, c: c.shift),
        "wear": lambda row, rng, c: rng.beta(c.wear_a, c.wear_b) + c.wear_of_line_2 * (row["line"] == 2),
        "lamp": lambda row, rng, c: c.l0 + c.l1 * row["shift"] + rng.normal(0, c.lamp_sd),
        "oil": two(lambda row, c: oil_chance(row["shift"], c)),
        "defect": Discrete(KINDS, lambda row, c: defect_chances(row["wear"], c)),
        "flipped": two(lambda row, c: label_flip(row["shift"], c)),
        "label": Discrete(KINDS, _label_chances, _label),
    }, EDGES, render, ("defect", "oil", "highlight"), ADJUSTMENT)  # fmt: skip


def _label(row: Row, rng: np.random.Generator, c: Metal) -> float:
    """The defect, or where it was flipped another kind: which one is drawn before it is known if."""
    other = int(rng.integers(3))
    others = [kind for kind in range(4) if kind != row["defect"]]
    return float(others[other]) if row["flipped"] else row["defect"]


def render(row: Row, chance: Chance, c: Metal) -> tuple[Picture, Masks]:
    """Brushed texture under a lamp; oil darkens it; the defect lies on top."""
    y, x = pixel_centres(c.side, c.side)
    grain = 1.0 + 1.5 * row["line"]
    brushed = gaussian_filter1d(chance.of("grain").normal(0, 1, (c.side, c.side)), 2 + 2 * grain, axis=1, mode="wrap")
    surface = 0.5 + 0.05 * brushed / brushed.std()
    rng = chance.of("lamp place")
    place, width = rng.uniform(0.3, 0.7), rng.uniform(0.12, 0.2)
    light = np.exp(-(((y - place) / width) ** 2) / 2)
    picture = row["lamp"] * (surface + 0.15 * light)
    blob = _oil(y, x, chance)
    oil = blob > 0.35
    picture = picture * (1 - 0.45 * np.where(oil, blob, 0) * row["oil"])
    picture, where = _with_defect(picture, y, x, int(row["defect"]), chance)
    picture = picture + chance.of("pixels").normal(0, c.noise, picture.shape)
    masks = {"defect": where, "oil": oil & (row["oil"] == 1), "highlight": light > 0.8}
    return picture.astype(np.float32), masks


def _oil(y: Floats, x: Floats, chance: Chance) -> Floats:
    """A smooth dark patch, 0 to 1."""
    rng = chance.of("oil place")
    a, b, radius = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.12, 0.22)
    lumps = gaussian_filter(rng.normal(0, 1, y.shape), 4)
    return np.asarray(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * radius**2)) * (1 + 0.3 * lumps / lumps.std()))


def _with_defect(picture: Floats, y: Floats, x: Floats, kind: int, chance: Chance) -> tuple[Floats, Bools]:
    """The surface with its defect, and where that is."""
    rng = chance.of("defect place")
    a, b, angle, size = rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75), rng.uniform(0, np.pi), rng.uniform(0.8, 1.2)
    wobble = gaussian_filter(rng.normal(0, 1, y.shape), 2)
    along = (x - a) * np.cos(angle) + (y - b) * np.sin(angle)
    across = -(x - a) * np.sin(angle) + (y - b) * np.cos(angle)
    distance = np.hypot(x - a, y - b) / size
    where = {
        NONE: np.zeros(y.shape, dtype=bool),
        SCRATCH: (np.abs(across) < 0.012) & (np.abs(along) < 0.22 * size),
        PIT: distance < 0.07,
        INCLUSION: distance < 0.08 * (1 + 0.5 * wobble / wobble.std()),
    }[kind]
    rim = (distance >= 0.05) & where
    shade = {NONE: 0.0, SCRATCH: 0.3, PIT: -0.3, INCLUSION: -0.2}[kind]
    drawn = picture + shade * where + (0.45 * rim if kind == PIT else 0)
    return np.asarray(drawn), where
