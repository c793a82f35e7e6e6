"""Class activation maps."""

from __future__ import annotations

from xai_audit.errors import StepError
from xai_audit.explain.maps import Maps
from xai_audit.explain.passes import PassResult
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.schema import Method


def grad_cam(result: PassResult, method: Method, layer: SpatialLayer | None) -> Maps:
    """sum_k w_k A_k before its ReLU, with w_k the mean gradient of channel k (Selvaraju et al. 2017, eq. 1 and 2).

    raw (cases, height, width) of the layer's grid; weights (cases, channels). Raises StepError without a layer.
    """
    if layer is None:
        raise StepError(f"methods.{method.label}.layer", "no layer", "a layer", "Name a layer.")
    A = result.activation(layer)
    w = result.gradient(layer).mean((2, 3))
    L = (w[:, :, None, None] * A).sum(1)
    return Maps(L.cpu().numpy(), {"weights": w.cpu().numpy()})
