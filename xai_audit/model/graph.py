"""The network as a list of operations, recorded once, so that parts of it can be run from values that are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import full_float32, left_as_found
from xai_audit.model.layers import noise
from xai_audit.model.outputs import LOW_PRECISION

Shape = tuple["int | Size", ...]
TOLERANCE = 1e-5
"""Largest difference of float32 outputs, as a share of the largest output (METHODS 9)."""


@dataclass(frozen=True)
class Ref:
    """In the arguments of a node: the value of an earlier node."""

    number: int


@dataclass(frozen=True)
class Size:
    """In the arguments of a node, or in its shape: a number that depends on how many rows the batch has."""

    per_row: int
    fixed: int = 0

    def of(self, rows: int) -> int:
        """The number for a batch of `rows` rows."""
        return self.per_row * rows + self.fixed


@dataclass(frozen=True, eq=False)
class Node:
    """One value of the graph and how it is made; `number` is its place in `Graph.nodes`, after all that it reads."""

    number: int
    kind: Literal["input", "constant", "layer", "call"]
    """input: the normalised images; constant: a parameter, a buffer or another fixed tensor; layer: the output of a
    wanted layer, its one argument unchanged; call: an operation."""
    name: str
    """Path of the layer or name of the constant; of a call the operation, as in aten.conv2d.default."""
    call: Callable[..., object] | None = None
    """torch.ops.aten.conv2d.default and its like, none of which writes into its arguments; None for other kinds."""
    args: tuple[object, ...] = ()
    """Arguments with Ref and Size in place of values, also inside tuples, lists and dictionaries."""
    kwargs: Mapping[str, object] = field(default_factory=dict)
    reads: tuple[int, ...] = ()
    """Numbers of the nodes whose values the arguments hold, each once, in order."""
    shape: Shape | None = None
    """Shape for any number of rows; None where the value is not one tensor."""
    constant: Tensor | None = None
    """Value of a constant: the model's own tensor, never to be written to."""


@dataclass(frozen=True, eq=False)
class Course:
    """Which nodes are run, in order, and which values are let go after each."""

    steps: tuple[int, ...]
    drops: tuple[tuple[int, ...], ...]
    """Numbers of the values that nothing reads after a step; one entry a step."""


@dataclass(frozen=True, eq=False)
class Ran:
    """What a run of the graph leaves."""

    output: object
    """As the network gives it: for `model.read`."""
    kept: Mapping[int, object]
    """Values of the nodes that were to be kept, by number; not to be written to."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A recorded network: normalised images in, whatever the network gives out. Checked against the module."""

    model: AuditedModel
    nodes: tuple[Node, ...]
    layers: Mapping[str, int]
    """Number of the node of each wanted layer that gives one tensor, once a forward; by module path."""
    output: object
    """The network's output with Ref in place of each tensor."""

    @staticmethod
    def record(model: AuditedModel, layers: Sequence[str] = (), *, folds: bool = True) -> Graph:
        """The model's graph, with nodes for the outputs of layers (module paths). The model is left as found.

        `folds`: what is the same for every batch becomes a constant; else every parameter stays a node of its own.

        Makes three forwards of noise, in batches of one and two. Raises Refusal where the network cannot be recorded,
        or where the recorded graph does not give what the network gives.
        """
        from xai_audit.model.recording import record  # torch.export is slow to import

        with left_as_found(model.module), torch.no_grad():
            graph = record(model, layers, folds=folds)
            check_graph(graph)
        return graph

    @cached_property
    def input(self) -> int:
        """Number of the node of normalised images."""
        return next(node.number for node in self.nodes if node.kind == "input")

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Numbers of the nodes that the network's output holds."""
        return tuple(dict.fromkeys(referred(self.output)))

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For each node the numbers of the nodes that read it."""
        readers: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for number in node.reads:
                readers[number].append(node.number)
        return tuple(map(tuple, readers))

    def depends_on(self, number: int) -> frozenset[int]:
        """Numbers of the nodes that read a node, directly or through others, itself included."""
        found = {number}
        for node in self.nodes[number + 1 :]:
            if not found.isdisjoint(node.reads):
                found.add(node.number)
        return frozenset(found)

    def course(self, known: Collection[int], wanted: Iterable[int]) -> Course:
        """The nodes to be run for wanted values where some are known; what is known and wanted is never let go."""
        wanted = set(wanted)
        needed = self._needed(known, wanted)
        steps = [number for number in sorted(needed) if number not in known]
        last = {number: step for step, taken in enumerate(steps) for number in (taken, *self.nodes[taken].reads)}
        drops: list[list[int]] = [[] for _ in steps]
        for number, step in last.items():
            if number not in known and number not in wanted and self.nodes[number].kind != "constant":
                drops[step].append(number)
        return Course(tuple(steps), tuple(map(tuple, drops)))

    def _needed(self, known: Collection[int], wanted: Iterable[int]) -> set[int]:
        needed, left = set(), list(wanted)
        while left:
            number = left.pop()
            if number not in needed:
                needed.add(number)
                left += [] if number in known else self.nodes[number].reads
        return needed

    @torch.no_grad()
    def follow(self, course: Course, known: Mapping[int, object], rows: int) -> dict[int, object]:
        """The known values, and those that a course leaves, for a batch of `rows` rows."""
        values = dict(known)
        with self.model.in_precision():
            for number, drops in zip(course.steps, course.drops, strict=True):
                values[number] = self.value(self.nodes[number], values, rows)
                for dropped in drops:
                    del values[dropped]
        return values

    def value(self, node: Node, values: Mapping[int, object], rows: int) -> object:
        """What one node gives from the values that it reads."""
        if node.kind == "constant":
            return node.constant
        if node.kind == "layer":
            return values[node.reads[0]]
        assert node.call is not None, f"the value of {node.name} must be known"
        args = [filled(argument, values, rows) for argument in node.args]
        kwargs = {name: filled(argument, values, rows) for name, argument in node.kwargs.items()}
        return node.call(*args, **kwargs)

    def run(self, pixels: Tensor, keep: Iterable[int] = ()) -> Ran:
        """The whole graph for pixels in [0, 1], (rows, channels, height, width), keeping the values of some nodes."""
        return self.finish({self.input: self.model.normalise(pixels)}, len(pixels), keep)

    def finish(self, known: Mapping[int, object], rows: int, keep: Iterable[int] = ()) -> Ran:
        """The output from known values of nodes: runs those operations that it needs and that are not known."""
        keep = tuple(keep)
        values = self.follow(self.course(known.keys(), (*self.outputs, *keep)), known, rows)
        return Ran(self.output_of(values, rows), {number: values[number] for number in keep})

    def output_of(self, values: Mapping[int, object], rows: int) -> object:
        """The network's output from the values of `outputs`."""
        return filled(self.output, values, rows)


def filled(argument: object, values: Mapping[int, object], rows: int) -> object:
    """An argument with the values of its nodes and the sizes of a batch in their places."""
    kind = type(argument)
    if kind is Ref:
        return values[argument.number]  # type: ignore[attr-defined]
    if kind is Size:
        return argument.of(rows)  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return kind(filled(part, values, rows) for part in argument)  # type: ignore[attr-defined]
    if kind is dict:
        return {name: filled(part, values, rows) for name, part in argument.items()}  # type: ignore[attr-defined]
    return argument


def referred(argument: object) -> list[int]:
    """Numbers of the nodes that an argument holds, in order."""
    if isinstance(argument, Ref):
        return [argument.number]
    if isinstance(argument, Mapping):
        argument = list(argument.values())
    if isinstance(argument, list | tuple):
        return [number for part in argument for number in referred(part)]
    return []


@full_float32()
def check_graph(graph: Graph) -> None:
    """Raise Refusal unless the graph gives what the module gives, on noise in batches of one and of two."""
    model = graph.model
    for rows in (2, 1):
        pixels = noise(model, rows, seed=rows)
        ran = graph.run(pixels)
        with torch.no_grad():
            wanted = model.forward(pixels)
        error = output_difference(tensors_of(ran.output), tensors_of(plain_output(wanted, model.output)))
        if not error <= tolerance(model):
            found = f"a recording that is {error:.2g} away from the network on a batch of {rows}"
            expected = f"at most {tolerance(model):.1g} of the largest output"
            fix = "Parts of it cannot be re-run alone: whole forwards are made."
            raise Refusal("model.graph", found, expected, fix)


def tolerance(model: AuditedModel) -> float:
    """Largest difference of two outputs, as a share of the largest, that rounding explains in the model's precision."""
    dtype = model.autocast or model.dtype or torch.float32
    if dtype in LOW_PRECISION:
        return torch.finfo(dtype).eps
    return 1e-12 if dtype == torch.float64 else TOLERANCE


def output_difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Largest difference as a share of the largest absolute value wanted, over all tensors; infinite for other shapes.

    Where both are NaN, or infinite alike, there is no difference.
    """
    if [one.shape for one in found] != [one.shape for one in wanted]:
        return float("inf")
    return max((_difference(one.double(), other.double()) for one, other in zip(found, wanted, strict=True)), default=0)


def _difference(found: Tensor, wanted: Tensor) -> float:
    alike = (found == wanted) | (found.isnan() & wanted.isnan())
    if bool(alike.all()):
        return 0.0
    error = float((found - wanted).masked_fill(alike, 0).abs().max())
    scale = float(wanted.abs().nan_to_num(0, 0, 0).max())
    return error / max(scale, torch.finfo(torch.float32).tiny) if error == error else float("inf")


def plain_output(output: object, selector: str | int | None) -> object:
    """A network's output as tensors in tuples, lists and dictionaries; of another object the part that is read."""
    if isinstance(output, Tensor | list):
        return output
    if isinstance(output, tuple):
        return tuple(output)
    if isinstance(output, Mapping):
        return {name: part for name, part in output.items() if part is not None}
    name = selector if isinstance(selector, str) else "logits"
    return {name: getattr(output, name)}


def tensors_of(output: object) -> list[Tensor]:
    """The tensors in a plain output, in order."""
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [tensor for part in output for tensor in tensors_of(part)]
    return [output] if isinstance(output, Tensor) else []
