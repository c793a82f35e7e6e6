"""A fault of torch that would give wrong gradients, kept out: batch norm in eval mode, one image, on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_BATCH_NORMS = (F.batch_norm, torch.batch_norm)


@contextmanager
def sound_batch_norm(pixels: Tensor) -> Iterator[None]:
    """Gradients through batch norm are right for one image, too.

    On a CPU torch 2.14 gives a wrong gradient for one image whose incoming gradient has the strides of transposed
    tokens, as after a convolutional stem of a transformer; in the layout of the input the gradient is right.
    """
    if len(pixels) != 1 or pixels.device.type != "cpu":
        yield
        return
    with _InLayoutOfTheInput():
        yield


class _InLayoutOfTheInput(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if func in _BATCH_NORMS and isinstance(output, Tensor) and output.requires_grad:
            given = args[0] if args else kwargs["input"]
            is_last = not given.is_contiguous() and given.is_contiguous(memory_format=torch.channels_last)
            form = torch.channels_last if is_last else torch.contiguous_format
            output.register_hook(partial(_laid_out, form))  # type: ignore[no-untyped-call]
        return output


def _laid_out(form: torch.memory_format, gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=form)
