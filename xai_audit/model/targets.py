"""The one number of each case that is explained, with its class frozen on the unperturbed image (METHODS 1.1)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_audit.errors import Refusal, StepError
from xai_audit.model.audited import AuditedModel, Task
from xai_audit.spec.schema import TargetSpec


@dataclass(frozen=True, eq=False)
class Target:
    """A target whose class (or output) is fixed for each case."""

    kind: str
    task: Task
    chosen: Tensor
    """Index of the class, label or output for each case, int64 (cases,)."""
    names: tuple[str, ...]
    """Name of what is explained, one a case."""
    foil: int | None = None
    reference: float | None = None

    def value(self, scores: Tensor) -> Tensor:
        """The target of each case, (cases,), from scores (cases, outputs). Raises StepError when the counts differ."""
        if len(scores) != len(self.chosen):
            found, expected = f"{len(scores)} rows of scores", f"{len(self.chosen)}, one for each target"
            raise StepError("target", found, expected, "Give one target for each case.")
        if self.task == "regression":
            return self._regression(_picked(scores, self.chosen))
        if self.task == "binary_logit":
            return self._binary(torch.where(self.chosen == 1, scores[:, 0], -scores[:, 0]))
        if self.task == "multi_label":
            return self._binary(_picked(scores, self.chosen))
        return self._single_label(scores)

    def of_case(self, case: int, rows: int) -> Target:
        """The target of one case, for rows of scores that are all perturbations of it."""
        chosen = self.chosen[case].expand(rows)
        return Target(self.kind, self.task, chosen, (self.names[case],) * rows, self.foil, self.reference)

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


def freeze(spec: TargetSpec, model: AuditedModel, scores: Tensor) -> Target:
    """The target with its class fixed: the one named, else the one that these unperturbed scores put first.

    Raises Refusal where the kind does not fit the task, or a class, foil or output does not exist.
    """
    scores = scores.detach()
    if model.task == "regression":
        return _freeze_regression(spec, model, scores)
    if spec.kind == "regression":
        raise Refusal(
            "target.kind", "regression", f"logit, prob, logprob or margin for task {model.task}", "Name one of these."
        )
    if spec.kind == "margin" and model.task == "multi_label":
        fix = "Labels do not compete with each other: use logit or prob."
        raise Refusal("target.kind", "margin for task multi_label", "logit, prob or logprob", fix)
    chosen = _predicted(model.task, scores)
    if spec.class_ is not None:
        chosen = torch.full_like(chosen, index_of(spec.class_, model.classes, "target.class"))
    foil = None if spec.foil is None else index_of(spec.foil, model.classes, "target.foil")
    if foil is not None and spec.class_ is not None and foil == int(chosen[0]):
        raise Refusal(
            "target.foil",
            repr(spec.foil),
            f"another class than {model.classes[foil]!r}",
            "Name the class to compare with.",
        )
    if foil is not None and bool((chosen == foil).any()):
        raise Refusal(
            "target.foil",
            f"{model.classes[foil]!r}, which is the predicted class of {int((chosen == foil).sum())} cases",
            "a class other than the one explained",
            "Name the class to explain with `class:`, or leave `foil` out to compare with the best other class.",
        )
    names = tuple(model.classes[index] for index in chosen.tolist())
    return Target(spec.kind, model.task, chosen, names, foil)


def _freeze_regression(spec: TargetSpec, model: AuditedModel, scores: Tensor) -> Target:
    if spec.kind not in ("regression", "logit") or spec.class_ is not None:
        found = f"kind {spec.kind}" + (f" with class {spec.class_!r}" if spec.class_ is not None else "")
        raise Refusal("target", found, "kind regression for task regression", "Write {kind: regression, output: ...}.")
    names = model.outputs or tuple(f"output {index}" for index in range(scores.shape[1]))
    output = index_of(spec.output, names, "target.output")
    chosen = torch.full((len(scores),), output, dtype=torch.int64, device=scores.device)
    return Target("regression", "regression", chosen, (names[output],) * len(scores), None, spec.reference)


def _predicted(task: Task, scores: Tensor) -> Tensor:
    return (scores[:, 0] >= 0).long() if task == "binary_logit" else scores.argmax(1)


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
