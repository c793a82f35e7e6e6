"""Checks that run methods again: on noisy cases, and with other seeds (METHODS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xai_audit.engines.noise import noise_unit
from xai_audit.engines.probing import Outcome, Probed
from xai_audit.engines.rerunning import Checked, Group, by_group
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.seeds import derived_seed, generator
from xai_audit.explain.explained import Explained
from xai_audit.measures import randomisation as measure
from xai_audit.measures.sensitivity import NO_SIZE, Sensitivity, sensitivity, uniform_noise
from xai_audit.measures.stability import (
    CONSTANT,
    coefficients_stability,
    mean_pairwise_rank_correlation,
    variables_stability,
)
from xai_audit.plan import Step
from xai_audit.plan.requality import RADIUS, SEEDS, has_chance, perturbations

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Array = npt.NDArray[np.float64]
LOWER_BOUND = "The largest change over {samples} perturbations is a lower bound of the largest one that there is."
DETERMINISTIC = "The method is deterministic: over seeds its maps are the same by construction."


def max_sensitivity(context: Context, steps: Sequence[Step]) -> dict[str, Outcome]:
    """What came of each probe by step id: the largest change of a map under small noise, class and seed the same."""
    return by_group(context, steps, _sensitive)


def stability(context: Context, steps: Sequence[Step]) -> dict[str, Outcome]:
    """What came of each probe by step id: likeness of maps over seeds, and their change under small noise."""
    return by_group(context, steps, _stable)


def _sensitive(group: Group) -> dict[str, Outcome]:
    samples, radius = perturbations(group.use), group.use.radius or RADIUS
    found, passes = _under_noise(group, samples, radius)
    parameters = {"samples": samples, "radius": radius, "radius_in": _unit_of_noise(group), "clipped": False}
    outcomes: dict[str, Outcome] = {}
    for entry in group.checked:
        result = found[entry.label]
        if not isinstance(result, Sensitivity):
            outcomes[entry.step.id] = result
            continue
        outcomes[entry.step.id] = Probed(
            result.relative,
            why=[NO_SIZE if np.isnan(one) else "" for one in result.relative],
            others={"plain": result.plain},
            parameters=parameters,
            warnings=[LOWER_BOUND.format(samples=samples)],
            passes=passes.get(entry.label, NO_PASSES),
        )
    return outcomes


def _under_noise(
    group: Group, samples: int, radius: float
) -> tuple[dict[str, Sensitivity | Refusal | StepError], dict[str, Passes]]:
    """Every method on each case with some noises, the same for all methods; class and seed stay those of the case."""
    spread = noise_unit(group.context)
    shape = (group.model.input.channels, *group.model.input.size)
    seed = group.context.spec.audit.seed
    perturbed: dict[str, list[npt.NDArray[np.floating]]] = {entry.label: [] for entry in group.checked}
    failures: dict[str, Refusal | StepError] = {}
    noises: list[Array] = []
    total: dict[str, Passes] = {}
    for sample in range(samples):
        drawn = np.stack(
            [uniform_noise(shape, radius, generator(seed, f"noise:{name}:{sample}")) for name in group.ids]
        )
        noises.append(drawn * (spread > 0))
        methods = [method for method in group.methods if method.label not in failures]
        outcomes, passes = group.again(methods, partial(group.batches, partial(_moved, drawn, spread)), seed)
        _add(total, passes)
        for label, outcome in outcomes.items():
            if isinstance(outcome, Explained):
                perturbed[label].append(outcome.raw)
            else:
                failures[label] = outcome
    found: dict[str, Sensitivity | Refusal | StepError] = dict(failures)
    for entry in group.checked:
        if entry.label not in failures:
            found[entry.label] = sensitivity(entry.raw, perturbed[entry.label], noises)
    return found, total


def _moved(drawn: Array, spread: Array, place: int) -> Array:
    moved: Array = drawn[place] * spread
    return moved


def _unit_of_noise(group: Group) -> str:
    is_of_pixels = group.context.table_input is None
    return "pixel values in [0, 1]" if is_of_pixels else "standard deviations of each number; categories stay"


def _add(total: dict[str, Passes], passes: Mapping[str, Passes]) -> None:
    for label, made in passes.items():
        total[label] = total.get(label, NO_PASSES) + made


def _stable(group: Group) -> dict[str, Outcome]:
    seeds, radius = group.use.seeds or SEEDS, group.use.radius or RADIUS
    chance = [entry for entry in group.checked if has_chance(entry.method, entry.parameters)]
    runs, failures, passes = _over_seeds(group, chance, seeds)
    noisy, more = _under_noise(group, seeds, radius)
    _add(passes, more)
    parameters = {"seeds": seeds, "radius": radius, "radius_in": _unit_of_noise(group), "clipped": False}
    outcomes: dict[str, Outcome] = {}
    for entry in group.checked:
        under = noisy[entry.label]
        failure = failures.get(entry.label) or (under if not isinstance(under, Sensitivity) else None)
        if failure is not None:
            outcomes[entry.step.id] = failure
            continue
        assert isinstance(under, Sensitivity)
        is_chance = entry in chance
        numbers = _likeness_over_seeds(runs[entry.label]) if is_chance else np.ones(len(group.cases))
        outcomes[entry.step.id] = Probed(
            numbers,
            why=[CONSTANT if np.isnan(one) else "" for one in numbers],
            others={"lipschitz": under.lipschitz, **_of_lime(entry, runs.get(entry.label, []))},
            parameters={**parameters, "deterministic": not is_chance},
            warnings=[] if is_chance else [DETERMINISTIC],
            shown={"deterministic": not is_chance},
            passes=passes.get(entry.label, NO_PASSES),
        )
    return outcomes


@dataclass(frozen=True, eq=False)
class _Run:
    """What one seed gave."""

    raw: npt.NDArray[np.floating]
    extras: Mapping[str, npt.NDArray[np.floating]]


def _over_seeds(
    group: Group, chance: Sequence[Checked], seeds: int
) -> tuple[dict[str, list[_Run]], dict[str, Refusal | StepError], dict[str, Passes]]:
    """Runs of each method with chance in it; the first is the explanation itself."""
    runs = {entry.label: [_Run(entry.raw, entry.extras)] for entry in chance}
    failures: dict[str, Refusal | StepError] = {}
    total: dict[str, Passes] = {}
    for number in range(1, seeds if chance else 1):
        methods = [entry.method for entry in chance if entry.label not in failures]
        seed = derived_seed(group.context.spec.audit.seed, f"stability:{number}")
        outcomes, passes = group.again(methods, group.batches, seed)
        _add(total, passes)
        for label, outcome in outcomes.items():
            if isinstance(outcome, Explained):
                runs[label].append(_Run(outcome.raw, outcome.extras))
            else:
                failures[label] = outcome
    return runs, failures, total


def _likeness_over_seeds(runs: Sequence[_Run]) -> Array:
    cases = [_compared(runs, case) for case in range(len(runs[0].raw))]
    return np.array([mean_pairwise_rank_correlation(values) for values in cases])


def _compared(runs: Sequence[_Run], case: int) -> list[Array]:
    """One case's values in each run: of superpixels one value each, where all runs have the same ones."""
    labels = [run.extras["segments"][case] for run in runs if "segments" in run.extras]
    is_same = len(labels) == len(runs) and all(np.array_equal(labels[0], other) for other in labels)
    kept = [{"segments": run.extras["segments"][case : case + 1]} if is_same else {} for run in runs]
    return [measure.places_of(run.raw[case : case + 1], own)[0] for run, own in zip(runs, kept, strict=True)]


def _of_lime(entry: Checked, runs: Sequence[_Run]) -> dict[str, Array]:
    """VSI and CSI of each case of a lime; NaN where the superpixels are not the same ones."""
    if entry.method.use != "lime" or not runs or not {"segments", "standard_error"} <= set(entry.extras):
        return {}
    vsi, csi = np.full(len(runs[0].raw), np.nan), np.full(len(runs[0].raw), np.nan)
    errors_of = [_Run(run.extras["standard_error"], run.extras) for run in runs]
    for case in range(len(vsi)):
        labels = [run.extras["segments"][case] for run in runs]
        if all(np.array_equal(labels[0], other) for other in labels):
            values, errors = ([one[0] for one in _compared(of, case)] for of in (runs, errors_of))
            vsi[case], csi[case] = variables_stability(values), coefficients_stability(values, errors)
    return {"vsi": vsi, "csi": csi}
