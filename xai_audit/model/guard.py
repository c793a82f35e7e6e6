"""Leave the model as found: what a step does to a module or to torch's global state is undone, also after an error."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError
from xai_audit.model.callables import CallableModule
from xai_audit.model.state import tensor_bits

OWNED = ("_parameters", "_buffers", "_modules")
SMALL = 2**16
"""Values of a tensor that is laid beside others of its kind to be compared in one go; larger ones would take memory."""


@contextmanager
def left_as_found(module: nn.Module) -> Iterator[None]:
    """The module in eval mode with frozen parameters; on exit everything is as before.

    Put back in silence: training flags, requires_grad, gradients, hooks, global random state, default dtype, grad mode.
    A parameter or buffer that was changed, replaced, added or removed is put back and raises ModelError that names it:
    results made on the way are of another model; so does a callable that changed, which cannot be put back. After an
    error in the body that error goes on, with a note. The caller's inference mode and autocast do not hold inside.
    """
    with _modes_of_the_caller_off():
        found = _Found.of(module)
        with global_state_kept():
            try:
                found.prepare()
                yield
            except BaseException as error:
                changed = found.restore()
                if changed:
                    error.add_note(f"The step had changed {', '.join(changed[:10])}; put back.")
                raise
        changed = found.restore()
    if isinstance(module, CallableModule) and not module.is_as_kept:
        what = f"a step changed the {type(module.held).__name__} that the factory gave"
        fix = "It must give its scores without learning or counting: return one that leaves itself as it is."
        raise ModelError("model", what, "the same state before and after", fix)
    if changed:
        more = f" and {len(changed) - 10} more" if len(changed) > 10 else ""
        named = f"{', '.join(changed[:10])}{more}"
        fix = "They were put back. A network must not write to its own state in eval mode."
        raise ModelError("model", f"a step changed {named}", "parameters and buffers bit-equal before and after", fix)


@contextmanager
def _modes_of_the_caller_off() -> Iterator[None]:
    """Neither inference mode, in which nothing can be differentiated, nor autocast, which is not the spec's."""
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))  # which turns gradients on
            torch.set_grad_enabled(False)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Random state of torch, numpy and Python, default dtype and grad mode are the same after as before."""
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    cpu, numbers, python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        torch.set_rng_state(cpu)
        np.random.set_state(numbers)
        random.setstate(python)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def full_float32() -> Iterator[None]:
    """A GPU computes float32 in full inside, not in TF32, whose rounding of 1e-3 would hide whether two ways agree."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch, numpy and Python draw from a seed inside, and go on as before after it."""
    with global_state_kept():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield


class _FoundModule(NamedTuple):
    """A module's flags, hooks and the dictionaries that hold its tensors and children; a tuple is made in no time."""

    name: str
    module: nn.Module
    training: bool
    dictionaries: list[tuple[str, dict[Any, object]]]
    """By attribute; many are empty."""
    flags: dict[str, object]

    @classmethod
    def of(cls, name: str, module: nn.Module) -> _FoundModule:
        attributes = vars(module)
        dictionaries: list[tuple[str, dict[Any, object]]] = []
        flags: dict[str, object] = {}
        for key in _watched(tuple(attributes)):
            value = attributes[key]
            if not isinstance(value, dict):
                flags[key] = value
            else:
                dictionaries.append((key, dict(value) if value else NOTHING))
        return cls(name, module, module.training, dictionaries, flags)

    def restore(self) -> list[str]:
        """Names of tensors and children that had been replaced, added or removed."""
        attributes = vars(self.module)
        if self.module.training != self.training:
            self.module.training = self.training
        attributes.update(self.flags)
        changed: list[str] = []
        for name, before in self.dictionaries:
            now = attributes[name]
            if not now and not before:
                continue
            if list(now) == list(before) and all(now[key] is before[key] for key in before):
                continue
            if name in OWNED:
                replaced = [key for key in dict.fromkeys([*before, *now]) if now.get(key) is not before.get(key)]
                changed += [f"{self.name}.{key}".lstrip(".") for key in replaced]
            now.clear()
            now.update(before)
        return changed


NOTHING: dict[Any, object] = {}
"""What stands for every empty dictionary; never written to."""


@cache
def _watched(names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of a module's attributes are looked after; many modules have the same ones."""
    return tuple(name for name in names if "hook" in name or name in OWNED)


def unwritten_copy(tensor: Tensor) -> Tensor:
    """A copy of a tensor's values and strides that takes memory only when one of the two is written to.

    Torch's copy-on-write; a plain copy where the tensor's memory is of a kind that torch cannot share so.
    """
    try:
        return torch._lazy_clone(tensor.detach())
    except (AttributeError, RuntimeError):
        return tensor.detach().clone()


def has_same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same bits, in order of index: NaN equals NaN, 0 is not -0.

    At once where the two still share their memory, so that neither was written to.
    """
    return not _told([_differ(one, other)])[0]


def _differ(one: Tensor, other: Tensor) -> Tensor | bool:
    """Whether the bits differ; where a device would have to be waited for, a tensor that will hold it."""
    known = _known_to_differ(one, other)
    if known is not None:
        return known
    bits = tensor_bits(one), tensor_bits(other)
    return not torch.equal(*bits) if one.device.type == "cpu" else (bits[0] != bits[1]).any()


def _known_to_differ(one: Tensor, other: Tensor) -> bool | None:
    """What is known without a look at the values: they share memory, or have not the same form. None: nothing."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return True
    if _address is not None and _address(one) == _address(other) and one.stride() == other.stride():
        return False
    return True if one.device != other.device else None


_address = getattr(torch._C, "_data_address", None)
"""Where a tensor's values lie; to ask for it does not end their sharing."""


def _differing(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[bool]:
    """Whether the bits of each pair differ; a GPU is waited for once, twice where any differ.

    A GPU's kernels end the sharing of what they only read (statistics of BatchNorm), so that there is much to compare.
    """
    known = [_known_to_differ(one, other) for one, other in pairs]
    small = [pair for pair, told in zip(pairs, known, strict=True) if told is None and _is_small_on_gpu(pair[0])]
    large = [pair for pair, told in zip(pairs, known, strict=True) if told is None and not _is_small_on_gpu(pair[0])]
    together = [_differ(*_joined(group)) for group in _by_kind(small)]
    told = _told([*together, *(_differ(*pair) for pair in large)])
    if any(told[: len(together)]):
        of_small = iter(_told([_differ(*pair) for pair in small]))
    else:
        of_small = iter([False] * len(small))
    of_large = iter(told[len(together) :])
    return [
        answer if answer is not None else next(of_small if _is_small_on_gpu(pair[0]) else of_large)
        for pair, answer in zip(pairs, known, strict=True)
    ]


def _is_small_on_gpu(tensor: Tensor) -> bool:
    return tensor.device.type != "cpu" and tensor.numel() <= SMALL


def _by_kind(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[list[tuple[Tensor, Tensor]]]:
    groups: dict[object, list[tuple[Tensor, Tensor]]] = {}
    for pair in pairs:
        groups.setdefault((pair[0].dtype, pair[0].device), []).append(pair)
    return list(groups.values())


def _joined(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The values of all firsts and of all seconds, end to end in order of index."""
    ones, others = zip(*pairs, strict=True)
    return torch.cat([_flat(one) for one in ones]), torch.cat([_flat(other) for other in others])


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach() if tensor.ndim == 1 else tensor.detach().reshape(-1)


def _told(answers: Sequence[Tensor | bool]) -> list[bool]:
    """The answers as Python's, after one wait for all of them together."""
    waiting = [answer for answer in answers if isinstance(answer, Tensor)]
    told = iter(torch.stack([answer.to(waiting[0].device) for answer in waiting]).tolist() if waiting else ())
    return [bool(next(told)) if isinstance(answer, Tensor) else answer for answer in answers]


class _FoundTensor(NamedTuple):
    """A parameter or buffer with a copy of its values and of its gradient."""

    name: str
    tensor: Tensor
    copy: Tensor
    requires_grad: bool
    grad: Tensor | None
    grad_copy: Tensor | None

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> _FoundTensor:
        grad = tensor.grad if tensor.is_leaf else None
        copy = None if grad is None else unwritten_copy(grad)
        return cls(name, tensor, unwritten_copy(tensor), tensor.requires_grad, grad, copy)

    def restore(self, *, differs: bool) -> None:
        """Put back values that differ; in silence another order in memory, the gradient, and whether one is wanted."""
        tensor, copy = self.tensor, self.copy
        if tensor.is_leaf:
            if self.grad is not None and self.grad_copy is not None and not has_same_bits(self.grad, self.grad_copy):
                self.grad.copy_(self.grad_copy)
            if tensor.grad is not self.grad:
                tensor.grad = self.grad
            if tensor.requires_grad != self.requires_grad:
                tensor.requires_grad_(self.requires_grad)
        if tensor.stride() != copy.stride() or tensor.dtype != copy.dtype:
            tensor.data = copy
        elif differs:
            tensor.copy_(copy)


@dataclass(frozen=True, eq=False)
class _Found:
    modules: tuple[_FoundModule, ...]
    """The module itself first, then its parts."""
    tensors: tuple[_FoundTensor, ...]

    @classmethod
    def of(cls, module: nn.Module) -> _Found:
        parts = [(name, part) for name, part in module.named_modules()]
        return cls(
            tuple(_FoundModule.of(name, part) for name, part in parts),
            tuple(_FoundTensor.of(name, tensor) for name, tensor in _named_tensors(parts)),
        )

    def prepare(self) -> None:
        """Eval mode and frozen parameters, where that is not so already."""
        if any(part.training for part in self.modules):
            self.modules[0].module.eval()
        for found in self.tensors:
            if found.requires_grad and found.tensor.is_leaf:
                found.tensor.requires_grad_(False)

    @torch.no_grad()
    def restore(self) -> list[str]:
        """Names of the tensors that had been changed; all are as found now."""
        changed = [name for part in self.modules for name in part.restore()]
        differ = _differing([(found.tensor, found.copy) for found in self.tensors])
        for found, differs in zip(self.tensors, differ, strict=True):
            found.restore(differs=differs)
        return changed + [found.name for found, differs in zip(self.tensors, differ, strict=True) if differs]


def _named_tensors(parts: Sequence[tuple[str, nn.Module]]) -> list[tuple[str, Tensor]]:
    """Parameters, then buffers of all parts, each tensor once."""
    named: dict[int, tuple[str, Tensor]] = {}
    for kind in ("_parameters", "_buffers"):
        for name, part in parts:
            for key, tensor in getattr(part, kind).items():
                if tensor is not None:
                    named.setdefault(id(tensor), (f"{name}.{key}" if name else key, tensor))
    return list(named.values())
