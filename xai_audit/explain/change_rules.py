"""Which Step of `changes` an operation of a recorded network is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_audit.explain.changes import (
    Add,
    Average,
    Convolve,
    ConvolveGroups,
    Join,
    Largest,
    Linear,
    Map,
    Move,
    Pointwise,
    Scale,
    Step,
)
from xai_audit.explain.rectangles import Kernel, Slide
from xai_audit.model.graph import Graph, Node, Ref, Size, filled

SAME = ("clone", "contiguous", "detach", "alias", "identity")
UNARY = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "gelu", "mish", "hardswish", "softplus"),
    *("sigmoid", "hardsigmoid", "log_sigmoid", "tanh", "hardtanh", "softsign", "threshold"),
    *("clamp", "clamp_min", "clamp_max", "abs", "neg", "exp", "sqrt", "square", "pow"),
)
BINARY = ("sub", "rsub", "div", "maximum", "minimum")
Rule = Callable[["Rules", Node], Step | None]


@dataclass(frozen=True, eq=False)
class Rules:
    """What is known of the nodes before the one at hand."""

    graph: Graph
    changing: frozenset[int]
    """Nodes that depend on the pixels."""
    fixed: Mapping[int, object]
    """Values of the nodes that do not."""
    maps: dict[int, Map] = field(default_factory=dict)
    """Form of the changing nodes that have a Step."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the network."""
        return self.graph.model.dtype or torch.float32

    def arguments(self, node: Node) -> list[object]:
        """Arguments by place, those that never change by value; keyword arguments are left to `rest`."""
        return [self._argument(argument) for argument in node.args]

    def _argument(self, argument: object) -> object:
        if isinstance(argument, Ref):
            return argument if argument.number in self.changing else self.fixed[argument.number]
        return filled(argument, self.fixed, 1) if not isinstance(argument, list | tuple) else self._list(argument)

    def _list(self, argument: list[object] | tuple[object, ...]) -> list[object]:
        return [self._argument(part) for part in argument]

    def form_of(self, argument: object) -> Map | None:
        """Form of an argument that changes and has places."""
        return self.maps.get(argument.number) if isinstance(argument, Ref) else None


def map_of(shape: tuple[int | Size, ...] | None, axis: int) -> Map | None:
    """Form of a value of that shape, (cases, ...), if it has places."""
    if shape is None or len(shape) != 4 or shape[0] != Size(1, 0):
        return None
    sizes = [size for size in shape[1:] if isinstance(size, int)]
    if len(sizes) != 3:
        return None
    channels, height, width = sizes if axis == 1 else (sizes[2], sizes[0], sizes[1])
    return Map(channels, height, width, axis)


def operation(node: Node) -> str:
    """Name of a node's operation without its overload: conv2d; identity for the output of a layer."""
    return "identity" if node.kind == "layer" else node.name.removeprefix("aten.").split(".")[0]


def step_of(rules: Rules, node: Node) -> tuple[Step, Map] | None:
    """The node's Step and the form of its result; None where its result may change everywhere."""
    name = operation(node)
    if name == "permute":
        return _permute(rules, node)
    rule = _RULES.get(name)
    sources = [form for number in node.reads if (form := rules.maps.get(number))]
    if rule is None or not sources or any(number in rules.changing - rules.maps.keys() for number in node.reads):
        return None
    form = map_of(node.shape, sources[0].axis)
    if form is None or any(source.axis != form.axis for source in sources):
        return None
    step = rule(rules, node)
    return None if step is None else (step, form)


def _padded(arguments: list[object], *defaults: object) -> list[object]:
    """Arguments with the defaults in the places of those left out."""
    return [*arguments, *defaults[len(arguments) :]]


def _pair(value: object) -> tuple[int, int]:
    values = [value] * 2 if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return (values[0], values[-1])


def _kernel(size: object, stride: object, padding: object, dilation: object, form: Map) -> Kernel:
    """A kernel with a result of the given form."""
    sizes, strides, paddings, dilations = _pair(size), _pair(stride), _pair(padding), _pair(dilation)
    down, across = (
        Slide(*of_axis) for of_axis in zip(sizes, strides, paddings, dilations, (form.height, form.width), strict=True)
    )
    return Kernel(down, across)


def _conv2d(rules: Rules, node: Node) -> Step | None:
    source, weight, _, stride, padding, dilation, groups = _padded(rules.arguments(node), None, None, None, 1, 0, 1, 1)
    form = map_of(node.shape, 1)
    if not (isinstance(source, Ref) and isinstance(weight, Tensor) and form and rules.maps[source.number].axis == 1):
        return None
    if isinstance(padding, str):
        return None
    made, given, high, wide = weight.shape
    kernel = _kernel((high, wide), stride, padding, dilation, form)
    if groups == 1:
        taps = weight.detach().permute(2, 3, 1, 0).contiguous()
        return Convolve(node.number, (node.number,), source.number, kernel, taps)
    assert isinstance(groups, int)
    grouped = weight.detach().reshape(groups, made // groups, given, high * wide).permute(0, 3, 2, 1).contiguous()
    return ConvolveGroups(node.number, (node.number,), source.number, kernel, grouped)


def _batch_norm(rules: Rules, node: Node) -> Step | None:
    source, weight, _, _, variance, training, _, eps = _padded(rules.arguments(node), *[None] * 8)[:8]
    if training or not isinstance(source, Ref) or not isinstance(variance, Tensor) or not isinstance(eps, float):
        return None
    form = rules.maps[source.number]
    factor = (variance + eps).rsqrt()
    factor = factor * weight if isinstance(weight, Tensor) else factor
    return Scale(node.number, (node.number,), source.number, factor.detach(), form) if form.axis == 1 else None


def _add(rules: Rules, node: Node) -> Step | None:
    left, right = rules.arguments(node)[:2]
    factor, form = node.kwargs.get("alpha", 1), map_of(node.shape, 1)
    assert form is not None
    if isinstance(left, Ref) and isinstance(right, Ref):
        form, other = rules.maps[left.number], rules.maps[right.number]
        if form != other:
            return None
        return Add(node.number, (node.number,), left.number, right.number, float(factor), form)  # type: ignore[arg-type]
    changed, is_right = (right, True) if isinstance(right, Ref) else (left, False)
    assert isinstance(changed, Ref)
    source = rules.maps[changed.number]
    if prod(size for size in (source.channels, source.size)) != prod((form.channels, form.size)):
        return None  # the constant spreads the changed value over more places
    if is_right and factor != 1:
        factor = torch.tensor(factor, dtype=rules.dtype)
        return Scale(node.number, (node.number,), changed.number, factor, source)
    return Move(node.number, (node.number,), changed.number, source)


def _pointwise(rules: Rules, node: Node) -> Step | None:
    """Any unary or binary operation: recomputed at the places that change."""
    form = rules.maps[next(number for number in node.reads if number in rules.maps)]
    if form != map_of(node.shape, form.axis) or any(form != rules.maps[n] for n in node.reads if n in rules.maps):
        return None
    given = {}
    for number in node.reads:
        if number not in rules.changing:
            table = _table(rules.fixed[number], form)
            if table is None:
                return None
            given[number] = table
    changed = tuple(number for number in node.reads if number in rules.changing)

    def call(values: Mapping[int, Tensor]) -> Tensor:
        made = rules.graph.value(node, values, 1)
        assert isinstance(made, Tensor)
        return made

    return Pointwise(node.number, (node.number,), call, changed, form, given, (*changed, node.number))


def _table(value: object, form: Map) -> Tensor | None:
    """A constant as (1 or places, channels or 1), if it broadcasts to a value of one row without growing it."""
    if not isinstance(value, Tensor) or value.ndim > 4 or (value.ndim == 4 and len(value) != 1):
        return None
    shape = (1,) * (4 - value.ndim) + tuple(value.shape)
    value = value.reshape(shape)
    value = value if form.axis == 3 else value.movedim(1, 3)
    if value.shape[1:3] == (1, 1):
        return value.reshape(1, -1)
    return value.expand(1, form.height, form.width, form.channels).reshape(form.size, form.channels).contiguous()


def _multiply(rules: Rules, node: Node) -> Step | None:
    """Times a constant for each channel, or one for all; else as any pointwise operation."""
    left, right = rules.arguments(node)[:2]
    changed, other = (left, right) if isinstance(left, Ref) else (right, left)
    if isinstance(changed, Ref) and not isinstance(other, Ref):
        form = rules.maps[changed.number]
        other = torch.tensor(other, dtype=rules.dtype) if isinstance(other, int | float) else other
        table = _table(other, form)
        if table is not None and len(table) == 1 and form == map_of(node.shape, form.axis):
            return Scale(node.number, (node.number,), changed.number, table.detach(), form)
    return _pointwise(rules, node)


def _channels_norm(rules: Rules, node: Node) -> Step | None:
    """layer_norm over channels that come last: one place at a time."""
    source, shape = rules.arguments(node)[:2]
    form = rules.form_of(source)
    return _by_place(rules, node, form) if form is not None and form.axis == 3 and shape == [form.channels] else None


def _prelu(rules: Rules, node: Node) -> Step | None:
    form = rules.form_of(rules.arguments(node)[0])
    return _by_place(rules, node, form) if form is not None and form.axis == 1 else None


def _by_place(rules: Rules, node: Node, form: Map) -> Step:
    """An operation that takes (places, channels) as it takes a map, with constants as they are."""
    changed = node.reads[0] if node.reads[0] in rules.changing else node.reads[-1]
    fixed = {number: rules.fixed[number] for number in node.reads if number != changed}

    def call(values: Mapping[int, Tensor]) -> Tensor:
        made = rules.graph.value(node, {**fixed, **values}, 1)
        assert isinstance(made, Tensor)
        return made

    return Pointwise(node.number, (node.number,), call, (changed,), form, {}, (changed, node.number))


def _linear(rules: Rules, node: Node) -> Step | None:
    source, weight = rules.arguments(node)[:2]
    form = rules.form_of(source)
    if form is None or form.axis != 3 or not isinstance(source, Ref) or not isinstance(weight, Tensor):
        return None
    return Linear(node.number, (node.number,), source.number, weight.detach().T.contiguous(), form.size)


def _cat(rules: Rules, node: Node) -> Step | None:
    parts, axis = _padded(rules.arguments(node), None, 0)[:2]
    axis = node.kwargs.get("dim", axis)
    form = rules.maps[next(number for number in node.reads if number in rules.maps)]
    if not isinstance(parts, list) or not isinstance(axis, int) or axis % 4 != form.axis:
        return None
    made = map_of(node.shape, form.axis)
    channels = [(None, part.shape[form.axis]) if isinstance(part, Tensor) else _part(rules, part) for part in parts]
    if made is None:
        return None
    return Join(node.number, (node.number,), tuple(channels), made)


def _part(rules: Rules, part: object) -> tuple[int, int]:
    assert isinstance(part, Ref)
    return part.number, rules.maps[part.number].channels


def _max_pool2d(rules: Rules, node: Node) -> Step | None:
    source, size, stride, padding, dilation = _padded(rules.arguments(node), None, None, [], 0, 1, False)[:5]
    form, made = rules.form_of(source), map_of(node.shape, 1)
    if form is None or made is None or form.axis != 1 or not isinstance(source, Ref):
        return None
    return Largest(
        node.number, (node.number,), source.number, _kernel(size, stride or size, padding, dilation, made), form
    )


def _avg_pool2d(rules: Rules, node: Node) -> Step | None:
    source, size, stride, padding = _padded(rules.arguments(node), None, None, [], 0)[:4]
    return _average(rules, node, source, size, stride or size, padding)


def _adaptive_avg_pool2d(rules: Rules, node: Node) -> Step | None:
    source = rules.arguments(node)[0]
    form, made = rules.form_of(source), map_of(node.shape, 1)
    if form is None or made is None or form.height % made.height or form.width % made.width:
        return None
    size = (form.height // made.height, form.width // made.width)
    return _average(rules, node, source, size, size, 0)


def _average(rules: Rules, node: Node, source: object, size: object, stride: object, padding: object) -> Step | None:
    """The weight of one place is found by averaging ones: the mean counts some, or all, places of the padding."""
    form, made = rules.form_of(source), map_of(node.shape, 1)
    if form is None or made is None or form.axis != 1 or not isinstance(source, Ref):
        return None
    kernel = _kernel(size, stride, padding, 1, made)
    ones = torch.ones(1, 1, form.height, form.width, dtype=rules.dtype)
    mean = rules.graph.value(node, {source.number: ones}, 1)
    count = F.unfold(ones, _pair(size), 1, _pair(padding), _pair(stride)).sum(1)
    assert isinstance(mean, Tensor)
    if count.numel() != mean.numel():
        return None  # ceil_mode: the last windows reach beyond the padding
    return Average(node.number, (node.number,), source.number, kernel, (mean.flatten() / count.flatten()), form)


def _same(rules: Rules, node: Node) -> Step | None:
    return Move(node.number, (node.number,), node.reads[0], rules.maps[node.reads[0]])


def _pad(rules: Rules, node: Node) -> Step | None:
    """Zeros around the map."""
    source, widths = rules.arguments(node)[:2]
    value = _padded(rules.arguments(node), None, None, 0)[-1]
    form, made = rules.form_of(source), map_of(node.shape, 1)
    if form is None or made is None or form.axis != 1 or not isinstance(widths, list) or not isinstance(source, Ref):
        return None
    if len(widths) != 4 or min(widths) < 0 or not isinstance(value, int | float | None):
        return None
    return Move(node.number, (node.number,), source.number, made, widths[2], widths[0])


def _permute(rules: Rules, node: Node) -> tuple[Step, Map] | None:
    """From channels first to channels last, or back."""
    source, order = rules.arguments(node)[:2]
    form = rules.form_of(source)
    wanted, axis = ([0, 2, 3, 1], 3) if form is not None and form.axis == 1 else ([0, 3, 1, 2], 1)
    made = map_of(node.shape, axis)
    if form is None or made is None or order != wanted or not isinstance(source, Ref):
        return None
    return Move(node.number, (node.number,), source.number, made), made


_RULES: Mapping[str, Rule] = {
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "add": _add,
    "mul": _multiply,
    "layer_norm": _channels_norm,
    "prelu": _prelu,
    "linear": _linear,
    "cat": _cat,
    "concat": _cat,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d,
    "constant_pad_nd": _pad,
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(UNARY, _pointwise),
    **dict.fromkeys(BINARY, _pointwise),
}
