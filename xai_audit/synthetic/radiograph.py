"""World M: a chest radiograph whose hospital leaves a token in the corner, and maybe a blur (CAUSAL.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from xai_audit.synthetic.coefficients import Ends, Number, Share, Side, Size
from xai_audit.synthetic.shapes import pixel_centres
from xai_audit.synthetic.units import Chance, Masks, Picture, Published, Row, World, bernoulli, sigmoid, two

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Radiograph:
    """Coefficients; a reviewer changes numbers, not code."""

    side: Side = 64
    """Pixels."""
    age_mean: Number = 55.0
    age_sd: Size = 15.0
    age_ends: Ends = (18.0, 95.0)
    """Ages are normal, and cut at these ends."""
    sex: Share = 0.5
    """P(sex 1)."""
    site: Share = 0.5
    """P(site 1)."""
    disease: Number = -0.4
    """Logit of disease at age 55, between the sites."""
    disease_of_age: Number = 0.03
    """Added to that logit by a year."""
    rho: Number = 1.2
    """Added by site 1, taken away by site 0: how much more often disease comes to site 1."""
    severity_ends: Ends = (0.5, 1.0)
    """Of a disease: uniform between them."""
    token_flip: Share = 0.05
    """Share of pictures whose token is not that of their site."""
    b0: Size = 0.4
    """Blur of site 0, in pixels."""
    b1: Number = 0.8
    """Added by site 1: with 0 the token is the only channel."""
    device: Share = 0.05
    """P(device | no disease)."""
    device_of_disease: Number = 0.25
    """Added by disease."""
    opacity: Number = 0.13
    """Brightness of the opacity at severity 1."""
    radius_ends: Ends = (0.05, 0.09)
    """Of the opacity, in widths of the picture: uniform between them."""
    noise: Size = 0.03
    """Standard deviation of the pixels' noise."""


def disease_chance(age: float, site: float, c: Radiograph) -> float:
    """P(disease | age, site)."""
    return sigmoid(c.disease + c.disease_of_age * (age - 55) + c.rho * (2 * site - 1))


def device_chance(disease: float, c: Radiograph) -> float:
    """P(device | disease)."""
    return min(1.0, max(0.0, c.device + c.device_of_disease * disease))


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
ADJUSTMENT: Published = {
    ("token", "score"): (("site",),),
    ("blur", "score"): (("site",),),
    ("site", "score"): ((),),
    ("disease", "score"): (("site",),),
}
"""Device is an effect of disease: never adjust for it."""


def radiograph(coefficients: Radiograph | None = None) -> World:
    """The world; pictures are (side, side), masks opacity, token, device, lungs."""
    return World("radiograph", coefficients or Radiograph(), {
        "age": lambda row, rng, c: float(np.clip(rng.normal(c.age_mean, c.age_sd), *c.age_ends)),
        "sex": two(lambda row, c: c.sex),
        "site": two(lambda row, c: c.site),
        "disease": two(lambda row, c: disease_chance(row["age"], row["site"], c)),
        "severity": lambda row, rng, c: row["disease"] * rng.uniform(*c.severity_ends),
        "token": two(lambda row, c: abs(row["site"] - c.token_flip), _token),
        "blur": lambda row, rng, c: max(0.0, c.b0 + c.b1 * row["site"]),
        "device": two(lambda row, c: device_chance(row["disease"], c)),
    }, EDGES, render, ("opacity", "token", "device", "lungs"), ADJUSTMENT)  # fmt: skip


def _token(row: Row, rng: np.random.Generator, c: Radiograph) -> float:
    """That of the site, or with the chance of a flip the other: which units are flipped does not rest on the site."""
    return abs(row["site"] - bernoulli(rng, c.token_flip))


def render(row: Row, chance: Chance, c: Radiograph) -> tuple[Picture, Masks]:
    """Torso, lungs, spine, ribs, opacity and device, then blur, noise, and at last the token."""
    y, x = pixel_centres(c.side, c.side)
    lungs = _lungs(c.side)
    picture = 0.55 + 0.2 * y - 0.3 * lungs + 0.12 * np.exp(-(((x - 0.5) / 0.06) ** 2))
    phase = chance.of("ribs").uniform(0, 2 * np.pi)
    picture += 0.03 * np.sin(2 * np.pi * 9 * (y + 0.15 * (x - 0.5) ** 2) + phase)
    spot = _opacity(y, x, chance, c)
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


@lru_cache(maxsize=4)
def _lungs(side: int) -> Floats:
    """Two soft ellipses, 0 to 1; not to be written to."""
    y, x = pixel_centres(side, side)
    sides = [((x - centre) / 0.15) ** 2 + ((y - 0.5) / 0.32) ** 2 for centre in (0.29, 0.71)]
    lungs = np.asarray(sum(1 / (1 + np.exp(12 * (distance - 1))) for distance in sides))
    lungs.setflags(write=False)
    return lungs


def _opacity(y: Floats, x: Floats, chance: Chance, c: Radiograph) -> Floats:
    """A round spot in a lung drawn by chance, 0 to 1."""
    rng = chance.of("opacity")
    centre = (0.29, 0.71)[int(rng.integers(2))] + rng.uniform(-0.06, 0.06)
    height, radius = rng.uniform(0.3, 0.7), rng.uniform(*c.radius_ends)
    return np.asarray(np.exp(-((x - centre) ** 2 + (y - height) ** 2) / (2 * radius**2)))


def _device(y: Floats, x: Floats, chance: Chance) -> npt.NDArray[np.bool_]:
    """A thin line from above, (side, side)."""
    rng = chance.of("device place")
    start, slope = rng.uniform(0.35, 0.65), rng.uniform(-0.2, 0.2)
    return np.asarray((np.abs(x - start - slope * y) < 0.012) & (y < 0.6))
