"""AuditedModel: pixels in, checked scores out, whatever the network's own form of output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from xai_audit.errors import AuditError, ModelError, StepError
from xai_audit.model.factory import code_error
from xai_audit.spec.schema import ModelInput

Task = Literal["single_label", "multi_label", "binary_logit", "regression"]
LOW_PRECISION = (torch.float16, torch.bfloat16)
STEADY_PASSES = 4
"""Passes of one image at each of two seeds, by which chance in a net is looked for."""


@dataclass(frozen=True, eq=False)
class AuditedModel:
    """The model under audit, in eval mode on its device."""

    module: nn.Module
    device: torch.device
    task: Task
    classes: tuple[str, ...]
    """Class names in the order of the scores; for binary_logit [negative, positive]; empty for a regression."""
    input: ModelInput
    outputs: tuple[str, ...] | None = None
    """Names of a regression's outputs."""
    output: str | int | None = None
    """Which part of the network's output holds the scores."""
    digest: str = ""
    digest_kind: Literal["file", "state_dict"] = "state_dict"
    """Whether `digest` is of the weights file or of the state dict that the factory made."""
    parameters: int = 0
    """Number of scalars in all parameters."""
    architecture: str = ""
    """Name of the module's class."""
    folder: Path = Path()
    """The spec's folder, left out of messages."""

    @property
    def dtype(self) -> torch.dtype | None:
        """Precision of the first floating parameter, to which the input is cast; None for a network without any."""
        return next((tensor.dtype for tensor in self.module.parameters() if tensor.is_floating_point()), None)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels in [0, 1], (cases, channels, height, width), as the network wants them."""
        given, dtype = pixels, self.dtype or pixels.dtype
        pixels = pixels.to(torch.promote_types(pixels.dtype, dtype))
        if self.input.mean is not None:
            pixels = pixels - _per_channel(self.input.mean, pixels)
        if self.input.std is not None:
            pixels = pixels / _per_channel(self.input.std, pixels)
        made = pixels.to(dtype)
        return made.clone() if made is given else made  # the network may write into what it gets

    def forward(self, pixels: Tensor) -> object:
        """Whatever the network gives for pixels. Raises ModelError when its code fails, save for lack of memory."""
        self._check_pixels(pixels)
        try:
            return self.module(self.normalise(pixels))
        except AuditError:
            raise
        except (Exception, SystemExit) as error:  # sys.exit(0) in a network would end the audit like a pass
            if is_out_of_memory(error):
                raise
            what = f"the network failed on pixels of shape {tuple(pixels.shape)}"
            raise code_error(error, "model", what, self.folder) from error

    def raw_scores(self, pixels: Tensor) -> Tensor:
        """Scores (cases, outputs), float32 unless the network computes in float64; maybe NaN. Raises ModelError."""
        scores = shaped(selected(self.forward(pixels), self.output), len(pixels), self)
        return scores.float() if scores.dtype in LOW_PRECISION else scores

    def scores(self, pixels: Tensor, ids: Sequence[str] = ()) -> Tensor:
        """Finite scores (cases, outputs): logits, or the values of a regression. Gradients are per unit of pixel value.

        Raises ModelError where the output's form does not fit the task, StepError where a score is NaN or infinite; it
        names the case by `ids` if they are given.
        """
        scores = self.raw_scores(pixels)
        check_scores(scores, ids)
        return scores

    def check_steady(self) -> None:
        """Raise ModelError when two passes of one image give other scores, as with dropout that eval mode leaves on."""
        noise = torch.rand(1, self.input.channels, *self.input.size, generator=torch.Generator().manual_seed(0))
        first, second = (self._scores_at(seed, noise.to(self.device)) for seed in (0, 1))
        if not torch.allclose(first, second, rtol=1e-4, atol=1e-5, equal_nan=True):
            apart = float((first - second).abs().max())
            found = f"scores that differ by {apart:.3g} between two passes of the same image"
            fix = "Look for dropout or noise that is on in eval mode: F.dropout(x, p, self.training), or nn.Dropout."
            raise ModelError("model", found, "the same scores each time", fix)

    def _scores_at(self, seed: int, pixels: Tensor) -> Tensor:
        """Raw scores of several passes, with torch's own generators at a seed; they are put back afterwards."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            return torch.cat([self.raw_scores(pixels) for _ in range(STEADY_PASSES)])

    def probabilities(self, scores: Tensor) -> Tensor:
        """(cases, classes): softmax; sigmoid for multi_label; [1 - p, p] for binary_logit. StepError else."""
        if self.task == "single_label":
            return scores.softmax(1)
        if self.task == "multi_label":
            return scores.sigmoid()
        if self.task == "binary_logit":
            return torch.cat([(-scores).sigmoid(), scores.sigmoid()], 1)
        raise StepError("model.task", "a regression, whose outputs are no probabilities", "a task with classes", "")

    def _check_pixels(self, pixels: Tensor) -> None:
        wanted = (self.input.channels, *self.input.size)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != wanted:
            found = f"pixels of shape {tuple(pixels.shape)}"
            expected = f"(cases, {', '.join(map(str, wanted))}) as in `model.input`"
            raise StepError("model.input", found, expected, "Correct `model.input`, or resize and crop the images.")


def _per_channel(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


def selected(output: object, selector: str | int | None) -> Tensor:
    """The tensor of scores in a network's output: a tensor, or part of a tuple, a dict or an object with `.logits`.

    Raises ModelError when the selector finds nothing, or there is none and several outputs to choose from.
    """
    if selector is not None and not (isinstance(output, Tensor) and selector == 0):
        return _tensor(_part(output, selector), f"the output's part {selector!r}")
    if isinstance(output, Tensor):
        return output
    if isinstance(logits := getattr(output, "logits", None), Tensor):
        return logits
    parts = list(output.values()) if isinstance(output, Mapping) else output
    if isinstance(parts, list | tuple) and len(parts) == 1:
        return _tensor(parts[0], "the output's only part")
    raise ModelError(
        "model.output", f"model returned {_described(output)}", "one tensor of scores", "Set `model.output`."
    )


def _part(output: object, selector: str | int) -> object:
    try:
        if isinstance(selector, str) and not isinstance(output, Mapping):
            return getattr(output, selector)
        return output[selector]  # type: ignore[index]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        found = f"model returned {_described(output)}, which has no part {selector!r}"
        fix = "Correct `model.output`, or leave it out if the model returns one tensor."
        raise ModelError("model.output", found, "a key, an index or an attribute of the output", fix) from error


def _tensor(value: object, what: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    raise ModelError("model.output", f"{what} is {_described(value)}", "a tensor of scores", "Correct `model.output`.")


def _described(output: object) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"dict with keys [{', '.join(map(str, output))}]"
    if isinstance(output, list | tuple):
        return f"{type(output).__name__} of {len(output)} parts"
    return f"a {type(output).__name__}"


def shaped(scores: Tensor, cases: int, model: AuditedModel) -> Tensor:
    """Scores as (cases, outputs) for the task; a batch of one whose axis of cases was squeezed away gets it back.

    Raises ModelError with both shapes when they do not fit.
    """
    width = _width(model)
    if not scores.is_floating_point():
        kind = str(scores.dtype).removeprefix("torch.")
        raise ModelError("model.output", f"scores of type {kind}", "floating scores", "Return logits, not predictions.")
    if cases == 1 and scores.ndim < 2:
        scores = scores.reshape(1, -1)
    elif scores.ndim == 1 and model.task in ("binary_logit", "regression"):
        scores = scores.unsqueeze(1)
    if scores.ndim == 2 and len(scores) == cases and (scores.shape[1] == width or (width is None and scores.shape[1])):
        return scores
    found = f"scores of shape {tuple(scores.shape)}"
    expected = f"({cases}, {'outputs' if width is None else width}) for task {model.task}"
    raise ModelError("model.task", found, expected, _shape_advice(scores, cases, model))


def _width(model: AuditedModel) -> int | None:
    if model.task == "binary_logit":
        return 1
    if model.task == "regression":
        return None if model.outputs is None else len(model.outputs)
    return len(model.classes)


def _shape_advice(scores: Tensor, cases: int, model: AuditedModel) -> str:
    if scores.ndim == 2 and len(scores) == cases:
        if scores.shape[1] == 1 and model.task == "single_label":
            return "One logit for two classes is `task: binary_logit`."
        if scores.shape[1] == 2 and model.task == "binary_logit":
            return "Two logits for two classes is `task: single_label`."
        named = "model.outputs" if model.task == "regression" else "model.classes"
        return f"Name each of the {scores.shape[1]} outputs in `{named}`, or correct the factory's arguments."
    if scores.ndim > 2:
        return "Reduce the output to one row a case in the factory, or choose another part with `model.output`."
    return "Correct `model.task`, or choose another part with `model.output`."


def check_scores(scores: Tensor, ids: Sequence[str] = ()) -> None:
    """Raises StepError naming the first case of the batch whose scores are NaN or infinite, by its id if there are."""
    bad = (~torch.isfinite(scores)).any(1).nonzero()
    if len(bad):
        first = int(bad[0])
        values = ", ".join(f"{value:g}" for value in scores[first].tolist()[:5])
        case = ids[first] if ids else f"{first} of the batch"
        found = f"scores [{values}] for case {case} ({len(bad)} of {len(scores)} cases not finite)"
        fix = "Look at that image and at the model's weights and precision."
        raise StepError("model", found, "finite scores", fix)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's or the machine's memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
