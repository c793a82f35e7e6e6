"""World D: photographed forms, some of them tampered with, that come by phone or by scanner (CAUSAL.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from xai_audit.synthetic.shapes import digits, pixel_centres
from xai_audit.synthetic.units import Chance, Masks, Picture, Row, World, bernoulli, sigmoid

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FIELDS = ("amount", "photo", "date")
TAMPER = ("none", *FIELDS)
BOXES = {"amount": (0.28, 0.08, 0.46, 0.62), "photo": (0.1, 0.68, 0.5, 0.94), "date": (0.58, 0.08, 0.74, 0.62),
         "stamp": (0.6, 0.66, 0.9, 0.94)}  # fmt: skip
"""Of each field: top, left, bottom, right, as shares of the page."""


@dataclass(frozen=True)
class Document:
    """Coefficients."""

    side: int = 64
    phone: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    """P(phone | branch)."""
    branch: tuple[tuple[float, ...], ...] = ((0.4, 0.3, 0.2, 0.1), (0.25, 0.25, 0.25, 0.25), (0.1, 0.2, 0.3, 0.4))
    """P(branch | script of the name)."""
    fraud_of_branch_2: float = 1.0
    """c, on the logit."""
    q0: float = 0.9
    q1: float = 0.4
    """Quality of a scan, and what the phone takes from it."""
    noise: float = 0.01


EDGES = (
    ("script", "branch"),
    ("branch", "channel"),
    ("branch", "fraud"),
    ("amount", "fraud"),
    ("fraud", "tamper"),
    ("channel", "quality"),
    ("branch", "image"),
    ("channel", "image"),
    ("quality", "image"),
    ("amount", "image"),
    ("script", "image"),
    ("tamper", "image"),
)


def fraud_chance(branch: float, amount: float, c: Document) -> float:
    """P(fraud | branch, amount)."""
    return sigmoid(-2.5 + 0.5 * np.log(amount) + c.fraud_of_branch_2 * (branch == 2))


def document(coefficients: Document | None = None) -> World:
    """The world; pictures are (side, side), masks amount, photo, date, stamp, tampered."""
    return World("document", coefficients or Document(), {
        "script": lambda row, rng, c: float(rng.integers(3)),
        "branch": lambda row, rng, c: _category(rng, c.branch[int(row["script"])]),
        "channel": lambda row, rng, c: bernoulli(rng, c.phone[int(row["branch"])]),
        "amount": lambda row, rng, c: float(np.exp(rng.normal(1.0, 0.8))),
        "fraud": lambda row, rng, c: bernoulli(rng, fraud_chance(row["branch"], row["amount"], c)),
        "tamper": lambda row, rng, c: row["fraud"] * float(1 + rng.integers(3)),
        "quality": lambda row, rng, c: float(c.q0 - c.q1 * row["channel"] + rng.normal(0, 0.05)),
    }, EDGES, render)  # fmt: skip


def _category(rng: np.random.Generator, shares: tuple[float, ...]) -> float:
    return float(np.searchsorted(np.cumsum(shares)[:-1], rng.random(), side="right"))


def render(row: Row, chance: Chance, c: Document) -> tuple[Picture, Masks]:
    """Paper with guilloche, fields, photo and stamp; tampering within its field; then the phone's marks."""
    y, x = pixel_centres(c.side, c.side)
    page = 0.8 + 0.04 * row["branch"] + 0.03 * np.sin(40 * (x + 0.1 * np.sin(12 * y)))
    masks = {name: _box(y, x, box) for name, box in BOXES.items()}
    page = _fields(page, y, x, row, chance)
    tampered = masks[TAMPER[int(row["tamper"])]] if row["tamper"] else np.zeros(y.shape, dtype=bool)
    page = np.where(tampered, _forged(page, chance), page)
    masks["tampered"] = tampered
    if row["channel"] == 1:
        page, masks = _by_phone(page, masks, chance)
    page = gaussian_filter(page, max(0.0, 1.2 * (1 - row["quality"])), mode="nearest")
    page = page + chance.of("pixels").normal(0, c.noise, page.shape)
    return page.astype(np.float32), masks


def _box(y: Floats, x: Floats, box: tuple[float, float, float, float]) -> Bools:
    top, left, bottom, right = box
    return np.asarray((y >= top) & (y < bottom) & (x >= left) & (x < right))


def _fields(page: Floats, y: Floats, x: Floats, row: Row, chance: Chance) -> Floats:
    """The name as a line of its script, the amount and the date in digits, a face and a stamp."""
    letters = np.sin(2 * np.pi * (8 + 6 * row["script"]) * x + chance.of("name").uniform(0, 6))
    page = np.where(_box(y, x, (0.1, 0.08, 0.2, 0.6)) & (letters > 0), 0.25, page)
    amount = f"{min(round(row['amount'] * 100), 9999):04d}"
    day = f"{int(chance.of('date').integers(1, 9999)):04d}"
    for name, text in (("amount", amount), ("date", day)):
        top, left, bottom, right = BOXES[name]
        drawn = digits(x - (left + right) / 2, y - (top + bottom) / 2, text, 0.13, 0.025)
        page = np.where(drawn & _box(y, x, BOXES[name]), 0.15, page)
    face = np.hypot((x - 0.81) / 0.09, (y - 0.3) / 0.13)
    page = np.where(_box(y, x, BOXES["photo"]), 0.65 - 0.35 * np.exp(-(face**4)), page)
    ring = np.abs(np.hypot(x - 0.8, y - 0.75) - 0.1) < 0.02
    return np.asarray(np.where(ring, 0.4, page))


def _forged(page: Floats, chance: Chance) -> Floats:
    """What tampering leaves: strokes out of line, another grain."""
    rng = chance.of("forgery")
    moved = np.roll(page, 1 + int(rng.integers(2)), axis=0)
    return np.asarray(0.12 + 0.8 * moved + rng.normal(0, 0.06, page.shape))


def _by_phone(page: Floats, masks: dict[str, Bools], chance: Chance) -> tuple[Floats, dict[str, Bools]]:
    """Perspective and a shadow."""
    rng = chance.of("phone")
    tilt, slant = rng.uniform(-0.08, 0.08), rng.uniform(0.1, 0.25)
    rows, columns = np.mgrid[: page.shape[0], : page.shape[1]].astype(np.float64)
    middle = (page.shape[1] - 1) / 2
    where = [rows, middle + (columns - middle) * (1 + tilt * (rows / page.shape[0] - 0.5))]
    turned = map_coordinates(page, where, order=1, mode="nearest")
    seen = {name: map_coordinates(mask.astype(float), where, order=1) > 0.02 for name, mask in masks.items()}
    shadow = 1 - slant * columns / page.shape[1]
    return np.asarray(turned * shadow), seen
