"""Whether a target depends on a layer's places: by a gradient, or by whether NaN put there arrives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_audit.errors import AuditError, ModelError, Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer, hooked, noise
from xai_audit.model.outputs import RawOutput
from xai_audit.model.targets import Target, freeze
from xai_audit.spec.methods import TargetSpec


def first_reached(model: AuditedModel, layers: Sequence[SpatialLayer], target: TargetSpec) -> SpatialLayer | None:
    """The first layer on whose places the target depends; None without any.

    One forward and backward of noise for all layers; a forward each for those with no gradient on the way, since a
    rectifier may be shut for noise. Not counted as passes.
    """
    with left_as_found(model.module):
        moved = _moved_by_gradient(model, layers, target)
        return next((layer for layer in layers if layer.path in moved or _takes_nan(model, layer, target)), None)


def _moved_by_gradient(model: AuditedModel, layers: Sequence[SpatialLayer], spec: TargetSpec) -> set[str]:
    """Paths of layers at whose places the target has a gradient that is not 0."""
    kept: dict[str, Tensor] = {}

    def keep(path: str, output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        kept[path] = output if output.requires_grad else output.detach().clone().requires_grad_()
        return kept[path].clone()

    hooks = {layer.path: (lambda output, path=layer.path: keep(path, output)) for layer in layers}
    with torch.enable_grad(), hooked(model.module, hooks):
        try:
            output = model.raw_output(noise(model, 1).requires_grad_())
        except ModelError:  # a net that runs without gradients only: then a changed value must show what it moves
            return set()
        target = _frozen(spec, model, output)
        total = None if target is None else target.value(output).sum()
        if total is None or not total.requires_grad:
            return set()
        found = torch.autograd.grad(total, list(kept.values()), allow_unused=True, materialize_grads=True)
    gradients = dict(zip(kept, found, strict=True))
    reached = [layer for layer in layers if layer.path in gradients]
    return {layer.path for layer in reached if bool((layer.spatial(gradients[layer.path]) != 0).any())}


def _frozen(spec: TargetSpec, model: AuditedModel, output: RawOutput) -> Target | None:
    """The target of noise; None where it has none, for which the target of a real case may still exist."""
    try:
        return freeze(spec, model, output)
    except Refusal:
        return None


def _takes_nan(model: AuditedModel, layer: SpatialLayer, spec: TargetSpec) -> bool:
    """Whether NaN at every place of the layer makes the target NaN; True where that cannot be told."""

    def spoil(output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        spoilt = output.clone()
        layer.spatial(spoilt).fill_(torch.nan)
        return spoilt

    if model.task == "detection":  # what becomes of NaN in the choice of boxes says nothing
        return True
    with torch.no_grad():
        clean = model.raw_output(noise(model, 1))
        target = _frozen(spec, model, clean)
        if target is None or bool(target.is_empty.all()):
            return True
        try:
            with hooked(model.module, {layer.path: spoil}):
                return not bool(torch.isfinite(target.value(model.raw_output(noise(model, 1)))).all())
        except AuditError:
            return True
