"""Integrated gradients: the target's change from a baseline to the image, shared out over the pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from xai_audit.explain.baselines import baseline_record, fill
from xai_audit.explain.cost import gradient_steps
from xai_audit.explain.explained import wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Asking, Case, PathPoints, Windows
from xai_audit.spec.methods import IntegratedGradients, Method

SMALL_CHANGE = 1e-4
"""A change of the target smaller than this share of the target (of 1, if that is larger) has no relative gap."""
_NOT_CONVERGED = (
    "{n} of {cases} cases did not converge: after `max_steps` the completeness gap is still above `tolerance`."
)
_NO_RATIO = (
    "In {n} of {cases} cases the target hardly differs between baseline and image: the relative completeness gap is "
    "undefined, and the absolute gap is given, judged against the sum of absolute relevances."
)


def integrated_gradients(case: Case, method: Method) -> Asking:
    """(x - x') (1/n) sum_i dy/dx (x' + t_i (x - x')), t_i = (i + 1/2) / n (Sundararajan, Taly, Yan 2017, eq. 3).

    n is doubled until the completeness gap |sum - (y(x) - y(x'))| / |y(x) - y(x')| is within the tolerance.
    raw (1, channels, height, width), signed; gap, gap_is_absolute, steps, converged, change (1,). Raises Refusal where
    the target cannot be differentiated, or the baseline is not there.
    """
    if not isinstance(method, IntegratedGradients):
        raise wrong_use(method, "integrated_gradients")
    x = case.pixels
    base = fill(method.baseline, x, case.sources)
    change = case.value - (yield Windows(np.array([[0, 0, *x.shape[1:]]]), base)).values[0]
    has_ratio = abs(change) >= SMALL_CHANGE * max(1.0, abs(case.value))
    for n in gradient_steps(method):
        answered = yield PathPoints(base, (np.arange(n) + 0.5) / n)
        assert answered.gradient is not None
        raw = np.subtract(x, base, dtype=np.float64)
        raw *= answered.gradient
        raw /= n
        gap = abs(raw.sum() - change)
        scale = abs(change) if has_ratio else np.abs(raw).sum()
        if gap <= method.tolerance * scale:
            break
    converged = gap <= method.tolerance * scale
    extras = _one_row(
        gap=gap / abs(change) if has_ratio else gap, gap_is_absolute=not has_ratio, steps=n, converged=converged,
        change=change,
    )  # fmt: skip
    counts = {_NOT_CONVERGED: int(not converged), _NO_RATIO: int(not has_ratio)}
    return Maps(raw[None], extras, _parameters(method, case), counts=counts)


def _one_row(**numbers: float) -> Mapping[str, npt.NDArray[np.float64]]:
    return {name: np.array([number], np.float64) for name, number in numbers.items()}


def _parameters(method: IntegratedGradients, case: Case) -> dict[str, object]:
    return {
        "baseline": baseline_record(method.baseline, case.sources),
        "n_steps": method.n_steps,
        "max_steps": method.max_steps,
        "tolerance": method.tolerance,
        "rule": "midpoint",
    }
