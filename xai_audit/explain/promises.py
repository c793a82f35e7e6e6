"""Whether the net is of the kind for which a method promises that its values add up; shown on noise, not by names.

A net that is affine, or homogeneous, is so for every input; one that is not differs on noise with certainty, save for
rounding. The forwards are not counted, as those that look for layers are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer, hooked

TOLERANCE = 1e-4
"""Largest difference, as a share of how far the outputs lie apart, that rounding may make."""
_FAR = 4.0
"""Inputs this many times as far as pixels can go: a rectifier that never closes within [0, 1] still shows."""


@dataclass(frozen=True)
class TailFacts:
    """What noise shows of the part of a net after a layer."""

    is_affine: bool
    """Its output is an affine function of the layer's."""
    is_pooled: bool
    """It does not matter in which order the layer's places are."""


def is_affine_net(model: AuditedModel) -> bool:
    """Whether every output is an affine function of the pixels: f(c + d) + f(c - d) = 2 f(c) far outside them."""
    centre, away = _noise(model, 0), _FAR * (_noise(model, 1) - 0.5)
    outputs = _outputs(model, torch.cat([centre + away, centre - away, centre]))
    return outputs is not None and _same(outputs[0] + outputs[1], 2 * outputs[2], outputs)


def is_homogeneous_net(model: AuditedModel) -> bool:
    """Whether f(a x) = a f(x) for a > 0, in pixel values: piecewise linear without any bias."""
    x = _noise(model, 0)
    outputs = _outputs(model, torch.cat([x, x / 4, _FAR * x]))
    if outputs is None:
        return False
    return _same(outputs[0], 4 * outputs[1], outputs) and _same(_FAR * outputs[0], outputs[2], outputs)


def tail_facts(model: AuditedModel, layer: SpatialLayer) -> TailFacts:
    """What the part of the net after a layer is, with the layer's output replaced by others."""
    x, other = _noise(model, 0), _noise(model, 1)
    found: list[Tensor] = []
    with left_as_found(model.module), torch.no_grad():
        with hooked(model.module, {layer.path: _kept(found)}):
            model.raw_output(torch.cat([x, other]))
        own, different = found[0][:1], found[0][1:2]
        edits = torch.cat([own, own + _FAR * different, own - _FAR * different, _shuffled(own, layer)])
        with hooked(model.module, {layer.path: lambda output: edits}):
            output = model.raw_output(x.expand(4, -1, -1, -1))
    if isinstance(output, list):
        return TailFacts(False, False)
    y = output.double()
    is_affine = _same(y[1] + y[2], 2 * y[0], y)
    return TailFacts(is_affine, is_affine and _same(y[3], y[0], y))


def _kept(found: list[Tensor]) -> Callable[[object], object]:
    def keep(output: object) -> object:
        assert isinstance(output, Tensor)
        found.append(output.detach().clone())
        return output

    return keep


def _shuffled(output: Tensor, layer: SpatialLayer) -> Tensor:
    """The layer's output with its places in another order, the same in all channels."""
    made = output.clone()
    places = layer.spatial(made)
    flat = places.flatten(2)
    order = torch.randperm(flat.shape[2], generator=torch.Generator().manual_seed(0)).to(output.device)
    places.copy_(flat[:, :, order].reshape(places.shape))
    return made


def _outputs(model: AuditedModel, pixels: Tensor) -> Tensor | None:
    """What the net gives, in float64; None for a detector, whose boxes are no function of this kind."""
    with left_as_found(model.module), torch.no_grad():
        output = model.raw_output(pixels)
    return None if isinstance(output, list) else output.double()


def _noise(model: AuditedModel, seed: int) -> Tensor:
    shape = (1, model.input.channels, *model.input.size)
    made = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.to(model.device, torch.float64 if model.is_table else torch.float32)


def _same(one: Tensor, other: Tensor, outputs: Tensor) -> bool:
    scale = float((outputs - outputs.mean(0, keepdim=True)).abs().max())
    return bool(((one - other).abs() <= TOLERANCE * scale).all()) if scale > 0 else True
