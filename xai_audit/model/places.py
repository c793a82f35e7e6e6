"""Where the places of a value lie in the picture, followed operation by operation through a recorded network.

Along each axis of the picture a value has places a `stride` of pixels apart, the first with its centre at `start`, and
each depends on `size` pixels around its centre. A window of k taps, d apart, with step s and padding p gives
size + (k - 1) d stride, start + ((k - 1) d / 2 - p) stride, and stride s (Araujo, Norris and Sim, Distill 2019). What
is not listed here, or lets places mix, is never taken to see less than the whole picture.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

import torch

from xai_audit.model.graph import Graph, Node, Ref, Size, referred

ROWS = 7919
"""Cases of the batch whose shapes are compared: a prime, so that no other axis has a length that it divides."""


@dataclass(frozen=True)
class Reach:
    """The places along one axis of a value, in pixels."""

    axis: int
    """Axis of the value."""
    size: Fraction = Fraction(1)
    stride: Fraction = Fraction(1)
    start: Fraction = Fraction(0)

    def window(self, taps: int, step: int = 1, padding: int = 0, apart: int = 1) -> Reach:
        """The places of a convolution or pooling along this axis."""
        wider = (taps - 1) * apart
        start = self.start + (Fraction(wider, 2) - padding) * self.stride
        return Reach(self.axis, self.size + wider * self.stride, self.stride * step, start)

    def resampled(self, step: Fraction, wider: Fraction, first: Fraction | None = None) -> Reach:
        """Places `step` of these apart that read at most `wider` places more; `first` is the first one's place."""
        first = (step - 1) / 2 if first is None else first
        return Reach(self.axis, self.size + wider * self.stride, self.stride * step, self.start + first * self.stride)


@dataclass(frozen=True)
class Places:
    """A value whose axes hold the rows and columns of places."""

    rows: Reach
    columns: Reach
    is_whole: bool = False
    """Each place may depend on the whole picture; its centre is still known."""

    @property
    def axes(self) -> tuple[int, int]:
        """Axes of rows and columns."""
        return self.rows.axis, self.columns.axis

    def on(self, axes: Sequence[int]) -> Places:
        """The same places on other axes."""
        return replace(self, rows=replace(self.rows, axis=axes[0]), columns=replace(self.columns, axis=axes[1]))

    def each(self, change: Callable[[Reach], Reach]) -> Places:
        """The places with both axes changed."""
        return replace(self, rows=change(self.rows), columns=change(self.columns))


@dataclass(frozen=True)
class Lost:
    """A value that depends on the picture, with places that are not followed."""

    why: str


State = Places | Lost | None
"""None: the same for every picture."""


class _Unfollowed(Exception):
    """An operation after which places are not known; says which."""


def places_of(graph: Graph) -> dict[int, State]:
    """State of every node, by number."""
    states: dict[int, State] = {}
    for node in graph.nodes:
        states[node.number] = _state(graph, node, states)
    return states


def shape_of(node: Node) -> tuple[int, ...]:
    """Shape of a node's value for a batch of ROWS; empty where it is not one tensor."""
    return tuple(size.of(ROWS) if isinstance(size, Size) else size for size in node.shape or ())


def _state(graph: Graph, node: Node, states: Mapping[int, State]) -> State:
    if node.kind == "input":
        axes = len(shape_of(node))
        return Places(Reach(axes - 2), Reach(axes - 1))
    moving = [number for number in node.reads if states[number] is not None]
    if not moving:
        return None
    if node.kind == "layer":
        return states[moving[0]]
    try:
        return _rule(node)(_Call(graph, node, states))
    except _Unfollowed as reason:
        return Lost(str(reason))


@dataclass(frozen=True, eq=False)
class _Call:
    """An operation and what is known of the values before it."""

    graph: Graph
    node: Node
    states: Mapping[int, State]

    @property
    def name(self) -> str:
        return _name(self.node)

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.node)

    def arguments(self) -> dict[str, Any]:
        """Arguments by the names of the operation's schema, with its defaults."""
        found = {one.name: one.default_value for one in self.node.call._schema.arguments}  # type: ignore[union-attr]
        return {**found, **dict(zip(found, self.node.args, strict=False)), **self.node.kwargs}

    def shape_of(self, argument: object) -> tuple[int, ...]:
        assert isinstance(argument, Ref)
        return shape_of(self.graph.nodes[argument.number])

    def source(self, *names: str) -> tuple[Places, dict[str, Any]]:
        """Places of the argument under the first of the names that the operation has; no other may depend on the
        picture."""
        given = self.arguments()
        value = given[next(name for name in names if name in given)]
        others = [n for n in self.node.reads if not isinstance(value, Ref) or n != value.number]
        if not isinstance(value, Ref) or any(self.states[number] is not None for number in others):
            raise self.unfollowed()
        return self.placed(value.number), given

    def placed(self, number: int) -> Places:
        """Places of a node. Raises _Unfollowed where they are lost already, with the first reason."""
        state = self.states[number]
        if isinstance(state, Places):
            return state
        raise _Unfollowed(state.why if isinstance(state, Lost) else f"{self.name} of a constant")

    def unfollowed(self, what: str = "") -> _Unfollowed:
        return _Unfollowed(f"{self.name}{what and ' ' + what}")


def _name(node: Node) -> str:
    """Name of an operation without its overload: conv2d."""
    if node.call is operator.getitem:
        return "getitem"
    return node.name.removeprefix("aten.").split(".")[0]


Rule = Callable[[_Call], State]


def _rule(node: Node) -> Rule:
    if isinstance(node.call, torch._ops.OpOverload) and torch.Tag.pointwise in node.call.tags:
        return _met
    return _RULES.get(_name(node), _unknown)


def _unknown(call: _Call) -> State:
    """What was lost before stays lost for its first reason."""
    before = [state for number in call.node.reads if isinstance(state := call.states[number], Lost)]
    return before[0] if before else Lost(call.name)


def _same(call: _Call) -> State:
    return call.states[call.node.reads[0]] if call.states[call.node.reads[0]] is not None else _unknown(call)


def _met(call: _Call) -> State:
    """Values taken place by place: their axes lie against each other from the last on, as in broadcasting."""
    found, lost = [], []
    for number in call.node.reads:
        state, shape = call.states[number], shape_of(call.graph.nodes[number])
        shift = len(call.shape) - len(shape)
        if isinstance(state, Places) and all(shape[axis] == call.shape[axis + shift] for axis in state.axes):
            found.append(state.on([axis + shift for axis in state.axes]))
        elif state is not None:
            lost.append(state.why if isinstance(state, Lost) else f"{call.name} with a value spread over all places")
    if not found:
        return Lost(lost[0])
    return replace(_united(call, found), is_whole=bool(lost) or any(one.is_whole for one in found))


def _united(call: _Call, found: Sequence[Places]) -> Places:
    """Places that see what the same places of several values see."""
    strides = {(one.axes, one.rows.stride, one.columns.stride) for one in found}
    if len(strides) > 1:
        raise call.unfollowed("of values whose places lie differently")
    return Places(_hull([one.rows for one in found]), _hull([one.columns for one in found]))


def _hull(reaches: Sequence[Reach]) -> Reach:
    low = min(one.start - (one.size - 1) / 2 for one in reaches)
    high = max(one.start + (one.size - 1) / 2 for one in reaches)
    return replace(reaches[0], size=high - low + 1, start=(high + low) / 2)


def _windows(call: _Call, source: Places, sides: int, change: Callable[[Reach, int], Reach]) -> Places:
    """Windows over the last `sides` axes, each changed by its number among them."""
    first = len(call.shape_of(call.node.args[0])) - sides
    return source.each(lambda reach: change(reach, reach.axis - first) if reach.axis >= first else reach)


def _each(value: object, sides: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return values * sides if len(values) == 1 else values


def _convolution(call: _Call) -> State:
    source, given = call.source("input")
    taps = call.shape_of(given["weight"])[2:]
    sides = len(taps)
    if len(call.shape_of(given["input"])) - sides - 1 in source.axes:
        raise call.unfollowed("over an axis of places as channels")
    steps, apart = _each(given["stride"], sides), _each(given["dilation"], sides)
    if given.get("transposed") or "transpose" in call.name:
        padding = _each(given["padding"], sides)
        return _windows(call, source, sides, lambda r, k: _spread(r, taps[k], steps[k], padding[k], apart[k]))
    if isinstance(given["padding"], str):
        is_same = given["padding"] == "same"
        padding = [(taps[k] - 1) * apart[k] // 2 if is_same else 0 for k in range(sides)]
    else:
        padding = _each(given["padding"], sides)
    return _windows(call, source, sides, lambda r, k: r.window(taps[k], steps[k], padding[k], apart[k]))


def _spread(reach: Reach, taps: int, step: int, padding: int, apart: int) -> Reach:
    """A transposed convolution: place i reads places (i + p - d t) / s of tap t."""
    wider = Fraction((taps - 1) * apart, step)
    return reach.resampled(Fraction(1, step), wider, Fraction(padding, step) - wider / 2)


def _pool(call: _Call) -> State:
    source, given = call.source("self")
    sides = int(call.name.split("pool")[1][0])
    taps = _each(given["kernel_size"], sides)
    steps = _each(given["stride"] or taps, sides)
    padding, apart = _each(given["padding"], sides), _each(given.get("dilation", 1), sides)
    return _windows(call, source, sides, lambda r, k: r.window(taps[k], steps[k], padding[k], apart[k]))


def _adaptive(call: _Call) -> State:
    source, given = call.source("self")
    shape = call.shape_of(given["self"])
    wanted = _each(given["output_size"], int(call.name.split("pool")[1][0]))
    made = dict(zip(range(len(shape) - len(wanted), len(shape)), wanted, strict=True))

    def change(reach: Reach) -> Reach:
        step = Fraction(shape[reach.axis], made.get(reach.axis, shape[reach.axis]))
        is_even = step.denominator == 1
        return reach.resampled(step, step - 1 if is_even else step + 1)

    return source.each(change)


def _enlarged(call: _Call) -> State:
    """Interpolation: the taps of a place lie less than 1 (bilinear), or 2 (bicubic), from its own place."""
    source, given = call.source("input", "self")
    before, is_corners = call.shape_of(call.node.args[0]), bool(given.get("align_corners"))
    scales = given.get("scale_factors") or [given.get(name) for name in ("scales_h", "scales_w")]
    first = len(before) - (1 if "1d" in call.name else 2)
    if "3d" in call.name or "_aa" in call.name:
        raise call.unfollowed()

    def change(reach: Reach) -> Reach:
        if reach.axis < first:
            return reach
        old, new = before[reach.axis], call.shape[reach.axis]
        if (scale := scales[reach.axis - first]) is not None and Fraction(scale) * old != new:
            raise call.unfollowed("by a factor that leaves a part of a place")
        step = Fraction(old, new)
        if "nearest" in call.name:
            return reach.resampled(step, 1 - step if step.numerator == 1 else 1 + step)
        wider = Fraction(4 if "bicubic" in call.name else 2)
        if is_corners and new > 1:
            return reach.resampled(Fraction(old - 1, new - 1), wider, Fraction(0))
        return reach.resampled(step, wider)

    return source.each(change)


def _shuffled_pixels(call: _Call) -> State:
    source, given = call.source("self")
    if "unshuffle" in call.name:
        factor = given["downscale_factor"]
        return source.each(lambda reach: reach.window(factor, factor))
    step = Fraction(1, given["upscale_factor"])
    return source.each(lambda reach: reach.resampled(step, 1 - step))


def _padded(call: _Call) -> State:
    source, given = call.source("self")
    if given.get("mode", "constant") != "constant":
        raise call.unfollowed(f"by {given['mode']}")
    last = len(call.shape) - 1

    def change(reach: Reach) -> Reach:
        place = 2 * (last - reach.axis)
        before = given["pad"][place] if place < len(given["pad"]) else 0
        return replace(reach, start=reach.start - before * reach.stride)

    return source.each(change)


def _sliced(call: _Call) -> State:
    source, given = call.source("self")
    shape = call.shape_of(given["self"])
    axis, step = given["dim"] % len(shape), given["step"]
    first = given["start"] or 0
    if axis not in source.axes:
        return source
    if isinstance(first, Size) or isinstance(step, Size):
        raise call.unfollowed("from a number of places that depends on the batch")
    first = max(0, first + shape[axis]) if first < 0 else min(first, shape[axis])
    return source.each(
        lambda r: replace(r, start=r.start + first * r.stride, stride=r.stride * step) if r.axis == axis else r
    )


def _reshaped(call: _Call) -> State:
    """An axis is kept where as many values come before it, and it is as long, as in the source."""
    source, _ = call.source("self", "input")
    before = call.shape_of(call.node.args[0])
    return source.on([_kept_axis(call, before, axis) for axis in source.axes])


def _kept_axis(call: _Call, before: Sequence[int], axis: int) -> int:
    ahead, length = prod(before[:axis]), before[axis]
    fits = [k for k, size in enumerate(call.shape) if size == length and prod(call.shape[:k]) == ahead]
    if not fits:
        raise call.unfollowed("that takes the rows or columns of places apart")
    return fits[-1]


def _permuted(call: _Call) -> State:
    source, given = call.source("self")
    axes = len(call.shape)
    if call.name == "permute":
        order = [axis % axes for axis in given["dims"]]
    else:
        word = "axis" if call.name == "swapaxes" else "dim"
        one, other = given[f"{word}0"] % axes, given[f"{word}1"] % axes
        order = list(range(axes))
        order[one], order[other] = other, one
    return source.on([order.index(axis) for axis in source.axes])


def _reduced(call: _Call) -> State:
    """A sum, a mean or a largest value over axes, or one of many along an axis."""
    source, given = call.source("self")
    axes = len(call.shape_of(given["self"]))
    dims = given.get("dim")
    gone = {axis % axes for axis in ([dims] if isinstance(dims, int) else dims or range(axes))}
    if gone & set(source.axes):
        raise call.unfollowed("over places")
    if given.get("keepdim"):
        return source
    return source.on([axis - sum(one < axis for one in gone) for axis in source.axes])


def _parted(call: _Call) -> State:
    """Parts along an axis that is none of places."""
    source, given = call.source("self")
    if given["dim"] % len(call.shape_of(given["self"])) in source.axes:
        raise call.unfollowed("along places")
    return source


def _joined(call: _Call) -> State:
    """Values side by side along an axis that is none of places."""
    given, axes = call.arguments(), len(call.shape)
    axis, numbers = given["dim"] % axes, referred(given["tensors"])
    states = [state for number in numbers if (state := call.states[number]) is not None]
    found = [state for state in states if isinstance(state, Places)]
    if not found:
        return next(state for state in states if isinstance(state, Lost))
    if call.name == "stack":
        found = [one.on([old + (old >= axis) for old in one.axes]) for one in found]
    elif any(axis in one.axes for one in found):
        raise call.unfollowed("along places")
    is_whole = len(found) < len(states) or any(one.is_whole for one in found)
    return replace(_united(call, found), is_whole=is_whole)


def _normed(call: _Call) -> State:
    """layer_norm and its like: over the last axes, each place alone unless they hold places."""
    source, given = call.source("input")
    first = len(call.shape_of(given["input"])) - len(given["normalized_shape"])
    return replace(source, is_whole=source.is_whole or max(source.axes) >= first)


def _soft(call: _Call) -> State:
    source, given = call.source("self")
    axis = given["dim"] % len(call.shape)
    return replace(source, is_whole=source.is_whole or axis in source.axes)


def _over_all(call: _Call) -> State:
    """Statistics over all places, each of which stays where it is."""
    source, _ = call.source("input", "self")
    return replace(source, is_whole=True)


def _batch_norm(call: _Call) -> State:
    source, given = call.source("input")
    return replace(source, is_whole=source.is_whole or bool(given.get("training", given.get("use_input_stats"))))


def _linear(call: _Call) -> State:
    """A matrix times the last axis."""
    source, given = call.source("input", "self")
    axes = len(call.shape_of(call.node.args[0]))
    if axes - 1 in source.axes or ("other" in given and len(call.shape_of(given["other"])) > 2):
        raise call.unfollowed("over places")
    return source


def _part(call: _Call) -> State:
    """One of the values that an operation gives: all of them have the same places."""
    return call.states[call.node.reads[0]]


def _by_name(rule: Rule, *names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


_RULES: Mapping[str, Rule] = {
    **_by_name(_same, "detach", "alias", "contiguous", "to", "_to_copy", "dropout", "feature_dropout", "alpha_dropout"),
    **_by_name(_same, "hardswish", "prelu", "log_sigmoid", "type_as", "lift_fresh_copy", "clone"),
    **_by_name(_met, "expand", "expand_as"),
    **_by_name(_convolution, "conv1d", "conv2d", "conv3d", "convolution"),
    **_by_name(_convolution, "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    **_by_name(_pool, "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
    **_by_name(_pool, "max_pool2d_with_indices", "max_pool3d_with_indices"),
    **_by_name(_adaptive, "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    **_by_name(_enlarged, "upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"),
    **_by_name(_shuffled_pixels, "pixel_shuffle", "pixel_unshuffle"),
    **_by_name(_padded, "pad", "constant_pad_nd"),
    **_by_name(_sliced, "slice"),
    **_by_name(_reshaped, "reshape", "view", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"),
    **_by_name(_permuted, "permute", "transpose", "swapaxes", "swapdims"),
    **_by_name(_reduced, "mean", "sum", "amax", "amin", "max", "min", "var", "std", "logsumexp", "linalg_vector_norm"),
    **_by_name(_reduced, "select", "unbind"),
    **_by_name(_parted, "chunk", "split", "split_with_sizes", "glu"),
    **_by_name(_joined, "cat", "concat", "stack"),
    **_by_name(_normed, "layer_norm", "rms_norm", "native_layer_norm"),
    **_by_name(_soft, "softmax", "_softmax", "log_softmax", "_log_softmax"),
    **_by_name(_over_all, "group_norm", "native_group_norm"),
    **_by_name(_batch_norm, "batch_norm", "instance_norm"),
    **_by_name(_linear, "linear", "matmul"),
    **_by_name(_part, "getitem"),
}
