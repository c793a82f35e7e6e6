"""Gradient maps of pixels: raw, signed, (cases, channels, height, width), per unit of pixel value (METHODS 3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from xai_audit.errors import StepError
from xai_audit.explain.baselines import FillSources, baseline_record, fill
from xai_audit.explain.explained import wrong_use
from xai_audit.explain.passes import PassResult
from xai_audit.explain.transfer import DeviceMaps, on_device
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import Baseline, Blur, InputXGradient, Method, Sample


def _gradient(result: PassResult, method: Method) -> Tensor:
    if result.input_gradient is None:
        where = f"methods.{method.label}"
        raise StepError(where, "no gradient of the pixels", "one for each case", "Ask the pass for it.")
    return result.input_gradient


def saliency(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """dy/dx (Simonyan, Vedaldi, Zisserman 2014, section 3); the paper's map is its `max_abs` over channels.

    Raises StepError where the pass has no gradient of the pixels.
    """
    return DeviceMaps(_gradient(result, method))


def input_x_gradient(
    result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources
) -> DeviceMaps:
    """(x - x') dy/dx, with x' the baseline in pixel space (Shrikumar et al. 2016, section 2.2, where x' = 0).

    Raises StepError where the pass has no gradient of the pixels, Refusal where the baseline cannot be made.
    """
    if not isinstance(method, InputXGradient):
        raise wrong_use(method, "input_x_gradient")
    x, g = result.pixels, _gradient(result, method)
    away = x if method.baseline == "black" else x - _baseline(method.baseline, x, sources)
    raw = away.to(g.dtype) * g
    return DeviceMaps(raw, parameters={"baseline": baseline_record(method.baseline, sources)})


def _baseline(baseline: Baseline, x: Tensor, sources: FillSources) -> Tensor:
    """x', which broadcasts to x (cases, channels, height, width): one colour, one image, or one image a case."""
    channels, height, width = x.shape[1:]
    if isinstance(baseline, Blur):
        made = np.stack([fill(baseline, image, sources) for image in x.cpu().numpy()])
    else:
        has_places = isinstance(baseline, Sample) or baseline in ("mean", "median")
        like = torch.zeros((channels, *((height, width) if has_places else (1, 1))), dtype=x.dtype).numpy()
        made = fill(baseline, like, sources)[None].copy()
    return on_device(made, x.device).to(x.dtype)


def guided_backprop(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """dy/dx with 1[a > 0] 1[R > 0] R at each ReLU (Springenberg et al. 2015, section 3.4), by the pass's rule `guided`.

    Raises StepError where the pass has no gradient of the pixels.
    """
    return DeviceMaps(_gradient(result, method))


def deconvnet(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """dy/dx with 1[R > 0] R at each ReLU (Zeiler and Fergus 2014, section 2.1), by the pass's rule `deconvnet`.

    Raises StepError where the pass has no gradient of the pixels.
    """
    return DeviceMaps(_gradient(result, method))
