"""Exact numbers of passes, known before a model is loaded (METHODS 1.7), and the places of occlusion windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.spec.schema import Method, ModelInput, Occlusion


def window_of(method: Occlusion, size: tuple[int, int]) -> tuple[int, int]:
    """Window and stride in pixels: a fourteenth of the shorter side, and half the window, unless the spec names them.

    Raises Refusal where windows would leave pixels uncovered or do not fit into the image.
    """
    window = method.window if method.window is not None else max(1, int(min(size) / 14 + 0.5))
    stride = method.stride if method.stride is not None else max(1, window // 2)
    if window > min(size):
        found, expected = f"window {window} for an image of {size[0]} x {size[1]} pixels", f"at most {min(size)}"
        raise Refusal(f"methods.{method.label}.window", found, expected, "Take a smaller window.")
    if stride > window:
        found = f"stride {stride}, larger than window {window}: pixels would be left uncovered"
        fix = "Take a smaller stride or a larger window."
        raise Refusal(f"methods.{method.label}.stride", found, f"at most {window}", fix)
    return window, stride


def window_starts(side: int, window: int, stride: int) -> npt.NDArray[np.int64]:
    """First pixel of each window along a side; the last window is shifted inwards so that it ends at the border."""
    count = -(-(side - window) // stride) + 1
    return np.minimum(np.arange(count) * stride, side - window)


def occlusion_windows(height: int, width: int, window: int, stride: int) -> npt.NDArray[np.int64]:
    """Boxes (windows, 4) as top, left, bottom, right (bottom and right excluded), row by row."""
    rows, columns = window_starts(height, window, stride), window_starts(width, window, stride)
    top, left = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([top, left, top + window, left + window], axis=1)


def explanation_cost(method: Method, model_input: ModelInput, cases: int) -> Passes:
    """Passes of one method on its own over the cases. Raises Refusal as the method itself would.

    The forward of one grey image that checks named layers belongs to loading the model and is not counted.
    """
    if isinstance(method, Occlusion):
        height, width = model_input.size
        windows = len(occlusion_windows(height, width, *window_of(method, model_input.size)))
        return Passes(forwards=cases * (1 + windows))
    return Passes(forwards=cases, backwards=cases)


def pass_cost(methods: Sequence[Method], cases: int) -> Passes:
    """Passes of all pass readers together: one forward and one backward a case and distinct target."""
    targets = len({method.target for method in methods if is_pass_reader(method)})
    return Passes(forwards=cases * targets, backwards=cases * targets)


def query_cost(methods: Sequence[Method], model_input: ModelInput, cases: int) -> Passes:
    """Passes of all query askers together: methods that ask for the same masked image share it."""
    askers = [method for method in methods if not is_pass_reader(method)]
    rows = {row for method in askers for row in _rows(method, model_input)}
    return Passes(forwards=cases * (len(rows) + 1)) if askers else Passes()


def is_pass_reader(method: Method) -> bool:
    """Whether a method reads one forward and backward pass, and asks for no masked images."""
    return registry.method(method.use).shape == "pass_reader"


def _rows(method: Method, model_input: ModelInput) -> list[tuple[object, ...]]:
    if not isinstance(method, Occlusion):
        return []
    try:
        window, stride = window_of(method, model_input.size)
    except Refusal:
        return []
    boxes = occlusion_windows(*model_input.size, window, stride)
    return [(method.baseline, *box) for box in boxes.tolist()]
