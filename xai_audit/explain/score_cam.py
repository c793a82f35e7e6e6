"""Score-CAM: channels of a layer weighted by the target of the image seen through them alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.errors import StepError
from xai_audit.explain.baselines import baseline_record, fill
from xai_audit.explain.explained import no_layer, wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Asking, Case, SoftMasks, Windows
from xai_audit.spec.methods import Method, ScoreCam

Array = npt.NDArray[np.float64]

_FLAT = "{n} channels, over {cases} cases, have the same value everywhere and make no mask; they got no weight."
_ONE = "In {n} of {cases} cases the weights rest on fewer than 2 channels: the softmax is saturated."
_EVEN = (
    "In {n} of {cases} cases the weights are spread over more than half of the channels: the map is almost their mean."
)
_NONE = "In {n} of {cases} cases no channel makes a mask; their maps are all zero."


def score_cam(case: Case, method: Method) -> Asking:
    """sum_k a_k A_k before its ReLU, a = softmax over k of s_k = y(x H_k + x' (1 - H_k)) - y(x') (Wang et al. 2020).

    H_k is channel k upsampled to the image, then scaled from its minimum to its maximum. raw (1, rows, columns) of the
    layer's grid; weights and scores (1, channels), 0 where a channel was not asked; effective_channels (1,), 1 / sum_k
    a_k^2, 0 where weights are no softmax. Raises StepError without a layer or where its activations are not finite.
    """
    if not isinstance(method, ScoreCam):
        raise wrong_use(method, "score_cam")
    A = _activation(case, method)
    x_fill = fill(method.baseline, case.pixels, case.sources)
    asked, flat = _asked(A, method)
    y_fill = (yield Windows(np.array([[0, 0, *case.pixels.shape[1:]]]), x_fill)).values[0]
    values = (yield SoftMasks(A, asked, x_fill)).values
    s = values - y_fill
    is_softmax = method.channel_norm == "softmax"
    a = _softmax(s) if is_softmax else s
    weights, scores = np.zeros(len(A)), np.zeros(len(A))
    weights[asked], scores[asked] = a, s
    L = np.tensordot(weights, A.cpu().double().numpy(), 1)
    effective = 1 / float((a**2).sum()) if is_softmax and len(asked) else 0.0
    counts = {_FLAT: flat, _NONE: int(not len(asked)), **_spread(effective, len(asked) + flat)}
    extras = {"weights": weights[None], "scores": scores[None], "effective_channels": np.array([effective])}
    return Maps(L[None], extras, _parameters(method, case, len(A)), _deviation(method, len(A)), counts)


def _activation(case: Case, method: ScoreCam) -> Tensor:
    if case.activation is None or case.layer is None:
        raise no_layer(method)
    bad = int((~torch.isfinite(case.activation)).sum())
    if bad:
        found = f"{bad} NaN or infinite activations of {case.layer.path!r}"
        fix = "Look at that image and at the model's weights and precision."
        raise StepError(f"methods.{method.label}", found, "finite values", fix)
    return case.activation


def _asked(A: Tensor, method: ScoreCam) -> tuple[npt.NDArray[np.int64], int]:
    """Numbers of the channels that are asked, in order, and how many of the chosen ones are flat."""
    is_flat = (A.amax((1, 2)) == A.amin((1, 2))).cpu().numpy()
    chosen = np.arange(len(A))
    if method.top_k != "all" and method.top_k < len(A):
        variance = A.double().var((1, 2), correction=0).cpu().numpy()
        chosen = np.sort(np.argsort(-variance, kind="stable")[: method.top_k])
    return chosen[~is_flat[chosen]], int(is_flat[chosen].sum())


def _softmax(s: Array) -> Array:
    """exp(s_k) / sum_j exp(s_j); empty for no channels."""
    e = np.exp(s - s.max(initial=-np.inf))
    return np.asarray(e / e.sum())


def _spread(effective: float, channels: int) -> dict[str, int]:
    """What to say of the effective number of channels, which lies between 1 and all; of few channels one thing only."""
    is_one, is_even = 0 < effective < 2, effective > channels / 2
    if is_one and is_even:
        is_even = effective > (1 + channels) / 2
        is_one = not is_even
    return {_ONE: int(is_one), _EVEN: int(is_even)}


def _deviation(method: ScoreCam, channels: int) -> tuple[str, ...]:
    if method.top_k == "all" or method.top_k >= channels:
        return ()
    return (
        f"Only {method.top_k} of {channels} channels were asked, those of largest variance: "
        "a deviation from the method as published.",
    )


def _parameters(method: ScoreCam, case: Case, channels: int) -> dict[str, object]:
    return {
        "baseline": baseline_record(method.baseline, case.sources),
        "channel_norm": method.channel_norm,
        "top_k": method.top_k,
        "channels": channels,
    }
