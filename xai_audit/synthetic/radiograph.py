"""World M: a chest radiograph whose hospital leaves a token in the corner, and maybe a blur (CAUSAL.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from xai_audit.synthetic.units import Chance, Masks, Picture, Row, World, bernoulli, sigmoid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Radiograph:
    """Coefficients; a reviewer changes numbers, not code."""

    side: int = 64
    """Pixels."""
    rho: float = 1.2
    """How much more often disease comes to site 1."""
    token_flip: float = 0.05
    """Share of pictures whose token is not that of their site."""
    b0: float = 0.4
    """Blur of site 0, in pixels."""
    b1: float = 0.8
    """Added by site 1: with 0 the token is the only channel."""
    opacity: float = 0.13
    """Brightness of the opacity at full severity."""
    noise: float = 0.03
    """Standard deviation of the pixels' noise."""


def disease_chance(age: float, site: float, c: Radiograph) -> float:
    """P(disease | age, site)."""
    return sigmoid(-0.4 + 0.03 * (age - 55) + c.rho * (2 * site - 1))


EDGES = (
    ("age", "disease"),
    ("site", "disease"),
    ("disease", "severity"),
    ("site", "token"),
    ("site", "blur"),
    ("disease", "device"),
    ("severity", "image"),
    ("token", "image"),
    ("blur", "image"),
    ("device", "image"),
)
ADJUSTMENT = {"token": (("site",), ("age", "site")), "device": None}
"""Valid sets for the effect on disease's score; device is an effect of disease: never adjust."""


def radiograph(coefficients: Radiograph | None = None) -> World:
    """The world; pictures are (side, side), masks opacity, token, device, lungs."""
    return World(
        name="radiograph",
        coefficients=coefficients or Radiograph(),
        equations={
            "age": lambda row, rng, c: float(np.clip(rng.normal(55, 15), 18, 95)),
            "sex": lambda row, rng, c: bernoulli(rng, 0.5),
            "site": lambda row, rng, c: bernoulli(rng, 0.5),
            "disease": lambda row, rng, c: bernoulli(rng, disease_chance(row["age"], row["site"], c)),
            "severity": lambda row, rng, c: row["disease"] * rng.uniform(0.5, 1),
            "token": lambda row, rng, c: abs(row["site"] - bernoulli(rng, c.token_flip)),
            "blur": lambda row, rng, c: c.b0 + c.b1 * row["site"],
            "device": lambda row, rng, c: bernoulli(rng, 0.05 + 0.25 * row["disease"]),
        },
        edges=EDGES,
        render=render,
    )


def render(row: Row, chance: Chance, c: Radiograph) -> tuple[Picture, Masks]:
    """Torso, lungs, spine, ribs, opacity and device, then blur, noise, and at last the token."""
    y, x = (np.mgrid[: c.side, : c.side] + 0.5) / c.side
    lungs = _lungs(y, x)
    picture = 0.55 + 0.2 * y - 0.3 * lungs + 0.12 * np.exp(-(((x - 0.5) / 0.06) ** 2))
    phase = chance.of("ribs").uniform(0, 2 * np.pi)
    picture += 0.03 * np.sin(2 * np.pi * 9 * (y + 0.15 * (x - 0.5) ** 2) + phase)
    spot = _opacity(y, x, chance)
    picture += c.opacity * row["severity"] * spot
    line = _device(y, x, chance)
    picture = np.where(line & (row["device"] == 1), 0.9, picture)
    picture = gaussian_filter(picture, row["blur"], mode="nearest")
    picture = picture + chance.of("pixels").normal(0, c.noise, picture.shape)
    box = (y > 0.04) & (y < 0.14) & (x > 0.04) & (x < 0.2)
    picture = np.where(box & (row["token"] == 1), 0.95, picture)
    nothing = np.zeros_like(box)
    masks = {
        "opacity": spot > 0.03 if row["severity"] > 0 else nothing,
        "token": box if row["token"] == 1 else nothing,
        "device": line if row["device"] == 1 else nothing,
        "lungs": lungs > 0.5,
    }
    return picture.astype(np.float32), masks


def _lungs(y: Floats, x: Floats) -> Floats:
    """Two soft ellipses, 0 to 1."""
    sides = [((x - centre) / 0.15) ** 2 + ((y - 0.5) / 0.32) ** 2 for centre in (0.29, 0.71)]
    return np.asarray(sum(1 / (1 + np.exp(12 * (distance - 1))) for distance in sides))


def _opacity(y: Floats, x: Floats, chance: Chance) -> Floats:
    """A round spot in a lung drawn by chance, 0 to 1."""
    rng = chance.of("opacity")
    centre = (0.29, 0.71)[int(rng.integers(2))] + rng.uniform(-0.06, 0.06)
    height, radius = rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.09)
    return np.asarray(np.exp(-((x - centre) ** 2 + (y - height) ** 2) / (2 * radius**2)))


def _device(y: Floats, x: Floats, chance: Chance) -> npt.NDArray[np.bool_]:
    """A thin line from above, (side, side)."""
    rng = chance.of("device place")
    start, slope = rng.uniform(0.35, 0.65), rng.uniform(-0.2, 0.2)
    return np.asarray((np.abs(x - start - slope * y) < 0.012) & (y < 0.6))
