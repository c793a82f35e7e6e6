"""Activations of a layer's units over a whole slice, and what they say of each unit (METHODS 3, activation_maps)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xai_audit.concepts.histograms import BINS, Histograms
from xai_audit.concepts.top import TopCases
from xai_audit.errors import Refusal, StepError
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import ActivationMaps

MOST_MEGABYTES = 128
MEBIBYTE = 2**20
FLOAT_BYTES, COUNT_BYTES = 4, 8
STUCK = 0.95
"""A unit is saturated where this share of its values, or more, lies at its upper bound."""
WITHIN = 0.01
"""How near to a bound that is never quite reached, as a share of its span."""
SOFT_BOUNDS: Mapping[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0), nn.Softsign: (-1.0, 1.0),
}  # fmt: skip
"""Activations that near their bounds without end; others reach theirs, if they have one, exactly."""


@dataclass(frozen=True)
class UnitFacts:
    """What one unit gives over all places of all cases."""

    unit: int
    min: float
    max: float
    mean: float
    share_not_positive: float
    """Share of values that are 0 or less."""
    share_at_bound: float
    """Share of values that equal its largest; of a soft bound those within a hundredth of the span from one end, the
    end that has more."""
    is_dead: bool
    """0 everywhere, in a layer without values below 0."""
    is_saturated: bool
    """Not dead, and `share_at_bound` is at least STUCK: it stays at its upper bound, or gives one value everywhere."""


class Activity:
    """The activity of some units, gathered while cases stream by: memory does not grow with the number of cases."""

    def __init__(
        self,
        method: ActivationMaps,
        units: Sequence[int],
        ids: Sequence[str],
        slices: Mapping[str, npt.NDArray[np.int64]],
        bounds: Bounds = None,
    ) -> None:
        """`ids` of all cases, by number; `slices`: numbers of the cases of each; `bounds`: see `soft_bounds`."""
        self.method, self.units, self.ids, self.bounds = method, tuple(units), ids, bounds
        self.members = dict(slices)
        self.top = TopCases(method.top, method.rank)
        self.histograms = Histograms(len(self.units), tuple(slices))
        self.cases, self.places, self.is_rectified = 0, 0, True
        count = len(self.units)
        self._low, self._high = np.full(count, np.inf), np.full(count, -np.inf)
        self._sum, self._not_positive = np.zeros(count), np.zeros(count, np.int64)
        self._at_high, self._at_low = np.zeros(count, np.int64), np.zeros(count, np.int64)

    def take(self, indexes: npt.NDArray[np.int64], activation: Tensor) -> None:
        """Some cases, with numbers above those of all before: the layer's output (cases, channels, height, width).

        Raises StepError where a value is NaN or infinite.
        """
        lowest = float(activation.amin())
        if not np.isfinite(lowest) or not np.isfinite(float(activation.amax())):
            raise self._not_finite(indexes, activation)
        self.is_rectified = self.is_rectified and lowest >= 0
        maps = activation
        if len(self.units) < activation.shape[1] or self.units != tuple(range(len(self.units))):
            maps = activation[:, torch.tensor(self.units, device=activation.device)]
        values = maps.flatten(2).contiguous()
        self.cases, self.places = self.cases + len(values), values.shape[2]
        self._add(values)
        self.top.take(indexes, values.view(maps.shape))
        inside = np.array([np.isin(indexes, cases) for cases in self.members.values()])
        self.histograms.take(values, inside)

    def _add(self, values: Tensor) -> None:
        low, high = (_numbers(one) for one in (values.amin((0, 2)), values.amax((0, 2))))
        for of_case in _numbers(values.sum(2, dtype=torch.float64)):  # one by one: the same at any batch size
            self._sum += of_case
        self._not_positive += _counted(values <= 0)
        if self.bounds is None:
            at_high = _counted(values == values.amax((0, 2))[:, None])
            self._at_high = at_high * (high >= self._high) + self._at_high * (high <= self._high)
        else:
            ends, near = self.bounds, WITHIN * (self.bounds[1] - self.bounds[0])
            self._at_low += _counted(values <= ends[0] + near)
            self._at_high += _counted(values >= ends[1] - near)
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def _not_finite(self, indexes: npt.NDArray[np.int64], activation: Tensor) -> StepError:
        is_bad = ~activation.isfinite().flatten(1).all(1)
        case = self.ids[int(indexes[int(is_bad.nonzero()[0, 0])])]
        found = f"NaN or infinite activations, first in case {case!r}"
        fix = "Look at that image and at the model's weights and precision."
        return StepError(f"methods.{self.method.label}", found, "finite values", fix)

    def facts(self) -> tuple[UnitFacts, ...]:
        """Of each unit, in the order named."""
        count = self.cases * self.places
        return tuple(self._facts(row, count) for row in range(len(self.units)))

    def _facts(self, row: int, count: int) -> UnitFacts:
        is_dead = self.is_rectified and float(self._high[row]) <= 0
        share = max(int(self._at_high[row]), int(self._at_low[row])) / count
        return UnitFacts(
            self.units[row], float(self._low[row]), float(self._high[row]), float(self._sum[row] / count),
            int(self._not_positive[row]) / count, share, is_dead, not is_dead and share >= STUCK,
        )  # fmt: skip

    def order(self) -> tuple[int, ...]:
        """Rows of the units, strongest first: by the largest `rank` of a case, or by the mean; the first of equals."""
        strength = self._high if self.method.rank == "max" else self._sum
        return tuple(np.argsort(-strength, kind="stable").tolist())


Bounds = tuple[float, float] | None


def soft_bounds(module: nn.Module) -> Bounds:
    """Ends of the values of a layer that is, or ends in, a sigmoid, tanh or softsign module; else None."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return SOFT_BOUNDS.get(type(module))


def saturation(bounds: Bounds) -> dict[str, object]:
    """The rule by which units are saturated, for a record."""
    if bounds is None:
        return {"rule": "largest", "share": STUCK}
    return {"rule": "bounds", "bounds": list(bounds), "within": WITHIN, "share": STUCK}


def units_of(method: ActivationMaps, channels: int) -> tuple[int, ...]:
    """Numbers of the units kept, in the order named. Raises Refusal for one that the layer does not have."""
    if method.units is None:
        return tuple(range(channels))
    beyond = [unit for unit in method.units if unit >= channels]
    if beyond:
        found, expected = f"unit {beyond[0]}", f"0 to {channels - 1}: the layer has {channels} units"
        raise Refusal(f"methods.{method.label}.units", found, expected, "Correct the numbers.")
    return tuple(dict.fromkeys(method.units))


def check_size(method: ActivationMaps, layer: SpatialLayer, slices: int) -> None:
    """Raises Refusal where what is kept, maps of the strongest cases and histograms, would be larger than 128 MB."""
    height, width = layer.grid
    a_unit = method.top * height * width * FLOAT_BYTES + slices * BINS * COUNT_BYTES
    units = len(units_of(method, layer.channels))
    most = MOST_MEGABYTES * MEBIBYTE
    if units * a_unit <= most:
        return
    found = (
        f"{units} units, each with {method.top} maps of {height} x {width} and {slices} x {BINS} counts: "
        f"{units * a_unit // MEBIBYTE} MB"
    )
    fix = f"Name at most {max(most // a_unit, 1)} `units`, or choose a smaller `top` or a later layer."
    raise Refusal(f"methods.{method.label}.units", found, f"at most {MOST_MEGABYTES} MB", fix)


def _numbers(values: Tensor) -> npt.NDArray[np.float64]:
    return np.asarray(values.double().cpu())


def _counted(holds: Tensor) -> npt.NDArray[np.int64]:
    """How often something holds for each unit; holds (cases, units, places)."""
    return np.asarray(holds.sum((0, 2)).cpu(), np.int64)
