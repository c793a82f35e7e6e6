"""Layers named by path, checked by one dry forward, and read as (cases, channels, height, width) (METHODS 1.4, 1.5)."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from xai_audit.errors import ModelError, Refusal, StepError
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.guard import left_as_found
from xai_audit.spec.methods import Layout, TokenLayout
from xai_audit.spec.schema import Layer

DRY_CASES = 2
"""Images of a dry forward: two, to tell the axis of cases from others; one where memory runs out on two."""


@dataclass(frozen=True, eq=False)
class Edits:
    """Channels of a layer that give one level at every place: which, in which row, and what; (edits,) each."""

    rows: Tensor
    channels: Tensor
    levels: Tensor


@dataclass(frozen=True)
class SpatialLayer:
    """A layer whose output can be read as (cases, channels, height, width)."""

    path: str
    layout: Layout
    channels: int
    grid: tuple[int, int]
    """Rows and columns of places."""

    def spatial(self, output: Tensor) -> Tensor:
        """The layer's output, or its gradient, as (cases, channels, height, width)."""
        return spatial(output, self.layout, self.path)

    def put(self, output: Tensor, edits: Edits) -> Tensor:
        """The layer's output itself, changed; tokens without a place stay as they are."""
        places = self.spatial(output)  # a view
        places[edits.rows, edits.channels] = edits.levels.to(output.dtype)[:, None, None]
        return output


def spatial(output: Tensor, layout: Layout, path: str) -> Tensor:
    """A layer's output as (cases, channels, height, width). Raises Refusal when the layout does not fit its shape."""
    if layout == "nchw":
        return _checked(output, 4, "(cases, channels, height, width)", path)
    if layout == "nhwc":
        return _checked(output, 4, "(cases, height, width, channels)", path).permute(0, 3, 1, 2)
    assert isinstance(layout, TokenLayout)
    prefix, (rows, columns) = layout.tokens.prefix, layout.tokens.grid
    tokens = _checked(output, 3, "(cases, tokens, channels)", path)
    if tokens.shape[1] != prefix + rows * columns:
        found = f"{tokens.shape[1]} tokens"
        expected = f"{prefix} prefix tokens + {rows} x {columns} patches = {prefix + rows * columns}"
        fix = "The grid is the input's size divided by the patch size; prefix counts class and register tokens."
        raise Refusal(f"layer {path!r}", found, expected, fix)
    return tokens[:, prefix:].reshape(len(tokens), rows, columns, tokens.shape[2]).permute(0, 3, 1, 2)


def _checked(output: Tensor, axes: int, wanted: str, path: str) -> Tensor:
    if output.ndim == axes:
        return output
    raise Refusal(
        f"layer {path!r}", f"an output of shape {_shape(output)}", wanted, "Correct the layer or its `layout`."
    )


def _shape(output: Tensor) -> str:
    """A shape with N for the number of cases."""
    return f"({', '.join(['N', *map(str, output.shape[1:])])})"


@contextmanager
def hooked(module: nn.Module, hooks: Mapping[str, Callable[[object], object]]) -> Iterator[None]:
    """Forward hooks by module path, gone on exit, also after an error. A hook takes the output and may give another."""
    handles: list[RemovableHandle] = []
    try:
        for path, hook in hooks.items():
            handles.append(module.get_submodule(path).register_forward_hook(partial(_call, hook)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _call(hook: Callable[[object], object], module: nn.Module, inputs: object, output: object) -> object:
    return hook(output)


@dataclass(frozen=True)
class Ran:
    """What a module gave in the dry forward of `DRY_CASES` images; of a tensor only shape and kind of number."""

    path: str
    module: nn.Module
    output: object
    calls: int
    hands_on: bool
    """The output is the very tensor that another module gave just before: a container's is its last child's."""
    cases: int = DRY_CASES
    """Images of that forward."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a tensor with one row a case; empty for anything else."""
        is_of_cases = isinstance(self.output, Tensor) and self.output.ndim > 0 and len(self.output) == self.cases
        return tuple(self.output.shape) if is_of_cases and isinstance(self.output, Tensor) else ()


def resolve_layers(
    model: AuditedModel, wanted: Mapping[str, Layer], ran: Sequence[Ran] | None = None
) -> dict[str, SpatialLayer | Refusal]:
    """Each wanted layer, or why it cannot carry a map; by the same keys. Makes a dry forward, unless `ran` is of one.

    Raises ModelError for a path that the model does not have.
    """
    if not wanted:
        return {}
    paths = [path for path, _ in model.module.named_modules() if path]
    for label, layer in wanted.items():
        if layer.path not in paths:
            raise _no_such_path(label, layer.path, paths)
    ran = dry_forward(model) if ran is None else ran
    return {key: _resolved(layer, ran) for key, layer in wanted.items()}


def _resolved(layer: Layer, ran: Sequence[Ran]) -> SpatialLayer | Refusal:
    try:
        place = _spatial_output(layer, ran)
    except Refusal as refusal:
        return refusal
    return SpatialLayer(layer.path, layer.layout, place.shape[1], (place.shape[2], place.shape[3]))


def _spatial_output(layer: Layer, ran: Sequence[Ran]) -> Tensor:
    found = next((entry for entry in ran if entry.path == layer.path), None)
    where = f"layer {layer.path!r}"
    if found is None:
        fix = "Name another module. On a compiled or scripted module hooks do not fire: pass the original."
        raise Refusal(where, "its hook did not fire in a forward pass", "a module that runs", fix)
    if found.calls > 1:
        fix = "Name a module that is used once."
        raise Refusal(where, f"it ran {found.calls} times in one forward pass", "a module that runs once", fix)
    if not isinstance(found.output, Tensor):
        fix = f"Name a module inside or after it. {_nearest(found, ran)}"
        raise Refusal(where, f"it gives a {type(found.output).__name__}", "one tensor", fix)
    output = found.output
    if layer.layout == "nchw" and output.ndim != 4:
        fix = f"A CAM needs a spatial layer. {_nearest(found, ran)}"
        if output.ndim == 3:
            fix = "For (N, tokens, channels) set `layout: {tokens: {prefix: P, grid: [rows, columns]}}`."
        raise Refusal(where, f"it gives {_shape(output)}", "(N, channels, height, width)", fix.rstrip())
    place = spatial(output, layer.layout, layer.path)
    if not found.shape or not output.is_floating_point():
        told = f"{len(output)} rows for {found.cases} images" if not found.shape else f"values of type {output.dtype}"
        fix = f"Name a module before it. {_nearest(found, ran)}".rstrip()
        raise Refusal(where, f"it gives {told}", "floating values, one row for each image", fix)
    if place.shape[2] * place.shape[3] == 1:
        fix = f"A map needs several places. {_nearest(found, ran)}"
        raise Refusal(where, f"it gives {_shape(output)}, a single place", "several rows or columns", fix.rstrip())
    return place


def _nearest(found: Ran, ran: Sequence[Ran]) -> str:
    """The last module before this one with a spatial output, as advice."""
    before = [entry for entry in ran[: ran.index(found)] if len(entry.shape) == 4]
    near = [entry for entry in before if entry.shape[2] * entry.shape[3] > 1]
    return f"Nearest: {near[-1].path!r}." if near else ""


def noise(model: AuditedModel, cases: int, seed: int = 0) -> Tensor:
    """Made-up cases, (cases, channels, height, width), the same in every run: uniform noise in [0, 1], or rows."""
    return model.noise(cases, seed)


def dry_forward(model: AuditedModel) -> tuple[Ran, ...]:
    """What each module gave for noise, in the order in which they ended; not counted as a pass."""
    try:
        return _ran(model, DRY_CASES)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    return _ran(model, 1)


def _ran(model: AuditedModel, cases: int) -> tuple[Ran, ...]:
    outputs: dict[str, list[tuple[object, bool]]] = {}
    last: list[weakref.ref[Tensor]] = []

    def keep(path: str, output: object) -> None:
        given, hands_on = output, False
        if isinstance(output, Tensor):
            given = torch.empty(output.shape, device="meta", dtype=output.dtype)
            hands_on = bool(last) and last[0]() is output
            last[:] = [weakref.ref(output)]
        outputs.setdefault(path, []).append((given, hands_on))

    modules = {path: module for path, module in model.module.named_modules() if path}
    hooks = {
        path: partial(keep, path) for path, module in modules.items() if not isinstance(module, torch.jit.ScriptModule)
    }
    with left_as_found(model.module), hooked(model.module, hooks), torch.no_grad():
        model.forward(noise(model, cases))
    return tuple(Ran(path, modules[path], *_last(given), cases) for path, given in outputs.items())


def _last(given: list[tuple[object, bool]]) -> tuple[object, int, bool]:
    output, hands_on = given[-1]
    return output, len(given), hands_on


def _no_such_path(label: str, path: str, paths: Sequence[str]) -> ModelError:
    where = f"methods.{label}.layer"
    if not paths:
        fix = "The network has no named modules; use a method that needs no layer (saliency, occlusion)."
        return ModelError(where, f"layer {path!r}", "a module of the network", fix)
    near = difflib.get_close_matches(path, paths, 3, 0.5)
    shown = [name for name in paths if name.count(".") <= 1]
    listed = ", ".join(shown[:12]) + (f" and {len(paths) - 12} more" if len(paths) > 12 else "")
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "Correct the path."
    return ModelError(where, f"layer {path!r}", f"a module of the network ({listed})", hint)


def unreached(path: str) -> Refusal:
    """No gradient reaches a layer: a map of it would be empty whatever the image shows."""
    found = "no gradient reaches this layer: it is exactly 0 at every place of every case"
    fix = "Name an earlier layer; in a ViT whose head reads the class token, `norm1` of the last block."
    return Refusal(f"layer {path!r}", found, "a layer whose places the target depends on", fix)


def unused_layer(path: str) -> StepError:
    """A hook that fired in the dry forward did not fire in the pass."""
    return StepError(
        f"layer {path!r}", "its hook did not fire", "one output a forward", "Name a layer that runs for every image."
    )
