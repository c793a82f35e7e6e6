"""A layer's output as it was before its ReLU, which gives a silent unit a gradient; no module is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from xai_audit.errors import Refusal, StepError
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer, hooked, noise, unused_layer
from xai_audit.model.outputs import LOW_PRECISION
from xai_audit.model.rectifier_calls import bounded_input, rectifier_call

_CARRYING: frozenset[Any] = frozenset(
    (
        torch.cat, torch.concat, torch.concatenate, torch.stack,
        torch.reshape, torch.flatten, torch.permute, torch.transpose, torch.movedim, torch.squeeze, torch.unsqueeze,
        torch.chunk, torch.split, torch.narrow, torch.clone,
        Tensor.view, Tensor.reshape, Tensor.flatten, Tensor.unflatten, Tensor.permute, Tensor.transpose, Tensor.movedim,
        Tensor.squeeze, Tensor.unsqueeze, Tensor.chunk, Tensor.split, Tensor.narrow, Tensor.clone, Tensor.contiguous,
        Tensor.__getitem__,
        F.max_pool2d, torch.max_pool2d, F.adaptive_max_pool2d, F.channel_shuffle, F.pixel_shuffle,
    )
)  # fmt: skip
"""Operations f with f(relu(x)) = relu(f(x)): they move values, or keep the largest of some."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """A rectified tensor and what it was before."""

    after: Tensor
    version: int
    """Changes in place that `after` had then: with more it is another tensor."""
    before: Tensor
    calls: frozenset[int]
    """Numbers of the rectifiers in between, in the order in which the network calls them."""


class Follower(TorchFunctionMode):
    """Keeps what goes into rectifiers, and takes it along through operations that only move values."""

    def __init__(self, wanted: frozenset[int] | None = None) -> None:
        """`wanted`: numbers of the rectifiers to follow; None for all."""
        super().__init__()
        self.wanted = wanted
        self._calls = 0
        self._pairs: dict[int, _Pair] = {}

    def pair(self, after: object) -> _Pair | None:
        """What a tensor was before its rectifier; None for one that is no rectifier's output, or was changed since."""
        found = self._pairs.get(id(after))
        is_as_kept = found is not None and found.after is after and found.after._version == found.version
        return found if is_as_kept else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        x = _rectified(func, args, named)
        if x is not None:
            return self._rectify(x, partial(func, *args, **named))
        if func not in _CARRYING:
            return func(*args, **named)
        pairs = [pair for leaf in tree_leaves((args, named)) if (pair := self.pair(leaf)) is not None]
        out = func(*args, **named)
        if pairs:
            other, others = tree_map(self._before, (tuple(args), named))
            calls = frozenset[int]().union(*(pair.calls for pair in pairs))
            for after, before in zip(tree_leaves(out), tree_leaves(func(*other, **others)), strict=True):
                self._keep(after, before, calls)
        return out

    def _rectify(self, x: Tensor, run: Callable[[], Any]) -> Any:
        number = self._calls
        self._calls += 1
        if self.wanted is not None and number not in self.wanted:
            return run()
        earlier = self.pair(x)  # of a rectifier after a rectifier
        before = x.clone() if earlier is None else earlier.before  # a copy: one in place would overwrite it
        after = run()
        self._keep(after, before, frozenset([number]) | (earlier.calls if earlier is not None else frozenset()))
        return after

    def _keep(self, after: object, before: Tensor, calls: frozenset[int]) -> None:
        if isinstance(after, Tensor):
            self._pairs[id(after)] = _Pair(after, after._version, before, calls)

    def _before(self, leaf: Any) -> Any:
        pair = self.pair(leaf) if isinstance(leaf, Tensor) else None
        return leaf if pair is None else pair.before


def _rectified(func: object, args: Sequence[Any], named: dict[str, Any]) -> Tensor | None:
    call = rectifier_call(func, args, named)
    return bounded_input(func, args, named) if call is None else call.x


@dataclass(frozen=True)
class Reading:
    """How the units of a layer are read where a picture is to raise them."""

    layer: SpatialLayer
    calls: frozenset[int] = frozenset()
    """Rectifiers before which the layer is read, by number; none: its output as given."""

    @classmethod
    def of(cls, model: AuditedModel, layer: SpatialLayer) -> Reading:
        """Before the layer's ReLU where its output is that of one, else as given; found by a forward, not counted.

        Raises Refusal where the output is rectified but the ReLU is not to be found: a silent unit has no gradient.
        """
        found: list[tuple[_Pair | None, bool]] = []
        follower = Follower()

        def look(output: object) -> None:
            if isinstance(output, Tensor):
                found.append((follower.pair(output), bool((output >= 0).all() and (output == 0).any())))

        with left_as_found(model.module), torch.enable_grad(), hooked(model.module, {layer.path: look}), follower:
            model.forward(noise(model, 1).requires_grad_())
        if not found:
            raise unused_layer(layer.path)
        pair, is_rectified = found[0]
        if pair is None and is_rectified:
            raise _after_unknown_relu(layer.path)
        return cls(layer, frozenset() if pair is None else pair.calls)

    @property
    def how(self) -> str:
        """In the record's words."""
        return "before ReLU" if self.calls else "as given"

    @contextmanager
    def watched(self, model: AuditedModel, *, ends_graph: bool = False) -> Iterator[list[Tensor]]:
        """The list that holds the layer's values, part of the graph, after a forward inside; see `values`.

        `ends_graph`: what the network makes of the layer is not differentiated, which saves its memory.
        """
        kept: list[Tensor] = []
        follower = Follower(self.calls)

        def keep(output: object) -> object:
            if not isinstance(output, Tensor):
                return output
            kept.append(output.clone() if not self.calls else self._before(follower, output))
            return output.detach().clone() if ends_graph else output  # a copy: the network may change it in place

        with ExitStack() as stack:
            stack.enter_context(hooked(model.module, {self.layer.path: keep}))
            if self.calls:
                stack.enter_context(follower)
            yield kept

    def values(self, kept: list[Tensor]) -> Tensor:
        """Activations (cases, units, height, width), no less than float32, of what `watched` kept."""
        if len(kept) != 1:
            raise unused_layer(self.layer.path)
        spatial = self.layer.spatial(kept[0])
        return spatial.float() if spatial.dtype in LOW_PRECISION else spatial

    def _before(self, follower: Follower, output: Tensor) -> Tensor:
        pair = follower.pair(output)
        if pair is None:
            found, fix = "another way through the network than before", "Take the layer before the ReLU."
            raise StepError(f"layer {self.layer.path!r}", found, "the same operations for every picture", fix)
        return pair.before.clone()


def _after_unknown_relu(path: str) -> Refusal:
    found = "an output that is rectified (0 and nothing below it), by an operation that is not followed"
    fix = "Take the layer before the ReLU: a unit that is silent has no gradient after it."
    return Refusal(f"layer {path!r}", found, "units with a gradient", fix)
