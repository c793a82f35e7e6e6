"""Parameter randomisation: methods run again on nets with random tensors, stage by stage (METHODS 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_audit import registry
from xai_audit.engines.explaining import fills
from xai_audit.engines.preparing import ways_of
from xai_audit.engines.probing import Outcome, Probed
from xai_audit.engines.rerunning import Checked, Group, by_group
from xai_audit.errors import Refusal, StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.seeds import derived_seed
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.explained import Explained
from xai_audit.explain.explained import Outcome as MapsOrFailure
from xai_audit.explain.randomised import Randomising, StageMaps, randomised_maps
from xai_audit.explain.untouched import UntouchedPart
from xai_audit.measures import randomisation as measure
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.randomising import RandomNetwork, random_network
from xai_audit.plan import Step
from xai_audit.plan.requality import PARTS_FOR_CURVE, STAGES

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Array = npt.NDArray[np.float64]
FEWEST_TO_RECORD = 8
"""With fewer cases a recording of the net costs more than the passes that it saves."""


def parameter_randomisation(context: Context, steps: Sequence[Step]) -> dict[str, Outcome]:
    """What came of each probe by step id: how far maps resemble the original on a net made random, stage by stage."""
    return by_group(context, steps, _randomised)


def _randomised(group: Group) -> dict[str, Outcome]:
    context, use = group.context, group.use
    order, how, stages = use.order or "cascade", use.how or "reinit", use.stages or STAGES
    seed = derived_seed(context.spec.audit.seed, "parameter_randomisation")
    network = random_network(group.model, seed, order=order, how=how, stages=stages)
    untouched, why_whole = _untouched(group, network)
    prepared = context.prepared()
    sources = fills(context, group.methods)
    ways = partial(ways_of, methods=group.methods, layers=prepared.layers)
    settings = Randomising(
        network, prepared.layers, sources, context.spec.audit.seed, context.limits, context.count, untouched
    )
    if group.is_full:
        settings = replace(settings, ways=ways)
    found = {entry.label: _Likenesses(entry, network, group.ids, group.context.is_table) for entry in group.checked}
    for maps in randomised_maps(group.methods, group.batches, settings):
        for label, outcome in maps.outcomes.items():
            found[label].take(maps, outcome)
        for label, passes in maps.passes.items():
            found[label].passes += passes
    parameters = {"order": order, "how": how, "stages": stages, "cases": len(group.cases), "seed": seed}
    shown = {
        "stages": [stage.name for stage in network.stages],
        "parts": len(network.stages[-1].parts),
        "skipped": list(network.skipped),
        "unread": list(network.unread),
        "whole_net": why_whole,
    }
    return {entry.step.id: found[entry.label].outcome(parameters, shown) for entry in group.checked}


def _untouched(group: Group, network: RandomNetwork) -> tuple[UntouchedPart | None, str]:
    """The part that stages leave untouched, or why whole forwards are made."""
    layers = group.context.prepared().layers
    readers = [method for method in group.methods if is_pass_reader(method)]
    if not readers or len(network.stages) < 2:
        return None, ""
    if len(group.cases) < FEWEST_TO_RECORD:
        return None, f"fewer than {FEWEST_TO_RECORD} cases"
    wanted = [layers.get(method.label) for method in readers]
    paths = tuple(dict.fromkeys(layer.path for layer in wanted if isinstance(layer, SpatialLayer)))
    try:
        part = UntouchedPart.of(network, paths)
    except Refusal as refusal:
        return None, str(refusal)
    return (part, "") if part.is_worth_it else (None, "every stage changes the first part")


@dataclass(eq=False)
class _Likenesses:
    """How one method's maps resemble the original, as stages come in."""

    entry: Checked
    network: RandomNetwork
    ids: Sequence[str]
    is_of_rows: bool = False
    """Of rows of a table the signed likeness alone is judged: see measures.randomisation.SIGNED_ONLY."""
    passes: Passes = NO_PASSES
    failure: Refusal | StepError | None = None
    signed: Array = field(init=False)
    absolute: Array = field(init=False)

    def __post_init__(self) -> None:
        self.signed = np.full((len(self.ids), len(self.network.stages)), np.nan)
        self.absolute = self.signed.copy()
        self.original = self.entry.places()
        self.place = {name: number for number, name in enumerate(self.ids)}
        self.reduction = registry.method(self.entry.method.use).reduction

    def take(self, maps: StageMaps, outcome: MapsOrFailure) -> None:
        """Compare what one stage gave for some cases; a refusal there leaves them without a number."""
        if isinstance(outcome, Explained):
            made = measure.places_of(outcome.raw, outcome.extras)
            for name, one in zip(outcome.ids, made, strict=True):
                place = self.place[name]
                found = measure.likeness(self.original[place], one, self.reduction)
                self.signed[place, maps.stage], self.absolute[place, maps.stage] = found.signed, found.absolute
        elif isinstance(outcome, StepError) or outcome.problem.where.startswith("target"):
            self.failure = self.failure or outcome

    def outcome(self, parameters: Mapping[str, Any], shown: Mapping[str, Any]) -> Outcome:
        """The probe's answer."""
        if self.failure is not None:
            return self.failure
        signed, absolute = np.abs(self.signed), np.abs(self.absolute)
        larger = np.maximum(signed, absolute)  # NaN where either is
        sizes = np.where(np.isnan(larger), np.nan, signed) if self.is_of_rows else larger
        full = sizes[:, -1]
        others = {"signed": signed[:, -1], "absolute": absolute[:, -1]}
        if self._has_curve(parameters):
            with np.errstate(invalid="ignore"):
                counts = (~np.isnan(sizes)).sum(1)
                others["cascade"] = np.where(np.isnan(full), np.nan, np.nansum(sizes, 1) / np.maximum(counts, 1))
        curves = {"curve": sizes, "signed": signed, "absolute": absolute}
        ones = np.ones((len(full), 1))
        return Probed(
            full,
            why=[measure.CONSTANT if np.isnan(one) else "" for one in full],
            others=others,
            curves={name: np.hstack([ones, curve]) for name, curve in curves.items()},
            x=np.array([0, *(len(stage.parts) for stage in self.network.stages)]) / len(self.network.stages[-1].parts),
            parameters={**parameters, "reduction": self.reduction, "compared": "rank correlation"},
            warnings=self._warnings(),
            objections=measure.OBJECTIONS,
            shown=shown,
            passes=self.passes,
        )

    def _has_curve(self, parameters: Mapping[str, Any]) -> bool:
        return parameters["order"] == "cascade" and len(self.network.stages[-1].parts) >= PARTS_FOR_CURVE

    def _warnings(self) -> list[str]:
        said = [measure.SIGNED_ONLY] if self.is_of_rows else []
        if self.network.skipped:
            said.append(f"{len(self.network.skipped)} tensors of whole numbers stay as they are.")
        if self.network.strange:
            said.append(
                f"{self.network.strange} tensors that the network reads are no parameters or buffers: they stay."
            )
        undefined = int(np.isnan(self.signed).any(1).sum())
        if undefined:
            cases = f"{undefined} of {len(self.ids)} cases"
            said.append(f"In {cases} a map is the same everywhere at some stage: it is not compared there.")
        return said
