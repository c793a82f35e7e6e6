"""What part of the picture each place of a layer sees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.places import Lost, Places, State, places_of, shape_of

Box = tuple[int, int, int, int]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReceptiveField:
    """Where the places of a layer lie in the picture, in pixels; pixel 0 has its centre at 0. Rows, then columns."""

    size: tuple[float, float] | None
    """Pixels that a place depends on at most, around its centre and also beyond the border; None: the whole picture."""
    stride: tuple[float, float]
    """Pixels from one place to the next."""
    start: tuple[float, float]
    """Centre of place (0, 0)."""
    how: Literal["graph", "tokens", "cells"]
    """graph: followed through the network's operations; tokens: centres of the patches that tokens are made of; cells:
    the picture cut into as many cells as the layer has places."""
    why: str = ""
    """Of cells: why the network could not be followed; of the whole picture: why not less."""

    def box(self, row: int, column: int, input_size: tuple[int, int]) -> Box:
        """(top, left, bottom, right) of what a place sees, clipped to the picture; bottom and right lie outside it.

        A place that sees nothing but padding has the pixel that is nearest to its centre.
        """
        ends = [self._span(axis, place, input_size[axis]) for axis, place in enumerate((row, column))]
        return ends[0][0], ends[1][0], ends[0][1], ends[1][1]

    def _span(self, axis: int, place: int, length: int) -> tuple[int, int]:
        if self.size is None:
            return 0, length
        centre, half = self.start[axis] + place * self.stride[axis], (self.size[axis] - 1) / 2
        low = min(max(math.floor(centre - half), 0), length - 1)
        return low, max(min(math.ceil(centre + half) + 1, length), low + 1)

    def centres(self, grid: tuple[int, int]) -> tuple[Floats, Floats]:
        """Centres of the rows and of the columns of a grid."""
        rows, columns = (
            self.start[axis] + np.arange(grid[axis], dtype=np.float64) * self.stride[axis] for axis in (0, 1)
        )
        return rows, columns

    def as_json(self) -> dict[str, Any]:
        """For a step's record."""
        size = None if self.size is None else list(self.size)
        return {
            "size": size, "stride": list(self.stride), "start": list(self.start), "how": self.how, "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Followed:
    """Places of all values of a recorded network."""

    layers: Mapping[str, int]
    states: Mapping[int, State]
    shapes: Mapping[int, tuple[int, ...]]


_KNOWN: WeakKeyDictionary[AuditedModel, _Followed | Lost] = WeakKeyDictionary()
"""Networks that were followed already: recording takes seconds, and weights do not change where places lie."""


def receptive_field(model: AuditedModel, layer: SpatialLayer) -> ReceptiveField:
    """What each place of a layer sees, found by following the recorded network; of tokens the centres of patches.

    Makes three uncounted forwards the first time that it is asked of a model, which is left as found.
    """
    if model not in _KNOWN:
        _KNOWN[model] = _follow(model)
    state, size = _state_of(_KNOWN[model], layer), model.input.size
    is_tokens = not isinstance(layer.layout, str)
    if isinstance(state, Places) and (is_tokens or state.axes == _AXES[str(layer.layout)]):
        return _of_places(state, "tokens" if is_tokens else "graph")
    if is_tokens:
        return _cells(layer, size, "tokens", "Tokens look at each other.")
    why = state.why if isinstance(state, Lost) else "rows and columns that do not lie where the layout says"
    return _cells(layer, size, "cells", f"The network was not followed: {why}.")


_AXES: Mapping[str, tuple[int, int]] = {"nchw": (2, 3), "nhwc": (1, 2)}


def _follow(model: AuditedModel) -> _Followed | Lost:
    try:
        graph = Graph.record(model, [path for path, _ in model.module.named_modules() if path])
    except Refusal as refusal:
        return Lost(refusal.problem.found)
    states = places_of(graph)
    return _Followed(graph.layers, states, {node.number: shape_of(node) for node in graph.nodes})


def _state_of(followed: _Followed | Lost, layer: SpatialLayer) -> State:
    """Places of the layer's output; of tokens those of the last map before them that has their grid."""
    if isinstance(followed, Lost):
        return followed
    number = followed.layers.get(layer.path)
    if number is None:
        return Lost("its output is not one tensor of one run")
    if isinstance(layer.layout, str):
        return followed.states[number] or Lost("its output does not depend on the picture")
    before = ((followed.states[k], followed.shapes[k]) for k in range(number, -1, -1))
    found = next((state for state, shape in before if _has_grid(state, shape, layer.grid)), None)
    return replace(found, is_whole=True) if isinstance(found, Places) else None


def _has_grid(state: State, shape: tuple[int, ...], grid: tuple[int, int]) -> bool:
    return isinstance(state, Places) and len(shape) > max(state.axes) and tuple(shape[a] for a in state.axes) == grid


def _of_places(places: Places, how: Literal["graph", "tokens"]) -> ReceptiveField:
    axes = (places.rows, places.columns)
    size = None if places.is_whole else (_number(axes[0].size), _number(axes[1].size))
    why = "" if size else "Tokens look at each other." if how == "tokens" else _WHOLE
    stride, start = ((_number(one), _number(other)) for one, other in (
        (axes[0].stride, axes[1].stride), (axes[0].start, axes[1].start)))  # fmt: skip
    return ReceptiveField(size, stride, start, how, why)


_WHOLE = "An operation on the way takes all places together."


def _number(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)


def _cells(layer: SpatialLayer, size: tuple[int, int], how: Literal["tokens", "cells"], why: str) -> ReceptiveField:
    """The picture cut into cells: centre (i + 1/2) H / h - 1/2."""
    steps = [Fraction(length, places) for length, places in zip(size, layer.grid, strict=True)]
    starts = [(step - 1) / 2 for step in steps]
    return ReceptiveField(
        None, (_number(steps[0]), _number(steps[1])), (_number(starts[0]), _number(starts[1])), how, why
    )
