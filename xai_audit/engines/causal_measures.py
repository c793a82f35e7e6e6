"""Variables measured on pictures: by a function of picture and masks, or by how strongly a concept shows in the net."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.sample import Sample
from xai_audit.concepts.scores import KINDS, concept_scores
from xai_audit.errors import AuditError, StepError
from xai_audit.evidence.store import Rows
from xai_audit.model.factory import code_error, find_factory
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal, FromMeasure, Level

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
Masks = dict[str, NDArray[np.bool_]]
Measure = Callable[[Floats, Masks], Level]
PREFIX = "measured:"
"""Begins the name of a column of measured values in the rows of the graph's step."""


def measured(context: Context, step: Step, name: str, source: FromMeasure) -> NDArray[Any]:
    """A measured variable of all readable cases, (cases,); None where it has no value.

    What the graph's step has measured is read there. Raises StepError where the function fails or gives no number.
    """
    if source.measure == "concept":
        return _concept(context, step, name, source)
    kept = next((one for one in map(context.read, step.parents) if one.record.kind == "causal_graph"), None)
    if kept is not None and PREFIX + name in kept.rows.columns:
        found = dict(zip(kept.rows.ids, kept.rows.columns[PREFIX + name], strict=True))
        return np.asarray([found.get(case) for case in context.dataset.ids], object)
    function = measure_of(context, name, source)
    return np.asarray([function(*seen(context, index)) for index in range(len(context.dataset.ids))], object)


def measured_rows(context: Context, causal: Causal, sample: Sample | None) -> Rows:
    """The measured variables of a sample, for the rows of the graph's step."""
    names = [name for name, one in causal.variables.items() if is_function(one.source)]
    if sample is None or not names:
        return Rows()
    columns = {PREFIX + name: [_cell(sample, name, place) for place in range(sample.n)] for name in names}
    return Rows(tuple(context.dataset.ids[int(row)] for row in sample.rows), columns)


def is_function(source: object) -> bool:
    """Whether a source is a measure that can be taken of any picture."""
    return isinstance(source, FromMeasure) and source.measure != "concept"


def measures_of(context: Context, causal: Causal) -> dict[str, Measure]:
    """The function of each variable that can be measured again on a changed picture."""
    return {
        name: measure_of(context, name, one.source)
        for name, one in causal.variables.items()
        if isinstance(one.source, FromMeasure) and one.source.measure != "concept"
    }


def measure_of(context: Context, name: str, source: FromMeasure) -> Measure:
    """The user's function, with what it gives checked. Raises ModelError where there is none."""
    where = f"causal.variables.{name}.source.measure"
    function = find_factory(source.measure, context.spec_folder, where)

    def measure(image: Floats, masks: Masks) -> Level:
        try:
            given = function(image.copy(), {key: mask.copy() for key, mask in masks.items()})
        except AuditError:
            raise
        except (Exception, SystemExit) as error:
            raise code_error(error, where, f"{source.measure} failed", context.spec_folder) from error
        return _number(given, where)

    return measure


def seen(context: Context, index: int) -> tuple[Floats, Masks]:
    """A case as the model sees it: picture (H, W, C) in [0, 1] in float64, and every declared mask (H, W)."""
    image = np.moveaxis(context.case(index), 0, 2).astype(np.float64)
    masks = {name: context.dataset.seen_mask(index, name, context.input) for name in context.dataset.concepts}
    return image, masks


def _cell(sample: Sample, name: str, place: int) -> Level:
    cell = sample.columns[name][place]
    return sample.levels[name][int(cell)] if name in sample.levels else float(cell)


def _number(given: object, where: str) -> Level:
    """What a measure gave, as a level or a number; None for NaN, which is a missing value."""
    plain = given.item() if isinstance(given, np.generic | np.ndarray) and np.ndim(given) == 0 else given
    if isinstance(plain, str | bool | int):
        return plain
    if isinstance(plain, float) and not math.isinf(plain):
        return None if math.isnan(plain) else plain  # type: ignore[return-value]
    found = "an infinite number" if isinstance(plain, float) else f"a {type(given).__name__}"
    raise StepError(where, found, "one number or the name of a level", "Correct the measure.")


def _concept(context: Context, step: Step, name: str, source: FromMeasure) -> NDArray[Any]:
    """How strongly the concept shows in each case; None in a case that its method did not read."""
    where = f"causal.variables.{name}.source"
    steps = map(context.read, step.parents)
    found = [one for one in steps if one.record.kind in KINDS and one.record.subject == source.method]
    if not found or source.concept is None:
        expected = "the name of a network_dissection or tcav of the audit, and a concept of it"
        raise StepError(where, f"method {source.method}, which has no step", expected, "Name both.")
    read = set(found[0].rows.ids)
    ids = [case for case in context.dataset.ids if case in read]
    scores: Mapping[str, float] = dict(
        zip(ids, concept_scores(found[0], source.concept, ids, where).tolist(), strict=True)
    )
    return np.asarray([scores.get(case) for case in context.dataset.ids], object)
