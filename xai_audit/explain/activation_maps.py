"""Activations of a layer's units, and what they say over all cases together (METHODS 3, activation_maps)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import MEBIBYTE, no_layer
from xai_audit.explain.passes import PassResult
from xai_audit.explain.transfer import DeviceMaps
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import ActivationMaps, Method

MOST_MEGABYTES = 128
FLOAT_BYTES = 4

Array = npt.NDArray[np.floating]


def activation_maps(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """A of the named units, unscaled, (cases, units, height, width) of the layer's grid.

    Raises Refusal for a unit that the layer does not have, StepError without a layer.
    """
    if layer is None or not isinstance(method, ActivationMaps):
        raise no_layer(method)
    A = result.activation(layer)
    units = units_of(method, A.shape[1])
    chosen = A if method.units is None else A[:, torch.tensor(units, device=A.device)]
    kept: object = "all" if method.units is None else list(units)
    return DeviceMaps(chosen, parameters={"units": kept, "rank": method.rank, "top": method.top})


def units_of(method: ActivationMaps, channels: int) -> tuple[int, ...]:
    """Numbers of the units kept, in the order named. Raises Refusal for one that the layer does not have."""
    if method.units is None:
        return tuple(range(channels))
    beyond = [unit for unit in method.units if unit >= channels]
    if beyond:
        found, expected = f"unit {beyond[0]}", f"0 to {channels - 1}: the layer has {channels} units"
        raise Refusal(f"methods.{method.label}.units", found, expected, "Correct the numbers.")
    return tuple(dict.fromkeys(method.units))


def check_size(method: ActivationMaps, layer: SpatialLayer, cases: int) -> None:
    """Raises Refusal where the maps of that many cases would be larger than 128 MB."""
    places = layer.grid[0] * layer.grid[1]
    a_unit = cases * places * FLOAT_BYTES
    units = len(units_of(method, layer.channels))
    if units * a_unit <= MOST_MEGABYTES * MEBIBYTE:
        return
    fitting = max(MOST_MEGABYTES * MEBIBYTE // a_unit, 1)
    found = (
        f"{units} maps of {layer.grid[0]} x {layer.grid[1]} for {cases} or more cases: {units * a_unit // MEBIBYTE} MB"
    )
    fix = f"Name at most {fitting} `units`, or choose fewer cases or a later layer."
    raise Refusal(f"methods.{method.label}.units", found, f"at most {MOST_MEGABYTES} MB", fix)


def summary(maps: Array, units: Sequence[int], method: ActivationMaps) -> dict[str, object]:
    """What each unit answers to over all cases, as JSON values; maps (cases, units, height, width).

    `units`: one entry for each unit, in the maps' order, with its number in the layer, min, max, mean, the share of
    places with 0 or less, whether it is dead, and `top`, the cases with its largest `rank`, best first, as positions
    along the maps' first axis. `order`: the units' numbers, largest `rank` first. A unit is dead where it is 0
    everywhere in a layer without values below 0; of other layers none is.
    """
    places = maps.reshape(*maps.shape[:2], -1)
    of_case = places.max(2) if method.rank == "max" else places.mean(2, dtype=np.float64)
    of_unit = of_case.max(0) if method.rank == "max" else of_case.mean(0)
    is_rectified = bool(maps.min() >= 0)
    entries = [
        _of_unit(unit, places[:, row], of_case[:, row], is_rectified, method.top) for row, unit in enumerate(units)
    ]
    order = [int(units[row]) for row in np.argsort(-of_unit, kind="stable")]
    return {"rank": method.rank, "is_rectified": is_rectified, "order": order, "units": entries}


def _of_unit(unit: int, values: Array, of_case: Array, is_rectified: bool, top: int) -> dict[str, object]:
    """One unit's numbers; values (cases, places), of_case (cases,)."""
    return {
        "unit": int(unit),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(values.mean(dtype=np.float64)),
        "share_not_positive": float(np.mean(values <= 0)),
        "is_dead": is_rectified and float(values.max()) <= 0,
        "top": np.argsort(-of_case, kind="stable")[:top].tolist(),
    }
