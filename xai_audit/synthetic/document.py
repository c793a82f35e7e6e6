"""World D: photographed forms, some of them tampered with, that come by phone or by scanner (CAUSAL.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn, idctn
from scipy.ndimage import map_coordinates

from xai_audit.synthetic.coefficients import Law3, Law4, Number, Share, Side, Size
from xai_audit.synthetic.shapes import digits, pixel_centres
from xai_audit.synthetic.units import Chance, Discrete, Masks, Picture, Published, Row, World, sigmoid, two

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

    side: Side = 64
    script: Law3 = (1 / 3, 1 / 3, 1 / 3)
    """P(script of the name)."""
    branch: tuple[Law4, Law4, Law4] = ((0.4, 0.3, 0.2, 0.1), (0.25, 0.25, 0.25, 0.25), (0.1, 0.2, 0.3, 0.4))
    """P(branch | script of the name)."""
    phone: tuple[Share, Share, Share, Share] = (0.2, 0.4, 0.6, 0.8)
    """P(phone | branch)."""
    amount_mean: Number = 1.0
    amount_sd: Size = 0.8
    """Of the logarithm of the amount, in thousands."""
    fraud: Number = -2.5
    """Logit of fraud at an amount of 1."""
    fraud_of_amount: Number = 0.5
    """Added by a unit of the logarithm of the amount."""
    c: Number = 1.0
    """Added by branch 2."""
    tamper: Law3 = (1 / 3, 1 / 3, 1 / 3)
    """P(amount, photo, date | fraud)."""
    q0: Number = 0.9
    q1: Number = 0.4
    """Quality of a scan, and what the phone takes from it."""
    quality_sd: Size = 0.05
    noise: Size = 0.01


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
    return sigmoid(c.fraud + c.fraud_of_amount * np.log(amount) + c.c * (branch == 2))


ADJUSTMENT: Published = {
    ("tamper", "score"): (("fraud",), ("amount", "branch")),
    ("channel", "score"): (("branch",),),
    ("script", "score"): ((),),
}
"""Fraud alone blocks as well, but there is no tampering without it: no overlap."""


def document(coefficients: Document | None = None) -> World:
    """The world; pictures are (side, side), masks amount, photo, date, stamp, tampered."""
    return World("document", coefficients or Document(), {
        "script": Discrete((0, 1, 2), lambda row, c: c.script),
        "branch": Discrete((0, 1, 2, 3), lambda row, c: c.branch[int(row["script"])]),
        "channel": two(lambda row, c: c.phone[int(row["branch"])]),
        "amount": lambda row, rng, c: float(np.exp(rng.normal(c.amount_mean, c.amount_sd))),
        "fraud": two(lambda row, c: fraud_chance(row["branch"], row["amount"], c)),
        "tamper": Discrete(TAMPER, lambda row, c: (0.0, *c.tamper) if row["fraud"] else (1.0, 0.0, 0.0, 0.0)),
        "quality": lambda row, rng, c: float(np.clip(c.q0 - c.q1 * row["channel"] + rng.normal(0, c.quality_sd), 0, 1)),
    }, EDGES, render, (*BOXES, "tampered"), ADJUSTMENT)  # fmt: skip


def render(row: Row, chance: Chance, c: Document) -> tuple[Picture, Masks]:
    """Paper with guilloche, fields, photo and stamp; tampering in its field; the phone's marks; what JPEG leaves."""
    y, x = pixel_centres(c.side, c.side)
    page = 0.8 + 0.04 * row["branch"] + 0.03 * np.sin(40 * (x + 0.1 * np.sin(12 * y)))
    masks = {name: _box(y, x, box) for name, box in BOXES.items()}
    page = _fields(page, y, x, row, chance)
    tampered = masks[TAMPER[int(row["tamper"])]] if row["tamper"] else np.zeros(y.shape, dtype=bool)
    page = np.where(tampered, _forged(page, chance), page)
    masks["tampered"] = tampered
    if row["channel"] == 1:
        page, masks = _by_phone(page, masks, chance)
    page = page + chance.of("pixels").normal(0, c.noise, page.shape)
    page = _as_jpeg(page, row["quality"])
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
        box = _box(y, x, BOXES[name])
        page[box] = np.where(_number(name, text, page.shape), 0.15, page[box])
    face = np.hypot((x - 0.81) / 0.09, (y - 0.3) / 0.13)
    page = np.where(_box(y, x, BOXES["photo"]), 0.65 - 0.35 * np.exp(-(face**4)), page)
    ring = np.abs(np.hypot(x - 0.8, y - 0.75) - 0.1) < 0.02
    return np.asarray(np.where(ring, 0.4, page))


@lru_cache(maxsize=1024)
def _number(name: str, text: str, size: tuple[int, int]) -> Bools:
    """Which pixels of a field's box a number in it covers; not to be written to."""
    y, x = pixel_centres(*size)
    top, left, bottom, right = BOXES[name]
    box = _box(y, x, BOXES[name])
    drawn = digits(x[box] - (left + right) / 2, y[box] - (top + bottom) / 2, text, 0.13, 0.025)
    drawn.setflags(write=False)
    return drawn


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


def _as_jpeg(page: Floats, quality: float) -> Floats:
    """What is left of the page in blocks of 8 x 8 cosines, each rounded to a step that grows as quality falls."""
    if quality >= 1:
        return page
    height, width = page.shape
    padded = np.pad(page, ((0, -height % 8), (0, -width % 8)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // 8, 8, padded.shape[1] // 8, 8)
    across, down = np.meshgrid(np.arange(8), np.arange(8))
    step = (2 * (1 - quality) * (10 + 7 * (across + down)) / 255)[:, None, :]
    kept = np.round(dctn(blocks, axes=(1, 3), norm="ortho") / step) * step
    return np.asarray(idctn(kept, axes=(1, 3), norm="ortho").reshape(padded.shape)[:height, :width])
