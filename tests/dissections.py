"""Dissections of activations and masks held in arrays, and the same overlaps drawn pixel by pixel in float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.dissection import Asked, Dissected, Dissection, rotation
from xai_audit.concepts.overlap import Picture

Centres = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Case:
    """Activations (cases, units, rows, columns), masks (cases, concepts, height, width), and what else is asked."""

    activation: NDArray[Any]
    masks: NDArray[np.bool_]
    centres: Centres | None = None
    """Default: those of as many cells."""
    category: tuple[int, ...] | None = None
    """Default: one category."""
    annotated: NDArray[np.bool_] | None = None
    """Default: everywhere."""
    quantile: float = 0.05
    limit: float = 0.04
    shuffles: int = 19
    seed: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> Centres:
        """Centres of rows and columns."""
        return self.centres or cells(self.activation.shape[2:], self.masks.shape[2:])

    @property
    def asked(self) -> Asked:
        """What a dissection is made of."""
        cases, units, *grid = self.activation.shape
        category = self.category or (0,) * self.masks.shape[1]
        annotated = np.ones((cases, max(category) + 1), np.bool_) if self.annotated is None else self.annotated
        return Asked(
            "dissect", cases, units, (grid[0], grid[1]), Picture.of(self.places, self.masks.shape[2:]),
            np.array(category), annotated, lambda place: self.masks[place], self.quantile, self.limit, self.shuffles,
            **self.more,
        )  # fmt: skip

    def turn(self) -> NDArray[np.float64]:
        """The random directions."""
        return rotation(self.activation.shape[1], np.random.default_rng(self.seed + 1))

    def dissection(self, batch: int = 8) -> Dissection:
        """A dissection that has seen all cases as often as it wants."""
        made = Dissection(self.asked, self.activation.dtype, self.turn())
        for start in range(0, len(self.activation), batch):
            made.tally(self.activation[start : start + batch])
        made.settle()
        if made.looks == 2:
            for start in range(0, len(self.activation), batch):
                made.meet(self.activation[start : start + batch])
        return made

    def dissected(self, batch: int = 8) -> Dissected:
        """What it finds."""
        return self.dissection(batch).dissected(np.random.default_rng(self.seed))


def cells(grid: tuple[int, ...], size: tuple[int, ...]) -> Centres:
    """Centres of a picture cut into cells."""
    rows, columns = ((np.arange(n) + 0.5) * side / n - 0.5 for n, side in zip(grid, size, strict=True))
    return rows, columns


def weights(centres: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    """Bilinear weights (pixels, places) anchored at centres; beyond the outermost ones their value holds."""
    found = np.zeros((pixels, len(centres)))
    for pixel in range(pixels):
        at = min(max(float(pixel), centres[0]), centres[-1])
        after = next((k for k, centre in enumerate(centres) if centre > at), None)
        if after is None:
            found[pixel, -1] = 1
            continue
        step = (at - centres[after - 1]) / (centres[after] - centres[after - 1])
        found[pixel, after - 1], found[pixel, after] = 1 - step, step
    return found


def thresholds(activation: NDArray[Any], quantile: float) -> NDArray[np.float64]:
    """The (floor(q n) + 1)-th largest value of each unit over all cases, by sorting."""
    values = np.sort(activation.astype(np.float64).swapaxes(0, 1).reshape(activation.shape[1], -1), axis=1)[:, ::-1]
    return np.asarray(values[:, int(np.floor(quantile * values.shape[1]))])


def drawn(case: Case, activation: NDArray[Any] | None = None) -> NDArray[np.bool_]:
    """M_k of every case, (cases, units, height, width): all maps upsampled whole in float64 and compared."""
    given = (case.activation if activation is None else activation).astype(np.float64)
    down, across = (weights(c, side) for c, side in zip(case.places, case.masks.shape[2:], strict=True))
    upsampled = np.einsum("yi,nkij,xj->nkyx", down, given, across)
    return np.asarray(upsampled > thresholds(given, case.quantile)[:, None, None])


def pooled_iou(case: Case, activation: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """IoU (units, concepts) of pixels pooled over the cases annotated for each concept's category."""
    answers, asked = drawn(case, activation), case.asked
    columns = []
    for concept, category in enumerate(asked.category):
        inside = asked.annotated[:, category]
        unit, mask = answers[inside], case.masks[inside, concept][:, None]
        both, either = (unit & mask).sum(axis=(0, 2, 3)), (unit | mask).sum(axis=(0, 2, 3))
        columns.append(both / np.maximum(either, 1))
    return np.stack(columns, axis=1)
