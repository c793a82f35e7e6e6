"""Whether a method's promise that its values add up holds for the net under audit (METHODS 6, completeness)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_audit import registry
from xai_audit.engines.query_checks import no_promise
from xai_audit.explain.cost import window_of
from xai_audit.explain.promises import is_affine_net, is_homogeneous_net, tail_facts
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import InputXGradient, Method, Occlusion

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def promised(context: Context, method: Method, layer: SpatialLayer | None) -> str:
    """What the method's values promise to add up to, in words. Raises Refusal where they promise none for this net."""
    assert context.model is not None
    promise = registry.method(method.use).promise
    if not promise:
        raise no_promise(method.label, f"{method.use} does not share out a change of the target")
    held = _why_not(context.model, method, layer)
    if held:
        raise no_promise(method.label, held)
    return promise


def _why_not(model: AuditedModel, method: Method, layer: SpatialLayer | None) -> str:
    """Why the promise does not hold for this net; empty where it does."""
    if method.use in ("integrated_gradients", "shap"):
        return ""
    if not _is_linear_in_scores(method):
        return f"{method.use} adds up for targets that are linear in the scores, not for kind {method.target.kind}"
    if isinstance(method, Occlusion):
        return _occlusion(model, method)
    if isinstance(method, InputXGradient):
        return _input_x_gradient(model, method)
    if layer is None:
        return "the layer is not known"
    facts = tail_facts(model, layer)
    if method.use == "hires_cam":
        return "" if facts.is_affine else "the net is not affine after the layer"
    return "" if facts.is_pooled else "the net after the layer is not a mean over places and a linear map"


def _is_linear_in_scores(method: Method) -> bool:
    target = method.target
    if target.kind == "margin":
        return target.foil is not None
    return target.kind in ("logit", "regression", "segmentation") and target.reference is None


def _occlusion(model: AuditedModel, method: Occlusion) -> str:
    height, width = model.input.size
    window, stride = window_of(method, (height, width))
    if stride != window or height % window or width % window:
        return f"windows of {window} pixels at stride {stride} overlap or do not fill {height} x {width} pixels exactly"
    return "" if is_affine_net(model) else "the net is not additive over the windows"


def _input_x_gradient(model: AuditedModel, method: InputXGradient) -> str:
    if is_affine_net(model) or (method.baseline == "black" and is_homogeneous_net(model)):
        return ""
    return "the net is neither affine nor piecewise linear without biases with black as baseline"
