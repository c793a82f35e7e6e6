"""What a picture is to raise: a unit, a direction or a class; and how much of it pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xai_audit.concepts.before_relu import Reading
from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.batch_norm import sound_batch_norm
from xai_audit.model.targets import Target, index_of

GoalKind = Literal["unit", "direction", "class"]


@dataclass(frozen=True)
class Goal:
    """One thing to raise."""

    name: str
    kind: GoalKind
    subject: int | str
    """Number of the unit, name of the direction or of the class."""
    units: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    """Of a direction: one a unit; a unit is the direction with weight 1."""
    output: int = 0
    """Of a class: its place among the scores."""

    @property
    def is_class(self) -> bool:
        """Whether it is read off the scores, not off a layer."""
        return self.kind == "class"


def unit_goal(unit: int) -> Goal:
    """A unit of the layer."""
    return Goal(f"unit {unit}", "unit", unit, (unit,), (1.0,))


def class_goal(name: str, model: AuditedModel) -> Goal:
    """The score of a class, or an output of a regression. Raises Refusal where there is none."""
    if model.task == "detection":
        fix = "Raise units or directions of a layer instead."
        raise Refusal("classes", "a detector, whose boxes have scores but whose pictures have none", "classes", fix)
    names = model.classes
    if model.task == "regression":
        names = model.outputs or ("value",)
    return Goal(f"class {name}", "class", name, output=index_of(name, names, "classes"))


@dataclass(frozen=True, eq=False)
class Objective:
    """Reads goals off the net; `reading` says how the layer is read, None where no goal needs one."""

    model: AuditedModel
    reading: Reading | None
    neuron: Literal["channel", "centre"] = "channel"

    def of_each(self, pixels: Tensor, goals: Sequence[Goal]) -> Tensor:
        """What each picture shows of its own goal, (pictures,), part of the graph; all of a layer, or all classes.

        A unit's mean over all places, or its value in the middle; the score of a class, a mean over places where a
        score has places. Raises what the network raises, and lack of memory.
        """
        if goals[0].is_class:
            chosen = torch.tensor([goal.output for goal in goals], device=pixels.device)
            with sound_batch_norm(pixels):
                return _scores(self.model, self.model.raw_output(pixels), chosen)
        pooled = self._pooled(pixels)
        most = max(len(goal.units) for goal in goals)
        units = torch.tensor([goal.units + goal.units[:1] * (most - len(goal.units)) for goal in goals])
        weights = torch.tensor([goal.weights + (0.0,) * (most - len(goal.weights)) for goal in goals])
        return (pooled.gather(1, units.to(pooled.device)) * weights.to(pooled)).sum(1)

    def of_all(self, pixels: Tensor, goals: Sequence[Goal]) -> Tensor:
        """What each picture shows of every goal, (pictures, goals), from one forward."""
        reads_scores = any(goal.is_class for goal in goals)
        reading = self.reading if not all(goal.is_class for goal in goals) else None
        nothing: list[Tensor] = []
        watched: AbstractContextManager[list[Tensor]] = reading.watched(self.model) if reading else nullcontext(nothing)
        with sound_batch_norm(pixels), watched as kept:
            output = self.model.raw_output(pixels) if reads_scores else self.model.forward(pixels)
        pooled = self._mean(reading.values(kept)) if reading else pixels
        columns = []
        for goal in goals:
            if goal.is_class:
                chosen = torch.full((len(pixels),), goal.output, device=pixels.device)
                columns.append(_scores(self.model, output, chosen))
            else:
                weights = torch.tensor(goal.weights).to(pooled)
                columns.append((pooled[:, list(goal.units)] * weights).sum(1))
        return torch.stack(columns, 1)

    def _pooled(self, pixels: Tensor) -> Tensor:
        """(pictures, units); what the network makes of the layer has no graph."""
        assert self.reading is not None
        with sound_batch_norm(pixels), self.reading.watched(self.model, ends_graph=True) as kept:
            self.model.forward(pixels)
        return self._mean(self.reading.values(kept))

    def _mean(self, A: Tensor) -> Tensor:
        if self.neuron == "centre":
            return A[:, :, A.shape[2] // 2, A.shape[3] // 2]
        return A.mean((2, 3))


def _scores(model: AuditedModel, output: object, chosen: Tensor) -> Tensor:
    """The score of each picture's class, (pictures,): a logit, or what stands for it."""
    assert isinstance(output, Tensor)
    if model.task == "segmentation":
        return output[torch.arange(len(output), device=output.device), chosen].mean((1, 2))
    kind = "regression" if model.task == "regression" else "prob" if model.scores_are == "probability" else "logit"
    names = ("",) * len(chosen)
    return Target(kind, model.task, chosen, names, is_probability=model.scores_are == "probability").value(output)
