"""The step of activation_maximisation: its goals, the slice's best real pictures, the pictures made, its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xai_audit.concepts.before_relu import Reading
from xai_audit.concepts.goals import Goal, Objective, class_goal, unit_goal
from xai_audit.concepts.maximisation import Maximised, maximise
from xai_audit.concepts.pictures import Spectrum
from xai_audit.concepts.transforms import GREY, Changes
from xai_audit.concepts.unseen import LEAST_KEPT, UNSEEN
from xai_audit.engines.best_real import TOP, BestReal, best_real
from xai_audit.engines.kept_pictures import kept_pictures
from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.store import StepResult
from xai_audit.explain.explained import as_failure
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import PassCounter
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer
from xai_audit.plan import Step
from xai_audit.spec.methods import ActivationMaximisation, ConceptDirection, UnitDirection

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

COPIES, NUMBER_BYTES = 16, 4
"""Tensors of a picture's size that are held beside its pass: numbers, gradient, moments, resampling."""


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a method is to raise, and how the net is asked."""

    goals: tuple[Goal, ...]
    objective: Objective
    left_out: tuple[str, ...] = ()
    """Why a direction could not be followed, in words."""


def maximisation_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Pictures for all goals of one method, each beside the slice's best real ones."""
    (step,) = unit
    counter = PassCounter(context.count)
    try:
        return [_made(context, step, counter)]
    except Exception as error:
        failure = as_failure(error, step.subject)
        if not isinstance(failure, Refusal):
            context.report(step, error)
        return [failed(step, failure, counter.made)]


def _made(context: Context, step: Step, counter: PassCounter) -> StepResult:
    method = next(m for m in context.spec.methods if m.label == step.subject)
    model, cases = context.model, context.slices[str(step.slice)]
    assert isinstance(method, ActivationMaximisation) and model is not None
    if not len(cases):
        raise Refusal(f"methods.{method.label}.slice", "no case", "at least one", "Name another slice.")
    wanted = _wanted(context, step, method)
    spectrum = Spectrum((model.input.channels, *model.input.size)) if method.parametrisation == "maco" else None
    best = best_real(context, wanted.objective, wanted.goals, cases, counter, spectrum)
    magnitude = None if spectrum is None else spectrum.magnitude()
    made = maximise(
        model,
        wanted.goals,
        method,
        wanted.objective.reading,
        seed=context.spec.audit.seed,
        magnitude=magnitude,
        rows=_rows(context),
        count=counter.add,
    )
    details, arrays = _record(context, method, wanted, best, made, magnitude)
    return result_of(step, details, arrays=arrays, passes=counter.made)


def _rows(context: Context) -> int:
    """Pictures a pass: on a CPU one, whose last bits then hang on no other; batches are no faster there at 224 pixels.

    On a GPU as many as fit.
    """
    model = context.model
    assert model is not None
    if model.device.type == "cpu":
        return 1
    beside = COPIES * NUMBER_BYTES * model.input.channels * model.input.size[0] * model.input.size[1]
    with left_as_found(model.module):
        return rows_that_fit(model, context.limits, gradient=True, beside=beside)


def _wanted(context: Context, step: Step, method: ActivationMaximisation) -> _Wanted:
    """Units, then directions, then classes. Raises Refusal where one of them does not exist, or none is left."""
    model = context.model
    assert model is not None
    goals: list[Goal] = []
    left_out: list[str] = []
    reading = None
    layer = context.prepared().layers.get(method.label)
    if isinstance(layer, Refusal):
        raise layer
    if method.units is not None or method.directions is not None:
        assert layer is not None
        reading = Reading.of(model, layer)
        goals += [unit_goal(unit) for unit in method.units or ()]
        for direction in method.directions or ():
            goal = _direction(context, step, direction, layer)
            (goals if isinstance(goal, Goal) else left_out).append(goal)  # type: ignore[arg-type]
        _check_units(method, goals, layer)
    goals += [class_goal(name, model) for name in method.classes or ()]
    if not goals:
        raise Refusal(f"methods.{method.label}", "; ".join(left_out), "at least one thing to raise", "Name another.")
    return _Wanted(tuple(goals), Objective(model, reading, method.neuron), tuple(left_out))


def _check_units(method: ActivationMaximisation, goals: Sequence[Goal], layer: SpatialLayer) -> None:
    wrong = [unit for goal in goals for unit in goal.units if unit >= layer.channels]
    if wrong:
        expected = f"0 to {layer.channels - 1}, the units of layer {layer.path!r}"
        raise Refusal(f"methods.{method.label}", f"unit {wrong[0]}", expected, "Correct the number.")


def _direction(
    context: Context, step: Step, direction: UnitDirection | ConceptDirection, layer: SpatialLayer
) -> Goal | str:
    """The goal of a direction, or why a tcav has none for it. Raises Refusal where the tcav is of another layer."""
    if isinstance(direction, UnitDirection):
        return Goal(direction.name, "direction", direction.name, direction.units, direction.weights)
    where, concept = f"methods.{step.subject}.directions", direction.concept
    theirs = context.prepared().layers.get(direction.method)
    if isinstance(theirs, SpatialLayer) and (theirs.path, theirs.layout) != (layer.path, layer.layout):
        fix = "Name the same layer in both methods."
        raise Refusal(where, f"{direction.method}, which reads layer {theirs.path!r}", f"layer {layer.path!r}", fix)
    records = (context.read(parent) for parent in step.parents)
    found = next(kept for kept in records if kept.record.kind == "tcav" and kept.record.subject == direction.method)
    if found.record.status != "measured":
        return f"concept {concept}: {direction.method} was not run"
    names = [entry["name"] for entry in found.record.details["concepts"]]
    vectors = found.arrays["vectors"]
    if concept not in names or vectors.shape[1] != layer.channels:
        what = f"no vector of {layer.channels} units for {concept!r}"
        raise Refusal(where, what, f"one of the concepts of {direction.method}, with `pool: mean`", "Correct it.")
    vector = vectors[names.index(concept)]
    if not vector.any():
        return f"concept {concept}: {direction.method} found no vector, since it is not linearly present"
    weights = tuple(float(weight) for weight in vector)
    return Goal(f"concept {concept}", "direction", concept, tuple(range(layer.channels)), weights)


def _record(
    context: Context,
    method: ActivationMaximisation,
    wanted: _Wanted,
    best: BestReal,
    made: Sequence[Maximised],
    magnitude: Tensor | None,
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    reading = wanted.objective.reading
    pictures = [_picture(context, reading, *entry) for entry in zip(made, best.cases, best.values, strict=True)]
    ids, shown = kept_pictures(context, best.cases[:, 0])
    details: dict[str, Any] = {
        "use": method.use,
        "parameters": _parameters(context, method, wanted),
        "pictures": pictures,
        "best_real_pictures": ids,
        "left_out": list(wanted.left_out),
        "warnings": [*wanted.left_out, *(text for entry in pictures for text in _warnings(entry))],
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "images": np.stack([one.pixels for one in made]),
        "curve": np.stack([one.curve for one in made]),
        "transformed": np.stack([one.transformed for one in made]),
        "real_values": best.values,
        "pictures": shown,
    }
    if magnitude is not None:
        arrays["spectrum"] = magnitude.abs().numpy()
    return details, arrays


def _picture(
    context: Context,
    reading: Reading | None,
    made: Maximised,
    cases: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> dict[str, Any]:
    goal = made.goal
    real: list[dict[str, Any]] = [
        {"case": context.dataset.ids[int(c)], "value": float(v)} for c, v in zip(cases, values, strict=True)
    ]
    return {
        "name": goal.name,
        "kind": goal.kind,
        goal.kind: goal.subject,
        "start": float(made.curve[0]),
        "objective": made.objective,
        "is_moved": made.is_moved,
        "best_real": real[0],
        "real": real,
        "beats_real": made.objective > real[0]["value"],
        "transformed": {
            "mean": float(made.transformed.mean()),
            "smallest": float(made.transformed.min()),
            "share_kept": made.share_kept,
            "count": UNSEEN,
        },
        "reading": "as given" if goal.is_class or reading is None else reading.how,
    }


def _warnings(entry: dict[str, Any]) -> list[str]:
    """What a reader must know of a picture before it is believed."""
    name, kept = entry["name"], entry["transformed"]["share_kept"]
    if not entry["is_moved"]:
        return [f"{name}: no gradient reaches the picture, which is as it began."]
    found = []
    if not entry["beats_real"]:
        real = entry["best_real"]["value"]
        found.append(f"{name}: the picture reaches {entry['objective']:.4g}, the best real case {real:.4g}.")
    if kept is None:
        found.append(f"{name}: the finished picture shows no more than the one it began from.")
    elif kept < LEAST_KEPT:
        found.append(
            f"{name}: under unseen changes {max(kept, 0):.0%} of the rise is left, less than {LEAST_KEPT:.0%}."
        )
    return found


def _parameters(context: Context, method: ActivationMaximisation, wanted: _Wanted) -> dict[str, Any]:
    """Every setting with the value that was used."""
    model, reading = wanted.objective.model, wanted.objective.reading
    layer = None if reading is None else reading.layer
    layout = None if layer is None else layer.layout
    is_decorrelated = _is_decorrelated(method, model.input.channels)
    return {
        "layer": None if layer is None else layer.path,
        "layout": layout if isinstance(layout, str | None) else layout.model_dump(),
        "reading": None if reading is None else reading.how,
        "neuron": method.neuron,
        "parametrisation": method.parametrisation,
        "colours": "decorrelated" if is_decorrelated else "each channel for itself",
        "steps": method.steps,
        "learning_rate": method.learning_rate,
        "decay": method.decay if method.parametrisation == "fourier" else None,
        "grey": GREY,
        "transforms": Changes.of(model.input.size, method.transforms).record(),
        "unseen_transforms": Changes.of(model.input.size).record(),
        "l2": method.l2,
        "tv": method.tv,
        "top": TOP,
        "seed": context.spec.audit.seed,
    }


def _is_decorrelated(method: ActivationMaximisation, channels: int) -> bool:
    """Whether the picture's channels are mixed as the colours of natural pictures are."""
    return method.parametrisation != "pixel" and channels == 3
