"""The layer that each method reads, named by the spec or found, and checked before any pass counts (METHODS 1.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.model.audited import AuditedModel
from xai_audit.model.default_layer import default_layers
from xai_audit.model.layers import Ran, SpatialLayer, dry_forward, resolve_layers, unreached
from xai_audit.model.reach import first_reached
from xai_audit.spec.methods import ActivationMaximisation, LayerMethod, Method, TargetSpec
from xai_audit.spec.schema import Layer, Model

MOST_TRIED = 12
"""Layers that are asked, from the last one back, whether the target depends on them."""


def method_layers(methods: Sequence[Method], model: AuditedModel, spec: Model) -> dict[str, SpatialLayer | Refusal]:
    """The layer of each method that reads one, by method label, or why there is none; checked by dry forwards.

    A method that differentiates the target at its layer is refused where the target cannot depend on the layer's
    places. Raises ModelError for a path that the model does not have.
    """
    readers = [method for method in methods if isinstance(method, LayerMethod) and _reads_layer(method)]
    if not readers:
        return {}
    ran = dry_forward(model)
    named = {method.label: layer for method in readers if (layer := _named(method, spec)) is not None}
    found = resolve_layers(model, named, ran)
    choice = _Choice(model, ran)
    return {method.label: choice.of(method, found.get(method.label)) for method in readers}


def _reads_layer(method: LayerMethod) -> bool:
    """Whether a layer is wanted: pictures that raise classes alone need none, unless the spec names one."""
    if isinstance(method, ActivationMaximisation):
        return method.layer is not None or method.units is not None or method.directions is not None
    return True


def _named(method: LayerMethod, spec: Model) -> Layer | None:
    if method.layer is None:
        return None
    layer = spec.layers.get(method.layer) or Layer(path=method.layer)
    return layer if method.layout is None else layer.model_copy(update={"layout": method.layout})


class _Choice:
    """Layers found and checked so far, each question asked of the net once."""

    def __init__(self, model: AuditedModel, ran: Sequence[Ran]) -> None:
        self._model, self._ran = model, ran
        self._found: dict[TargetSpec, SpatialLayer | Refusal] = {}
        self._reached: dict[tuple[str, TargetSpec], bool] = {}

    def of(self, method: Method, named: SpatialLayer | Refusal | None) -> SpatialLayer | Refusal:
        """The method's layer, or why it has none."""
        if named is None:
            return self._default(method.target)
        if isinstance(named, Refusal) or "gradients" not in registry.method(method.use).needs:
            return named
        return named if self._is_reached(named, method.target) else unreached(named.path)

    def _is_reached(self, layer: SpatialLayer, target: TargetSpec) -> bool:
        key = (layer.path, target)
        if key not in self._reached:
            self._reached[key] = first_reached(self._model, [layer], target) is not None
        return self._reached[key]

    def _default(self, target: TargetSpec) -> SpatialLayer | Refusal:
        if target not in self._found:
            layers = list(self._candidates())
            reached = first_reached(self._model, layers, target) if layers else None
            self._found[target] = reached or _no_default(layers, self._ran)
        return self._found[target]

    def _candidates(self) -> Iterator[SpatialLayer]:
        wanted = default_layers(self._model, self._ran)[:MOST_TRIED]
        found = resolve_layers(self._model, {layer.path: layer for layer in wanted}, self._ran)
        yield from (layer for layer in found.values() if isinstance(layer, SpatialLayer))


def _no_default(layers: Sequence[SpatialLayer], ran: Sequence[Ran]) -> Refusal:
    tried = ", ".join(layer.path for layer in layers)
    if tried:
        found, fix = f"a target that depends on none of the last layers with places ({tried})", "Name an earlier layer."
    else:
        shown = ", ".join(entry.path for entry in ran[-5:])
        found = f"no module whose output has places (the last modules: {shown})" if shown else "no modules"
        fix = "Name the layer, and its `layout` if it gives tokens; or use a method that needs none."
    return Refusal("model.layers", found, "a layer with several rows or columns", fix)
