"""Steps that read what units and concepts there are in the net: one scan that its methods share, then the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xai_audit.concepts.permutation import MOST
from xai_audit.concepts.unseen import UNSEEN
from xai_audit.evidence.records import Passes, StepKind
from xai_audit.explain.cost import Cost, ModelFacts
from xai_audit.measures.concept_effects import CONTROLS, MOST_CASES
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.concepts import EFFECT_TASKS, concepts_of, score_names
from xai_audit.spec.methods import (
    ActivationMaps,
    ActivationMaximisation,
    ConceptDirection,
    Method,
    NetworkDissection,
    Tcav,
)
from xai_audit.spec.schema import AuditSpec

Scanned = ActivationMaps | NetworkDissection | Tcav
SCANNED: dict[type[Scanned], StepKind] = {ActivationMaps: "units", NetworkDissection: "dissection", Tcav: "tcav"}
"""Methods that read whole slices in one scan, and the kind of step of each."""


def concept_steps(spec: AuditSpec, counts: Counts, predictions: Step, profile: Step) -> list[Step]:
    """The scan with its readers, one step a picture maker, and one a dissection for what its concepts do."""
    scanned = _scanned(spec, counts, predictions)
    steps = [*scanned, *_maximisations(spec, counts, profile, scanned)]
    return [*steps, *_effects(spec, counts, predictions, scanned)]


def step_of(method: str, steps: Sequence[Step]) -> Step | None:
    """The step of a method of concepts, by label."""
    return next((step for step in steps if step.kind in SCANNED.values() and step.subject == method), None)


def comparisons(spec: AuditSpec) -> int:
    """Tests that all tcavs of the audit make together: a concept, a class and a layer each."""
    uses = [method for method in spec.methods if isinstance(method, Tcav)]
    return sum(len(concepts_of(use, spec)) * len(use.classes or score_names(spec)) for use in uses)


def _scanned(spec: AuditSpec, counts: Counts, predictions: Step) -> list[Step]:
    methods = [method for method in spec.methods if isinstance(method, Scanned)]
    if not methods:
        return []
    shared = make_step(
        spec.audit.seed,
        "scan",
        "scan",
        parents=(predictions.id,),
        parameters={"methods": [_parameters(spec, method) for method in methods]},
        cases=min(counts.cases, sum(counts.slices[slice_] for slice_ in {method.slice for method in methods})),
    )
    shared = replace(shared, unit=shared.id, cost=_scan_cost(spec, methods, shared.cases, counts))
    return [shared, *(_reader(spec, method, counts, (shared.id, predictions.id)) for method in methods)]


def _reader(spec: AuditSpec, method: Scanned, counts: Counts, parents: tuple[str, ...]) -> Step:
    step = make_step(
        spec.audit.seed,
        SCANNED[type(method)],
        method.label,
        slice=method.slice,
        method=method.label,
        parameters=_parameters(spec, method),
        parents=parents,
        cases=counts.slices[method.slice],
    )
    return replace(step, unit=parents[0], cost=_of_files(spec, method))


def _of_files(spec: AuditSpec, method: Scanned) -> Cost:
    """Pictures of a folder are no cases: they are looked at by the method itself."""
    concepts = concepts_of(method, spec) if isinstance(method, Tcav) else ()
    folders = {concept.files for concept in concepts} - {None}
    if not folders:
        return Cost()
    return Cost(Passes(MOST * len(folders)), "at_most", f"a folder may hold fewer than {MOST} pictures")


def _parameters(spec: AuditSpec, method: Method) -> dict[str, object]:
    assert spec.model is not None
    parameters = {**as_json(method), "layers": {name: as_json(layer) for name, layer in spec.model.layers.items()}}
    if isinstance(method, NetworkDissection | Tcav):
        parameters["concepts"] = [as_json(concept) for concept in concepts_of(method, spec)]
    return parameters


_OF_ITS_OWN = ("multi_label", "regression")
"""Tasks in which each label or output has a gradient of its own; elsewhere a case's own class has one."""


def _scan_cost(spec: AuditSpec, methods: Sequence[Scanned], cases: int, counts: Counts) -> Cost:
    """A forward a case, another where activations are too large to keep, and a backward a case for tcav."""
    again = max((counts.slices[m.slice] for m in methods if isinstance(m, NetworkDissection)), default=0)
    backwards = sum(
        counts.slices[m.slice] * (len(m.classes or score_names(spec)) if spec.task in _OF_ITS_OWN else 1)
        for m in methods
        if isinstance(m, Tcav)
    )
    passes = Passes(cases + again, backwards)
    if passes == Passes(cases):
        return Cost(passes)
    return Cost(passes, "at_most", "a second look only where activations are too large to keep, and shared backwards")


def _maximisations(spec: AuditSpec, counts: Counts, profile: Step, scanned: Sequence[Step]) -> list[Step]:
    """One step a method; it needs the tcavs whose vectors it follows."""
    made = []
    for method in spec.methods:
        if not isinstance(method, ActivationMaximisation):
            continue
        named = [d.method for d in method.directions or () if isinstance(d, ConceptDirection)]
        before = [step.id for name in dict.fromkeys(named) if (step := step_of(name, scanned)) is not None]
        made.append(
            make_step(
                spec.audit.seed,
                "maximisation",
                method.label,
                slice=method.slice,
                method=method.label,
                parameters=_parameters(spec, method),
                parents=(profile.id, *before),
                cases=counts.slices[method.slice],
                cost=maximisation_cost(method, counts.slices[method.slice]),
            )
        )
    return made


def maximisation_cost(method: ActivationMaximisation, cases: int) -> Cost:
    """A forward and a backward a picture and step, the unseen transforms and the picture itself, and the real cases."""
    pictures = sum(len(part or ()) for part in (method.units, method.classes, method.directions))
    passes = Passes(cases + pictures * (method.steps + 1 + UNSEEN), pictures * method.steps)
    if any(isinstance(direction, ConceptDirection) for direction in method.directions or ()):
        return Cost(passes, "at_most", "fewer where a concept has no direction")
    return Cost(passes)


def _effects(spec: AuditSpec, counts: Counts, predictions: Step, scanned: Sequence[Step]) -> list[Step]:
    """What scores lose without the units of each concept: one step a dissection, where cases have classes."""
    if spec.model is None or spec.model.task not in EFFECT_TASKS:
        return []
    made = []
    for method in (method for method in spec.methods if isinstance(method, NetworkDissection)):
        before = step_of(method.label, scanned)
        assert before is not None
        cases = min(counts.slices[method.slice], MOST_CASES * len(score_names(spec)))
        step = make_step(
            spec.audit.seed,
            "concept_effect",
            method.label,
            slice=method.slice,
            method=method.label,
            parameters={**_parameters(spec, method), "controls": CONTROLS, "most_cases": MOST_CASES},
            parents=(before.id, predictions.id),
            cases=cases,
        )
        made.append(replace(step, cost=effect_cost(spec, step)))
    return made


def effect_cost(spec: AuditSpec, step: Step, facts: ModelFacts | None = None) -> Cost:
    """A forward a case, and for each concept and its random sets a row: by the tail where the model has one."""
    method = next(method for method in spec.methods if method.label == step.subject)
    assert isinstance(method, NetworkDissection)
    if facts is not None and method.label in facts.refused:
        return Cost(because=f"will be refused: {facts.refused[method.label]}")
    rows = step.cases * len(concepts_of(method, spec)) * (1 + CONTROLS)
    passes = Passes(step.cases + rows)
    if facts is not None and facts.tails.get(method.label) == "tail":
        passes = Passes(step.cases * (2 if method.label in facts.trunks else 1), partial=rows)
    return Cost(passes, "at_most", "only concepts with a detector are asked about, in at most 200 cases a class")
