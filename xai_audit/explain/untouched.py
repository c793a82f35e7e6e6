"""Forwards of a network of which some tensors are random, from what its untouched part gave (METHODS 8.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.explain.passes import Forward, Forwards, Needs, Request, as_read, detached
from xai_audit.explain.rectifiers import Rectifiers, rectified
from xai_audit.model.audited import AuditedModel, check_output
from xai_audit.model.batch_norm import sound_batch_norm
from xai_audit.model.graph import Graph, output_difference, plain_output, tensors_of, tolerance
from xai_audit.model.guard import full_float32, left_as_found
from xai_audit.model.layers import noise
from xai_audit.model.randomising import RandomNetwork, Stage, as_view, memory_of

_AS_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "aten.relu.default": torch.relu,
    "aten.clamp.default": torch.clamp,
    "aten.clamp_min.default": torch.clamp_min,
    "aten.threshold.default": torch.threshold,
    "aten.batch_norm.default": torch.batch_norm,
}
"""Operations that rules of backward, and the care for batch norm, know by their names in torch."""


@dataclass(frozen=True, eq=False)
class _Random:
    """A stage in the recorded network."""

    constants: Mapping[int, Tensor]
    """Random values by number of the node that they stand in for."""
    changed: frozenset[int]
    """Numbers of the nodes whose values depend on them."""
    steps: tuple[int, ...]
    """Numbers of the changed nodes that output and layers need, in order."""
    reads: tuple[int, ...]
    """Numbers of the unchanged nodes that those, the output or a layer read."""


@dataclass(frozen=True, eq=False)
class UntouchedPart:
    """A recorded network with its stages of random tensors: what they leave untouched is run once a batch."""

    network: RandomNetwork
    graph: Graph
    randoms: Mapping[str, _Random]
    """By name of the stage."""

    @staticmethod
    def of(network: RandomNetwork, layers: Sequence[str]) -> UntouchedPart:
        """Record the network with nodes for the outputs of layers (module paths).

        Makes three forwards of noise, and for each stage two. Raises Refusal where it cannot be recorded, where a layer
        is not in the recording, or where a stage does not give what the whole network gives with the same tensors.
        """
        graph = _as_functions(Graph.record(network.model, layers, folds=False))
        missing = [path for path in layers if path not in graph.layers]
        if missing:
            found = f"layers that the recording does not hold: {', '.join(missing)}"
            raise Refusal("model.graph", found, "an output given once in every forward", "Whole forwards are made.")
        randoms = {stage.name: _random(graph, network, stage, layers) for stage in network.stages}
        part = UntouchedPart(network, graph, randoms)
        part._check()
        return part

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """Numbers of the untouched nodes whose values stages read; the images are known anyway."""
        read = {number for random in self.randoms.values() for number in random.reads}
        return tuple(sorted(read - {self.graph.input}))

    @cached_property
    def is_worth_it(self) -> bool:
        """Whether some stage need not make a whole forward."""
        return any(self._is_partial(random) for random in self.randoms.values())

    def _is_partial(self, random: _Random) -> bool:
        """Whether operations that hold much work are left out: those that read parameters of the network."""
        skipped = {node.number for node in self.graph.nodes if node.kind == "call"} - set(random.steps)
        constants = {node.number for node in self.graph.nodes if node.kind == "constant"}
        depends = self.graph.depends_on(self.graph.input)
        return any(number in depends and constants & set(self.graph.nodes[number].reads) for number in skipped)

    @full_float32()
    def _check(self) -> None:
        model = self.network.model
        with left_as_found(model.module), torch.no_grad():
            pixels = noise(model, 1)
            opened = self.open(pixels, Needs())
            for stage in self.network.stages:
                made = self.graph.output_of(self._values(stage, opened, Needs()), 1)
                with self.network.at(stage) as random:
                    wanted = random.forward(pixels)
                error = output_difference(tensors_of(made), tensors_of(plain_output(wanted, model.output)))
                if not error <= tolerance(model):
                    found = f"a stage ({stage.name}) that is {error:.2g} away from the whole network"
                    fix = "Whole forwards are made."
                    raise Refusal("model.graph", found, f"at most {tolerance(model):.1g} of the largest output", fix)

    def open(self, pixels: Tensor, needs: Needs, *, follows_rule: bool = False) -> Opened:
        """What the untouched part gives for a batch of pixels, with its graph where a gradient at them is wanted."""
        model = self.graph.model
        pixels = pixels.detach().requires_grad_(needs.input_gradient)
        rectifiers = Rectifiers()
        with torch.set_grad_enabled(needs.any_gradient), _care(pixels, rectifiers if follows_rule else None):
            known: dict[int, object] = {self.graph.input: model.normalise(pixels)}
            course = self.graph.course(known, self.kept)
            values = self._follow(course.steps, known, len(pixels), needs, drops=course.drops)
        passes = Passes(partial=len(pixels)) if self.is_worth_it else Passes()
        return Opened(pixels, values, rectifiers if follows_rule else None, passes)

    def passes(self, stage: Stage) -> Passes:
        """What a stage makes of one opened case."""
        return Passes(partial=1) if self._is_partial(self.randoms[stage.name]) else Passes(forwards=1)

    def forwards(self, stage: Stage, opened: Opened) -> Forwards:
        """Makes the forwards of a stage from what was opened."""
        return _StageForwards(self, stage, opened)

    def _values(self, stage: Stage, opened: Opened, needs: Needs) -> dict[int, object]:
        random = self.randoms[stage.name]
        known = {number: opened.values[number] for number in random.reads}
        return self._follow(random.steps, {**known, **random.constants}, len(opened.pixels), needs)

    def _follow(
        self,
        steps: Sequence[int],
        known: Mapping[int, object],
        rows: int,
        needs: Needs,
        drops: Sequence[Sequence[int]] | None = None,
    ) -> dict[int, object]:
        """Known values and those of the steps, as `Graph.follow`, but for gradients."""
        at = {self.graph.layers[path]: path in needs.gradients for path in needs.layers}
        values = dict(known)
        with self.graph.model.in_precision():
            for place, number in enumerate(steps):
                value = self.graph.value(self.graph.nodes[number], values, rows)
                values[number] = _layer(cast("Tensor", value), wants_gradient=at[number]) if number in at else value
                for dropped in drops[place] if drops is not None else ():
                    values.pop(dropped, None)
        return values


def _as_functions(graph: Graph) -> Graph:
    calls = {number: _AS_FUNCTIONS[node.name] for number, node in enumerate(graph.nodes) if node.name in _AS_FUNCTIONS}
    nodes = [replace(node, call=calls[node.number]) if node.number in calls else node for node in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


@dataclass(frozen=True, eq=False)
class Opened:
    """A batch as the untouched part left it."""

    pixels: Tensor
    """Those that a gradient is taken at."""
    values: Mapping[int, object]
    rectifiers: Rectifiers | None
    passes: Passes
    """What was made for it."""


@dataclass(frozen=True, eq=False)
class _StageForwards:
    """The forwards of one stage; a batch that was not opened is run whole."""

    part: UntouchedPart
    stage: Stage
    opened: Opened

    def __call__(self, model: AuditedModel, pixels: Tensor, requests: Sequence[Request], ids: Sequence[str]) -> Forward:
        opened, needs = self.opened, Needs.union(request.needs for request in requests)
        made = Passes()
        if len(pixels) != len(opened.pixels):  # memory ran out, and the batch was halved
            opened = self.part.open(pixels, needs, follows_rule=opened.rectifiers is not None)
            made = opened.passes
        with torch.set_grad_enabled(needs.any_gradient), _care(opened.pixels, opened.rectifiers):
            values = self.part._values(self.stage, opened, needs)
        graph = self.part.graph
        output = model.read(graph.output_of(values, len(pixels)), len(pixels))
        check_output(output, ids)
        kept = {path: cast("Tensor", values[graph.layers[path]]) for path in needs.layers}
        outputs = {path: as_read(tensor) for path, tensor in kept.items()}
        one = self.part.passes(self.stage)
        passes = made + Passes(one.forwards * len(pixels), 0, one.partial * len(pixels))
        return Forward(
            opened.pixels, output, detached(output), kept, outputs, {}, opened.rectifiers, passes, keeps_graph=True
        )


@contextmanager
def _care(pixels: Tensor, rectifiers: Rectifiers | None) -> Iterator[None]:
    """What a forward of the network itself is made under, see `whole_forward`."""
    with sound_batch_norm(pixels), nullcontext() if rectifiers is None else rectified(rectifiers=rectifiers):
        yield


def _layer(output: Tensor, *, wants_gradient: bool) -> Tensor:
    """A layer's output as a place of its own in the graph."""
    if wants_gradient and not output.requires_grad:
        return output.detach().requires_grad_()
    return output.view_as(output)


def _random(graph: Graph, network: RandomNetwork, stage: Stage, layers: Sequence[str]) -> _Random:
    drawn = {memory.number: memory for part in stage.parts for memory in part.memories if memory.is_floating}
    constants: dict[int, Tensor] = {}
    for node in graph.nodes:
        if node.constant is not None and (number := memory_of(node.constant)) in drawn:
            constants[node.number] = as_view(network.drawn[number], node.constant)
    changed = _depending(graph, constants)
    wanted = (*graph.outputs, *(graph.layers[path] for path in layers))
    steps = tuple(number for number in graph.course((), wanted).steps if number in changed and number not in constants)
    inside = {number for step in steps for number in graph.nodes[step].reads} | set(wanted)
    reads = sorted(number for number in inside if number not in changed)
    return _Random(constants, changed, steps, tuple(reads))


def _depending(graph: Graph, constants: Collection[int]) -> frozenset[int]:
    changed = set(constants)
    for node in graph.nodes:
        if not changed.isdisjoint(node.reads):
            changed.add(node.number)
    return frozenset(changed)
