"""One forward and one backward that serve every pass reader (METHODS 8.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.maps import Maps
from xai_audit.model.audited import LOW_PRECISION, AuditedModel, check_scores, is_out_of_memory
from xai_audit.model.layers import SpatialLayer, hooked, unused_layer
from xai_audit.model.targets import Target, freeze
from xai_audit.spec.schema import Method, TargetSpec


@dataclass(frozen=True)
class Needs:
    """What readers want of a pass: layers, by module path, and the gradient with respect to pixels."""

    layers: tuple[str, ...] = ()
    input_gradient: bool = False

    @classmethod
    def union(cls, needs: Iterable[Needs]) -> Needs:
        """The needs of several readers, each layer once, in order."""
        listed = list(needs)
        layers = dict.fromkeys(path for entry in listed for path in entry.layers)
        return cls(tuple(layers), any(entry.input_gradient for entry in listed))


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a forward and backward leaves behind for some cases; float32 unless the network computes in float64."""

    scores: Tensor
    """(cases, outputs)"""
    target: Target
    outputs: dict[str, Tensor]
    """Output of each layer, in the layer's own layout."""
    gradients: dict[str, Tensor]
    """Gradient of the target with respect to each layer's output, in the same layout; zeros where none reaches it."""
    input_gradient: Tensor | None
    """(cases, channels, height, width), per unit of pixel value in [0, 1]."""

    def activation(self, layer: SpatialLayer) -> Tensor:
        """A layer's output, (cases, channels, height, width)."""
        return layer.spatial(self.outputs[layer.path])

    def gradient(self, layer: SpatialLayer) -> Tensor:
        """Gradient of the target with respect to it, same shape."""
        return layer.spatial(self.gradients[layer.path])


class PassReader(Protocol):
    """A method that reads a finished pass; `layer` is the one that its spec names, if any."""

    def __call__(self, result: PassResult, method: Method, layer: SpatialLayer | None) -> Maps: ...


@dataclass
class PassCounter:
    """Passes made so far, in images; tells a listener of each addition."""

    listener: Callable[[Passes], None] = field(default=lambda passes: None)
    made: Passes = field(default_factory=Passes)

    def add(self, passes: Passes) -> None:
        """Count passes that were just made."""
        self.made += passes
        self.listener(passes)


def run_pass(model: AuditedModel, pixels: Tensor, target: TargetSpec, needs: Needs, counter: PassCounter) -> PassResult:
    """One forward, and one `autograd.grad` of the summed target for all needs; without needs no backward.

    Summing over the batch is right because cases do not interact in eval mode. No parameter gets a gradient. Raises
    Refusal where the target cannot be differentiated, StepError where scores are not finite.
    """
    pixels = pixels.detach().clone().requires_grad_(needs.input_gradient)
    kept: dict[str, list[Tensor]] = {path: [] for path in needs.layers}
    with torch.enable_grad(), hooked(model.module, {path: partial(_keep, outputs) for path, outputs in kept.items()}):
        scores = model.raw_scores(pixels)
        check_scores(scores)
        frozen = freeze(target, model, scores)
        outputs = {path: _only(path, tensors) for path, tensors in kept.items()}
        wanted = ([pixels] if needs.input_gradient else []) + list(outputs.values())
        gradients = _gradients(frozen.value(scores).sum(), wanted)
    counter.add(Passes(forwards=len(pixels), backwards=len(pixels) if wanted else 0))
    input_gradient = gradients.pop(0) if needs.input_gradient else None
    return PassResult(
        scores=scores.detach(),
        target=frozen,
        outputs={path: _readable(output) for path, output in outputs.items()},
        gradients=dict(zip(outputs, map(_readable, gradients), strict=True)),
        input_gradient=input_gradient,
    )


def _keep(kept: list[Tensor], output: object) -> object:
    """Keep a layer's output and hand on a copy: a later in-place operation would overwrite what was kept."""
    if not isinstance(output, Tensor):
        return output
    if not output.requires_grad:
        output = output.detach().clone().requires_grad_()
    kept.append(output)
    return output.clone()


def _only(path: str, outputs: list[Tensor]) -> Tensor:
    if len(outputs) != 1:
        raise unused_layer(path)
    return outputs[0]


def _gradients(total: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    if not wanted:
        return []
    if not total.requires_grad:
        found = "the scores do not depend on the input through operations that torch can differentiate"
        raise Refusal("model", found, "a differentiable network", "Use methods that need no gradient (occlusion).")
    return list(torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True))


def _readable(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.float() if tensor.dtype in LOW_PRECISION else tensor


def in_parts(pixels: Tensor, run: Callable[[Tensor], PassResult]) -> Iterator[PassResult]:
    """The results for a batch, in order; a part that does not fit into memory is run as two halves."""
    try:
        result = run(pixels)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(pixels) == 1:
            raise memory_error() from error
    else:
        yield result
        return
    free_memory(pixels.device)
    half = len(pixels) // 2
    yield from in_parts(pixels[:half], run)
    yield from in_parts(pixels[half:], run)


def memory_error() -> StepError:
    """Even a batch of one image does not fit into memory."""
    expected, fix = "memory for one image", "Take a smaller image, or a device with more memory."
    return StepError("memory", "it ran out on a batch of one image", expected, fix)


def free_memory(device: torch.device) -> None:
    """Give cached blocks of a CUDA device back after it ran out."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
