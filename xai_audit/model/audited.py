"""AuditedModel: pixels in, checked scores out, whatever the network's own form of output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from xai_audit.errors import AuditError, StepError
from xai_audit.model import steady
from xai_audit.model.encoding import encode, noise_rows
from xai_audit.model.factory import code_error
from xai_audit.model.outputs import RawOutput, case_scores, check_output, check_probabilities, read_output
from xai_audit.spec.schema import Input
from xai_audit.spec.tables import TableInput

__all__ = ["AuditedModel", "RawOutput", "Task", "check_output", "is_out_of_memory"]

Task = Literal["single_label", "multi_label", "binary_logit", "regression", "segmentation", "detection"]


@dataclass(frozen=True, eq=False)
class AuditedModel:
    """The model under audit, in eval mode on its device."""

    module: nn.Module
    device: torch.device
    task: Task
    classes: tuple[str, ...]
    """Class names in the order of the scores; for binary_logit [negative, positive]; empty for a regression."""
    input: Input
    outputs: tuple[str, ...] | None = None
    """Names of a regression's outputs."""
    output: str | int | None = None
    """Which part of the network's output holds the scores."""
    scores_are: Literal["logit", "probability"] = "logit"
    """What it gives for classes."""
    digest: str = ""
    digest_kind: Literal["file", "state_dict", "object"] = "state_dict"
    """Whether `digest` is of the weights file, of the state dict that the factory made, or of the callable's state."""
    parameters: int = 0
    """Number of scalars in all parameters."""
    architecture: str = ""
    """Name of the module's class, or of the callable's."""
    is_callable: bool = False
    """Whether it is no torch module: it can be asked, and nothing of it can be differentiated or made random."""
    package: str = ""
    """Name and version of the package of a callable."""
    folder: Path = Path()
    """The spec's folder, left out of messages."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """How four-dimensional tensors lie in memory: it changes speed, and results in the last digits."""
    autocast: torch.dtype | None = None
    """Precision that the network computes in where torch allows it; None: that of its parameters."""
    is_compiled: bool = False
    """Whether torch.compile has parts of it: they are run as written, because hooks need not fire in compiled code."""
    row_bytes: dict[bool, int] = field(default_factory=dict)
    """Bytes that a pass of one image takes, without and with its gradient, once known (see explain/memory.py)."""

    @property
    def dtype(self) -> torch.dtype | None:
        """Precision of the first floating parameter, to which the input is cast; None for a network without any."""
        return next((tensor.dtype for tensor in self.module.parameters() if tensor.is_floating_point()), None)

    @property
    def is_table(self) -> bool:
        """Whether a case is a row of a table, (1, 1, features) in float64 in place of pixels."""
        return isinstance(self.input, TableInput)

    def noise(self, cases: int, seed: int = 0) -> Tensor:
        """Made-up cases, the same in every run: pixels (cases, channels, height, width) in [0, 1], or rows."""
        if isinstance(self.input, TableInput):
            return noise_rows(self.input, cases, seed).to(self.device)
        size = (cases, self.input.channels, *self.input.size)
        return torch.rand(size, generator=torch.Generator().manual_seed(seed)).to(self.device)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels in [0, 1], (cases, channels, height, width), as the network wants them; rows as a matrix."""
        given, dtype = pixels, self.dtype or pixels.dtype
        if isinstance(self.input, TableInput):
            return encode(pixels, self.input).to(dtype)
        pixels = pixels.to(torch.promote_types(pixels.dtype, dtype))
        if self.input.mean is not None:
            pixels = pixels - _per_channel(self.input.mean, pixels)
        if self.input.std is not None:
            pixels = pixels / _per_channel(self.input.std, pixels)
        made = pixels.to(dtype)
        if self.memory_format == "channels_last":
            made = made.contiguous(memory_format=torch.channels_last)
        return made.clone() if made is given else made  # the network may write into what it gets

    def forward(self, pixels: Tensor) -> object:
        """Whatever the network gives for pixels; a detector is called with a list of images.

        Raises ModelError when its code fails, save for lack of memory.
        """
        self._check_pixels(pixels)
        given = self.normalise(pixels)
        try:
            with self.in_precision(), self._as_written():
                return self.module(list(given) if self.task == "detection" else given)
        except AuditError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit(0) in a network would end the audit like a pass
            if is_out_of_memory(error):
                raise
            what = f"the network failed on pixels of shape {tuple(pixels.shape)}"
            if self.is_table:
                what = f"the model failed on {len(pixels)} row{'s' * (len(pixels) != 1)}"
            raise code_error(error, "model", what, self.folder) from error

    def in_precision(self) -> AbstractContextManager[object]:
        """Torch's autocast, where the model has one."""
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)

    def _as_written(self) -> AbstractContextManager[object]:
        return torch.compiler.set_stance("force_eager") if self.is_compiled else nullcontext()

    def read(self, output: object, cases: int) -> RawOutput:
        """What the network gave for some cases, as its task reads it; maybe NaN. Raises ModelError."""
        return read_output(output, cases, self)

    def raw_output(self, pixels: Tensor) -> RawOutput:
        """Scores (cases, outputs), scores of places (cases, classes, height, width), or boxes of each case.

        Float32 unless the network computes in float64; maybe NaN: see `check_output`. Gradients are per unit of pixel
        value. Raises ModelError where the output's form does not fit the task.
        """
        return self.read(self.forward(pixels), len(pixels))

    def case_scores(self, output: RawOutput) -> Tensor:
        """Scores of whole cases, (cases, outputs): logits, values of a regression, or a detector's best box scores."""
        return case_scores(output, self)

    def raw_scores(self, pixels: Tensor) -> Tensor:
        """Scores of whole cases, (cases, outputs); maybe NaN. Raises ModelError."""
        return self.case_scores(self.raw_output(pixels))

    def scores(self, pixels: Tensor, ids: Sequence[str] = ()) -> Tensor:
        """Finite scores of whole cases, (cases, outputs).

        Raises ModelError where the output's form does not fit the task, StepError where a score is NaN or infinite; it
        names the case by `ids` if they are given.
        """
        output = self.raw_output(pixels)
        check_output(output, ids)
        found = self.case_scores(output)
        if self.scores_are == "probability":
            check_probabilities(found, self.task, ids)
        return found

    def check_steady(self, rows: Tensor | None = None) -> None:
        """Raise ModelError when two passes of the same cases give other scores, as with dropout in eval mode.

        Of a table also when a row's score changes with the rows beside it. `rows`: cases to ask; default made-up ones.
        """
        cases = self.noise(steady.ROWS if self.is_table else 1) if rows is None else rows
        steady.check_chance(self, cases[:1], steady.PASSES)
        if self.is_table:
            steady.check_rows_apart(self, cases)

    def probabilities(self, scores: Tensor) -> Tensor:
        """(cases, classes): softmax; sigmoid for multi_label and segmentation; [1 - p, p] for binary_logit.

        Scores that are probabilities, as a detector's are, stay as they are. Raises StepError for a regression.
        """
        if self.scores_are == "probability" and self.task != "regression":
            return torch.cat([1 - scores, scores], 1) if self.task == "binary_logit" else scores
        if self.task == "single_label":
            return scores.softmax(1)
        if self.task in ("multi_label", "segmentation"):
            return scores.sigmoid()
        if self.task == "detection":
            return scores
        if self.task == "binary_logit":
            return torch.cat([(-scores).sigmoid(), scores.sigmoid()], 1)
        raise StepError("model.task", "a regression, whose outputs are no probabilities", "a task with classes", "")

    def _check_pixels(self, pixels: Tensor) -> None:
        wanted = (self.input.channels, *self.input.size)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != wanted:
            found = f"{'rows' if self.is_table else 'pixels'} of shape {tuple(pixels.shape)}"
            expected = f"(cases, {', '.join(map(str, wanted))}) as in `model.input`"
            fix = "Correct `model.input`, or resize and crop the images."
            if self.is_table:
                fix = "Give one number for each feature of `model.input`."
            raise StepError("model.input", found, expected, fix)


def _per_channel(values: tuple[float, ...], like: Tensor) -> Tensor:
    """One number a channel, handed to the device without waiting for it."""
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True).view(1, -1, 1, 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's or the machine's memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
