"""Occlusion: what the target loses when a window of the image is covered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xai_audit.explain.baselines import baseline_record, fill
from xai_audit.explain.cost import occlusion_windows, window_of, window_starts
from xai_audit.explain.explained import wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Asking, Case, Windows
from xai_audit.spec.methods import Method, Occlusion


def occlusion(case: Case, method: Method) -> Asking:
    """Mean over the windows that cover a pixel of v_w = y(x) - y(x with window w covered) (Zeiler and Fergus 2014).

    raw (1, height, width); windows (1, rows, columns) holds v_w. Raises Refusal for windows that do not fit.
    """
    if not isinstance(method, Occlusion):
        raise wrong_use(method, "occlusion")
    _, height, width = case.pixels.shape
    window, stride = window_of(method, (height, width))
    cover = fill(method.baseline, case.pixels, case.sources)
    rows, columns = _covering(height, window, stride), _covering(width, window, stride)
    answered = yield Windows(occlusion_windows(height, width, window, stride), cover)
    v = (case.value - answered.values).reshape(len(rows), len(columns))
    raw = (rows.T @ v @ columns) / np.outer(rows.sum(0), columns.sum(0))
    parameters = {"window": window, "stride": stride, "baseline": baseline_record(method.baseline, case.sources)}
    return Maps(raw[None], {"windows": v[None]}, parameters)


def _covering(side: int, window: int, stride: int) -> npt.NDArray[np.float64]:
    """(windows, pixels): 1 where a window covers a pixel of that side."""
    starts = window_starts(side, window, stride)[:, None]
    pixel = np.arange(side)
    return ((pixel >= starts) & (pixel < starts + window)).astype(np.float64)
