"""The step that gives reason codes: which methods are asked, as what, and how many passes that takes at most."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.cost import Cost, ModelFacts, is_asker, known_players, pass_passes, query_costs
from xai_audit.explain.lime_settings import lime_settings
from xai_audit.explain.shapley_settings import shap_mode
from xai_audit.plan.steps import Counts, Step, as_json, make_step
from xai_audit.spec.methods import Lime, Method, Shap, TargetSpec
from xai_audit.spec.schema import AuditSpec, Reasons
from xai_audit.spec.tables import TableInput


@dataclass(frozen=True)
class Asked:
    """Every method that is asked about an adverse decision, each with the adverse class as its target."""

    main: Method
    seeds: tuple[Method, ...]
    """The main method under other names: what is random depends on the name, so that each has a seed of its own. None
    where nothing is."""
    backgrounds: tuple[Method, ...]
    """The main method against other backgrounds, in the order of the spec."""
    others: tuple[Method, ...]
    """Methods that it is compared with."""

    @property
    def every(self) -> tuple[Method, ...]:
        """All of them, the main one first."""
        return (self.main, *self.seeds, *self.backgrounds, *self.others)


def asked_methods(spec: AuditSpec) -> Asked:
    """What is asked for the reasons of a spec that has them; the spec's checks have found its method."""
    assert spec.reasons is not None
    declared = {method.label: method for method in spec.methods}
    finders = [method.label for method in spec.methods if isinstance(method, Shap | Lime)]
    main = _towards(declared[spec.reasons.method or finders[0]], spec.reasons)
    others = [method.label for method in spec.methods if method.entry.explains_rows and method.label != main.label]
    seeds = 1 if draws_nothing(spec, main) else spec.reasons.seeds
    return Asked(
        main,
        tuple(_named(main, f"{main.label}:seed {number}") for number in range(2, seeds + 1)),
        tuple(
            _named(main, f"{main.label}:background {number}").model_copy(update={"baseline": background})
            for number, background in enumerate(spec.reasons.backgrounds, start=1)
        ),
        tuple(_towards(declared[name], spec.reasons) for name in spec.reasons.compare_with or others),
    )


def draws_nothing(spec: AuditSpec, method: Method) -> bool:
    """Whether a shap or lime asks about every coalition of a table's players, so that no seed can change its values."""
    assert spec.model is not None
    if isinstance(method, Shap):
        grouped = method.players if method.mode != "owen" else None
        players = known_players(grouped, spec.model.input) or 0
        with contextlib.suppress(Refusal):
            return shap_mode(method, players) in ("exact", "tree")
        return False
    if not isinstance(method, Lime):
        return False
    settings = lime_settings(method, is_table=True)
    players = known_players(settings.segments, spec.model.input) or 0
    return settings.is_paired and 2**players <= settings.samples


def _towards(method: Method, reasons: Reasons) -> Method:
    """The method with the adverse class as its target; the kind of target stays, a foil that is that class goes."""
    target: TargetSpec = method.target
    foil = None if target.foil == reasons.adverse else target.foil
    return method.model_copy(update={"target": target.model_copy(update={"class_": reasons.adverse, "foil": foil})})


def _named(method: Method, name: str) -> Method:
    return method.model_copy(update={"name": name})


def reason_steps(spec: AuditSpec, counts: Counts, predictions: Step, profile: Step) -> list[Step]:
    """The step of the reason codes, where the spec asks for them of a model that reads a table."""
    if spec.reasons is None or spec.model is None or not isinstance(spec.model.input, TableInput):
        return []
    asked = asked_methods(spec)
    parameters = {
        "reasons": as_json(spec.reasons),
        "methods": [as_json(method) for method in asked.every],
        "show": as_json(spec.data.show),
        "protected": list(protected_columns(spec)),
    }
    most = min(counts.cases, spec.reasons.cases or counts.cases)
    return [
        make_step(
            spec.audit.seed,
            "reasons",
            "reasons",
            method=asked.main.label,
            parameters=parameters,
            parents=(predictions.id, profile.id),
            cases=most,
            cost=reasons_cost(spec, most),
        )
    ]


def reasons_cost(spec: AuditSpec, cases: int, facts: ModelFacts | None = None) -> Cost:
    """Passes for so many decisions at most: only those that the model decides as adverse are asked about."""
    assert spec.model is not None
    every = asked_methods(spec).every
    askers = [method for method in every if is_asker(method)]
    one = sum((cost.passes for cost in query_costs(askers, spec.model.input, 1, facts).values()), NO_PASSES)
    one += pass_passes([method for method in every if not is_asker(method)])
    passes = Passes(one.forwards * cases, one.backwards * cases, one.partial * cases)
    return Cost(passes, "at_most", "only cases that the model decides as adverse are asked about")


def protected_columns(spec: AuditSpec) -> tuple[str, ...]:
    """Columns that tell apart the slices which measures of fairness compare; without such a measure every slice's."""
    fairness = [use for use in spec.measures if _is_fairness(use.use)]
    named = {name for use in fairness for name in (*(use.slices or ()), use.reference)}
    takes_all = not fairness or any(use.slices is None for use in fairness)
    columns = [column for part in spec.slices if takes_all or part.name in named for column in part.where]
    return tuple(dict.fromkeys(columns))


def _is_fairness(measure: str) -> bool:
    entries: Sequence[registry.MeasureEntry] = registry.MEASURES
    return any(entry.name == measure and entry.group == "fairness" for entry in entries)
