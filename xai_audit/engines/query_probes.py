"""Probes that ask the net about perturbed cases: every measure, method and control through one queue (METHODS 8.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xai_audit import registry
from xai_audit.engines.filling import fill_sources
from xai_audit.engines.noise import noise_unit
from xai_audit.engines.probed_maps import ControlMaps, KeptMaps, ProbedMaps
from xai_audit.engines.probing import Outcome, checked_cases, checked_ids
from xai_audit.engines.promised import promised
from xai_audit.engines.query_checks import (
    NOTHING,
    Check,
    CompletenessCheck,
    CurveCheck,
    Found,
    InfidelityCheck,
    RoadCheck,
)
from xai_audit.errors import DataError, Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import as_failure
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import Questions, asking
from xai_audit.explain.queries import Answer, ask
from xai_audit.explain.questions import Case, Question
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer
from xai_audit.plan import Step
from xai_audit.plan.quality import CONTROL, CURVES, FRACTIONS, SAMPLES, SIGMA, curve_steps, default_fill, use_of
from xai_audit.spec.methods import Method, TargetSpec
from xai_audit.spec.schema import ModelInput

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context


@dataclass(eq=False)
class _Job:
    """One probe and what came of it so far."""

    step: Step
    check: Check | None = None
    explained: dict[str, str] | None = None
    """Name that the explanation gave of each case's target; None for a control."""
    failure: Exception | None = None
    passes: Passes = NO_PASSES


def by_queries(context: Context, steps: Sequence[Step]) -> dict[str, Outcome]:
    """What came of each probe, by step id. Each fails alone; where the network fails, all of them do.

    Raises DataError where a case cannot be read.
    """
    kept: dict[str, StepResult] = {}
    jobs = [_job(context, step, kept) for step in steps]
    checks = [job.check for job in jobs if job.check is not None]
    sources = fill_sources(context, [baseline for check in checks for baseline in check.baselines])
    if checks:
        _ask(context, [job for job in jobs if job.check is not None], sources)
    return {job.step.id: _outcome(job, sources) for job in jobs}


def _ask(context: Context, jobs: Sequence[_Job], sources: FillSources) -> None:
    model = context.model
    assert model is not None
    askers = [_asker(job) for job in jobs]
    by_id = {job.step.id: job for job in jobs}
    pictures = _pictures(context, max(jobs, key=lambda job: job.step.cases).step)
    counter, seed = PassCounter(context.count), context.spec.audit.seed
    with left_as_found(model.module):
        try:
            for answer in ask(model, pictures, askers, sources, seed, context.limits, counter):
                _take(by_id[answer.label], answer)
        except DataError:
            raise
        except Exception as error:  # the network itself failed: no probe has an answer
            for job in jobs:
                job.failure = job.failure or error


def _pictures(context: Context, step: Step) -> Iterator[Picture]:
    for indexes, pixels in context.pixels([int(case["index"]) for case in checked_cases(context, step)]):
        for index, one in zip(indexes, pixels, strict=True):
            yield Picture(context.dataset.ids[int(index)], one)


def _asker(job: _Job) -> Asker:
    check, target = job.check, TargetSpec.model_validate(job.step.parameters["target"])
    assert check is not None
    return Asker(Probe(job.step.id, target), asking(_of_own_cases(check)))


def _of_own_cases(check: Check) -> Questions:
    def questions(case: Case) -> Sequence[Question]:
        return check.questions(case) if check.found.has(case.id) else ()

    return questions


def _take(job: _Job, answer: Answer) -> None:
    """Take one case's answer; the first failure ends the probe."""
    job.passes += answer.passes
    if job.failure is not None or job.check is None:
        return
    if isinstance(answer.outcome, Exception):
        job.failure = answer.outcome
        return
    if not job.check.found.has(answer.id):
        return
    told = job.explained.get(answer.id, answer.name) if job.explained is not None else answer.name
    if told != answer.name:
        found = f"target {answer.name!r} of case {answer.id}, explained as {told!r}"
        job.failure = StepError(job.step.title, found, "the same target", "Run the explanation again.")
        return
    values = np.asarray(answer.outcome.raw[0], np.float64)
    if answer.is_empty:
        job.check.found.leave_out(answer.id, NOTHING)
    elif len(values):
        job.check.take(answer.id, float(answer.outcome.extras["value"][0]), values)


def _outcome(job: _Job, sources: FillSources) -> Outcome:
    if job.failure is not None or job.check is None:
        failure = job.failure or StepError(job.step.title, "no answer", "an answer", "Report this as a fault.")
        return as_failure(failure, job.step.title)
    return job.check.probed(sources, job.passes)


def _job(context: Context, step: Step, kept: dict[str, StepResult]) -> _Job:
    """The probe with its maps; one that does not apply has its refusal already."""
    job = _Job(step)
    try:
        job.check = _check(context, step, job, kept)
    except Exception as error:  # evidence of a failure of this probe; the others go on
        job.failure = error
    return job


def _check(context: Context, step: Step, job: _Job, kept: dict[str, StepResult]) -> Check:
    found, seed = Found(checked_ids(context, step)), context.spec.audit.seed
    use = use_of(step)
    label = str(step.method)
    maps = _maps(context, step, job, kept)
    assert context.spec.model is not None
    if step.subject == "completeness":
        assert isinstance(maps, KeptMaps)
        layer = context.prepared().layers.get(label)
        layer = layer if isinstance(layer, SpatialLayer) else None
        return CompletenessCheck(found, maps, promised(context, maps.method, layer), layer)
    if step.subject in CURVES:
        size = context.spec.model.input.size
        baseline = use.baseline or default_fill(step.subject, context.spec.model.input)
        steps = curve_steps(use.steps, context.spec.model.input)
        return CurveCheck(found, maps, step.subject, label, steps, baseline, seed, size[0] * size[1])
    if step.subject == "road":
        level = 0.5 if step.parameters["target"]["kind"] == "prob" else 0.0
        return RoadCheck(found, maps, label, use.fractions or FRACTIONS, seed, _scales(context, step), level)
    spread = noise_unit(context)
    return InfidelityCheck(found, maps, use.samples or SAMPLES, use.sigma or SIGMA, spread, seed)


def _maps(context: Context, step: Step, job: _Job, kept: dict[str, StepResult]) -> ProbedMaps:
    label = str(step.method)
    if label.startswith(CONTROL):
        return ControlMaps(label.removeprefix(CONTROL).partition(":")[0], context.spec.audit.seed)
    if label not in kept:
        kept[label] = context.parent(step, "explanation")
    method: Method = next(method for method in context.spec.methods if method.label == label)
    record = kept[label].record
    names = record.details["explained"]
    if names and registry.method(method.use).uses_target:
        job.explained = dict(zip(record.details["case_ids"], names, strict=True))
    return KeptMaps(method, kept[label], context.is_table)


def _scales(context: Context, step: Step) -> tuple[float, ...]:
    """What each channel is divided by. Raises Refusal where the answers are no classes of a whole image."""
    model = context.spec.model
    assert model is not None
    if context.is_table or not isinstance(model.input, ModelInput):
        raise Refusal(step.title, "rows of a table", "images: features have no neighbours", "Take deletion.")
    if model.task not in ("single_label", "binary_logit", "multi_label"):
        raise Refusal(step.title, f"task {model.task}", "a class of the whole image", "Take deletion.")
    return model.input.std or (1.0,) * model.input.channels
