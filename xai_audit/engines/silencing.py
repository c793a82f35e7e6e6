"""Which units are silenced together for each concept, beside which random sets, in which cases, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.errors import Refusal
from xai_audit.evidence.records import Passes
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.questions import Silenced
from xai_audit.measures.concept_effects import MOST_CASES, control_sets
from xai_audit.model.layers import SpatialLayer
from xai_audit.plan import Step
from xai_audit.spec.concepts import score_names

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Silencing:
    """One concept, its units, and the random sets of others beside them."""

    concept: str
    spurious: bool
    units: Integers
    controls: Integers
    """(sets, units)"""
    are_all: bool
    """Whether these are all the sets that there are."""
    first: int = 0
    """The row of its units in the question; those of its controls follow."""

    @property
    def rows(self) -> list[Integers]:
        """The sets of units, one a row."""
        return [self.units, *self.controls]


@dataclass(eq=False)
class Work:
    """What is asked, and what came of it so far."""

    context: Context
    step: Step
    layer: SpatialLayer
    silencings: list[Silencing]
    question: Silenced
    cases: dict[str, Integers]
    """Class, label or output: the cases that are asked about it, in the order of the data."""
    values: dict[tuple[str, str], Numbers] = field(default_factory=dict)
    """By class and case: the score, then that of every row of the question."""
    passes: Passes = field(default_factory=Passes)


def work_of(context: Context, step: Step) -> Work:
    """What a step asks. Raises Refusal where there was no dissection."""
    kept, layer = context.parent(step, "dissection"), context.prepared().layers.get(step.subject)
    if kept.record.status != "measured" or not isinstance(layer, SpatialLayer):
        found, fix = f"{step.subject}, which gave no answer", "See why the dissection gave none."
        raise Refusal(f"methods.{step.subject}", found, "units of concepts", fix)
    silencings = _silencings(context, step, kept.record.details)
    sets = np.zeros((sum(len(one.rows) for one in silencings), layer.channels), np.bool_)
    for row, units in enumerate(units for one in silencings for units in one.rows):
        sets[row, units] = True
    return Work(context, step, layer, silencings, Silenced(layer, sets, _levels(kept)), _cases(context, step))


def is_rectified(kept: StepResult) -> bool:
    """Whether no unit of the dissected layer is ever below 0 on the slice."""
    return bool((kept.arrays["unit_minima"] >= 0).all())


def _levels(kept: StepResult) -> Numbers:
    """What a silent unit gives: 0 in a rectified layer, where that is not to answer; else the unit's mean, since 0 is
    then a value like any other."""
    means = np.asarray(kept.arrays["unit_means"], np.float64)
    return np.zeros_like(means) if is_rectified(kept) else means


def _silencings(context: Context, step: Step, details: Mapping[str, Any]) -> list[Silencing]:
    """Each concept that has a detector, in the order of the dissection. Controls are units that answer at all."""
    made: list[Silencing] = []
    first = 0
    for concept in details["concepts"]:
        units = _detectors(details, concept["name"])
        if len(units):
            others = [u["unit"] for u in details["units"] if u["state"] == "scored" and u["unit"] not in units]
            rng = generator(context.spec.audit.seed, f"{step.id}:controls:{concept['name']}")
            controls, are_all = control_sets(np.asarray(others, np.int64), len(units), rng)
            made.append(Silencing(concept["name"], bool(concept["spurious"]), units, controls, are_all, first))
            first += len(made[-1].rows)
    return made


def _detectors(details: Mapping[str, Any], concept: str) -> Integers:
    found = [unit["unit"] for unit in details["units"] if unit["is_detector"] and unit["concept"] == concept]
    return np.asarray(sorted(found), np.int64)


def _cases(context: Context, step: Step) -> dict[str, Integers]:
    """Cases of each class in the slice: all of them, or a seeded sample; each output of a regression has them all."""
    inside, labels = context.slices[str(step.slice)], context.dataset.labels
    found: dict[str, Integers] = {}
    for number, name in enumerate(score_names(context.spec)):
        if context.spec.task == "regression":
            of_class = inside
        else:
            of_class = inside[labels[inside] == number] if labels.ndim == 1 else inside[labels[inside, number] == 1]
        if len(of_class) > MOST_CASES:
            rng = generator(context.spec.audit.seed, f"{step.id}:cases:{name}")
            of_class = rng.choice(of_class, MOST_CASES, replace=False)
        found[name] = np.sort(of_class)
    return found
