"""What the loaded model says of the methods before any counted pass: layers, refusals, costs, shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from xai_audit import registry
from xai_audit.errors import Refusal
from xai_audit.explain.cost import ModelFacts, TailKind, over_budget
from xai_audit.explain.incremental import Incremental
from xai_audit.explain.method_layers import method_layers
from xai_audit.explain.openings import may_close
from xai_audit.explain.randomised import Ways
from xai_audit.explain.rectifiers import rectifier_refusals
from xai_audit.explain.tail import Tail
from xai_audit.model.audited import AuditedModel
from xai_audit.model.graph import Graph
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import AblationCam, Method, NetworkDissection, Occlusion
from xai_audit.spec.schema import AuditSpec

Made = TypeVar("Made")


@dataclass(frozen=True)
class Prepared:
    """The methods of an audit as they fit the model."""

    layers: Mapping[str, SpatialLayer | Refusal] = field(default_factory=dict)
    """By method label: the layer that it reads, or why the method cannot run."""
    tails: Mapping[str, Tail] = field(default_factory=dict)
    """By module path: the part of the net after that layer."""
    incremental: Incremental | None = None
    """Occlusion that computes only what a window changes."""
    facts: ModelFacts = field(default_factory=ModelFacts)
    whole_net: Mapping[str, str] = field(default_factory=dict)
    """By method label: why the whole net must be run for each of its images."""


def prepare(model: AuditedModel, spec: AuditSpec) -> Prepared:
    """Check every method against the model with a few forwards that are not counted.

    Raises ModelError for a layer that the model does not have.
    """
    assert spec.model is not None
    unfit = _unfit(model, spec.methods)
    fitting = [method for method in spec.methods if method.label not in unfit]
    layers = {**method_layers(fitting, model, spec.model), **rectifier_refusals(model, fitting), **unfit}
    wanted = [method for method in spec.methods if not isinstance(layers.get(method.label), Refusal)]
    edited = [method for method in wanted if isinstance(method, AblationCam | NetworkDissection)]
    ablated = {method.label: layer for method in edited if (layer := _layer(layers, method.label))}
    occludes = [method.label for method in wanted if isinstance(method, Occlusion)]
    tails, incremental, whole_net = _shortcuts(model, ablated, occludes)
    kinds = {m.label: _tail_kind(m, tails.get(ablated[m.label].path)) for m in wanted if m.label in ablated}
    channels = {label: layer.channels for label, layer in layers.items() if isinstance(layer, SpatialLayer)}
    trunks = {label for label, layer in ablated.items() if layer.path in tails and tails[layer.path].reads_trunk}
    facts = ModelFacts(channels, kinds, frozenset(trunks), incremental=incremental is not None)
    refused = {m.label: found for m in wanted if (found := over_budget(m, spec.model.input, facts))}
    fitted = {**layers, **refused}
    told = {label: str(layer) for label, layer in fitted.items() if isinstance(layer, Refusal)}
    return Prepared(fitted, tails, incremental, replace(facts, refused=told), whole_net)


def ways_of(model: AuditedModel, methods: Sequence[Method], layers: Mapping[str, SpatialLayer | Refusal]) -> Ways:
    """Tails and incremental occlusion of a model whose weights are not those that `prepare` saw."""
    ablated = {m.label: layer for m in methods if isinstance(m, AblationCam) and (layer := _layer(layers, m.label))}
    occludes = [method.label for method in methods if isinstance(method, Occlusion)]
    tails, incremental, _ = _shortcuts(model, ablated, occludes)
    return Ways(tails, incremental)


def _unfit(model: AuditedModel, methods: Sequence[Method]) -> dict[str, Refusal]:
    """Methods that the kind of input or of model leaves nothing to work on, by label."""
    kind = "table" if model.is_table else "image"
    found: dict[str, Refusal] = {}
    for method in methods:
        entry, where = registry.method(method.use), f"methods.{method.label}"
        if kind not in entry.inputs:
            others = ", ".join(other.name for other in registry.METHODS if kind in other.inputs)
            found[method.label] = Refusal(where, f"{method.use} for {_KINDS[kind]}", f"one of: {others}", "")
        elif model.is_callable and "input_gradient" in entry.needs:
            what = f"{model.architecture}, which is no torch module and has no gradient"
            found[method.label] = Refusal(where, what, "a torch module", "Use lime or shap: they only ask the model.")
    return found


_KINDS = {"table": "rows of a table", "image": "images"}


def _layer(layers: Mapping[str, SpatialLayer | Refusal], label: str) -> SpatialLayer | None:
    found = layers.get(label)
    return found if isinstance(found, SpatialLayer) else None


def _tail_kind(method: Method, tail: Tail | None) -> TailKind:
    if tail is None:
        return "full"
    return "closed" if may_close(method, tail) else "tail"


def _shortcuts(
    model: AuditedModel, ablated: Mapping[str, SpatialLayer], occludes: list[str]
) -> tuple[dict[str, Tail], Incremental | None, dict[str, str]]:
    """Tails and incremental occlusion where they are shown to be exact; else the reason, by method label."""
    tails: dict[str, Tail] = {}
    whole_net: dict[str, str] = {}
    if not (ablated or occludes):
        return tails, None, whole_net
    paths = tuple(dict.fromkeys(layer.path for layer in ablated.values()))
    graph = _shown(lambda: Graph.record(model, paths))
    if isinstance(graph, str):
        return tails, None, dict.fromkeys([*ablated, *occludes], graph)
    for label, layer in ablated.items():
        tail = tails[layer.path] if layer.path in tails else _shown(partial(Tail.of, graph, layer.path))
        if isinstance(tail, str):
            whole_net[label] = tail
        else:
            tails[layer.path] = tail
    incremental = _shown(lambda: Incremental.of(graph)) if occludes else None
    if isinstance(incremental, str):
        return tails, None, {**whole_net, **dict.fromkeys(occludes, incremental)}
    return tails, incremental, whole_net


def _shown(make: Callable[[], Made]) -> Made | str:
    """A shortcut that was shown to be exact, or why there is none: then the whole net is run, and evidence says so."""
    try:
        return make()
    except Refusal as refusal:
        return str(refusal)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
