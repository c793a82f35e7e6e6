"""The model's score on changed pictures, through the queue of questions that all perturbation methods share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.openings import Asker, Picture, Probe
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.probes import asking
from xai_audit.explain.queries import ask
from xai_audit.explain.questions import Case, Images, Question
from xai_audit.model.guard import left_as_found
from xai_audit.spec.causal import FromModel
from xai_audit.spec.methods import TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
Planes = NDArray[np.float32]
Pictures = tuple[int, Sequence[Floats]]
"""A case's number in the data set, and its changed pictures (H, W, C) in [0, 1]."""


def target_of(context: Context, source: FromModel) -> TargetSpec:
    """The number of the model's output that a model_output variable stands for. Raises Refusal for boxes and places."""
    model = context.model
    assert model is not None
    if model.task in ("segmentation", "detection"):
        found = f"task {model.task}, whose score is of a region that the picture itself decides"
        raise Refusal("causal.queries", found, "a score of the whole picture", "Audit it as a classifier.")
    if model.task == "regression":
        return TargetSpec.model_validate({"kind": "regression", "output": source.model.class_ or 0})
    is_probability = source.model.output == "probability" or model.scores_are == "probability"
    chosen = source.model.class_ if source.model.class_ is not None else model.classes[-1]
    return TargetSpec.model_validate({"kind": "prob" if is_probability else "logit", "class": chosen})


def class_targets(context: Context) -> list[TargetSpec]:
    """One target a class, whose largest is the answer; none where a case has several labels or a number."""
    model = context.model
    assert model is not None
    if model.task not in ("single_label", "binary_logit") or context.dataset.labels.ndim != 1:
        return []
    return [TargetSpec.model_validate({"kind": "prob", "class": name}) for name in model.classes]


def scores_of(
    context: Context, label: str, targets: Sequence[TargetSpec], cases: Iterable[Pictures]
) -> Iterator[tuple[int, Floats, Passes]]:
    """(case, scores (targets, pictures), passes) of each case in order; equal pictures of a case are asked about once.

    The first picture of a case opens it, so that a case costs as many forwards as it has different pictures. Cases are
    taken from the iterable as there is room. Raises what the network raises.
    """
    model = context.model
    assert model is not None
    waiting: dict[str, tuple[int, list[Planes], list[int]]] = {}

    def pictures() -> Iterator[Picture]:
        for index, given in cases:
            case = str(index)
            distinct, places = _distinct(given)
            waiting[case] = (index, distinct, places)
            yield Picture(case, distinct[0], None)

    def questions(case: Case) -> Sequence[Question]:
        others = waiting[case.id][1][1:]
        return (Images(np.stack(others)),) if others else ()

    askers = [Asker(Probe(f"{label}:{number}", target), asking(questions)) for number, target in enumerate(targets)]
    counter = PassCounter(context.count)
    found: dict[str, list[Floats]] = {}
    passes: dict[str, Passes] = {}
    with left_as_found(model.module):
        for answer in ask(model, pictures(), askers, FillSources(), context.spec.audit.seed, context.limits, counter):
            if isinstance(answer.outcome, Exception):
                raise answer.outcome
            value = np.asarray(answer.outcome.extras["value"], np.float64)
            found.setdefault(answer.id, []).append(np.concatenate([value, np.asarray(answer.outcome.raw[0])]))
            passes[answer.id] = passes.get(answer.id, NO_PASSES) + answer.passes
            if len(found[answer.id]) == len(askers):
                index, _, places = waiting.pop(answer.id)
                yield index, np.stack(found.pop(answer.id))[:, places], passes.pop(answer.id)


def _distinct(pictures: Sequence[Floats]) -> tuple[list[Planes], list[int]]:
    """Different pictures as the net takes them, (C, H, W) in float32, and which of them each is."""
    known: dict[bytes, int] = {}
    distinct: list[Planes] = []
    places: list[int] = []
    for picture in pictures:
        plane = np.ascontiguousarray(np.moveaxis(picture, 2, 0), np.float32)
        key = plane.tobytes()
        if key not in known:
            known[key] = len(distinct)
            distinct.append(plane)
        places.append(known[key])
    return distinct, places
