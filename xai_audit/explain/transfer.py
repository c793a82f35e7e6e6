"""Maps still on the device, and the ways there and back: one wait for all readers of a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xai_audit.explain.maps import Maps


@dataclass(frozen=True, eq=False)
class DeviceMaps:
    """What a reader makes of a pass: as `Maps`, in tensors on the model's device."""

    raw: Tensor
    """(cases, height, width), or (cases, channels, height, width)."""
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    """Other tensors with one row a case."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    counts: Mapping[str, Tensor] = field(default_factory=dict)
    """How often something happened, a tensor without axes, by the sentence that tells it; see `Maps.counts`."""

    def tensors(self) -> list[Tensor]:
        """All tensors, in a fixed order."""
        return [self.raw, *self.extras.values(), *self.counts.values()]

    def arrived(self, tensors: Iterator[Tensor]) -> Maps:
        """The maps with these tensors, which are on the CPU, in the order of `tensors`."""
        raw = next(tensors).numpy()
        extras = {name: next(tensors).numpy() for name in self.extras}
        counts = {sentence: round(float(next(tensors))) for sentence in self.counts}
        return Maps(raw, extras, self.parameters, self.warnings, counts)


def on_device(array: npt.NDArray[np.generic], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """An array as a tensor on the device, without waiting for what runs there.

    To a GPU through pinned memory, piece by piece: one piece travels while the next is made ready.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device, dtype)
    staged, made = torch.empty_like(tensor, pin_memory=True), torch.empty_like(tensor, device=device)
    rows = PIECE // max(1, tensor[:1].nbytes) + 1
    for first in range(0, len(tensor), rows):
        piece = slice(first, first + rows)
        made[piece].copy_(staged[piece].copy_(tensor[piece]), non_blocking=True)
    return made.to(dtype or made.dtype)


PIECE = 4 * 2**20
"""Bytes that are made ready at a time."""
EARLY = 2**20
"""Bytes from which a tensor's way to the CPU begins as soon as it is made, beside what runs after it."""


@dataclass(eq=False)
class Fetching:
    """Tensors on their way from a device to the CPU, with one wait for all of them."""

    device: torch.device
    begun: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Tensors whose way has begun, with their copies, by identity."""

    def begin(self, tensor: Tensor) -> None:
        """Let a large tensor's copy begin now, on a stream of its own."""
        if tensor.is_cuda and tensor.nbytes >= EARLY and id(tensor) not in self.begun:
            made = tensor.detach().contiguous()
            ours = torch.cuda.current_stream(self.device)
            stream = _copying(self.device)
            stream.wait_stream(ours)
            with torch.cuda.stream(stream):
                copy = torch.empty(made.shape, dtype=made.dtype, pin_memory=True).copy_(made, non_blocking=True)
            made.record_stream(stream)
            self.begun[id(tensor)] = (tensor, copy)

    @property
    def is_there(self) -> bool:
        """Whether nothing is waited for: the tensors are on the CPU already."""
        return self.device.type != "cuda"

    def send(self, tensors: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
        """Sends the tensors; to call what it gives waits for them, in contiguous memory of the CPU."""
        if self.is_there:
            copies = [tensor.detach().cpu().contiguous() for tensor in tensors]
            return lambda: copies
        begun = {key: copy for key, (_, copy) in self.begun.items()}
        others = iter(_pinned([tensor.detach() for tensor in tensors if id(tensor) not in begun]))
        copies = [begun[id(tensor)] if id(tensor) in begun else next(others) for tensor in tensors]
        streams = (torch.cuda.current_stream(self.device), _copying(self.device))
        made = [stream.record_event() for stream in streams]

        def arrived() -> list[Tensor]:
            for event in made:
                event.synchronize()
            return copies

        return arrived


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The stream of copies, which travel while the device computes."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Coming:
    """Tensors of a GPU that come to the CPU as soon as they are made, while it goes on."""

    made: torch.cuda.Event
    copies: list[Tensor]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Coming:
        """Send them on their way, after what is queued on the GPU."""
        copies = _pinned([tensor.detach() for tensor in tensors])
        made = torch.cuda.Event()  # type: ignore[no-untyped-call]
        made.record(torch.cuda.current_stream(tensors[0].device))
        return cls(made, copies)

    @property
    def is_there(self) -> bool:
        """Whether they are on the CPU."""
        return bool(self.made.query())  # type: ignore[no-untyped-call]

    def tensors(self) -> list[Tensor]:
        """The copies, when they are there."""
        self.made.synchronize()
        return self.copies


def _pinned(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors' copies on their way: those of a dtype laid end to end on the GPU, to travel as one."""
    groups: dict[torch.dtype, list[int]] = {}
    for number, tensor in enumerate(tensors):
        groups.setdefault(tensor.dtype, []).append(number)
    copies: dict[int, Tensor] = {}
    for dtype, numbers in groups.items():
        one = torch.cat([tensors[number].reshape(-1) for number in numbers])
        arriving = torch.empty(one.shape, dtype=dtype, pin_memory=True).copy_(one, non_blocking=True)
        pieces = arriving.split([tensors[number].numel() for number in numbers])  # type: ignore[no-untyped-call]
        copies |= {number: piece.view(tensors[number].shape) for number, piece in zip(numbers, pieces, strict=True)}
    return [copies[number] for number in range(len(tensors))]
