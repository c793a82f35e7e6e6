"""The one number of each case that is explained, with its class frozen on the unperturbed image (METHODS 1.1)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_audit.errors import Refusal, StepError
from xai_audit.model.audited import AuditedModel, Task
from xai_audit.model.outputs import RawOutput
from xai_audit.spec.methods import TargetSpec

BACKGROUND = ("background", "__background__")
"""Names of the class that stands for no object: it is explained only where it is named, or where nothing else is."""
KINDS = {
    "single_label": "logit, prob, logprob or margin",
    "binary_logit": "logit, prob, logprob or margin",
    "multi_label": "logit, prob or logprob",
    "regression": "regression",
    "segmentation": "segmentation",
    "detection": "detection",
}
"""Kinds of target that fit a task."""


@dataclass(frozen=True, eq=False)
class Target:
    """A target whose class (or output), region or box is fixed for each case."""

    kind: str
    task: Task
    chosen: Tensor
    """Index of the class, label or output for each case, int64 (cases,)."""
    names: tuple[str, ...]
    """Name of what is explained, one a case."""
    foil: int | None = None
    reference: float | None = None
    regions: Tensor | None = None
    """Segmentation: places whose first class is the chosen one on the unperturbed case, bool (cases, height, width)."""
    boxes: Tensor | None = None
    """Detection: best box of each unperturbed case, (cases, 4), NaN where it has none."""
    is_probability: bool = False
    """Whether the output holds probabilities already."""

    def value(self, output: RawOutput) -> Tensor:
        """The target of each case, (cases,), from what `AuditedModel.raw_output` gives.

        Raises StepError when the counts differ.
        """
        if len(output) != len(self.chosen):
            found, expected = f"{len(output)} rows of scores", f"{len(self.chosen)}, one for each target"
            raise StepError("target", found, expected, "Give one target for each case.")
        if isinstance(output, list):
            return self._detection(output)
        if self.task == "segmentation":
            return self._segmentation(output)
        if self.task == "regression":
            return self._regression(_picked(output, self.chosen))
        if self.is_probability:
            return self._probability(output)
        if self.task == "binary_logit":
            return self._binary(torch.where(self.chosen == 1, output[:, 0], -output[:, 0]))
        if self.task == "multi_label":
            return self._binary(_picked(output, self.chosen))
        return self._single_label(output)

    def of_case(self, case: int, rows: int) -> Target:
        """The target of one case, for rows of output that are all perturbations of it."""
        regions = None if self.regions is None else self.regions[case].expand(rows, -1, -1)
        boxes = None if self.boxes is None else self.boxes[case].expand(rows, -1)
        names = (self.names[case],) * rows
        return replace(self, chosen=self.chosen[case].expand(rows), names=names, regions=regions, boxes=boxes)

    @property
    def is_affine(self) -> bool:
        """Whether the value is a constant plus a linear function of the output."""
        if self.task == "detection" or self.kind in ("prob", "logprob"):
            return False
        return self.reference is None and (
            self.kind != "margin" or self.foil is not None or self.task != "single_label"
        )

    @property
    def is_empty(self) -> Tensor:
        """Cases with nothing to explain, bool (cases,): no place of the class, or no box of it. Their value is 0."""
        if self.regions is not None:
            return ~self.regions.flatten(1).any(1)
        if self.boxes is not None:
            return self.boxes.isnan().any(1)
        return torch.zeros_like(self.chosen, dtype=torch.bool)

    def _segmentation(self, z: Tensor) -> Tensor:
        """Sum of z_c over the frozen region."""
        assert self.regions is not None
        of_class = z[torch.arange(len(z), device=z.device), self.chosen]
        if of_class.shape != self.regions.shape:
            found, expected = f"places {tuple(of_class.shape[1:])}", f"{tuple(self.regions.shape[1:])}, as frozen"
            raise StepError("target", found, expected, "Give the network's output for images of one size.")
        return torch.where(self.regions, of_class, 0).sum((1, 2))

    def _detection(self, output: list[dict[str, Tensor]]) -> Tensor:
        assert self.boxes is not None
        cases = zip(output, self.boxes, self.chosen, strict=True)
        return torch.stack([_found_again(entry, box, int(label)) for entry, box, label in cases])

    def _probability(self, p: Tensor) -> Tensor:
        """Of outputs that are probabilities: the class's own, or how far it is above another's."""
        if self.task == "binary_logit":
            return torch.where(self.chosen == 1, p[:, 0], 1 - p[:, 0])
        return _picked(p, self.chosen) - self._other(p) if self.kind == "margin" else _picked(p, self.chosen)

    def _single_label(self, z: Tensor) -> Tensor:
        if self.kind == "prob":
            return _picked(z.softmax(1), self.chosen)
        if self.kind == "logprob":
            return _picked(z.log_softmax(1), self.chosen)
        if self.kind == "margin":
            return _picked(z, self.chosen) - self._other(z)
        return _picked(z, self.chosen)

    def _other(self, z: Tensor) -> Tensor:
        if self.foil is not None:
            return z[:, self.foil]
        is_chosen = F.one_hot(self.chosen, z.shape[1]).bool()
        return z.masked_fill(is_chosen, -torch.inf).amax(1)

    def _binary(self, z: Tensor) -> Tensor:
        if self.kind == "prob":
            return z.sigmoid()
        if self.kind == "logprob":
            return F.logsigmoid(z)
        return z  # for two classes with one logit the margin is the logit

    def _regression(self, y: Tensor) -> Tensor:
        return y if self.reference is None else -(y - self.reference).abs()


def _found_again(entry: Mapping[str, Tensor], frozen: Tensor, label: int) -> Tensor:
    """The largest IoU(b, frozen) * score(b) over boxes b of the class; 0 without any (D-RISE, Petsiuk et al. 2021)."""
    nothing = 0 * (entry["scores"].sum() + entry["boxes"].sum())  # 0, and differentiable where the boxes are
    of_class = entry["labels"] == label
    if bool(frozen.isnan().any()) or not bool(of_class.any()):
        return nothing
    return (overlap(entry["boxes"][of_class], frozen) * entry["scores"][of_class]).amax()


def overlap(boxes: Tensor, box: Tensor) -> Tensor:
    """Intersection over union of each box (boxes, 4) with one box (4,), as x1, y1, x2, y2; 0 where both are empty."""
    sides = torch.minimum(boxes[:, 2:], box[2:]) - torch.maximum(boxes[:, :2], box[:2])
    both = sides.clamp(min=0).prod(1)
    either = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - both
    return both / torch.where(either > 0, either, 1)


def no_gradient() -> Refusal:
    """The target's value does not require a gradient: the network cuts it off."""
    found = "the scores do not depend on the input through operations that torch can differentiate"
    fix = "Use methods that perturb the case and need no gradient: lime, shap; on images also occlusion, score_cam."
    return Refusal("target", found, "a target with a gradient", fix)


def freeze(spec: TargetSpec, model: AuditedModel, output: RawOutput, chosen: Sequence[int] | None = None) -> Target:
    """The target with its class fixed: the one named, else the one that this unperturbed output puts first.

    `chosen`: index of the class that each case had unperturbed, where this output is of a perturbed case or of another
    net; it stands where no class is named. A region or a box is not known by its class: that is a Refusal.

    Of segmentation the class with most places, and the region that it has; of detection the best box. The background is
    passed over, where a class has that name. Raises Refusal where the kind does not fit the task, or a class, foil or
    output does not exist.
    """
    if model.task in ("segmentation", "detection") or spec.kind in ("segmentation", "detection"):
        if chosen is not None:
            raise _places_not_kept(model.task)
        return _freeze_places(spec, model, output)
    assert isinstance(output, Tensor)
    scores = output.detach()
    if model.task == "regression":
        return _freeze_regression(spec, model, scores)
    if spec.kind == "regression":
        raise Refusal(
            "target.kind", "regression", f"logit, prob, logprob or margin for task {model.task}", "Name one of these."
        )
    if spec.kind == "margin" and model.task == "multi_label":
        fix = "Labels do not compete with each other: use logit or prob."
        raise Refusal("target.kind", "margin for task multi_label", "logit, prob or logprob", fix)
    if model.scores_are == "probability" and spec.kind not in ("prob", "margin"):
        fix = "The model gives probabilities: explain these, or how far one is above another."
        raise Refusal("target.kind", f"{spec.kind} for scores that are probabilities", "prob or margin", fix)
    classes = _predicted(model, scores) if chosen is None else _kept(chosen, model, scores)
    if spec.class_ is not None:
        classes = torch.full_like(classes, index_of(spec.class_, model.classes, "target.class"))
    foil = None if spec.foil is None else index_of(spec.foil, model.classes, "target.foil")
    if foil is not None and spec.class_ is not None and foil == int(classes[0]):
        raise Refusal(
            "target.foil",
            repr(spec.foil),
            f"another class than {model.classes[foil]!r}",
            "Name the class to compare with.",
        )
    if foil is not None and bool((classes == foil).any()):
        raise Refusal(
            "target.foil",
            f"{model.classes[foil]!r}, which is the predicted class of {int((classes == foil).sum())} cases",
            "a class other than the one explained",
            "Name the class to explain with `class:`, or leave `foil` out to compare with the best other class.",
        )
    is_probability = model.scores_are == "probability"
    return Target(spec.kind, model.task, classes, _names(classes, model), foil, is_probability=is_probability)


def _kept(chosen: Sequence[int], model: AuditedModel, scores: Tensor) -> Tensor:
    """The classes that cases had unperturbed, int64 (cases,). Raises StepError for another count, or no such class."""
    if len(chosen) != len(scores) or not all(0 <= index < len(model.classes) for index in chosen):
        found = f"classes {list(chosen)[:10]} for {len(scores)} cases"
        expected = f"{len(scores)} indexes from 0 to {len(model.classes) - 1}"
        raise StepError("target", found, expected, "Give the class of each case.")
    return torch.tensor(list(chosen), dtype=torch.int64).to(scores.device, non_blocking=True)


def _places_not_kept(task: Task) -> Refusal:
    found = f"task {task}, whose region or box is fixed on one picture and one net"
    fix = "Checks that change the picture or the net are made for targets that are a class, a label or an output."
    return Refusal("target", found, "a target that is known by its class", fix)


def _freeze_places(spec: TargetSpec, model: AuditedModel, output: RawOutput) -> Target:
    if spec.kind not in ("logit", model.task):
        expected = KINDS.get(model.task, "logit or prob") + f" for task {model.task}"
        raise Refusal("target.kind", spec.kind, expected, "Correct the kind.")
    named = None if spec.class_ is None else index_of(spec.class_, model.classes, "target.class")
    if isinstance(output, list):
        found = [_best_box(entry, model, named) for entry in output]
        chosen, boxes = torch.stack([label for label, _ in found]), torch.stack([box for _, box in found])
        return Target("detection", "detection", chosen, _names(chosen, model), boxes=boxes)
    winners = output.detach().argmax(1)
    chosen = _largest(winners, model) if named is None else winners.new_full((len(winners),), named)
    regions = winners == chosen[:, None, None]
    return Target("segmentation", "segmentation", chosen, _names(chosen, model), regions=regions)


def _names(chosen: Tensor, model: AuditedModel) -> tuple[str, ...]:
    return tuple(model.classes[index] for index in chosen.tolist())


def _largest(winners: Tensor, model: AuditedModel) -> Tensor:
    """The class with most places, (cases,); the background only where it has all of them."""
    places = torch.stack([(winners == c).flatten(1).sum(1) for c in range(len(model.classes))], 1)
    is_object = torch.tensor([name.casefold() not in BACKGROUND for name in model.classes], device=places.device)
    of_objects = torch.where(is_object, places, 0)
    return torch.where(of_objects.any(1), of_objects.argmax(1), places.argmax(1))


def _best_box(entry: Mapping[str, Tensor], model: AuditedModel, named: int | None) -> tuple[Tensor, Tensor]:
    """Label () and corners (4,) of the box with the best score, of the class named if there is one."""
    boxes, labels, scores = (entry[key].detach() for key in ("boxes", "labels", "scores"))
    may = torch.ones_like(labels, dtype=torch.bool)
    if named is not None:
        may = labels == named
    else:
        for c, name in enumerate(model.classes):
            may &= (labels != c) | (name.casefold() not in BACKGROUND)
    if not bool(may.any()):
        return labels.new_tensor(named or 0), boxes.new_full((4,), torch.nan)
    best = int(torch.where(may, scores, -1).argmax())
    return labels[best], boxes[best]


def _freeze_regression(spec: TargetSpec, model: AuditedModel, scores: Tensor) -> Target:
    if spec.kind not in ("regression", "logit") or spec.class_ is not None:
        found = f"kind {spec.kind}" + (f" with class {spec.class_!r}" if spec.class_ is not None else "")
        raise Refusal("target", found, "kind regression for task regression", "Write {kind: regression, output: ...}.")
    names = model.outputs or tuple(f"output {index}" for index in range(scores.shape[1]))
    output = index_of(spec.output, names, "target.output")
    chosen = torch.full((len(scores),), output, dtype=torch.int64, device=scores.device)
    return Target("regression", "regression", chosen, (names[output],) * len(scores), None, spec.reference)


def _predicted(model: AuditedModel, scores: Tensor) -> Tensor:
    if model.task == "binary_logit":
        return (scores[:, 0] >= (0.5 if model.scores_are == "probability" else 0)).long()
    return scores.argmax(1)


def index_of(name: str | int, names: Sequence[str], where: str) -> int:
    """Index of a class or output given by name or index. Raises Refusal with the nearest names."""
    if isinstance(name, int):
        if 0 <= name < len(names):
            return name
        raise Refusal(
            where, f"index {name}", f"0 to {len(names) - 1}", f"The names are, in order: {', '.join(names[:20])}."
        )
    if name in names:
        return names.index(name)
    near = difflib.get_close_matches(str(name), names, 1)
    hint = f"Did you mean {near[0]!r}?" if near else "Correct the name."
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise Refusal(where, repr(name), f"one of: {shown}", hint)


def _picked(values: Tensor, chosen: Tensor) -> Tensor:
    return values.gather(1, chosen.unsqueeze(1)).squeeze(1)
