"""Checks of explanations: probes ask the net once about the chosen cases, quality steps sum them up slice by slice."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.engines.recording import failed, result_of, without_answer
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Failure, Passes
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.measures.measured import Measured
from xai_audit.measures.quality import Check, flags, mean_curve, summary
from xai_audit.plan import Step
from xai_audit.plan.quality import BY_QUERIES, CONTROL

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

PROBES: dict[str, str] = {
    **dict.fromkeys(BY_QUERIES, "xai_audit.engines.query_probes:by_queries"),
    "max_sensitivity": "xai_audit.engines.reprobing:max_sensitivity",
    "parameter_randomisation": "xai_audit.engines.randomised_probes:parameter_randomisation",
    "stability": "xai_audit.engines.reprobing:stability",
}
"""Who carries out the probes of a measure: a function of the context and the steps of one unit that can be asked."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Probed:
    """What one probe found, case by case in the order of the chosen cases."""

    numbers: Array
    """(cases,), NaN where a case has none."""
    why: Sequence[str] = ()
    """(cases,): why a case has no number, in words that follow a count ("maps are zero everywhere"); else empty."""
    others: Mapping[str, Array] = field(default_factory=dict)
    """Further numbers a case, (cases,), by `name` or `name|label`: each becomes a Value of the slice."""
    compared: str = ""
    """Which of `others` is held against the controls; empty: the numbers themselves."""
    curves: Mapping[str, Array] = field(default_factory=dict)
    """(cases, points) each, by name: the slice keeps their mean over cases."""
    x: Array | None = None
    """(points,): where the curves' points lie."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every parameter used, with its value."""
    warnings: Sequence[str] = ()
    objections: Sequence[str] = ()
    """What is held against the measure itself, in words; printed beside it."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """Further JSON values that each slice's record repeats."""
    passes: Passes = NO_PASSES


Outcome = Probed | Refusal | StepError
"""What came of one probe."""


def probe_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """Results of the probes of one unit; one whose explanation is not there does not apply, and says why."""
    outcomes: dict[str, Outcome] = {}
    for step in unit:
        reason = _without_maps(context, step)
        if reason is not None:
            outcomes[step.id] = reason
    able = [step for step in unit if step.id not in outcomes]
    if able:
        outcomes |= _carrier(able[0].subject)(context, able)
    return [_recorded(context, step, outcomes[step.id]) for step in unit]


def _carrier(measure: str) -> Callable[[Context, Sequence[Step]], dict[str, Outcome]]:
    module, _, name = PROBES[measure].partition(":")
    function: Callable[[Context, Sequence[Step]], dict[str, Outcome]] = getattr(importlib.import_module(module), name)
    return function


def _without_maps(context: Context, step: Step) -> Refusal | None:
    """Why a probe has no maps to look at: its explanation failed or was refused."""
    for parent in (context.read(identifier).record for identifier in step.parents):
        if parent.status == "measured":
            continue
        message = parent.failure.message if parent.failure is not None else "no reason was recorded"
        state = "failed" if parent.status == "failed" else "was refused"
        found = f"no maps: {parent.subject} {state} ({message})"
        return Refusal(step.title, found, "measured maps", "See the explanation's own record.")
    return None


def _recorded(context: Context, step: Step, outcome: Outcome) -> StepResult:
    if not isinstance(outcome, Probed):
        if not isinstance(outcome, Refusal):
            context.report(step, outcome)
        return failed(step, outcome)
    why = list(outcome.why) or [""] * len(outcome.numbers)
    details = {
        "case_ids": checked_ids(context, step),
        "parameters": dict(outcome.parameters),
        "warnings": list(outcome.warnings),
        "objections": list(outcome.objections),
        "why": why,
        "compared": outcome.compared,
        "shown": dict(outcome.shown),
    }
    arrays = {step.subject: outcome.numbers}
    arrays |= {f"other:{name}": numbers for name, numbers in outcome.others.items()}
    arrays |= {f"curve:{name}": curve for name, curve in outcome.curves.items()}
    arrays |= {} if outcome.x is None else {"x": outcome.x}
    arrays = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    return result_of(step, details, arrays=arrays, passes=outcome.passes)


def checked_cases(context: Context, step: Step) -> list[dict[str, Any]]:
    """The chosen cases that a probe is about, the first ones, as the step `cases` has them."""
    chosen: list[dict[str, Any]] = context.parent(step, "cases").record.details["cases"]
    return chosen[: step.cases]


def checked_ids(context: Context, step: Step) -> list[str]:
    """Ids of the cases that a probe is about."""
    return [str(case["id"]) for case in checked_cases(context, step)]


def quality_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """What one check comes to on one slice, from its probe; of `agreement`, from the maps themselves."""
    (step,) = unit
    if step.subject == "agreement":
        from xai_audit.engines.agreeing import agreement_on

        result = agreement_on(context, step)
    else:
        result = _quality(context, step)
    context.progress.advance(max(step.cases, 1))
    return [result]


def _quality(context: Context, step: Step) -> StepResult:
    probe, *rivals = [kept for kept in map(context.read, step.parents) if kept.record.kind == "probe"]
    if probe.record.status != "measured":
        failure = probe.record.failure or Failure("StepError", "The probe gave no reason.")
        return without_answer(step, probe.record.status, failure)
    places, clusters = slice_places(context, step)
    controls = {_control(rival): _check(rival, places) for rival in rivals if rival.record.status == "measured"}
    rng = generator(context.spec.audit.seed, step.id)
    found = summary(_check(probe, places), controls, clusters, rng)
    kept = probe.record.details
    details = {
        **found.details,
        **kept["shown"],
        "parameters": kept["parameters"],
        "objections": kept["objections"],
        "warnings": [*kept["warnings"], *found.details["warnings"]],
        "controls": _controls(found, rivals),
    }
    arrays = {**found.arrays, **_curves(probe, places)}
    ids = [kept["case_ids"][place] for place in places]
    column = [None if np.isnan(number) else float(number) for number in probe.arrays[step.subject][places]]
    rows = Rows(tuple(ids), {f"{step.subject}:{step.method}": column})
    return result_of(step, details, values=found.values, arrays=arrays, rows=rows)


def slice_places(context: Context, step: Step) -> tuple[list[int], npt.NDArray[np.int64] | None]:
    """Places of the slice's cases among those checked, and their clusters."""
    cases = checked_cases(context, step)
    places = [place for place, case in enumerate(cases) if step.slice in case["slices"]]
    if context.dataset.clusters is None:
        return places, None
    indexes = [int(cases[place]["index"]) for place in places]
    return places, np.asarray(context.dataset.clusters)[indexes]


def _check(probe: StepResult, places: Sequence[int]) -> Check:
    name, details = probe.record.subject, probe.record.details
    entry = registry.measure(name)
    others = {
        key.removeprefix("other:"): array[places] for key, array in probe.arrays.items() if key.startswith("other:")
    }
    return Check(
        name=name,
        unit=entry.unit,
        higher_is_better=bool(entry.higher_is_better),
        numbers=probe.arrays[name][places],
        others=others,
        compared=details["compared"],
        why=[details["why"][place] for place in places],
    )


def _curves(probe: StepResult, places: Sequence[int]) -> dict[str, Array]:
    numbers = probe.arrays[probe.record.subject][places]
    curves = {
        key.removeprefix("curve:"): mean_curve(array[places], numbers)
        for key, array in probe.arrays.items()
        if key.startswith("curve:")
    }
    found = {name: curve for name, curve in curves.items() if len(curve)}
    return {**found, "x": probe.arrays["x"]} if found and "x" in probe.arrays else found


def _control(rival: StepResult) -> str:
    """Name of a control, without what tells two targets apart."""
    return str(rival.record.method).removeprefix(CONTROL).partition(":")[0]


def _controls(found: Measured, rivals: Sequence[StepResult]) -> dict[str, dict[str, Any]]:
    states = flags(found, [_control(rival) for rival in rivals])
    for rival in rivals:
        if rival.record.status != "measured" and rival.record.failure is not None:
            states[_control(rival)]["reason"] = rival.record.failure.message
    return states
