"""Pass readers at work: what each wants of a pass, and what it has read so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xai_audit import registry
from xai_audit.errors import Refusal, StepError
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import Collected, Layers, Outcome, implementation, layer_record, map_shape
from xai_audit.explain.passes import Needs, PassReader, PassResult, Request
from xai_audit.explain.transfer import DeviceMaps
from xai_audit.model.audited import AuditedModel
from xai_audit.model.layers import SpatialLayer, unreached
from xai_audit.registry import Rule
from xai_audit.spec.methods import Method, TargetSpec

UNREACHED = "No gradient reaches the layer in {n} of {cases} cases; their maps are all zero."
EMPTY = "{n} of {cases} cases have nothing to explain, no place or no box of the class; their maps are all zero."


@dataclass(eq=False)
class Reader:
    """A pass reader and what it has read so far."""

    method: Method
    layer: SpatialLayer | None
    collected: Collected
    counts: Counter[str] = field(default_factory=Counter)
    """How often something happened to the pass, by the sentence that tells it; see `Maps.counts`."""

    @classmethod
    def of(cls, method: Method, layers: Layers) -> Reader:
        """A method with its layer; a Refusal there is its failure."""
        layer = layers.get(method.label)
        reader = cls(method, layer if isinstance(layer, SpatialLayer) else None, Collected(method))
        if isinstance(layer, Refusal):
            reader.collected.fail(layer)
        return reader

    @property
    def label(self) -> str:
        """The method's label."""
        return self.method.label

    @property
    def is_reading(self) -> bool:
        """Whether it has not failed."""
        return self.collected.failure is None

    @property
    def target(self) -> TargetSpec | None:
        """What it explains; None where it explains no class."""
        return self.method.target if registry.method(self.method.use).uses_target else None

    @property
    def rule(self) -> Rule:
        """How its backward goes through rectifiers."""
        return registry.method(self.method.use).rule

    @property
    def needs(self) -> Needs:
        """What it wants of a pass."""
        wanted = registry.method(self.method.use).needs
        path = (self.layer.path,) if self.layer else ()
        return Needs(path, path if "gradients" in wanted else (), "input_gradient" in wanted)

    def read(self, result: PassResult, sources: FillSources) -> DeviceMaps:
        """The method's maps of one pass."""
        call: PassReader = implementation(self.method)
        maps: object = call(result, self.method, self.layer, sources)
        if not isinstance(maps, DeviceMaps):
            given = f"the method gave a {type(maps).__name__}"
            raise StepError(f"methods.{self.label}", given, "maps", "Correct the method.")
        return maps

    def shape(self, cases: int, model: AuditedModel) -> tuple[int | None, ...]:
        """What the maps' shape must be; None: any."""
        return map_shape(self.method, self.layer, cases, model)

    def finished(self) -> Outcome:
        """All maps together, or why there are none."""
        is_unreached = self.counts[UNREACHED] and self.counts[UNREACHED] + self.counts[EMPTY] == self.collected.cases
        if self.is_reading and self.layer is not None and is_unreached:
            return unreached(self.layer.path)
        layer = layer_record(self.layer) if self.layer else {}
        return self.collected.finished(parameters=layer, counts=self.counts)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request and the methods that read its result."""

    request: Request
    readers: tuple[Reader, ...]


def asked(readers: Sequence[Reader]) -> list[Asked]:
    """One request for each target and rule of the readers that have not failed."""
    groups: dict[tuple[TargetSpec | None, Rule], list[Reader]] = {}
    for reader in readers:
        if reader.is_reading:
            groups.setdefault((reader.target, reader.rule), []).append(reader)
    return [
        Asked(Request(target, rule, Needs.union(reader.needs for reader in members)), tuple(members))
        for (target, rule), members in groups.items()
    ]
