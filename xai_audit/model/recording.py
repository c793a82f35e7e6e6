"""From torch.export's program to a Graph: symbolic sizes become Size, operations in place become new values."""

from __future__ import annotations

import contextlib
import io
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import OutputKind
from torch.utils import _pytree

from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.graph import Graph, Node, Ref, Shape, Size, plain_output, referred
from xai_audit.model.layers import hooked

EXAMPLE_ROWS = 4
"""Rows of the example batch; torch.export treats batches of 0 and 1 as special. The example is followed, not run."""
TWO_ROWS = (3, 5)
"""Rows of two example batches where torch.export cannot leave the number open."""

aten = torch.ops.aten
MARK = "xai_audit.layer.default"
SAME = ("aten.lift_fresh_copy.default", "aten.detach_.default", "aten.alias.default")
"""Operations whose value is their argument's."""
DROPOUTS = tuple(f"aten.{name}.default" for name in ("dropout", "dropout_", "feature_dropout", "alpha_dropout"))
RESHAPES = ("aten.view.default", "aten._unsafe_view.default")
"""A view of the example may not be one of another batch or memory format."""
BATCH_NORM = "aten._native_batch_norm_legit_no_training.default"


class Unrecordable(Exception):
    """A part of an exported program that has no place in a Graph."""


@torch.library.custom_op("xai_audit::layer", mutates_args=())
def _layer(output: Tensor, path: str) -> Tensor:
    """Marks a layer's output in what torch.export records."""
    return output.clone()


@_layer.register_fake
def _(output: Tensor, path: str) -> Tensor:
    return torch.empty_like(output)


class _Plain(nn.Module):
    """The network with an output that torch.export can take apart."""

    def __init__(self, model: AuditedModel) -> None:
        super().__init__()
        self.net, self.selector = model.module, model.output

    def forward(self, images: Tensor) -> object:
        return plain_output(self.net(images), self.selector)


def record(model: AuditedModel, layers: Sequence[str], *, folds: bool = True) -> Graph:
    """The model's graph, not yet checked. The module must be in eval mode with frozen parameters.

    `folds`: what is the same for every batch becomes a constant; else every parameter stays a node of its own.

    Raises Refusal with the reason where torch.export cannot follow the network, or a part has no place in a Graph.
    """
    if model.task == "detection":
        raise _refusal("a detector, whose number of boxes depends on the image")
    if any(map(_has_foreign_hooks, model.module.modules())):
        raise _refusal("a network with hooks of its own, which want to see real images")
    try:
        try:
            graph = _followed(model, layers, EXAMPLE_ROWS, any_rows=True)
        except _OneBatch:
            graph = _aligned(*(_followed(model, layers, rows, any_rows=False) for rows in TWO_ROWS))
        return _pruned(_folded(graph) if folds else graph)
    except Exception as error:  # foreign code; whole forwards are made instead, and the report says so
        if is_out_of_memory(error):
            raise
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise _refusal(f"a network that torch.export cannot follow ({type(error).__name__}: {reason})") from error


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _has_foreign_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks that torch itself did not put there (as its weight_norm and pruning do)."""
    hooks = [hook for name in HOOKS for hook in (getattr(module, name, None) or {}).values()]
    return any(not str(getattr(hook, "__module__", "")).startswith("torch.") for hook in hooks)


def _refusal(found: str) -> Refusal:
    expected = "operations that are the same for every image"
    return Refusal("model.graph", found, expected, "Parts of it cannot be re-run alone: whole forwards are made.")


class _OneBatch(Exception):
    """torch.export followed the network for one number of cases only, as where it calls len() of a tensor."""


class _Aliased(Exception):
    """A tensor is written to that another value shares its memory with."""


def _followed(model: AuditedModel, layers: Sequence[str], rows: int, *, any_rows: bool) -> Graph:
    program = _exported(model, layers, rows, any_rows=any_rows)
    try:
        return _read(model, program, any_rows=any_rows)
    except _Aliased:
        return _read(model, program.run_decompositions({}), any_rows=any_rows)


def _exported(model: AuditedModel, layers: Sequence[str], rows: int, *, any_rows: bool) -> torch.export.ExportedProgram:
    grey = torch.full((rows, model.input.channels, *model.input.size), 0.5, device=model.device)
    batch = ({0: torch.export.Dim.AUTO},) if any_rows else None
    marks = {path: partial(_marked, path) for path in layers}
    with hooked(model.module, marks), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch.export's own code, which also prints what it cannot follow
        return torch.export.export(_Plain(model), (model.normalise(grey),), dynamic_shapes=batch, strict=False)


def _marked(path: str, output: object) -> object:
    return torch.ops.xai_audit.layer(output, path) if isinstance(output, Tensor) else output


def _read(model: AuditedModel, program: torch.export.ExportedProgram, *, any_rows: bool) -> Graph:
    reading = _Reading(program, any_rows)
    for node in program.graph.nodes:
        reading.take(node)
    layers = {path: numbers[0] for path, numbers in reading.marks.items() if len(numbers) == 1}
    return Graph(model, tuple(reading.nodes), layers, reading.output)


def _aligned(first: Graph, second: Graph) -> Graph:
    """One graph for any number of rows from those of two: a number that differs grows evenly with the rows."""
    if _outline(first) != _outline(second):
        raise Unrecordable("the network makes other operations for another number of cases")
    nodes = map(_even_node, first.nodes, second.nodes)
    return replace(first, nodes=tuple(nodes))


def _outline(graph: Graph) -> tuple[object, ...]:
    return [(node.kind, node.name, node.reads) for node in graph.nodes], graph.layers, graph.output


def _even_node(one: Node, two: Node) -> Node:
    args, kwargs = _even((one.args, one.kwargs), (two.args, two.kwargs))
    return replace(one, args=args, kwargs=kwargs, shape=_even(one.shape, two.shape))


def _even(one: Any, two: Any) -> Any:
    """An argument of one batch and of another, with Size for numbers that differ."""
    if isinstance(one, Mapping):
        return {name: _even(part, two[name]) for name, part in one.items()}
    if isinstance(one, list | tuple) and len(one) == len(two):
        return type(one)(_even(*parts) for parts in zip(one, two, strict=True))
    if type(one) is int and type(two) is int and one != two:
        per_row, left = divmod(two - one, TWO_ROWS[1] - TWO_ROWS[0])
        if not left:
            return Size(per_row, one - per_row * TWO_ROWS[0])
    if one != two and one == one:
        raise Unrecordable(f"the network reads {one} for one number of cases and {two} for another")
    return one


MOST_ROWS = 2**15
"""No batch is larger. A GPU's BatchNorm takes another way above 65535 rows, which export tells as a limit."""


@dataclass(eq=False)
class _Reading:
    """Nodes of a Graph as they are made from an exported program's, one after another."""

    program: torch.export.ExportedProgram
    any_rows: bool
    """Whether it was followed with a symbol for the number of rows."""
    nodes: list[Node] = field(default_factory=list)
    marks: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of the nodes of each wanted layer, one for each time that it runs."""
    output: object = None
    current: dict[fx.Node, int] = field(default_factory=dict)
    """Number of the value that each exported node stands for now: writing in place gives it a new one."""
    memory: dict[fx.Node, object] = field(default_factory=dict)
    """What tells the memory of a node's tensor; equal for views of one tensor."""
    states: dict[str, Tensor] = field(default_factory=dict)
    rows: Any = None
    """The symbol for the number of rows."""

    def __post_init__(self) -> None:
        signature = self.program.graph_signature
        if signature.buffers_to_mutate:
            raise Unrecordable("the network writes to its own buffers")
        held: Mapping[str, Any] = {**self.program.state_dict, **self.program.constants}
        sources = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self.states = {name: held[source] for name, source in sources.items()}

    def take(self, node: fx.Node) -> None:
        """Read one more exported node."""
        if node.op == "placeholder":
            self._place(node)
        elif node.op == "output":
            self._end(node)
        elif node.op == "call_function":
            self._call(node)
        else:
            raise Unrecordable(f"the exported program holds a {node.op}, {node.target}")

    def _place(self, node: fx.Node) -> None:
        if node.name in self.states:
            constant = self.states[node.name].detach()
            self._add(node, "constant", str(node.target), shape=tuple(constant.shape), constant=constant)
            return
        value = node.meta["val"]
        if self.any_rows:
            self.rows = _expression(value.shape[0])
            if self.rows is None or not self.rows.is_Symbol:
                raise _OneBatch
            if self.program.range_constraints[self.rows].upper < MOST_ROWS:
                raise Unrecordable("the network works for some numbers of cases only")
        self._add(node, "input", "images", shape=self._shape(value))

    def _end(self, node: fx.Node) -> None:
        parts = zip(cast("Sequence[object]", node.args[0]), self.program.graph_signature.output_specs, strict=True)
        flat = [self._argument(part) for part, spec in parts if spec.kind is OutputKind.USER_OUTPUT]
        tree = self.program.call_spec.out_spec
        assert tree is not None
        self.output = _pytree.tree_unflatten(flat, tree)
        if not referred(self.output):
            raise Unrecordable("the network gives no tensor")

    def _call(self, node: fx.Node) -> None:
        name, value = str(node.target), node.meta.get("val")
        if isinstance(value, torch.SymInt):
            return  # where it is used it becomes a Size
        if name == MARK:
            self._mark(node)
        elif name in SAME or (name in DROPOUTS and node.args[2] is False) or self._is_normed(node):
            self._same(node)
        elif getattr(getattr(node.target, "_schema", None), "is_mutable", False):
            self._write(node)
        else:
            self._operate(node, _function(node))

    def _mark(self, node: fx.Node) -> None:
        path = str(node.args[1])
        self.marks.setdefault(path, []).append(self._add(node, "layer", path, (self._argument(node.args[0]),)))

    def _is_normed(self, node: fx.Node) -> bool:
        source = node.args[0] if node.target is operator.getitem else None
        return isinstance(source, fx.Node) and str(source.target) == BATCH_NORM and node.args[1:] == (0,)

    def _same(self, node: fx.Node) -> None:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        self.current[node] = self.current[source]
        fresh = str(node.target) == "aten.lift_fresh_copy.default"
        self.memory[node] = node if fresh else self.memory.get(source, node)

    def _operate(self, node: fx.Node, call: Callable[..., object]) -> None:
        args = tuple(self._argument(argument) for argument in node.args)
        if str(node.target) == BATCH_NORM:
            args = (*args[:5], False, *args[5:], False)
        kwargs = {name: self._argument(argument) for name, argument in node.kwargs.items()}
        self._add(node, "call", str(call), args, kwargs, call)

    def _write(self, node: fx.Node) -> None:
        """An operation in place becomes one that gives a new value, for which all names of the old one then stand.

        That is right where no view of the old value is read later; else torch's own functionalisation must do it.
        """
        written = node.args[0]
        call = _out_of_place(node)
        if call is None or not isinstance(written, fx.Node):
            raise _Aliased
        memory, number = self.memory[written], self.current[written]
        names = [name for name in self.current if self.memory.get(name) == memory]
        is_fresh = isinstance(memory, fx.Node)  # a copy that each forward makes anew
        if not is_fresh and any(self.nodes[self.current[name]].constant is not None for name in names):
            raise Unrecordable("the network writes to its own parameters or buffers")
        others = [name for name in names if self.current[name] != number]
        if any(bool(reader > node) for other in others for reader in other.users):
            raise _Aliased
        self._operate(node, call)
        self.memory[node] = memory
        for name in names:
            if self.current[name] == number:
                self.current[name] = self.current[node]

    def _add(
        self,
        node: fx.Node,
        kind: Any,
        name: str,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
        call: Callable[..., object] | None = None,
        shape: Shape | None = None,
        constant: Tensor | None = None,
    ) -> int:
        number, kwargs = len(self.nodes), dict(kwargs or {})
        reads = tuple(dict.fromkeys(referred(args) + referred(kwargs)))
        value = node.meta.get("val")
        if shape is None and isinstance(value, Tensor):
            shape = self._shape(value)
        self.nodes.append(Node(number, kind, name, call, args, kwargs, reads, shape, constant))
        self.current[node] = number
        self.memory[node] = self._memory(node, value)
        return number

    def _memory(self, node: fx.Node, value: object) -> object:
        if not isinstance(value, Tensor):
            return node
        storage = _storage(value)
        for source in node.all_input_nodes:
            if _storage(source.meta.get("val")) == storage:
                return self.memory[source]
        return storage

    def _shape(self, value: Tensor) -> Shape:
        return tuple(self._size(length) for length in value.shape)

    def _size(self, length: object) -> int | Size:
        expression = _expression(length)
        if expression is None or expression.is_Integer:
            return int(cast("int", length) if expression is None else expression)
        if self.rows is None:
            raise Unrecordable(f"a size of {expression}, which depends on what is in the images")
        per_row, fixed = expression.coeff(self.rows, 1), expression.subs(self.rows, 0)
        if not (per_row.is_Integer and fixed.is_Integer) or expression != per_row * self.rows + fixed:
            raise Unrecordable(f"a size of {expression}, which does not grow evenly with the number of cases")
        return Size(int(per_row), int(fixed))

    def _argument(self, argument: Any) -> object:
        if isinstance(argument, fx.Node):
            value = argument.meta.get("val")
            return self._size(value) if isinstance(value, torch.SymInt) else Ref(self.current[argument])
        if isinstance(argument, list | tuple):
            return type(argument)(map(self._argument, argument)) if type(argument) is tuple else self._list(argument)
        if isinstance(argument, Mapping):
            return {name: self._argument(part) for name, part in argument.items()}
        if isinstance(argument, torch.SymInt):
            return self._size(argument)
        if isinstance(argument, torch.SymFloat | torch.SymBool):
            raise Unrecordable("a number that depends on the batch")
        return argument

    def _list(self, argument: Sequence[Any]) -> list[object]:
        return [self._argument(part) for part in argument]


def _expression(length: object) -> Any:
    """The formula of a symbolic number; None for a plain one."""
    return length.node.expr if isinstance(length, torch.SymInt) else None


def _storage(value: object) -> object:
    return value.untyped_storage()._cdata if isinstance(value, Tensor) else object()


def _function(node: fx.Node) -> Callable[..., object]:
    name = str(node.target)
    if name in RESHAPES:
        return aten.reshape.default
    if name == BATCH_NORM:
        return aten.batch_norm.default
    if not isinstance(node.target, torch._ops.OpOverload) and node.target is not operator.getitem:
        raise Unrecordable(f"the exported program calls {name}")
    return node.target


def _out_of_place(node: fx.Node) -> Callable[..., object] | None:
    """aten.relu for aten.relu_, of the same overload; None where there is none."""
    space, name, overload = str(node.target).split(".")
    if space != "aten" or not name.endswith("_") or not hasattr(aten, name[:-1]):
        return None
    return getattr(getattr(aten, name[:-1]), overload, None)


def _folded(graph: Graph) -> Graph:
    """The graph with those nodes as constants whose value is the same for every batch: masks, position tables."""
    values: dict[int, object] = {}
    nodes = list(graph.nodes)
    for node in graph.nodes:
        if node.kind == "constant" or (node.kind == "call" and _is_fixed(node, values)):
            value = values[node.number] = graph.value(node, values, rows=0)
            if isinstance(value, Tensor):
                shape = tuple(value.shape)
                nodes[node.number] = Node(node.number, "constant", node.name, shape=shape, constant=value)
    return replace(graph, nodes=tuple(nodes))


def _is_fixed(node: Node, values: Mapping[int, object]) -> bool:
    """Whether all that a node reads is known and no size in it depends on the batch."""
    sizes = [size for size in node.shape or () if isinstance(size, Size)]
    return not sizes and not _holds_size([node.args, node.kwargs]) and all(number in values for number in node.reads)


def _holds_size(argument: object) -> bool:
    if isinstance(argument, Mapping):
        argument = list(argument.values())
    return isinstance(argument, Size) or (isinstance(argument, list | tuple) and any(map(_holds_size, argument)))


def _pruned(graph: Graph) -> Graph:
    """The graph without nodes that neither the output nor a layer needs, numbered anew."""
    needed = graph.course((), (*graph.outputs, *graph.layers.values())).steps
    steps = set(needed)
    kept = [node for node in graph.nodes if node.number in steps or node.kind == "input"]
    new = {node.number: number for number, node in enumerate(kept)}
    nodes = tuple(_renumbered(node, new) for node in kept)
    layers = {path: new[number] for path, number in graph.layers.items()}
    return replace(graph, nodes=nodes, layers=layers, output=_moved(graph.output, new))


def _renumbered(node: Node, new: Mapping[int, int]) -> Node:
    args = tuple(_moved(argument, new) for argument in node.args)
    kwargs = {name: _moved(argument, new) for name, argument in node.kwargs.items()}
    reads = tuple(new[number] for number in node.reads)
    return replace(node, number=new[node.number], args=args, kwargs=kwargs, reads=reads)


def _moved(argument: object, new: Mapping[int, int]) -> object:
    if isinstance(argument, Ref):
        return Ref(new[argument.number])
    if isinstance(argument, Mapping):
        return {name: _moved(part, new) for name, part in argument.items()}
    if isinstance(argument, list | tuple):
        return type(argument)(_moved(part, new) for part in argument)
    return argument
