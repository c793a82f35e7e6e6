"""Every tensor of a network made random, stage by stage, and put back (Adebayo et al., NeurIPS 2018; METHODS 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.seeds import derived_seed
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import noise
from xai_audit.model.state import tensor_bits

Order = Literal["cascade", "independent"]
How = Literal["reinit", "permute"]
SPREAD = 0.1
"""Standard deviation of what takes the place of a constant tensor, such as the scales of a fresh batch norm."""
LEAST_VARIANCE = 1e-3
_VARIANCE = re.compile(r"(^|_)var(iance)?$")
_WIDER = (1, 10, 100, 1000)
"""Widths tried until a tensor of low precision has changed."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Tensors that share one memory (tied weights): made random together, once."""

    names: tuple[str, ...]
    """Their names in the network, the first one first."""
    tensors: tuple[Tensor, ...]
    number: int
    """What names it while the tensors lie in it; see `memory_of`."""

    @property
    def is_floating(self) -> bool:
        """Whether it holds numbers that can be drawn."""
        return any(_is_drawn(tensor) for tensor in self.tensors)


@dataclass(frozen=True, eq=False)
class NetworkPart:
    """What is made random at once: the tensors of one leaf module, or one tensor that belongs to no leaf."""

    name: str
    memories: tuple[Memory, ...]
    last_read: int
    """When an operation last reads one of them, in operations of a forward; -1 where none does."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: what is random in it."""

    name: str
    parts: tuple[NetworkPart, ...]
    """Every part that is random, those of earlier stages of a cascade too."""


@dataclass(frozen=True, eq=False)
class RandomNetwork:
    """A network with random values for each of its tensors, drawn once, and the stages in which these take over."""

    model: AuditedModel
    stages: tuple[Stage, ...]
    """The last one has everything random."""
    drawn: Mapping[int, Tensor]
    """Random values by number of the memory that they stand in for, as bytes in the same order."""
    skipped: tuple[str, ...]
    """Tensors of whole numbers, which stay."""
    unread: tuple[str, ...]
    """Tensors that no operation of a forward reads."""
    strange: int = 0
    """Tensors that operations read and that are no parameter, buffer or value of this forward: they stay."""

    @contextmanager
    def at(self, stage: Stage) -> Iterator[AuditedModel]:
        """The model with a stage's tensors random; on exit, also after an error, every bit is as before.

        Raises StepError where a floating tensor of the stage has kept its values.
        """
        swapped = [(tensor, memory) for part in stage.parts for memory in part.memories for tensor in memory.tensors]
        with left_as_found(self.model.module):
            found = [(tensor, tensor.data) for tensor, _ in swapped]
            try:
                for tensor, memory in swapped:
                    if _is_drawn(tensor):
                        tensor.data = self.value(tensor, memory)
                yield replace(self.model, row_bytes=dict(self.model.row_bytes))
            finally:
                for tensor, data in found:
                    tensor.data = data

    def value(self, tensor: Tensor, memory: Memory) -> Tensor:
        """What takes a tensor's place: the same shape and strides, in the memory drawn for it."""
        return as_view(self.drawn[memory.number], tensor)


def as_view(values: Tensor, like: Tensor) -> Tensor:
    """Bytes of a memory, as a tensor that lies in it as another one does in its own."""
    made = torch.empty(0, dtype=like.dtype, device=like.device)
    return made.set_(values.untyped_storage(), like.storage_offset(), like.size(), like.stride())


def memory_of(tensor: Tensor) -> int:
    """Number that names a tensor's memory as long as it lives."""
    return int(tensor.untyped_storage()._cdata)


def random_network(
    model: AuditedModel, seed: int, *, order: Order = "cascade", how: How = "reinit", stages: int = 8
) -> RandomNetwork:
    """The network's random twin. Makes one forward of noise, to see in which order tensors are read.

    cascade: from what is read last to what is read first, keeping what is random. independent: one group at a time, all
    of it in the last stage. reinit: Normal with each tensor's own mean and standard deviation; permute: its own values
    in another order. One generator a tensor, seeded by `seed` and its name. Raises Refusal for a network without
    parameters, StepError where a tensor cannot be changed.
    """
    parts, strange = _parts(model)
    drawable = [part for part in parts if any(memory.is_floating for memory in part.memories)]
    if not any(True for _ in model.module.parameters()) or not drawable:
        found, fix = "no parameters: what it has learnt is not in tensors", "Take this measure on a torch network."
        raise Refusal("parameter_randomisation", f"a model with {found}", "a network with parameters", fix)
    drawn: dict[int, Tensor] = {}
    for part in drawable:
        for memory in part.memories:
            if memory.is_floating:
                drawn[memory.number] = _drawn(memory, how, seed)
    memories = [memory for part in parts for memory in part.memories]
    skipped = [memory.names[0] for memory in memories if not memory.is_floating]
    unread = [memory.names[0] for part in drawable if part.last_read < 0 for memory in part.memories]
    network = RandomNetwork(model, _stages(drawable, order, stages), drawn, tuple(skipped), tuple(unread), strange)
    check_untouched(network)
    return network


def _parts(model: AuditedModel) -> tuple[list[NetworkPart], int]:
    """The parts from the head to the input, what no operation reads at the end; and the number of strange tensors."""
    memories = _memories(model.module)
    with left_as_found(model.module), torch.no_grad():
        pixels = noise(model, 1)
        reading = _Reading(frozenset(memory.number for memory in memories), pixels)
        with reading:
            model.forward(pixels)
    leaves = {name for name, module in model.module.named_modules() if name and not any(module.children())}
    groups: dict[str, list[Memory]] = {}
    for memory in memories:
        owner = memory.names[0].rpartition(".")[0]
        groups.setdefault(owner if owner in leaves else memory.names[0], []).append(memory)
    parts = [
        NetworkPart(name, tuple(group), max(reading.last.get(memory.number, -1) for memory in group))
        for name, group in groups.items()
    ]
    order = sorted(range(len(parts)), key=lambda place: (-parts[place].last_read, -place))
    return [parts[place] for place in order], reading.strange


def _memories(module: nn.Module) -> list[Memory]:
    """Parameters and buffers of all modules by the memory that they lie in, each tensor once."""
    found: dict[int, dict[int, tuple[str, Tensor]]] = {}
    for name, part in module.named_modules():
        for held in (part._parameters, part._buffers):
            for key, tensor in held.items():
                if tensor is not None and tensor.numel():
                    named = found.setdefault(memory_of(tensor), {})
                    named.setdefault(id(tensor), (f"{name}.{key}".lstrip("."), tensor))
    return [
        Memory(tuple(name for name, _ in named.values()), tuple(tensor for _, tensor in named.values()), number)
        for number, named in found.items()
    ]


class _Reading(TorchDispatchMode):
    """Notes the last operation that reads each memory, below torch's functions: fused and scripted code too."""

    def __init__(self, memories: Collection[int], pixels: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memories = memories
        self.last: dict[int, int] = {}
        self.operations = 0
        self._made: dict[int, Tensor] = {memory_of(pixels): pixels}
        self._foreign: dict[int, Tensor] = {}

    @property
    def strange(self) -> int:
        """Floating tensors of more than one value that were read and made by nothing seen."""
        return sum(_is_drawn(tensor) and tensor.numel() > 1 for tensor in self._foreign.values())

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run an operation, and note what it reads."""
        self.operations += 1
        is_fresh = "lift_fresh" in str(func)  # torch.tensor(...) written in the network's own code
        for tensor in _tensors((args, kwargs)):
            number = memory_of(tensor)
            if number in self.memories:
                self.last[number] = self.operations
            elif number not in self._made and not is_fresh:
                self._foreign.setdefault(number, tensor)
        output = func(*args, **(kwargs or {}))
        self._made |= {memory_of(tensor): tensor for tensor in _tensors(output)}
        return output


def _tensors(values: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor) and leaf.layout is torch.strided]


def _is_drawn(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _stages(parts: Sequence[NetworkPart], order: Order, count: int) -> tuple[Stage, ...]:
    """The parts in evenly filled groups; everything is random in the last stage."""
    whole = tuple(parts)
    groups = min(count, len(whole)) if order == "cascade" else min(max(1, count - 1), len(whole))
    places = [group.tolist() for group in np.array_split(np.arange(len(whole)), groups)]
    if order == "cascade":
        return tuple(Stage(_name([whole[k] for k in group]), whole[: group[-1] + 1]) for group in places)
    if count == 1 or groups == 1:
        return (Stage(_name(whole), whole),)
    alone = [tuple(whole[k] for k in group) for group in places]
    return (*(Stage(_name(group), group) for group in alone), Stage("everything", whole))


def _name(parts: Sequence[NetworkPart]) -> str:
    return parts[0].name if len(parts) == 1 else f"{parts[0].name} to {parts[-1].name}"


def _drawn(memory: Memory, how: How, seed: int) -> Tensor:
    """Random values for a memory: each distinct tensor in it is drawn once, under its first name."""
    first = memory.tensors[0]
    whole = torch.empty(0, dtype=torch.uint8, device=first.device)
    whole = whole.set_(first.untyped_storage().clone())  # type: ignore[no-untyped-call]
    done: set[object] = set()
    for name, tensor in zip(memory.names, memory.tensors, strict=True):
        place = (tensor.storage_offset(), tensor.numel(), tensor.dtype)
        if place in done or not _is_drawn(tensor):
            continue
        done.add(place)
        values = _changed(tensor, name, how, seed)
        target = as_view(whole, tensor)
        target.copy_(values) if not _repeats(tensor) else _fill_repeated(target, values)
    return whole


def _repeats(tensor: Tensor) -> bool:
    """Whether several places of a tensor are one place in memory, as after expand()."""
    return any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True))


def _fill_repeated(target: Tensor, values: Tensor) -> None:
    once = tuple(slice(0, 1) if step == 0 else slice(None) for step in target.stride())
    target[once].copy_(values[once])


def _changed(tensor: Tensor, name: str, how: How, seed: int) -> Tensor:
    """New values of a tensor, on the CPU in its own precision. Raises StepError where none differs from the old."""
    generator = torch.Generator().manual_seed(derived_seed(seed, f"randomise:{name}"))
    own = tensor.detach().cpu()
    numbers = torch.view_as_real(own.resolve_conj()) if own.is_complex() else own
    wide = numbers.to(torch.promote_types(numbers.dtype, torch.float32))
    tries = [partial(_reinit, wide, generator, width) for width in _WIDER]
    for attempt in [partial(_permuted, wide, generator), *tries] if how == "permute" else tries:
        values = attempt()
        if _VARIANCE.search(name.rpartition(".")[2]):
            values = values.abs() + (LEAST_VARIANCE if attempt.func is _reinit else 0)
        values = torch.where(wide.isfinite(), values, wide).to(numbers.dtype)
        if not torch.equal(tensor_bits(values), tensor_bits(numbers.contiguous())):
            return torch.view_as_complex(values) if own.is_complex() else values
    raise StepError(
        "parameter_randomisation", f"tensor {name!r}, which keeps its values", "a tensor that can be made random", ""
    )


def _reinit(values: Tensor, generator: torch.Generator, width: float) -> Tensor:
    """Normal with the mean and standard deviation of the finite values; `SPREAD` where they are all one."""
    finite = values[values.isfinite()]
    if not len(finite):
        return values
    mean = finite.mean()
    spread = SPREAD if bool((finite == finite[0]).all()) else float(finite.std(unbiased=False))
    return mean + width * spread * torch.randn(values.shape, generator=generator, dtype=values.dtype)


def _permuted(values: Tensor, generator: torch.Generator) -> Tensor:
    flat = values.reshape(-1)
    return flat[torch.randperm(len(flat), generator=generator)].reshape(values.shape)


def check_untouched(network: RandomNetwork) -> None:
    """Raise StepError that names a floating parameter or buffer which the last stage would leave as it is."""
    last = network.stages[-1]
    touched = {id(t) for part in last.parts for memory in part.memories for t in memory.tensors}
    module = network.model.module
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    left = [name for name, tensor in named if tensor.numel() and _is_drawn(tensor) and id(tensor) not in touched]
    for part in last.parts:
        for memory in part.memories:
            for name, tensor in zip(memory.names, memory.tensors, strict=True):
                if _is_drawn(tensor) and _is_same(network.value(tensor, memory), tensor):
                    left.append(name)
    if left:
        found = f"{len(left)} tensors untouched at full randomisation: {', '.join(left[:5])}"
        raise StepError("parameter_randomisation", found, "every floating tensor random", "Report this as a fault.")


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape have the same bits; without a finite value there was nothing to draw."""
    if not bool(torch.isfinite(other.detach()).any()):
        return False
    return torch.equal(tensor_bits(one), tensor_bits(other))
