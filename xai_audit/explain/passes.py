"""One forward that serves every pass reader, and one backward for each distinct target and rule (METHODS 8.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from xai_audit.errors import AuditError, Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.rectifiers import Rectifiers, rectified
from xai_audit.explain.transfer import DeviceMaps
from xai_audit.model.audited import AuditedModel, check_output, is_out_of_memory
from xai_audit.model.batch_norm import sound_batch_norm
from xai_audit.model.layers import SpatialLayer, hooked, unused_layer
from xai_audit.model.outputs import LOW_PRECISION, RawOutput
from xai_audit.model.targets import Target, freeze, no_gradient
from xai_audit.registry import Rule
from xai_audit.spec.methods import Method, TargetSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Needs:
    """What readers want of a pass: outputs of layers, gradients at layers (by module path), and at the pixels."""

    layers: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    """Layers at which the target's gradient is wanted; their outputs are kept too."""
    input_gradient: bool = False

    @property
    def any_gradient(self) -> bool:
        """Whether a backward is needed."""
        return bool(self.gradients) or self.input_gradient

    @classmethod
    def union(cls, needs: Iterable[Needs]) -> Needs:
        """The needs of several readers, each layer once, in order."""
        listed = list(needs)
        layers = dict.fromkeys(path for entry in listed for path in (*entry.layers, *entry.gradients))
        gradients = dict.fromkeys(path for entry in listed for path in entry.gradients)
        return cls(tuple(layers), tuple(gradients), any(entry.input_gradient for entry in listed))


@dataclass(frozen=True)
class Request:
    """A target, the rule of its backward, and what readers want of it."""

    target: TargetSpec | None
    """None for readers that explain no class: their result's target has no names and no value."""
    rule: Rule = "plain"
    needs: Needs = Needs()


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a forward and one backward leave behind for some cases; float32 unless the network computes in float64."""

    pixels: Tensor
    """(cases, channels, height, width) in [0, 1]."""
    output: RawOutput
    """What `AuditedModel.raw_output` gave."""
    target: Target
    outputs: Mapping[str, Tensor]
    """Output of each layer that any request wanted, in the layer's own layout."""
    gradients: Mapping[str, Tensor]
    """Gradient of the target with respect to a layer's output, in the same layout; zeros where none reaches it."""
    input_gradient: Tensor | None
    """(cases, channels, height, width), per unit of pixel value in [0, 1]."""
    broken: Mapping[str, AuditError] = field(default_factory=dict)
    """Why a layer that was wanted has no output."""

    def activation(self, layer: SpatialLayer) -> Tensor:
        """A layer's output, (cases, channels, height, width). Raises the layer's error where it has none."""
        return layer.spatial(self._of(layer.path, self.outputs))

    def gradient(self, layer: SpatialLayer) -> Tensor:
        """Gradient of the target with respect to it, same shape. Raises the layer's error where it has no output."""
        return layer.spatial(self._of(layer.path, self.gradients))

    def _of(self, path: str, tensors: Mapping[str, Tensor]) -> Tensor:
        if path in self.broken:
            raise self.broken[path]
        return tensors[path]


Passed = PassResult | AuditError
"""What a request got: its result, or why its target cannot be frozen or differentiated."""


class PassReader(Protocol):
    """A method that reads a finished pass, on the device; `layer` is the one that it reads, if any."""

    def __call__(
        self, result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources
    ) -> DeviceMaps: ...


@dataclass
class PassCounter:
    """Passes made so far, in images; tells a listener of each addition."""

    listener: Callable[[Passes], None] = field(default=lambda passes: None)
    made: Passes = field(default_factory=Passes)

    def add(self, passes: Passes) -> None:
        """Count passes that were just made."""
        self.made += passes
        self.listener(passes)


def run_pass(
    model: AuditedModel,
    pixels: Tensor,
    requests: Sequence[Request],
    counter: PassCounter,
    ids: Sequence[str] = (),
    classes: Sequence[int] | None = None,
    forwards: Forwards | None = None,
) -> list[Passed]:
    """One forward for all requests, and one `autograd.grad` of the summed target for each that wants a gradient.

    Summing over the batch is right because cases do not interact in eval mode. No parameter gets a gradient. A request
    whose target does not fit, or cannot be differentiated, gets the error in place of a result. `classes`: of each case
    where it was unperturbed, see `freeze`; `forwards`: makes the forward, where it need not be a whole one. Raises
    StepError where the output is not finite, naming the case by `ids`; raises what the network raises, and lack of
    memory.
    """
    forward = (forwards or whole_forward)(model, pixels, requests, ids)
    results: list[Passed] = []
    backwards = 0
    for number, request in enumerate(requests):
        is_last = not any(later.needs.any_gradient for later in requests[number + 1 :])
        try:
            results.append(forward.result(model, request, is_last, classes))
            backwards += request.needs.any_gradient
        except Exception as error:  # one target's failure is not another's
            if is_out_of_memory(error):
                raise
            results.append(_as_request_error(error))
    counter.add(forward.passes + Passes(backwards=len(pixels) * backwards))
    return results


@dataclass(frozen=True, eq=False)
class Forward:
    """A finished forward with its graph."""

    pixels: Tensor
    output: RawOutput
    detached: RawOutput
    kept: Mapping[str, Tensor]
    """Output of each layer; part of the graph where its gradient is wanted."""
    outputs: Mapping[str, Tensor]
    """The same, detached and readable."""
    broken: Mapping[str, AuditError]
    """Why a layer has none."""
    rectifiers: Rectifiers | None
    passes: Passes
    """What was made."""
    keeps_graph: bool = False
    """Whether a part of the graph is read again after the last request."""

    def result(
        self, model: AuditedModel, request: Request, is_last: bool, classes: Sequence[int] | None = None
    ) -> PassResult:
        """What one request wants; the graph is freed with the last."""
        needs = request.needs
        with torch.enable_grad():
            target = _frozen(request.target, model, self.output, classes)
            at = [path for path in needs.gradients if path in self.kept]
            wanted = ([self.pixels] if needs.input_gradient else []) + [self.kept[path] for path in at]
            if self.rectifiers is not None:
                self.rectifiers.rule = request.rule
            gradients = _gradients(target, self.output, wanted, keeps_graph=self.keeps_graph or not is_last)
        return PassResult(
            pixels=self.pixels.detach(),
            output=self.detached,
            target=target,
            outputs=self.outputs,
            input_gradient=gradients.pop(0) if needs.input_gradient else None,
            gradients=dict(zip(at, map(as_read, gradients), strict=True)),
            broken=self.broken,
        )


def _frozen(target: TargetSpec | None, model: AuditedModel, output: RawOutput, classes: Sequence[int] | None) -> Target:
    if target is not None:
        return freeze(target, model, output, classes)
    return Target("none", model.task, torch.zeros(0, dtype=torch.int64, device=model.device), ())


class Forwards(Protocol):
    """Makes the forward that a pass reads."""

    def __call__(
        self, model: AuditedModel, pixels: Tensor, requests: Sequence[Request], ids: Sequence[str]
    ) -> Forward: ...


def whole_forward(model: AuditedModel, pixels: Tensor, requests: Sequence[Request], ids: Sequence[str]) -> Forward:
    """A forward of the whole network. Raises StepError for an output that is not finite, and what the net raises."""
    needs = Needs.union(request.needs for request in requests)
    pixels = pixels.detach().requires_grad_(needs.input_gradient)
    kept = {path: _Kept(path, path in needs.gradients) for path in needs.layers}
    follows_rule = any(request.rule != "plain" for request in requests)
    with (
        torch.set_grad_enabled(needs.any_gradient),
        hooked(model.module, {path: layer.keep for path, layer in kept.items()}),
        sound_batch_norm(pixels),
        rectified() if follows_rule else nullcontext() as rectifiers,
    ):
        output = model.raw_output(pixels)
    check_output(output, ids)
    broken = {path: error for path, layer in kept.items() if (error := layer.error()) is not None}
    tensors = {path: layer.copies[0] for path, layer in kept.items() if path not in broken}
    readable = {path: as_read(tensor) for path, tensor in tensors.items()}
    passes = Passes(forwards=len(pixels))
    return Forward(pixels, output, detached(output), tensors, readable, broken, rectifiers, passes)


@dataclass(eq=False)
class _Kept:
    """A layer's output in one forward."""

    path: str
    wants_gradient: bool
    copies: list[Tensor] = field(default_factory=list)
    givens: list[tuple[Tensor, int]] = field(default_factory=list)
    """What the layer gave, and the count of changes in place that it had then."""

    def keep(self, output: object) -> object:
        """Keep a copy and hand on another: a later in-place operation would overwrite what was kept."""
        if not isinstance(output, Tensor):
            return output
        copy = output.clone()
        if self.wants_gradient and not copy.requires_grad:
            copy.requires_grad_()
        self.copies.append(copy)
        self.givens.append((output, output._version))
        return copy.clone()

    def error(self) -> AuditError | None:
        """Why the output cannot be read: not one, or the copy handed on made another net of this one."""
        if len(self.copies) != 1:
            return unused_layer(self.path)
        given, version = self.givens[0]
        if given._version == version:
            return None
        found = "its output is a tensor of the module before it, which the network changes in place later"
        return Refusal(f"layer {self.path!r}", found, "a layer with an output of its own", "Name the module before it.")


def _gradients(target: Target, output: RawOutput, wanted: list[Tensor], *, keeps_graph: bool) -> list[Tensor]:
    if not wanted:
        return []
    total = target.value(output).sum()
    if not total.requires_grad:
        if bool(target.is_empty.all()):  # 0 whatever the picture shows
            return [torch.zeros_like(tensor) for tensor in wanted]
        raise no_gradient()
    return list(torch.autograd.grad(total, wanted, retain_graph=keeps_graph, allow_unused=True, materialize_grads=True))


def _as_request_error(error: Exception) -> AuditError:
    if isinstance(error, AuditError):
        return error
    failure = StepError("target", f"{type(error).__name__}: {error}", "a target with a gradient", "")
    failure.__cause__ = error
    return failure


def as_read(tensor: Tensor) -> Tensor:
    """A tensor as methods read it: apart from its graph, and in no less than float32."""
    tensor = tensor.detach()
    return tensor.float() if tensor.dtype in LOW_PRECISION else tensor


def detached(output: RawOutput) -> RawOutput:
    """An output apart from its graph."""
    if isinstance(output, Tensor):
        return output.detach()
    return [{name: tensor.detach() for name, tensor in case.items()} for case in output]


def in_parts(pixels: Tensor, run: Callable[[Tensor], T]) -> Iterator[T]:
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
