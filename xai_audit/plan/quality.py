"""Steps that check explanations: probes ask the net about the chosen cases, quality steps sum up slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xai_audit import registry
from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import Passes
from xai_audit.explain.cost import Cost, ModelFacts
from xai_audit.explain.lime_settings import lime_settings
from xai_audit.plan.steps import Step, as_json, make_step
from xai_audit.spec.methods import Background, Baseline, Blur, Lime, Method, Shap, TargetSpec
from xai_audit.spec.schema import AuditSpec, Input, MeasureUse, Model
from xai_audit.spec.tables import TableInput

CONTROL = "control:"
"""What the name of a map begins with that knows nothing of the net."""
CURVES = ("deletion", "insertion")
COMPARED = (*CURVES, "road", "infidelity")
"""Measures that say something of a map which knows nothing of the net: each method must beat these controls."""
BY_QUERIES = (*COMPARED, "completeness")
"""Measures whose probes ask about perturbed cases; all of them share one queue."""
STEPS = 50
FRACTIONS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SAMPLES = 64
SIGMA = 0.1
_WITH_PROBABILITIES = ("single_label", "binary_logit", "multi_label")


def controls_for(model_input: Input) -> tuple[str, ...]:
    """Maps that know nothing of the net: random, sobel and centre for images, random and uniform for tables."""
    return ("random", "uniform") if isinstance(model_input, TableInput) else ("random", "sobel", "centre")


def methods_of(spec: AuditSpec, use: MeasureUse) -> tuple[Method, ...]:
    """Methods that a measure is taken of: those that it names, or all that give maps."""
    with_maps = [method for method in spec.methods if method.entry.gives_map]
    return tuple(method for method in with_maps if use.methods is None or method.label in use.methods)


def controls_of_localisation(spec: AuditSpec, uses: Sequence[MeasureUse]) -> tuple[str, ...]:
    """Names of the controls that stand beside the methods in masks: those of an audit that checks its explanations."""
    is_checked = any(registry.measure(use.use).group == "quality" or use.use == "pointing_game" for use in uses)
    if not is_checked or spec.model is None:
        return ()
    return tuple(f"{CONTROL}{name}" for name in controls_for(spec.model.input))


def probe_target(measure: str, method: Method, model: Model) -> TargetSpec:
    """What a probe asks of each perturbed case.

    completeness and infidelity: the method's own target. deletion and insertion: the probability of its class; the
    target itself where there is none. road: a number that is positive (a probability: a half or more) while the answer
    is its class.
    """
    own = method.target
    kind = "prob"
    if measure not in (*CURVES, "road") or model.task not in _WITH_PROBABILITIES:
        return own
    if measure == "road" and (model.task == "single_label" or model.scores_are == "logit"):
        kind = "margin" if model.task == "single_label" else "logit"
    return TargetSpec.model_validate({"kind": kind, "class": own.class_})


def quality_steps(
    spec: AuditSpec, uses: Sequence[MeasureUse], chosen: Step, profile: Step, explanations: Sequence[Step]
) -> list[Step]:
    """Probes of every declared quality measure with their controls, then what they come to on each slice."""
    by_label = {step.subject: step for step in explanations if step.kind == "explanation"}
    uses = [use for use in uses if registry.measure(use.use).group == "quality"]
    probes = [
        probe for use in uses if use.use != "agreement" for probe in _probes(spec, use, chosen, profile, by_label)
    ]
    probes = _in_units(probes)
    quality = [step for part in spec.slices for step in _summaries(spec, part.name, probes, chosen)]
    agreement = [
        _agreement(spec, use, part.name, quality, chosen, by_label)
        for use in uses
        if use.use == "agreement"
        for part in spec.slices
    ]
    return [*probes, *quality, *agreement]


def _probes(
    spec: AuditSpec, use: MeasureUse, chosen: Step, profile: Step, explanations: Mapping[str, Step]
) -> Iterator[Step]:
    """A probe a method; and one a control for each target that the methods are asked about."""
    assert spec.model is not None
    cases = min(use.cases or chosen.cases, chosen.cases)
    methods = methods_of(spec, use)
    targets = {method.label: probe_target(use.use, method, spec.model) for method in methods}
    known: dict[TargetSpec, str] = {}
    for method in methods:
        parents = (explanations[method.label].id, chosen.id, profile.id)
        yield _probe(spec, use, method.label, targets[method.label], parents, cases)
        known.setdefault(targets[method.label], "" if not known else f":{method.label}")
    for target, suffix in known.items() if use.use in COMPARED else ():
        for name in controls_for(spec.model.input):
            yield _probe(spec, use, f"{CONTROL}{name}{suffix}", target, (chosen.id, profile.id), cases)


def _probe(
    spec: AuditSpec, use: MeasureUse, label: str, target: TargetSpec, parents: tuple[str, ...], cases: int
) -> Step:
    assert spec.model is not None
    parameters = {
        **as_json(use),
        "methods": None,
        "target": as_json(target),
        "layers": {name: as_json(layer) for name, layer in spec.model.layers.items()},
    }
    return make_step(
        spec.audit.seed, "probe", use.use, method=label, parameters=parameters, parents=parents, cases=cases
    )


def _in_units(probes: Sequence[Step]) -> list[Step]:
    """Probes by queries share one queue; each other measure has a unit of its own."""
    names = {probe.id: "queries" if probe.subject in BY_QUERIES else probe.subject for probe in probes}
    units: dict[str, str] = {}
    for name in dict.fromkeys(names.values()):
        ids = [probe.id for probe in probes if names[probe.id] == name]
        units[name] = sha256(canonical(ids).encode())[:12]
    order = list(units)
    placed = [replace(probe, unit=units[names[probe.id]]) for probe in probes]
    return sorted(placed, key=lambda probe: order.index(names[probe.id]))


def _summaries(spec: AuditSpec, part: str, probes: Sequence[Step], chosen: Step) -> Iterator[Step]:
    for probe in probes:
        assert probe.method is not None
        rivals = [] if probe.method.startswith(CONTROL) else [other.id for other in probes if _rivals(probe, other)]
        yield make_step(
            spec.audit.seed,
            "quality",
            probe.subject,
            slice=part,
            method=probe.method,
            parameters=dict(probe.parameters),
            parents=(probe.id, *rivals, chosen.id),
            cases=probe.cases,
        )


def _rivals(probe: Step, other: Step) -> bool:
    """Whether another probe is of a control under the same measure, parameters and target."""
    is_control = str(other.method).startswith(CONTROL)
    return is_control and other.subject == probe.subject and other.parameters == probe.parameters


def _agreement(
    spec: AuditSpec,
    use: MeasureUse,
    part: str,
    quality: Sequence[Step],
    chosen: Step,
    explanations: Mapping[str, Step],
) -> Step:
    compared = [explanations[method.label].id for method in methods_of(spec, use)]
    judged = [step.id for step in quality if step.slice == part and step.subject in COMPARED]
    return make_step(
        spec.audit.seed,
        "quality",
        use.use,
        slice=part,
        parameters=as_json(use),
        parents=(*compared, *judged, chosen.id),
        cases=min(use.cases or chosen.cases, chosen.cases),
    )


def curve_steps(use_steps: int | None, model_input: Input) -> int:
    """Steps of a deletion or insertion curve: no more than there are places."""
    rows, columns = model_input.size
    return min(use_steps or STEPS, rows * columns)


def use_of(step: Step) -> MeasureUse:
    """The measure's parameters, from those of its probe."""
    known = {key: value for key, value in step.parameters.items() if key in MeasureUse.model_fields}
    return MeasureUse.model_validate({k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})


def with_probe_costs(steps: Sequence[Step], spec: AuditSpec, facts: ModelFacts | None = None) -> list[Step]:
    """The steps with the passes of their probes, as far as they are known; `facts` are the loaded model's."""
    refused = facts.refused if facts is not None else {}
    asked = [step.cases for step in steps if _asks(step) and step.method not in refused]
    counting = _Counting(spec, refused, max(asked, default=0))
    return [replace(step, cost=counting.cost(step)) if _asks(step) else step for step in steps]


def _asks(step: Step) -> bool:
    return step.kind == "probe" and step.subject in BY_QUERIES


@dataclass
class _Counting:
    """Passes of the probes in order: what two ask alike belongs to the first, as the opening of all cases."""

    spec: AuditSpec
    refused: Mapping[str, str]
    unopened: int
    asked: dict[object, int] = field(default_factory=dict)
    """Cases for which rows are asked already."""

    def cost(self, step: Step) -> Cost:
        """Passes of one probe over its cases."""
        if step.method in self.refused:
            return Cost(because=f"will be refused: {self.refused[str(step.method)]}")
        rows = self._rows(step)
        if rows is None:
            return Cost(because="no promise, so nothing is asked")
        opening, self.unopened = self.unopened, 0
        because = "equal rows are asked once, and a case with nothing to check is not asked"
        return Cost(Passes(opening + rows), "at_most", because)

    def _rows(self, step: Step) -> int | None:
        """Rows over all cases; None for a probe that will be refused."""
        assert self.spec.model is not None
        use = use_of(step)
        if step.subject in CURVES:
            return self._curve(step, use)
        if step.subject == "road":
            return 2 * len(use.fractions or FRACTIONS) * step.cases
        if step.subject == "infidelity":
            samples = use.samples or SAMPLES
            return self._once(("noise", samples, use.sigma, self._baseline(step)), samples, step.cases)
        return self._completeness(step)

    def _curve(self, step: Step, use: MeasureUse) -> int:
        assert self.spec.model is not None
        baseline = use.baseline or default_fill(step.subject, self.spec.model.input)
        fills = baseline.background if isinstance(baseline, Background) else 1
        inner = (curve_steps(use.steps, self.spec.model.input) - 1) * fills * step.cases
        return inner + self._once(("fill", baseline), fills, step.cases)

    def _completeness(self, step: Step) -> int | None:
        method = self._method(step)
        if method is None or not registry.method(method.use).promise:
            return None
        if registry.method(method.use).map_kind == "layer":
            return self._once(("layer", getattr(method, "layer", None)), 1, step.cases)
        baseline = self._baseline(step)
        fills = baseline.background if isinstance(baseline, Background) else 1
        return self._once(("fill", baseline), fills, step.cases)

    def _baseline(self, step: Step) -> object:
        """The baseline of the method that a probe is of, where it shares a difference from one."""
        method = self._method(step)
        is_table = self.spec.model is not None and isinstance(self.spec.model.input, TableInput)
        return None if method is None else baseline_of(method, is_table=is_table)

    def _method(self, step: Step) -> Method | None:
        return next((method for method in self.spec.methods if method.label == step.method), None)

    def _once(self, key: object, rows: int, cases: int) -> int:
        """Rows that no earlier probe has asked for."""
        known = self.asked.get(key, 0)
        self.asked[key] = max(known, cases)
        return rows * max(0, cases - known)


def baseline_of(method: Method, *, is_table: bool) -> Baseline | None:
    """What a method compares a case with, its default filled in; None for one that compares with nothing."""
    if isinstance(method, Lime):
        return lime_settings(method, is_table=is_table).baseline
    if isinstance(method, Shap) and method.baseline is None:
        return Background(background=100) if is_table else "mean_colour"
    found: Baseline | None = getattr(method, "baseline", None)
    return found


def default_fill(measure: str, model_input: Input) -> Baseline:
    """What stands for places taken away (deletion) or not yet there (insertion), where the spec says nothing."""
    if isinstance(model_input, TableInput):
        return "mean"
    return "mean_colour" if measure == "deletion" else Blur(blur=10.0)
