"""The step of a challenger: its answers are read once, and set beside the model's on every slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.challengers import challenger_answers, challenger_scores
from xai_audit.engines.recording import result_of
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.measures.challenger import Rival, challenger, majority
from xai_audit.measures.measured import Options
from xai_audit.measures.operating_point import operating_point
from xai_audit.measures.predictions import OneAgainstRest, Predictions
from xai_audit.plan import Step
from xai_audit.plan.sectors import challenger_of

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def challenger_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The comparison on each slice of a unit, whose steps have one challenger."""
    from xai_audit.engines.steps import predictions_of

    whole = predictions_of(context, context.parent(unit[0], "predictions"))
    positive = unit[0].parameters.get("positive")
    rival = _rival(context, unit[0], whole, positive)
    results = []
    for step in unit:
        members = np.asarray(context.slices[str(step.slice)])
        rng = generator(context.spec.audit.seed, step.id)
        found = challenger(whole.of(members), _of(rival, members), positive, rng)
        context.progress.advance(step.cases)
        named = tuple(replace(value, label=str(step.method)) for value in found.values)
        results.append(result_of(step, found.details, values=named, arrays=found.arrays))
    return results


def operating_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Calls at the declared operating point, on each slice of a unit."""
    from xai_audit.engines.steps import predictions_of

    results = []
    for step in unit:
        part = predictions_of(context, context.parent(step, "predictions")).of(context.slices[str(step.slice)])
        options = Options(positive=step.parameters["positive"], threshold=step.parameters["threshold"])
        rng = generator(context.spec.audit.seed, step.id)
        found = operating_point(part, options, step.parameters["prevalences"], rng)
        context.progress.advance(step.cases)
        results.append(result_of(step, found.details, values=found.values, arrays=found.arrays))
    return results


def _rival(context: Context, step: Step, whole: Predictions, positive: str | None) -> Rival:
    against = challenger_of(step.parameters)
    if against.rule is not None:
        return Rival(majority(whole), origin="majority")
    if against.score is not None:
        scores = challenger_scores(against, context.dataset, context.spec_folder)
        index = whole.index_of(positive) if positive else 1
        called = scores >= against.threshold
        answers = np.where(called, index, 1 - index).astype(np.int64)
        question = OneAgainstRest(whole.classes[index], whole.labels == index, called, scores)
        return Rival(answers, question, "table" if against.table else "column")
    classes: Sequence[str] = () if whole.task == "regression" else whole.classes
    found = challenger_answers(against, context.dataset, classes, context.spec_folder)
    return Rival(found, origin="table" if against.table else "column")


def _of(rival: Rival, members: NDArray[np.int64]) -> Rival:
    """The challenger on some of the cases."""
    asked = rival.question
    if asked is not None:
        probability = None if asked.probability is None else asked.probability[members]
        asked = OneAgainstRest(asked.label, asked.truth[members], asked.called[members], probability)
    return Rival(rival.answers[members], asked, rival.origin)
