"""Attribution beside cause: the share of each method's relevance in a region, and what the explained score does when
the region is intervened on (CAUSAL.md section 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xai_audit import registry
from xai_audit.causal.beside import LEAST, LEGITIMATE, MARGIN, Region, beside, in_order
from xai_audit.causal.operators.patches import inpaint
from xai_audit.causal.operators.placebos import LARGE, NoPlace, random_recolour, random_region
from xai_audit.causal.sample import Sample
from xai_audit.engines.causal import graph_of, whole_graph
from xai_audit.engines.causal_data import sample_of
from xai_audit.engines.causal_records import plain
from xai_audit.engines.operating import Unit, tools_of, unit_of, value_at
from xai_audit.engines.operator_contract import Contract, tried
from xai_audit.engines.operator_questions import Pictures, scores_of
from xai_audit.engines.recording import result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Evidence, Passes
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.stages import relevance_map
from xai_audit.measures.localisation import mass_of_map
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal, Level, Levels, Range
from xai_audit.spec.methods import TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

By = Literal["render", "operator", "inpaint"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """How one region is intervened on."""

    mask: str
    variable: str | None
    by: By
    operator: str | None = None


@dataclass(eq=False)
class Work:
    """What is asked, and what came of it so far."""

    context: Context
    step: Step
    causal: Causal
    plans: list[Plan]
    sample: Sample
    """The explained cases that are whole in every measured variable."""
    contracts: Mapping[str, Contract]
    """By variable, of regions that have an operator."""
    changes: Floats
    """(plans, rows of the sample)"""
    placebos: Floats
    failed: dict[str, int] = field(default_factory=dict)
    """By mask: cases whose operator failed its contract."""


def beside_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The one table of an audit. Raises Refusal where no method explains the class that was predicted."""
    (step,) = unit
    causal = context.spec.causal
    assert causal is not None and context.model is not None
    parents = [context.read(identifier) for identifier in step.parents]
    chosen = next(one for one in parents if one.record.kind == "cases")
    explanations = {one.record.subject: one for one in parents if one.record.kind == "explanation"}
    kept, left_out = _usable(context, explanations)
    if not kept:
        told = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise Refusal("causal", told, "a method that explains the predicted class", "Leave its `target` out.")
    cases = chosen.record.details["cases"]
    sample = sample_of(context, step, np.asarray(sorted({int(case["index"]) for case in cases}), np.int64))
    assert sample is not None
    places = _places(sample, cases)
    masks = {name: chosen.arrays[f"mask:{name}"].astype(bool)[places] for name in context.spec.data.masks}
    small = {name: mask for name, mask in masks.items() if mask.any() and mask.mean() <= LARGE}
    plans = [_plan(causal, name) for name in sorted(small)]
    operators = {plan.mask: plan.operator for plan in plans if plan.operator is not None}
    made = tools_of(context, causal, sorted(operators.values()))
    contracts = {
        mask: Contract.of(context, causal, graph_of(causal), {mask: made[name]}) for mask, name in operators.items()
    }
    empty = np.full((len(plans), sample.n), np.nan)
    work = Work(context, step, causal, plans, sample, contracts, empty, empty.copy())
    passes = _ask(work)
    maps = {name: (one.record, one.arrays["raw"][places]) for name, one in kept.items()}
    regions = [_region(work, place, small[plan.mask], maps) for place, plan in enumerate(plans)]
    details = _details(work, regions, sorted(kept))
    details |= {"left_out": left_out, "too_large": sorted(set(masks) - set(small))}
    return [result_of(step, plain(details), passes=passes)]


def _places(sample: Sample, cases: Sequence[Mapping[str, Any]]) -> list[int]:
    """For each row of the sample, the place of its case among the explained ones."""
    of_index = {int(case["index"]): place for place, case in enumerate(cases)}
    return [of_index[int(row)] for row in sample.rows]


def _usable(context: Context, explanations: Mapping[str, StepResult]) -> tuple[dict[str, StepResult], dict[str, str]]:
    """The explanations that are there and are of the predicted class or of a regression; why the others are not."""
    kept, left_out = {}, {}
    targets = {method.label: method.target for method in context.spec.methods}
    for name, one in sorted(explanations.items()):
        if one.record.status != "measured":
            left_out[name] = f"its step is {one.record.status}"
        elif targets[name].class_ not in (None, "predicted") or targets[name].kind == "margin":
            left_out[name] = "it explains a class of its own"
        elif registry.method(one.record.details["use"]).reduction is None:
            left_out[name] = "it gives no map"
        else:
            kept[name] = one
    return kept, left_out


def _plan(causal: Causal, mask: str) -> Plan:
    """By the variable's own operator where it has one, best grade first; else the region is painted over."""
    own = [name for name, one in sorted(causal.operators.items()) if one.sets == mask]
    own.sort(key=lambda name: (causal.operators[name].grade, name))
    variable = mask if mask in causal.variables else None
    if not own or variable is None or causal.variables[variable].domain is None:
        return Plan(mask, variable, "inpaint")
    by: By = "render" if causal.operators[own[0]].call == "render" else "operator"
    return Plan(mask, variable, by, own[0])


def _ask(work: Work) -> Passes:
    context = work.context
    kind = {"kind": "regression", "output": 0} if context.spec.task == "regression" else {"kind": "prob"}
    target, changed_by = TargetSpec.model_validate(kind), {}
    passes = NO_PASSES

    def cases() -> Iterator[Pictures]:
        for place, index in enumerate(work.sample.rows.tolist()):
            unit = unit_of(context, work.causal, work.sample, place)
            rows = list(_rows(work, unit, place))
            changed_by[index] = (place, [plan for plan, _, _ in rows])
            yield index, [unit.image, *(one for _, *pair in rows for one in pair)]

    for index, scores, made in scores_of(context, work.step.id, [target], cases()):
        place, plans = changed_by.pop(index)
        moved = np.abs(scores[0, 1:] - scores[0, 0]).reshape(len(plans), 2)
        work.changes[plans, place], work.placebos[plans, place] = moved[:, 0], moved[:, 1]
        passes += made
    return passes


def _rows(work: Work, unit: Unit, place: int) -> Iterator[tuple[int, Floats, Floats]]:
    """For each region that is in the picture: its number, the picture without it, and its placebo."""
    for number, plan in enumerate(work.plans):
        if not unit.masks[plan.mask].any():
            continue
        rng = generator(work.context.spec.audit.seed, f"{work.step.id}:{plan.mask}:{unit.id}")
        changed = _changed(work, plan, unit, place, rng)
        if changed is None:
            work.failed[plan.mask] = work.failed.get(plan.mask, 0) + 1
            continue
        yield number, changed, np.clip(_placebo(unit, changed, rng), 0, 1)


def _changed(work: Work, plan: Plan, unit: Unit, place: int, rng: np.random.Generator) -> Floats | None:
    """The picture (H, W, C) without what the region shows; None where the operator failed its contract."""
    if plan.operator is None:
        return np.clip(inpaint(unit.image, unit.masks, unit.row, 1.0, rng, mask=plan.mask), 0, 1)
    settings = {plan.mask: _other(work, plan.mask, place)}
    trial = tried(work.contracts[plan.mask], unit, [settings], with_placebo=False)
    return None if trial.faults else trial.pictures[0]


def _other(work: Work, name: str, place: int) -> Level:
    """What a variable is set to: its neutral value, else the first level that it has not, or the farther end."""
    one = work.causal.variables[name]
    now = value_at(work.sample, name, place) if name in work.sample.columns else None
    if one.neutral is not None and one.neutral != now:
        return one.neutral
    if isinstance(one.domain, Levels):
        return next(level for level in one.domain.levels if level != now)
    assert isinstance(one.domain, Range)
    low, high = one.domain.range
    return low if now is None or float(now) - low >= high - float(now) else high


def _placebo(unit: Unit, changed: Floats, rng: np.random.Generator) -> Floats:
    """The same change elsewhere; where there is no place for it, its pixels shuffled over the picture."""
    change = changed - unit.image
    try:
        return random_region(unit.image, change, unit.masks, rng, {})
    except NoPlace:
        return random_recolour(unit.image, change, unit.masks, rng, {})


def _region(
    work: Work, place: int, stack: NDArray[np.bool_], maps: Mapping[str, tuple[Evidence, NDArray[Any]]]
) -> Region:
    plan, change = work.plans[place], work.changes[place]
    there = np.isfinite(change)
    role = None if plan.variable is None else work.causal.variables[plan.variable].role
    shares = {name: np.where(there, _shares(work.context, *one, stack), np.nan) for name, one in maps.items()}
    area = np.where(there, stack.mean((1, 2)), np.nan)
    is_declared = _is_declared(work.causal, plan.variable)
    return Region(plan.mask, plan.variable, role, is_declared, plan.by, change, work.placebos[place], area, shares)


def _shares(context: Context, record: Evidence, raw: NDArray[Any], masks: NDArray[np.bool_]) -> Floats:
    """Share of each map's relevance inside its mask, (cases,); NaN where the map is zero or the mask is empty."""
    maps = relevance_map(raw.astype(np.float64), registry.method(record.details["use"]).reduction, context.input.size)
    shares = [
        mass_of_map(one, mask) if mask.any() and one.max() > 0 else np.nan
        for one, mask in zip(maps, masks, strict=True)
    ]
    return np.asarray(shares, np.float64)


def _is_declared(causal: Causal, variable: str | None) -> bool:
    """Whether the variable may move the score, and the graph says that it does."""
    if variable is None or causal.variables[variable].role not in LEGITIMATE:
        return False
    outputs = [name for name, one in causal.variables.items() if one.role == "model_output"]
    graph = whole_graph(causal)
    return any(output in graph.descendants((variable,)) for output in outputs)


def _details(work: Work, regions: Sequence[Region], methods: Sequence[str]) -> dict[str, Any]:
    context, units = work.context, work.sample.clusters
    margin = max(MARGIN * _spread(context, work.step), 0.0 if context.spec.task == "regression" else LEAST)
    rng = generator(context.spec.audit.seed, f"{work.step.id}:intervals")
    explainers = []
    for method in methods:
        found = in_order(regions, method, margin, units, rng) if regions else None
        if found is not None:
            mean, pairs = found
            explainers.append(
                {"method": method, "score": mean.estimate, "low": mean.low, "high": mean.high, "pairs": pairs}
            )
    explainers.sort(key=lambda one: (-float(str(one["score"])), str(one["method"])))
    return {
        "regions": list(beside(regions, margin, units, rng)),
        "explainers": explainers,
        "margin": margin,
        "n": work.sample.n,
        "clusters": len(np.unique(units)),
        "failed_operators": dict(sorted(work.failed.items())),
    }


def _spread(context: Context, step: Step) -> float:
    """Standard deviation over all cases of the score that is explained: the probability of the predicted class, or the
    value."""
    columns = context.parent(step, "predictions").rows.columns
    if context.spec.task == "regression":
        return float(np.std(np.asarray(columns["predicted"], np.float64)))
    scores = [np.asarray(column, np.float64) for name, column in columns.items() if name.startswith("probability:")]
    return float(np.std(np.stack(scores)))
