"""World S: a brushed metal surface with lamps, oil and defects, and labels that the night shift gets wrong more often.

CAUSAL.md section 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from xai_audit.synthetic.units import Chance, Masks, Picture, Row, World, bernoulli

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NONE, SCRATCH, PIT, INCLUSION = range(4)
KINDS = ("none", "scratch", "pit", "inclusion")


@dataclass(frozen=True)
class Metal:
    """Coefficients."""

    side: int = 64
    l0: float = 1.0
    """Lamp of the day shift, as a factor of brightness."""
    l1: float = -0.25
    """Added by the night shift."""
    oil0: float = 0.1
    oil1: float = 0.3
    """P(oil) by day, and what the night shift adds."""
    flip0: float = 0.05
    flip1: float = 0.15
    """P(wrong label) by day, and what the night shift adds."""
    logits: tuple[tuple[float, float], ...] = ((0.0, 0.0), (-1.5, 2.5), (-1.8, 2.0), (-2.2, 2.8))
    """Of each defect: (constant, weight of wear)."""
    noise: float = 0.02


EDGES = (
    ("line", "wear"),
    ("wear", "defect"),
    ("shift", "lamp"),
    ("shift", "oil"),
    ("defect", "label"),
    ("shift", "label"),
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
    return c.flip0 + c.flip1 * shift


def metal(coefficients: Metal | None = None) -> World:
    """The world; pictures are (side, side), masks defect, oil, highlight."""
    return World("metal", coefficients or Metal(), {
        "line": lambda row, rng, c: float(rng.integers(3)),
        "shift": lambda row, rng, c: bernoulli(rng, 0.5),
        "wear": lambda row, rng, c: rng.beta(2, 5) + 0.2 * (row["line"] == 2),
        "lamp": lambda row, rng, c: c.l0 + c.l1 * row["shift"] + rng.normal(0, 0.05),
        "oil": lambda row, rng, c: bernoulli(rng, c.oil0 + c.oil1 * row["shift"]),
        "defect": _defect,
        "label": _label,
    }, EDGES, render)  # fmt: skip


def _defect(row: Row, rng: np.random.Generator, c: Metal) -> float:
    return float(np.searchsorted(np.cumsum(defect_chances(row["wear"], c))[:-1], rng.random(), side="right"))


def _label(row: Row, rng: np.random.Generator, c: Metal) -> float:
    """The defect, or with the shift's chance another kind: which one is drawn before it is known if."""
    other, is_wrong = int(rng.integers(3)), rng.random() < label_flip(row["shift"], c)
    others = [kind for kind in range(4) if kind != row["defect"]]
    return float(others[other]) if is_wrong else row["defect"]


def render(row: Row, chance: Chance, c: Metal) -> tuple[Picture, Masks]:
    """Brushed texture under a lamp; oil darkens it; the defect lies on top."""
    y, x = (np.mgrid[: c.side, : c.side] + 0.5) / c.side
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
