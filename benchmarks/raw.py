"""Raw passes: the net called in full batches and nothing else, as little as any method could do."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.subject import Subject
from benchmarks.works import Precision
from xai_audit.evidence.records import Passes


@dataclass(frozen=True, eq=False)
class Raw:
    """A net whose parameters ask for no gradient, and one full batch of its inputs, ready on the device."""

    module: nn.Module
    batch: Tensor
    """(rows, 3, height, width): the images again and again."""
    passes: Passes
    """All that are to be made."""
    precision: Precision = "float32"

    @classmethod
    def of(cls, subject: Subject, passes: Passes, rows: int, precision: Precision = "float32") -> Raw:
        """`passes` of every image of the subject, in batches of at most `rows`."""
        images = len(subject.inputs)
        places = torch.arange(rows, device=subject.inputs.device) % images
        batch = subject.inputs[places].contiguous(memory_format=_format(subject.inputs))
        module = copy.deepcopy(subject.module).requires_grad_(False)
        return cls(module, batch, Passes(passes.forwards * images, passes.backwards * images), precision)

    def run(self) -> None:
        """Make the passes; backwards go to the pixels, never to weights, and nothing is read back."""
        with precise(self.precision, self.batch.device):
            for size in batches(self.passes.backwards, len(self.batch)):
                inputs = self.batch[:size].detach().requires_grad_()
                torch.autograd.grad(self.module(inputs).amax(1).sum(), inputs)
            with torch.inference_mode():
                for size in batches(self.passes.forwards - self.passes.backwards, len(self.batch)):
                    self.module(self.batch[:size])


def batches(total: int, rows: int) -> list[int]:
    """Sizes of the batches that hold `total` rows."""
    full, rest = divmod(total, rows)
    return [rows] * full + [rest] * bool(rest)


def precise(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Where operations run in the precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _format(inputs: Tensor) -> torch.memory_format:
    last = inputs.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
