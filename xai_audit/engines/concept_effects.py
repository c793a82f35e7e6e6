"""Concept effects: the units that dissection found for a concept are silenced together, and each class asked what its
score loses, through the queue of questions that all perturbation methods share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xai_audit.engines.concept_effect_records import effect_result
from xai_audit.engines.recording import failed
from xai_audit.engines.silencing import Work, work_of
from xai_audit.errors import Refusal
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import as_failure
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import Questions, asking
from xai_audit.explain.queries import Answer, Shortcuts, ask
from xai_audit.explain.questions import Case, Question
from xai_audit.model.guard import left_as_found
from xai_audit.plan import Step
from xai_audit.spec.methods import TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


def effect_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The result of one step of concept effects. Raises Refusal where there was no dissection."""
    (step,) = unit
    work = work_of(context, step)
    if work.silencings:
        try:
            _ask(work)
        except Exception as error:  # evidence of a failure, with the passes that it took
            failure = as_failure(error, step.subject)
            if not isinstance(failure, Refusal):
                context.report(step, failure)
            return [failed(step, failure, work.passes)]
    return [effect_result(work)]


def _ask(work: Work) -> None:
    context, model = work.context, work.context.model
    assert model is not None
    tail = context.prepared().tails.get(work.layer.path)
    shortcuts = Shortcuts({} if tail is None else {work.layer.path: tail})
    askers = list(_askers(work))
    counter, seed = PassCounter(context.count), context.spec.audit.seed
    names = {asker.label: name for name, asker in askers}
    with left_as_found(model.module):
        pictures = _pictures(work)
        only = [asker for _, asker in askers]
        for answer in ask(model, pictures, only, FillSources(), seed, context.limits, counter, shortcuts):
            _take(work, names[answer.label], answer)


def _askers(work: Work) -> Iterator[tuple[str, Asker]]:
    """One for the class of each case's own label; one a label or an output where a case has several."""
    spec = work.context.spec
    assert spec.model is not None
    kind = "prob" if spec.model.scores_are == "probability" else "logit"
    if spec.task in ("single_label", "binary_logit"):
        probe = Probe(work.step.id, TargetSpec.model_validate({"kind": kind}))
        yield "", Asker(probe, asking(_of_own_cases(work, None)), work.layer)
        return
    for number, name in enumerate(work.cases):
        target = (
            {"kind": "regression", "output": number} if spec.task == "regression" else {"kind": kind, "class": name}
        )
        probe = Probe(f"{work.step.id}:{name}", TargetSpec.model_validate(target))
        yield name, Asker(probe, asking(_of_own_cases(work, name)), work.layer)


def _of_own_cases(work: Work, name: str | None) -> Questions:
    """The question, about cases that were chosen for a class; None: about every case."""
    ids = {work.context.dataset.ids[int(index)] for index in work.cases[name]} if name is not None else None

    def questions(case: Case) -> Sequence[Question]:
        return (work.question,) if ids is None or case.id in ids else ()

    return questions


def _pictures(work: Work) -> Iterator[Picture]:
    context = work.context
    has_one_class = context.spec.task in ("single_label", "binary_logit")
    wanted = sorted({int(index) for indexes in work.cases.values() for index in indexes})
    for indexes, pixels in context.pixels(wanted):
        for index, one in zip(indexes, pixels, strict=True):
            chosen = int(context.dataset.labels[index]) if has_one_class else None
            yield Picture(context.dataset.ids[int(index)], one, chosen)


def _take(work: Work, name: str, answer: Answer) -> None:
    work.passes += answer.passes
    if isinstance(answer.outcome, Exception):
        raise answer.outcome
    rows = np.asarray(answer.outcome.raw[0], np.float64)
    if len(rows):
        score = np.asarray(answer.outcome.extras["value"], np.float64)
        work.values[name or answer.name, answer.id] = np.concatenate([score, rows])
