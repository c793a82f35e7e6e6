"""Leave the model as found: what a step does to a module or to torch's global state is undone, also after an error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from xai_audit.errors import ModelError
from xai_audit.model.state import tensor_bytes

OWNED = ("_parameters", "_buffers", "_modules")


@contextmanager
def left_as_found(module: nn.Module) -> Iterator[None]:
    """The module in eval mode with frozen parameters; on exit everything is as before.

    Put back in silence: training flags, requires_grad, gradients, hooks, global random state, default dtype, grad mode.
    A parameter or buffer that was changed, replaced, added or removed is put back and raises ModelError that names it:
    results made on the way are of another model. After an error in the body that error goes on, with a note.
    """
    found = _Found.of(module)
    with global_state_kept():
        try:
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)
            yield
        except BaseException as error:
            changed = found.restore()
            if changed:
                error.add_note(f"The step had changed {', '.join(changed[:10])}; put back.")
            raise
    changed = found.restore()
    if changed:
        more = f" and {len(changed) - 10} more" if len(changed) > 10 else ""
        named = f"{', '.join(changed[:10])}{more}"
        fix = "They were put back. A network must not write to its own state in eval mode."
        raise ModelError("model", f"a step changed {named}", "parameters and buffers bit-equal before and after", fix)


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
def seeded(seed: int) -> Iterator[None]:
    """Torch, numpy and Python draw from a seed inside, and go on as before after it."""
    with global_state_kept():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield


@dataclass(frozen=True, eq=False)
class _FoundModule:
    """A module's flags, hooks and the dictionaries that hold its tensors and children."""

    name: str
    module: nn.Module
    training: bool
    dictionaries: dict[str, dict[object, object]]
    flags: dict[str, object]

    @classmethod
    def of(cls, name: str, module: nn.Module) -> _FoundModule:
        hooks = {name: value for name, value in vars(module).items() if "hook" in name}
        owned = {name: vars(module)[name] for name in OWNED if name in vars(module)}
        dictionaries = {name: dict(value) for name, value in {**hooks, **owned}.items() if isinstance(value, dict)}
        flags = {name: value for name, value in hooks.items() if not isinstance(value, dict)}
        return cls(name, module, module.training, dictionaries, flags)

    def restore(self) -> list[str]:
        """Names of tensors and children that had been replaced, added or removed."""
        self.module.training = self.training
        vars(self.module).update(self.flags)
        changed: list[str] = []
        for name, before in self.dictionaries.items():
            now = vars(self.module)[name]
            if list(now) == list(before) and all(now[key] is before[key] for key in before):
                continue
            if name in OWNED:
                replaced = [key for key in dict.fromkeys([*before, *now]) if now.get(key) is not before.get(key)]
                changed += [f"{self.name}.{key}".lstrip(".") for key in replaced]
            now.clear()
            now.update(before)
        return changed


@dataclass(frozen=True, eq=False)
class _FoundTensor:
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
        copy = None if grad is None else grad.detach().clone()
        return cls(name, tensor, tensor.detach().clone(), tensor.requires_grad, grad, copy)

    @torch.no_grad()
    def restore(self) -> bool:
        """Whether the values had been changed."""
        if self.tensor.is_leaf:
            if self.grad is not None and self.grad_copy is not None:
                self.grad.copy_(self.grad_copy)
            self.tensor.grad = self.grad
            self.tensor.requires_grad_(self.requires_grad)
        if self._is_same():
            return False
        if self.tensor.shape == self.copy.shape and self.tensor.dtype == self.copy.dtype:
            self.tensor.copy_(self.copy)
        else:
            self.tensor.data = self.copy
        return True

    def _is_same(self) -> bool:
        now, before = self.tensor.detach(), self.copy
        alike = now.shape == before.shape and now.dtype == before.dtype and now.device == before.device
        return alike and torch.equal(tensor_bytes(now), tensor_bytes(before))


@dataclass(frozen=True, eq=False)
class _Found:
    modules: tuple[_FoundModule, ...]
    tensors: tuple[_FoundTensor, ...]

    @classmethod
    def of(cls, module: nn.Module) -> _Found:
        tensors = [*module.named_parameters(), *module.named_buffers()]
        return cls(
            tuple(_FoundModule.of(name, part) for name, part in module.named_modules()),
            tuple(_FoundTensor.of(name, tensor) for name, tensor in tensors),
        )

    def restore(self) -> list[str]:
        """Names of the tensors that had been changed; all are as found now."""
        changed = [name for part in self.modules for name in part.restore()]
        return changed + [tensor.name for tensor in self.tensors if tensor.restore()]
