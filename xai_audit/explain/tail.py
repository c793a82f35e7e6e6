"""The part of a net after a layer, run alone on edited outputs of that layer (METHODS 8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_audit.errors import Refusal
from xai_audit.explain.affine import is_affine
from xai_audit.model.graph import (
    Course,
    Graph,
    Node,
    Ref,
    Size,
    output_difference,
    plain_output,
    tensors_of,
    tolerance,
)
from xai_audit.model.guard import full_float32, left_as_found
from xai_audit.model.layers import Edits, SpatialLayer, hooked, noise
from xai_audit.model.outputs import LOW_PRECISION


@dataclass(frozen=True, eq=False)
class TailState:
    """What the tail of a net needs to know of one image."""

    output: Tensor
    """The layer's output, (1, ...)."""
    trunk: Mapping[int, Tensor]
    """Other values before the layer that the tail reads, by number of their node."""
    firsts: Mapping[int, Tensor]
    """What the convolutions give that read the layer's output directly, by number of their node."""


@dataclass(frozen=True, eq=False)
class Tail:
    """The operations of a recorded net that depend on one layer's output; shown to give what the whole net gives."""

    graph: Graph
    path: str
    is_affine: bool
    """Whether the net's output is an affine function of the layer's output, in full precision."""
    firsts: tuple[int, ...]
    """Numbers of the convolutions that read the layer's output directly: what a channel adds to them is known."""

    @staticmethod
    def of(graph: Graph, path: str) -> Tail:
        """The tail after a layer (a module path). Makes four forwards of noise.

        Raises Refusal where the layer is not in the graph, where the tail reads a value that cannot be had for several
        rows at once, or where it does not give what the whole net gives with the same edit of two channels.
        """
        if path not in graph.layers:
            raise _refusal(path, "an output that is not one tensor, given once in every forward")
        number = graph.layers[path]
        precise = graph.model.autocast is None and graph.model.dtype not in LOW_PRECISION
        tail = Tail(graph, path, precise and is_affine(graph, number), _convolutions(graph, number) if precise else ())
        for node in tail.trunk:
            _check_rows(path, graph.nodes[node])
        return _checked(tail)

    @property
    def number(self) -> int:
        """Number of the layer's node."""
        return self.graph.layers[self.path]

    @cached_property
    def trunk(self) -> tuple[int, ...]:
        """Numbers of the nodes, other than the layer's, that the tail reads and that do not depend on the layer."""
        inside = self.graph.depends_on(self.number)
        steps = self.graph.course({self.number}, self.graph.outputs).steps
        nodes = [self.graph.nodes[step] for step in steps if step in inside]
        read = [number for node in nodes for number in node.reads] + list(self.graph.outputs)
        outside = [number for number in dict.fromkeys(read) if number not in inside]
        return tuple(number for number in outside if self.graph.nodes[number].kind != "constant")

    @property
    def reads_trunk(self) -> bool:
        """Whether more must be known of an image than the layer's output."""
        return bool(self.trunk)

    @torch.no_grad()
    def open(self, pixels: Tensor) -> TailState:
        """The state of one image, (1, channels, height, width) in [0, 1]: one forward, at most up to the layer."""
        graph = self.graph
        images = {graph.input: graph.model.normalise(pixels)}
        values = cast("dict[int, Tensor]", graph.follow(self._opening, images, 1))
        return self.state(values[self.number], {number: values[number] for number in self.trunk})

    def state(self, output: Tensor, trunk: Mapping[int, Tensor] | None = None) -> TailState:
        """The state of an image whose layer's output, (1, ...), is known; `trunk` where the tail reads more."""
        known: dict[int, object] = {self.number: output}
        firsts = self.graph.follow(self._firsts, known, 1)
        return TailState(output, dict(trunk or {}), {number: cast("Tensor", firsts[number]) for number in self.firsts})

    def outputs(self, state: TailState, edited: Tensor) -> object:
        """The network's output for edited outputs of the layer, (rows, ...), of the state's image."""
        return self._finish({self.number: edited}, state, len(edited), self._whole)

    @torch.no_grad()
    def ablated(self, state: TailState, layer: SpatialLayer, channels: Tensor) -> object:
        """The network's output with one channel of the layer 0 at every place: int64 (rows,), a channel a row.

        A convolution that reads the layer is linear: its output is the unperturbed one less what the channel adds.
        """
        rows = len(channels)
        known: dict[int, object] = {}
        firsts = self.firsts if layer.layout == "nchw" else ()
        for number in firsts:
            convolution, first = _Convolution.of(self.graph, self.graph.nodes[number]), state.firsts[number]
            known[number] = first - convolution.added(state.output, channels, _format(first))
        course = self._after_firsts if firsts else self._whole
        if not firsts or self._reads_layer(course):
            known[self.number] = without_channels(state.output, layer, channels)
        return self._finish(known, state, rows, course)

    @torch.no_grad()
    def silenced(self, state: TailState, layer: SpatialLayer, edits: Edits, rows: int) -> object:
        """The network's output for some rows with channels of the layer at fixed levels."""
        edited = state.output.expand(rows, *state.output.shape[1:]).clone(memory_format=_format(state.output))
        return self.outputs(state, layer.put(edited, edits))

    def _finish(self, known: dict[int, object], state: TailState, rows: int, course: Course) -> object:
        for number, value in state.trunk.items():
            known[number] = _spread(value, self.graph.nodes[number], rows)
        return self.graph.output_of(self.graph.follow(course, known, rows), rows)

    def _reads_layer(self, course: Course) -> bool:
        nodes = [self.graph.nodes[step] for step in course.steps]
        return self.number in self.graph.outputs or any(self.number in node.reads for node in nodes)

    @cached_property
    def _opening(self) -> Course:
        return self.graph.course({self.graph.input}, (self.number, *self.trunk))

    @cached_property
    def _firsts(self) -> Course:
        return self.graph.course({self.number}, self.firsts)

    @cached_property
    def _whole(self) -> Course:
        return self.graph.course({self.number, *self.trunk}, self.graph.outputs)

    @cached_property
    def _after_firsts(self) -> Course:
        return self.graph.course({self.number, *self.trunk, *self.firsts}, self.graph.outputs)


def without_channels(output: Tensor, layer: SpatialLayer, channels: Tensor) -> Tensor:
    """A layer's output, (1, ...), once for each channel with that channel 0 at every place; other tokens stay.

    Channels are int64 (rows,); the result is (rows, ...) in the layer's own layout and memory format.
    """
    edited = output.expand(len(channels), *output.shape[1:]).clone(memory_format=_format(output))
    layer.spatial(edited)[torch.arange(len(channels), device=output.device), channels] = 0
    return edited


def _format(tensor: Tensor) -> torch.memory_format:
    """The memory format of an image or an activation."""
    is_last = (
        tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    )
    return torch.channels_last if is_last else torch.contiguous_format


@dataclass(frozen=True, eq=False)
class _Convolution:
    """What aten.conv2d.default reads beside its input."""

    weight: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: object

    @classmethod
    def of(cls, graph: Graph, node: Node) -> _Convolution:
        """The convolution of a node whose weight is fixed."""
        rest = (*node.args[2:], *(None, 1, 0, 1, 1)[len(node.args) - 2 :])
        weight, (_, stride, padding, dilation, groups) = node.args[1], rest
        assert isinstance(weight, Ref)
        fixed = graph.nodes[weight.number].constant
        assert fixed is not None
        return cls(fixed, _pair(stride), _pair(padding), _pair(dilation), groups)

    def added(self, output: Tensor, channels: Tensor, memory_format: torch.memory_format) -> Tensor:
        """What one input channel adds to each output: W_k * A_k, (rows, output channels, height, width).

        `output` is the input A, (1, channels, height, width); channels k are int64 (rows,).
        """
        patches = F.unfold(
            output[0, channels][:, None], self.weight.shape[2:], self.dilation, self.padding, self.stride
        )
        weight = self.weight[:, channels].flatten(2).transpose(0, 1)
        rows, height, width = len(channels), self._length(0, output.shape[2]), self._length(1, output.shape[3])
        if memory_format is torch.channels_last:
            added = patches.transpose(1, 2) @ weight.transpose(1, 2)
            return added.view(rows, height, width, -1).permute(0, 3, 1, 2)
        return (weight @ patches).view(rows, -1, height, width)

    def _length(self, axis: int, length: int) -> int:
        reach = self.dilation[axis] * (self.weight.shape[2 + axis] - 1)
        return (length + 2 * self.padding[axis] - reach - 1) // self.stride[axis] + 1


def _pair(lengths: object) -> tuple[int, int]:
    listed = cast("list[int]", lengths if isinstance(lengths, list | tuple) else [lengths])
    return listed[0], listed[-1]


def _convolutions(graph: Graph, number: int) -> tuple[int, ...]:
    """Numbers of the ungrouped convolutions with fixed weights that read a node's value as their input."""
    return tuple(reader for reader in graph.readers[number] if _is_first(graph, graph.nodes[reader], number))


def _is_first(graph: Graph, node: Node, number: int) -> bool:
    if node.name != "aten.conv2d.default" or node.kwargs or node.args[0] != Ref(number):
        return False
    is_fixed = all(graph.nodes[read].kind == "constant" for read in node.reads if read != number)
    return is_fixed and node.reads.count(number) == 1 and _Convolution.of(graph, node).groups == 1


def _check_rows(path: str, node: Node) -> None:
    sizes = [length for length in node.shape or () if isinstance(length, Size)]
    if node.shape is None or len(sizes) > 1 or any(size.fixed for size in sizes):
        raise _refusal(path, f"a value from before the layer ({node.name}) that is not one tensor with a row a case")


def _spread(value: Tensor, node: Node, rows: int) -> Tensor:
    """A value of one image, for a batch of rows of that image."""
    assert node.shape is not None
    for axis, length in enumerate(node.shape):
        if length == Size(1):
            return value.expand(*value.shape[:axis], rows, *value.shape[axis + 1 :])
        if isinstance(length, Size):  # parts of a case, case by case: windows of Swin
            return value.repeat(*(rows if place == axis else 1 for place in range(value.ndim)))
    return value


@full_float32()
def _checked(tail: Tail) -> Tail:
    """The tail, if with two channels edited it gives what the whole net gives; without a claim that does not hold."""
    model, path = tail.graph.model, tail.path
    pixels = noise(model, 1, seed=3)
    state = tail.open(pixels)
    channels = _two_channels(path, state.output)
    edited = _edited(state.output, channels)
    wanted = _whole_net(tail, pixels.expand(2, -1, -1, -1), edited)
    error = output_difference(tensors_of(tail.outputs(state, edited)), wanted)
    if not error <= tolerance(model):
        raise _refusal(path, f"a tail that is {error:.2g} of the largest output away from the whole net")
    if tail.firsts:
        place = SpatialLayer(path, "nchw", state.output.shape[1], (0, 0))
        shortcut = tensors_of(tail.ablated(state, place, torch.tensor(channels, device=model.device)))
        if not output_difference(shortcut, wanted) <= tolerance(model):
            tail = replace(tail, firsts=())
    return replace(tail, is_affine=tail.is_affine and _is_straight(tail, state, channels))


def _two_channels(path: str, output: Tensor) -> tuple[int, int]:
    if output.ndim < 2 or output.shape[1] < 1:
        raise _refusal(path, f"an output of shape {tuple(output.shape)}, without channels")
    return 0, output.shape[1] - 1


def _edited(output: Tensor, channels: tuple[int, int]) -> Tensor:
    """Two rows: the output with one and with the other place of its second axis 0."""
    edited = output.expand(2, *output.shape[1:]).clone(memory_format=_format(output))
    for row, channel in enumerate(channels):
        edited[row, channel] = 0
    return edited


@torch.no_grad()
def _whole_net(tail: Tail, pixels: Tensor, edited: Tensor) -> list[Tensor]:
    """The tensors that the net gives when the layer's output is replaced."""
    model = tail.graph.model
    with left_as_found(model.module), hooked(model.module, {tail.path: partial(_replaced, edited)}):
        return tensors_of(plain_output(model.forward(pixels), model.output))


def _replaced(edited: Tensor, output: object) -> object:
    return edited.clone()


def _is_straight(tail: Tail, state: TailState, channels: tuple[int, int]) -> bool:
    """Whether half way between two edited outputs the net gives half way between its outputs, as every affine one."""
    edited = _edited(state.output, channels)
    outputs = tensors_of(tail.outputs(state, torch.cat([edited, edited.mean(0, keepdim=True)])))
    middle, ends = [output[2] for output in outputs], [output[:2].mean(0) for output in outputs]
    return output_difference(middle, ends) <= tolerance(tail.graph.model)


def _refusal(path: str, found: str) -> Refusal:
    expected, fix = "a tail that can be run alone", "Whole forwards are made."
    return Refusal(f"layer {path!r}", found, expected, fix)
