"""Occlusion that recomputes only what a window changes, equal to whole forwards to rounding (METHODS 8.3).

The idea is Krypton's (Nakandala et al., SIGMOD 2019); here the change itself is followed through the network, see
`changes`. From where that no longer pays, the changed values are pasted into the unperturbed ones and the rest of the
network runs as a plain batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.errors import Refusal
from xai_audit.explain.change_rules import Rules, map_of, operation, step_of
from xai_audit.explain.changes import MOVE, Change, Convolve, ConvolveGroups, Map, Scale, Step, pasted, pooled
from xai_audit.explain.rectangles import Ints, Places, areas, tidy
from xai_audit.model.graph import Course, Graph, Node, output_difference, plain_output, tensors_of, tolerance
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import noise

ROWS = 256
"""Most windows at a time: enough for whole blocks of a matrix product, few enough for the processor's cache."""
MEMORY_MB = 256
"""Room for the values of the windows at work, if the caller does not say."""


@dataclass(frozen=True)
class Pool:
    """A mean over the whole map, whose change is the sum of changes by the number of places."""

    number: int
    source: int


@dataclass(frozen=True, eq=False)
class Cache:
    """One image's values that windows are compared with."""

    kept: Mapping[int, Tensor]
    """By node: (places, channels); of a pool, and of the other nodes, as the network gives it for one row."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How far the changes of some boxes are followed."""

    boxes: Mapping[int, Ints]
    """Of every node with a Step, (rows, 4)."""
    steps: tuple[Step, ...]
    pools: tuple[Pool, ...]
    live: tuple[int, ...]
    """Nodes whose changes are pasted."""
    course: Course
    """What is run as a plain batch."""
    rows: int
    """Windows at a time."""


@dataclass(frozen=True, eq=False)
class Incremental:
    """The recorded network, prepared for changes in rectangles."""

    graph: Graph
    steps: tuple[Step, ...]
    pools: tuple[Pool, ...]
    maps: Mapping[int, Map]
    memory_mb: int = MEMORY_MB
    _plans: dict[bytes, Plan] = field(default_factory=dict, repr=False)

    @staticmethod
    @torch.no_grad()
    def of(graph: Graph, memory_mb: int = MEMORY_MB) -> Incremental:
        """The network's operations up to the first whose result may change everywhere.

        Compared with whole forwards on two windows of noise. Raises Refusal on a GPU, where full batches are faster,
        in half precision, for a network without a convolution before that operation, and where the results differ.
        """
        _check_device(graph)
        steps, pools, maps = _steps(graph)
        if not any(isinstance(step, Convolve | ConvolveGroups) for step in steps):
            found = "no convolution before an operation that joins distant places"
            raise _refusal(found, "a network that begins with convolutions")
        made = Incremental(graph, steps, pools, maps, memory_mb)
        made._check()
        return made

    @torch.no_grad()
    def open(self, pixels: Tensor) -> Cache:
        """The unperturbed values for an image (channels, height, width) in [0, 1]: one forward."""
        wanted = {number for step in self.steps for number in step.keeps} | {pool.number for pool in self.pools}
        kept = self.graph.run(pixels[None], keep=sorted(wanted | {self.graph.input})).kept
        return Cache({number: self._flat(number, value) for number, value in kept.items()})

    def _flat(self, number: int, value: object) -> Tensor:
        assert isinstance(value, Tensor)
        return self.maps[number].flat(value) if number in self.maps else value

    def outputs(
        self, cache: Cache, boxes: npt.NDArray[np.int64], fill: Tensor
    ) -> Iterator[tuple[npt.NDArray[np.int64], object]]:
        """Row numbers, and what the network gives for the image with each row's box filled: as many as memory allows.

        boxes (rows, 4): top, left, bottom, right; fill (channels, height, width) in [0, 1]. Every row comes once.
        """
        boxes = tidy(boxes)
        plan = self._plan(boxes)
        with torch.no_grad():
            inputs = self.maps[self.graph.input]
            change = inputs.flat(self.graph.model.normalise(fill[None])) - cache.kept[self.graph.input]
        for start in range(0, len(boxes), plan.rows):
            rows = np.arange(start, min(start + plan.rows, len(boxes)))
            yield rows, self._output(cache, plan, boxes[rows], change)

    @torch.no_grad()
    def _output(self, cache: Cache, plan: Plan, boxes: Ints, change: Tensor) -> object:
        places = Places.of(boxes, self.maps[self.graph.input].width)
        values = change.new_zeros(len(places) + 1, change.shape[1])
        torch.index_select(change, 0, torch.from_numpy(places.flat), out=values[:-1])
        changes = self._followed(cache, plan, Change(values, places))
        known = {number: pasted(changes[number], cache.kept[number], self.maps[number]) for number in plan.live}
        for pool in plan.pools:
            mean = cache.kept[pool.number]
            moved = pooled(changes[pool.source], self.maps[pool.source].size)
            known[pool.number] = mean + moved.view(-1, *mean.shape[1:])
        changes.clear()
        return self.graph.output_of(self.graph.follow(plan.course, known, len(boxes)), len(boxes))

    def _followed(self, cache: Cache, plan: Plan, change: Change) -> dict[int, Change]:
        """Changes of the nodes that are still wanted after the plan's steps."""
        changes = {self.graph.input: change}
        wanted = {*plan.live, *(pool.source for pool in plan.pools)}
        last = {number: place for place, step in enumerate(plan.steps) for number in step.reads}
        for place, step in enumerate(plan.steps):
            changes[step.number] = step.run(changes, cache.kept)
            for number in {*step.reads, step.number}:
                if last.get(number, place) == place and number not in wanted:
                    changes.pop(number, None)
        return changes

    def _plan(self, boxes: Ints) -> Plan:
        key = boxes.tobytes()
        if key not in self._plans:
            self._plans.clear()
            self._plans[key] = self._made_plan(boxes)
        return self._plans[key]

    def _made_plan(self, boxes: Ints, at: int | None = None) -> Plan:
        """The plan that costs least, or the one of the first `at` steps."""
        reached = {self.graph.input: boxes}
        for step in self.steps:
            reached[step.number] = step.reached(reached)
        cuts = self._cuts()
        cut = min(cuts, key=lambda cut: self._cost(cut, cuts[cut], reached)) if at is None else at
        steps, live = self.steps[:cut], cuts[cut]
        made = {self.graph.input, *(step.number for step in steps)}
        pools = tuple(pool for pool in self.pools if pool.source in made)
        known = {*live, *(pool.number for pool in pools)}
        course = self.graph.course(known, self.graph.outputs)
        return Plan(reached, steps, pools, live, course, self._rows(live, course, reached))

    def _cuts(self) -> dict[int, tuple[int, ...]]:
        """Numbers of steps after which the rest can run as a plain batch, each with the nodes it is run from."""
        kept = {number for step in self.steps for number in step.keeps} | {self.graph.input}
        found = {}
        made, covered = {self.graph.input}, {self.graph.input}
        for cut in range(len(self.steps) + 1):
            done = covered | {pool.number for pool in self.pools if pool.source in made}
            live = [n for n in made if n in self.graph.outputs or not done.issuperset(self.graph.readers[n])]
            if kept.issuperset(live):
                found[cut] = tuple(sorted(live))
            if cut < len(self.steps):
                made.add(self.steps[cut].number)
                covered.update(self.steps[cut].covers)
        return found

    def _cost(self, cut: int, live: Sequence[int], boxes: Mapping[int, Ints]) -> float:
        """Multiplications and additions of all rows with the changes of the first `cut` steps followed."""
        rows = len(boxes[self.graph.input])
        followed = sum(step.cost(boxes) for step in self.steps[:cut])
        plain = rows * sum(step.dense_cost for step in self.steps[cut:])
        return followed + plain + 3 * MOVE * rows * sum(self._numbers(number) for number in live)

    def _numbers(self, number: int) -> int:
        return self.maps[number].size * self.maps[number].channels

    def _rows(self, live: Sequence[int], course: Course, boxes: Mapping[int, Ints]) -> int:
        """Windows at a time, so that the values at work stay within half of the memory."""
        count = max(1, len(boxes[self.graph.input]))
        changed = {n: float(areas(box).max(initial=0)) * self.maps[n].channels for n, box in boxes.items()}
        at_work = max((3 * changed[n] + 16 * changed[n] / self.maps[n].channels for n in changed), default=0.0)
        nodes = [self.graph.nodes[number] for number in course.steps]
        shapes = [node.shape for node in nodes if node.kind != "constant"]
        plain = max((prod(_sizes(shape)) for shape in shapes if shape), default=1)
        bytes_a_row = 4 * max(at_work, 2 * sum(map(self._numbers, live)) + 3 * plain)
        most = min(max(1, self.memory_mb * 2**19 // int(bytes_a_row)), ROWS)
        return -(-count // -(-count // most))

    @torch.no_grad()
    def _check(self) -> None:
        """Raise Refusal unless following all steps gives what whole forwards give, for two windows of noise."""
        model = self.graph.model
        image, fill = noise(model, 2, seed=3)
        height, width = model.input.size
        boxes = np.array([[0, 0, *_part(height, width)], [height // 2, width // 3, *_part(height, width)]])
        boxes[1, 2:] = np.minimum(boxes[1, :2] + boxes[1, 2:], (height, width))
        cache = self.open(image)
        plan = self._made_plan(boxes, at=max(self._cuts()))
        change = self.maps[self.graph.input].flat(model.normalise(fill[None])) - cache.kept[self.graph.input]
        found = self._output(cache, plan, boxes, change)
        rows = torch.stack([_filled(image, box, fill) for box in boxes.tolist()])
        with left_as_found(model.module), torch.no_grad():
            wanted = plain_output(model.forward(rows), model.output)
        apart = output_difference(tensors_of(found), tensors_of(wanted))
        if not apart <= tolerance(model):
            expected = f"at most {tolerance(model):.1g} of the largest output"
            raise _refusal(f"results that are {apart:.2g} away from whole forwards", expected)


def _check_device(graph: Graph) -> None:
    model = graph.model
    if model.device.type != "cpu":
        raise _refusal(f"a model on {model.device.type}", "a model on the CPU: elsewhere full batches are faster")
    if model.autocast is not None or model.dtype not in (torch.float32, torch.float64):
        raise _refusal(f"a model in {model.autocast or model.dtype}", "float32 or float64")


def _steps(graph: Graph) -> tuple[tuple[Step, ...], tuple[Pool, ...], Mapping[int, Map]]:
    """The Steps of the nodes before the first changing node that has none, the pools beside them, and all Maps."""
    changing = graph.depends_on(graph.input)
    read = {number for node in graph.nodes if node.number in changing for number in node.reads}
    fixed = graph.follow(graph.course((), sorted(read - changing)), {}, 1)
    form = map_of(graph.nodes[graph.input].shape, 1)
    if form is None:
        return (), (), {}
    rules = Rules(graph, changing, fixed, {graph.input: form})
    steps: dict[int, Step] = {}
    pools: list[Pool] = []
    for node in graph.nodes:
        if node.number not in changing or node.number == graph.input:
            continue
        if (pool := _pool(rules, node)) is not None:
            pools.append(pool)
            continue
        found = step_of(rules, node)
        if found is None:
            break
        step, rules.maps[node.number] = found
        steps[node.number] = _folded(graph, steps, step)
    return tuple(steps.values()), tuple(pools), rules.maps


def _folded(graph: Graph, steps: dict[int, Step], step: Step) -> Step:
    """A factor after a convolution that nothing else reads becomes part of its weights; the convolution goes."""
    if isinstance(step, Scale):
        before = steps.get(step.source)
        if isinstance(before, Convolve) and graph.readers[step.source] == (step.number,):
            del steps[step.source]
            return before.scaled(step.number, step.factor)
    return step


def _pool(rules: Rules, node: Node) -> Pool | None:
    """A mean over all places of a map."""
    source = rules.maps.get(node.reads[0]) if node.reads else None
    if source is None:
        return None
    name = operation(node)
    axes = (2, 3) if source.axis == 1 else (1, 2)
    arguments = rules.arguments(node)
    if name == "mean" and len(arguments) > 1 and isinstance(arguments[1], list):
        is_global = sorted(axis % 4 for axis in arguments[1] if isinstance(axis, int)) == list(axes)
    else:
        is_global = name == "adaptive_avg_pool2d" and source.axis == 1 and node.shape is not None
        is_global = is_global and node.shape is not None and tuple(node.shape[2:]) == (1, 1)
    return Pool(node.number, node.reads[0]) if is_global and not node.kwargs else None


def _part(height: int, width: int) -> tuple[int, int]:
    return max(1, height // 5), max(1, width // 6)


def _filled(image: Tensor, box: Sequence[int], fill: Tensor) -> Tensor:
    top, left, bottom, right = box
    image = image.clone()
    image[:, top:bottom, left:right] = fill[:, top:bottom, left:right]
    return image


def _sizes(shape: Sequence[object]) -> list[int]:
    return [size for size in shape if isinstance(size, int)]


def _refusal(found: str, expected: str) -> Refusal:
    return Refusal("model.graph", found, expected, "Occlusion runs whole forwards instead.")
