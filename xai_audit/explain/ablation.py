"""Ablation-CAM: channels of a layer weighted by what the target loses without them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xai_audit.explain.explained import no_layer, wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Ablations, Asking, Case
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import AblationCam, Method

SMALL = 1e-6
"""Below this size of the target weights are not divided by it."""
AGREES = 1e-5
"""Largest difference between a closed form and a run, as a share of the largest value at hand (METHODS 9)."""

_SMALL = f"In {{n}} of {{cases}} cases the target is smaller than {SMALL:g}: their weights are not divided by it."
_NOT_CLOSED = "In {n} of {cases} cases the closed form did not agree with two runs: every channel was run."

Values = npt.NDArray[np.float64]


def ablation_cam(case: Case, method: Method) -> Asking:
    """sum_k w_k A_k before its ReLU, w_k = (y - y_k) / |y|, y_k = y with A_k := 0 (Desai and Ramaswamy 2020, eq. 3).

    The paper divides by y, which turns the map around where y < 0. raw (1, height, width) of the layer's grid; weights
    (1, channels) is y - y_k, undivided; divisor (1,). Raises StepError without a layer.
    """
    if not isinstance(method, AblationCam):
        raise wrong_use(method, "ablation_cam")
    layer, A = _place(case, method)
    losses = _closed_form(A, case.gradient) if case.tail_is_affine else None
    if losses is not None:
        chosen = _largest_two(losses)
        agrees = _agree(losses[chosen], case.value - (yield Ablations(layer, chosen)).values, case.value)
        losses = losses if agrees else None
    not_closed = case.tail_is_affine and losses is None
    if losses is None:
        losses = case.value - (yield Ablations(layer, np.arange(len(A)))).values
    is_small = abs(case.value) < SMALL
    divisor = 1.0 if is_small or method.denominator == "none" else abs(case.value)
    raw = np.tensordot(losses / divisor, A.double().cpu().numpy(), 1)
    counts = {_SMALL: int(is_small and method.denominator == "abs"), _NOT_CLOSED: int(not_closed)}
    extras = {"weights": losses[None], "divisor": np.array([divisor])}
    return Maps(raw[None], extras, {"denominator": method.denominator}, counts=counts)


def _place(case: Case, method: Method) -> tuple[SpatialLayer, Tensor]:
    if case.layer is None or case.activation is None:
        raise no_layer(method)
    return case.layer, case.activation


def _closed_form(A: Tensor, gradient: Tensor | None) -> Values | None:
    """What y loses without each channel, sum_ij g_kij A_kij, where y is affine in A; None without a gradient."""
    if gradient is None:
        return None
    losses: Values = (gradient.double() * A.double()).sum((1, 2)).cpu().numpy()
    return losses


def _largest_two(losses: Values) -> npt.NDArray[np.int64]:
    """The channels that matter most, of which the closed form is checked."""
    return np.sort(np.argsort(-abs(losses), kind="stable")[:2]).astype(np.int64)


def _agree(closed: Values, run: Values, value: float) -> bool:
    scale = max(abs(value), *abs(closed), *abs(run))
    return bool((abs(closed - run) <= AGREES * scale).all())
