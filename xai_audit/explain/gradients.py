"""Gradient maps of pixels."""

from __future__ import annotations

from xai_audit.errors import StepError
from xai_audit.explain.maps import Maps
from xai_audit.explain.passes import PassResult
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.schema import Method


def saliency(result: PassResult, method: Method, layer: SpatialLayer | None) -> Maps:
    """dy/dx, signed, (cases, channels, height, width) (Simonyan, Vedaldi, Zisserman 2014, section 3).

    The paper's map is its `max_abs` over channels. Raises StepError where the pass has no gradient of the pixels.
    """
    if result.input_gradient is None:
        where = f"methods.{method.label}"
        raise StepError(where, "no gradient of the pixels", "one for each case", "Ask the pass for it.")
    return Maps(result.input_gradient.cpu().numpy())
