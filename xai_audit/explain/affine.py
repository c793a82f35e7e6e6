"""Whether a net's output is an affine function of a layer's output, as its recorded operations show (METHODS 2)."""

from __future__ import annotations

import operator
from collections.abc import Collection

from xai_audit.model.graph import Graph, Node, referred

# fmt: off
LINEAR = frozenset({
    "mean", "sum", "neg", "div", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "movedim", "squeeze",
    "unsqueeze", "select", "slice", "expand", "clone", "contiguous", "roll", "flip", "chunk", "split", "unbind",
    "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "constant_pad_nd", "conv1d", "conv2d",
    "linear", "batch_norm", "pad", "upsample_bilinear2d", "upsample_nearest2d", "getitem",
})
# fmt: on
"""Affine in their first argument alone; the others must not depend on the layer."""
SUMS = frozenset({"add", "sub", "cat", "stack"})
"""Affine in all their arguments together."""
PRODUCTS = frozenset({"mul", "matmul", "mm", "bmm"})
"""Affine in one argument where the other does not depend on the layer."""


def is_affine(graph: Graph, number: int) -> bool:
    """Whether every operation between a node and the output is affine in what depends on that node."""
    between = graph.depends_on(number)
    needed = graph.course({number}, graph.outputs).steps
    return all(_is_affine(graph.nodes[step], between) for step in needed if step in between)


def _is_affine(node: Node, between: Collection[int]) -> bool:
    operation = _operation(node)
    if node.kind == "layer" or operation in SUMS:
        return True
    depend = [place for place, argument in enumerate(node.args) if _depends(argument, between)]
    if operation in PRODUCTS:
        return len(depend) == 1
    return operation in LINEAR and depend == [0] and _is_plain(operation, node) and not _depends(node.kwargs, between)


def _is_plain(operation: str, node: Node) -> bool:
    """Whether none of the arguments turns the operation into one that is not affine."""
    if operation == "batch_norm":
        return node.args[5] is False  # with the statistics of the batch it is not
    if operation == "pad":
        return node.args[2:3] in ((), ("constant",), ("reflect",), ("replicate",), ("circular",))
    return operation != "div" or not node.kwargs  # with a rounding mode it is not


def _operation(node: Node) -> str:
    """Name of the operation without its overload: mean of aten.mean.dim."""
    if node.call is operator.getitem:
        return "getitem"
    space, _, rest = node.name.partition(".")
    return rest.partition(".")[0] if space == "aten" else node.name


def _depends(argument: object, between: Collection[int]) -> bool:
    return any(number in between for number in referred(argument))
