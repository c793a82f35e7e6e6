"""SmoothGrad: the gradient map averaged over noisy copies of the image."""

from __future__ import annotations

import numpy as np

from xai_audit.explain.explained import wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Asking, Case, NoisyPoints
from xai_audit.spec.methods import Method, SmoothGrad

_CONSTANT = (
    "{n} of {cases} images have the same value in every pixel, so that their noise would be 0: their map is the plain "
    "gradient, of one pass."
)


def smooth_grad(case: Case, method: Method) -> Asking:
    """(1/n) sum_i dy/dx (x + e_i), e_i ~ Normal(0, sigma^2), sigma = noise (max x - min x) (Smilkov et al. 2017).

    raw (1, channels, height, width), signed; with `square` the mean of squares. sigma (1,) in pixel values. Noise is
    not clipped. Raises Refusal where the target cannot be differentiated.
    """
    if not isinstance(method, SmoothGrad):
        raise wrong_use(method, "smooth_grad")
    sigma = method.noise * float(np.ptp(case.pixels))
    n = method.samples if sigma > 0 else 1
    answered = yield NoisyPoints(sigma, case.seed, n, method.square)
    assert answered.gradient is not None
    parameters = {
        "samples": method.samples,
        "noise": method.noise,
        "square": method.square,
        "generator": f"torch {case.device.type}",
    }
    extras = {"sigma": np.array([sigma])}
    return Maps(answered.gradient[None] / n, extras, parameters, counts={_CONSTANT: int(sigma == 0)})
