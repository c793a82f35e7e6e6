"""What a network gives, in whatever form, as what its task reads: scores, scores of every place, or boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_audit.errors import ModelError, StepError

if TYPE_CHECKING:
    from xai_audit.model.audited import AuditedModel

RawOutput = Tensor | list[dict[str, Tensor]]
"""Scores (cases, outputs); of segmentation (cases, classes, height, width); of detection one dict a case with `boxes`
(boxes, 4) as x1, y1, x2, y2, `labels` (boxes,) as indexes of classes and `scores` (boxes,) in [0, 1]."""
LOW_PRECISION = (torch.float16, torch.bfloat16)
_PARTS = ("boxes", "labels", "scores")


def read_output(output: object, cases: int, model: AuditedModel) -> RawOutput:
    """A network's output for some cases as its task reads it, float32 unless it computes in float64; maybe NaN.

    Raises ModelError where its form does not fit the task.
    """
    if model.task == "detection":
        return _detections(output, cases, model)
    scores = selected(output, _selector(output, model))
    return _full(_places(scores, cases, model) if model.task == "segmentation" else shaped(scores, cases, model))


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in LOW_PRECISION else values


def _selector(output: object, model: AuditedModel) -> str | int | None:
    """The spec's selector; without one, of a segmentation's dict the part `out`, as torchvision names it."""
    is_named = model.task == "segmentation" and isinstance(output, Mapping) and "out" in output
    return "out" if model.output is None and is_named else model.output


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
    _check_floating(scores)
    if cases == 1 and scores.ndim < 2:
        scores = scores.reshape(1, -1)
    elif scores.ndim == 1 and model.task in ("binary_logit", "regression"):
        scores = scores.unsqueeze(1)
    if scores.ndim == 2 and len(scores) == cases and (scores.shape[1] == width or (width is None and scores.shape[1])):
        return scores
    found = f"scores of shape {tuple(scores.shape)}"
    expected = f"({cases}, {'outputs' if width is None else width}) for task {model.task}"
    raise ModelError("model.task", found, expected, _shape_advice(scores, cases, model))


def _check_floating(scores: Tensor) -> None:
    if not scores.is_floating_point():
        kind = str(scores.dtype).removeprefix("torch.")
        raise ModelError("model.output", f"scores of type {kind}", "floating scores", "Return logits, not predictions.")


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
    if scores.ndim == 4 and len(scores) == cases:
        return "Reduce the output to one row a case in the factory; one score a place is `task: segmentation`."
    if scores.ndim > 2:
        return "Reduce the output to one row a case in the factory, or choose another part with `model.output`."
    if model.is_table and len(scores) != cases:
        return "Return one row of scores for each row that is given, in their order."
    return "Correct `model.task`, or choose another part with `model.output`."


def _places(scores: Tensor, cases: int, model: AuditedModel) -> Tensor:
    """Scores of every place, (cases, classes, height, width)."""
    _check_floating(scores)
    classes = len(model.classes)
    if scores.ndim == 4 and tuple(scores.shape[:2]) == (cases, classes) and scores.numel():
        return scores
    fix = "Name one class for each channel in `model.classes`, or choose another part with `model.output`."
    if scores.ndim == 4 and scores.shape[1] == 1:
        fix = "Give two channels for two classes in the factory: torch.cat([-logit / 2, logit / 2], 1)."
    elif scores.ndim != 4:
        fix = "Scores without places are `task: single_label` or `multi_label`; else correct `model.output`."
    found, expected = f"scores of shape {tuple(scores.shape)}", f"({cases}, {classes}, height, width)"
    raise ModelError("model.task", found, f"{expected} for task segmentation", fix)


def _detections(output: object, cases: int, model: AuditedModel) -> list[dict[str, Tensor]]:
    """Boxes, labels and scores of each case."""
    if model.output is not None:
        output = _part(output, model.output)
    given = [output] if isinstance(output, Mapping) and cases == 1 else output
    if not isinstance(given, list | tuple) or len(given) != cases:
        fix = "Return one dict for each image of the list, as torchvision's detectors do in eval mode."
        found, expected = f"model returned {_described(output)}", f"a list of {cases} dicts for task detection"
        raise ModelError("model.output", found, expected, fix)
    return [_detection(entry, len(model.classes)) for entry in given]


def _detection(entry: object, classes: int) -> dict[str, Tensor]:
    parts = {key: entry[key] for key in _PARTS if key in entry} if isinstance(entry, Mapping) else {}
    tensors = {key: value for key, value in parts.items() if isinstance(value, Tensor)}
    if len(tensors) < len(_PARTS):
        fix = "Return them as torchvision's detectors do."
        raise ModelError("model.output", _described(entry), "a dict of tensors boxes, labels and scores", fix)
    boxes, labels, scores = (tensors[key] for key in _PARTS)
    count = len(scores)
    if boxes.shape != (count, 4) or labels.shape != (count,) or scores.shape != (count,):
        found = f"boxes {tuple(boxes.shape)}, labels {tuple(labels.shape)}, scores {tuple(scores.shape)}"
        fix = "Give one row for each box: x1, y1, x2, y2 in pixels of the input."
        raise ModelError("model.output", found, "(boxes, 4), (boxes,) and (boxes,)", fix)
    _check_boxes(labels, scores, classes)
    return {"boxes": _full(boxes), "labels": labels.long(), "scores": _full(scores)}


def _check_boxes(labels: Tensor, scores: Tensor, classes: int) -> None:
    if not len(labels):
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        found = f"label {low if low < 0 else high}"
        fix = "Name every label in `model.classes`, in order from 0; where 0 is the background, name that first."
        raise ModelError("model.classes", found, f"0 to {classes - 1}, for {classes} classes", fix)
    if bool(((scores < 0) | (scores > 1)).any()):
        found = f"box scores from {float(scores.min()):.3g} to {float(scores.max()):.3g}"
        fix = "Put them through a sigmoid or softmax in the factory."
        raise ModelError("model.output", found, "box scores from 0 to 1", fix)


def case_scores(output: RawOutput, model: AuditedModel) -> Tensor:
    """Scores of whole cases, (cases, outputs).

    Segmentation: how far a class is present at some place, the logit of its largest softmax share over places.
    Detection: the best score of each class's boxes, 0 without any.
    """
    if isinstance(output, list):
        return torch.stack([_best_scores(entry, len(model.classes)) for entry in output])
    if model.task != "segmentation":
        return output
    return torch.stack([_presence(output, c) for c in range(output.shape[1])], 1)


def _presence(z: Tensor, c: int) -> Tensor:
    """logit(softmax(z)_c) = z_c - log sum over k != c of exp(z_k), at the place where it is largest."""
    others = torch.cat([z[:, :c], z[:, c + 1 :]], 1)
    return (z[:, c] - others.logsumexp(1)).flatten(1).amax(1)


def _best_scores(entry: Mapping[str, Tensor], classes: int) -> Tensor:
    best = entry["scores"].new_zeros(classes)
    return best.scatter_reduce(0, entry["labels"], entry["scores"], "amax")


def check_output(output: RawOutput, ids: Sequence[str] = ()) -> None:
    """Raises StepError naming the first case of the batch that has a NaN or infinite value, by its id if there are."""
    if isinstance(output, Tensor):
        return check_scores(output.flatten(1), ids)
    kept = [torch.cat([entry["scores"], entry["boxes"].flatten()]) for entry in output]
    longest = max((len(values) for values in kept), default=0)
    padded = [torch.nn.functional.pad(values, (0, longest - len(values))) for values in kept]
    return check_scores(torch.stack(padded), ids) if longest else None


SUM_TOLERANCE = 1e-3
"""How far from 1 the probabilities of a case may add up to: rounding of float32 is far below it."""


def check_probabilities(scores: Tensor, task: str, ids: Sequence[str] = ()) -> None:
    """Raises StepError naming the first case whose scores are no probabilities, or do not add up to 1 over classes."""
    bad = ((scores < -SUM_TOLERANCE) | (scores > 1 + SUM_TOLERANCE)).any(1)
    expected = "probabilities, 0 to 1"
    if task == "single_label":
        bad = bad | ((scores.sum(1) - 1).abs() > SUM_TOLERANCE)
        expected = "probabilities that add up to 1"
    if bool(bad.any()):
        first = int(bad.nonzero()[0])
        values = ", ".join(f"{value:g}" for value in scores[first].tolist()[:5])
        found = f"scores [{values}] for case {ids[first] if ids else f'{first} of the batch'}"
        raise StepError("model.scores_are", found, expected, "Set `scores_are: logit`, or correct the model.")


def check_scores(scores: Tensor, ids: Sequence[str] = ()) -> None:
    """Raises StepError naming the first case of the batch whose scores are NaN or infinite, by its id if there are."""
    bad = (~torch.isfinite(scores)).any(1).nonzero()
    if len(bad):
        first = int(bad[0])
        values = ", ".join(f"{value:g}" for value in scores[first].tolist()[:5])
        case = ids[first] if ids else f"{first} of the batch"
        found = f"scores [{values}] for case {case} ({len(bad)} of {len(scores)} cases not finite)"
        fix = "Look at that case and at the model's weights and precision."
        raise StepError("model", found, "finite scores", fix)
