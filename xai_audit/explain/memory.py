"""How many images a batch may hold, from the memory that one image really takes; no clock, no trial and error."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xai_audit.explain.explained import MEBIBYTE, Limits
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.layers import noise
from xai_audit.model.outputs import RawOutput

BATCH_SHARE = 0.6
"""What batches may take of the memory; the rest is for open images, for what one operation needs while it runs, and for
gaps between blocks (measured on a CPU: 1.2 to 1.4 times the bytes alive for ResNet-18)."""


def rows_that_fit(model: AuditedModel, limits: Limits, *, gradient: bool, beside: int = 0) -> int:
    """Images a batch, 1 to `limits.rows`, whose forward (and backward) stays within `limits.memory_mb`.

    `beside`: bytes that an image takes beside its pass. Runs one image the first time that it is asked of a model,
    which the caller guards. Raises what the network raises.
    """
    if limits.rows == 1 or model.is_callable:  # whose memory torch does not see
        return limits.rows
    if gradient not in model.row_bytes:
        model.row_bytes[gradient] = _row_bytes(model, gradient=gradient)
    fit = BATCH_SHARE * limits.memory_mb * MEBIBYTE / max(1, model.row_bytes[gradient] + beside)
    return max(1, min(limits.rows, int(fit)))


def _row_bytes(model: AuditedModel, *, gradient: bool) -> int:
    """Most bytes that are alive at once during a pass of one image; where that does not fit, all that there are."""
    pixels, live = noise(model, 1), LiveBytes()
    try:
        with live:
            _pass(model, pixels, gradient=gradient)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return 2**62
    return live.most


def _pass(model: AuditedModel, pixels: Tensor, *, gradient: bool) -> None:
    with torch.set_grad_enabled(gradient):
        pixels = pixels.clone().requires_grad_(gradient)
        total = _total(model.raw_output(pixels))
    if gradient and total.requires_grad:
        try:
            torch.autograd.grad(total, [pixels], allow_unused=True)
        except Exception as error:  # a backward that fails is told to those who want one
            if is_out_of_memory(error):
                raise


def _total(output: RawOutput) -> Tensor:
    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    return torch.stack([tensor.sum().float() for tensor in tensors]).sum()


class LiveBytes(TorchDispatchMode):
    """Follows the storages that operations make, from birth to death; those made before it are not counted."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.most = 0
        """Most bytes alive at one time."""
        self._alive: dict[int, weakref.finalize[Any, Any]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run an operation, then take note of the new storages in what it gives."""
        given = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and _storage(leaf) not in given:
                self._follow(leaf)
        self.most = max(self.most, self.now)
        return out

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = _storage(tensor), storage.nbytes()
        if key in self._alive:
            return
        self.now += size
        self._alive[key] = weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.now -= size
        self._alive.pop(key, None)


def _storage(tensor: Tensor) -> int:
    """Number that names a storage as long as it lives."""
    return int(tensor.untyped_storage()._cdata)
