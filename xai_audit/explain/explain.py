"""What the runner calls: all methods of an audit over the chosen cases, each with its result or its own failure."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from xai_audit import registry
from xai_audit.errors import AuditError, ModelError, Refusal, StepError
from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.maps import Maps, check_finite, check_maps
from xai_audit.explain.passes import Needs, PassCounter, PassResult, in_parts, run_pass
from xai_audit.explain.queries import Answer, Asker, ask, default_batch_size
from xai_audit.model.audited import AuditedModel
from xai_audit.model.factory import clean_message
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer, resolve_layers, unreached
from xai_audit.spec.schema import GradCam, Layer, Method, Model, TargetSpec

Array = npt.NDArray[np.floating]
Layers = Mapping[str, SpatialLayer | Refusal]
Progress = Callable[[Passes], None]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some chosen cases: their numbers in the data set and their pixels (cases, channels, height, width) in [0, 1]."""

    indexes: tuple[int, ...]
    pixels: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's raw maps over all chosen cases, in the order given."""

    raw: npt.NDArray[np.float32]
    """(cases, height, width), or (cases, channels, height, width) for maps of pixels."""
    extras: dict[str, npt.NDArray[np.float32]]
    parameters: dict[str, object]
    """Every parameter actually used, with its value."""
    target: dict[str, object]
    explained: tuple[str, ...]
    """Name of the class (or output) explained, one a case."""
    warnings: tuple[str, ...]
    passes: Passes
    """For query askers: passes made for this method first. For pass readers: none of its own, see PassGroup."""


Outcome = Explained | Refusal | StepError


@dataclass(frozen=True)
class PassGroup:
    """Readers of one target, which shared one forward and backward a case."""

    target: dict[str, object]
    layers: tuple[str, ...]
    input_gradient: bool
    readers: tuple[str, ...]
    """Labels of the methods that wanted to read it."""
    passes: Passes


@dataclass(frozen=True, eq=False)
class PassExplanations:
    """What all pass readers found."""

    outcomes: dict[str, Outcome]
    """By method label, in the order of the spec."""
    groups: tuple[PassGroup, ...]


@dataclass(frozen=True, eq=False)
class QueryExplanations:
    """What all query askers found, and the passes that they made together."""

    outcomes: dict[str, Outcome]
    passes: Passes


def method_layers(methods: Sequence[Method], model: AuditedModel, spec: Model) -> dict[str, SpatialLayer | Refusal]:
    """The layer of each method that names one, by method label, checked by one dry forward (not counted).

    Raises ModelError for a path that the model does not have.
    """
    named = {method.label: _layer(method, spec) for method in methods if isinstance(method, GradCam)}
    return resolve_layers(model, named)


def _layer(method: GradCam, spec: Model) -> Layer:
    layer = spec.layers.get(method.layer) or Layer(path=method.layer)
    return layer if method.layout is None else layer.model_copy(update={"layout": method.layout})


def _nothing(passes: Passes) -> None:
    """The progress of a caller who wants none."""


def explain_by_pass(
    model: AuditedModel,
    methods: Sequence[Method],
    batches: Iterable[Batch],
    layers: Layers,
    progress: Progress = _nothing,
) -> PassExplanations:
    """Every pass reader over the batches: one forward and backward a case for each distinct target.

    A method that raises, or gives NaN or a wrong shape, fails alone. Raises ModelError when a method changed the model.
    """
    readers = [_Reader.of(method, layers) for method in methods if is_pass_reader(method)]
    groups = _by_target(readers, progress)
    with left_as_found(model.module):
        for batch in batches:
            for group in groups:
                group.read(model, batch)
    outcomes = {reader.label: reader.finished() for reader in readers}
    return PassExplanations(outcomes, tuple(group.record() for group in groups))


def explain_by_queries(
    model: AuditedModel,
    methods: Sequence[Method],
    batches: Iterable[Batch],
    sources: FillSources,
    progress: Progress = _nothing,
    batch_size: int | None = None,
) -> QueryExplanations:
    """Every query asker over the batches, through one queue of masked images; fails and raises as `explain_by_pass`."""
    counter = PassCounter(progress)
    askers: list[Asker] = []
    collected: dict[str, _Collected] = {}
    for method in (method for method in methods if not is_pass_reader(method)):
        collected[method.label] = _Collected(method)
        try:
            askers.append(Asker(method, _implementation(method)))
        except Exception as error:
            collected[method.label].fail(error)
    images = (image for batch in batches for image in batch.pixels)
    size = batch_size or default_batch_size(model.device)
    with left_as_found(model.module):
        try:
            for answer in ask(model, images, askers, sources, size, counter) if askers else ():
                collected[answer.label].answer(answer, model)
        except (ModelError, StepError) as error:  # the network itself failed: no method has an answer
            for entry in collected.values():
                entry.fail(error)
    return QueryExplanations({label: entry.finished() for label, entry in collected.items()}, counter.made)


def _implementation(method: Method) -> Any:
    """The method's function, found through the registry when it is called."""
    module, _, name = registry.method(method.use).call.partition(":")
    return getattr(importlib.import_module(module), name)


def _as_failure(error: Exception, label: str) -> Refusal | StepError:
    """A refusal or failed step as it is; any other error as a failed step that names its type."""
    if isinstance(error, Refusal | StepError):
        return error
    message = str(error) if isinstance(error, AuditError) else clean_message(error, Path())
    failure = StepError(f"methods.{label}", f"{type(error).__name__}: {message}", "maps", "This method gave no result.")
    failure.__cause__ = error
    return failure


@dataclass(eq=False)
class _Collected:
    """One method's maps as they come in."""

    method: Method
    maps: list[Maps] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    rows: int = 0
    failure: Refusal | StepError | None = None

    def fail(self, error: Exception) -> None:
        """Keep the first failure."""
        self.failure = self.failure or _as_failure(error, self.method.label)

    def answer(self, answer: Answer, model: AuditedModel) -> None:
        """Take an asker's answer about one image."""
        self.rows += answer.rows
        if isinstance(answer.outcome, Exception):
            return self.fail(answer.outcome)
        return self.take(answer.outcome, [answer.name], (1, *model.input.size))

    def take(self, maps: object, names: Sequence[str], shape: Sequence[int | None]) -> None:
        """Take checked maps."""
        try:
            self.maps.append(check_maps(maps, shape, self.method.label))
            self.names.extend(names)
        except StepError as error:
            self.fail(error)

    def finished(self) -> Outcome:
        """All maps together, or why there are none."""
        if self.failure is None and not self.maps:
            where = f"methods.{self.method.label}"
            self.fail(StepError(where, "no cases", "at least one case", "Choose cases to explain."))
        if self.failure is not None:
            return self.failure
        return Explained(
            raw=_joined([maps.raw for maps in self.maps]),
            extras={name: _joined([maps.extras[name] for maps in self.maps]) for name in self.maps[0].extras},
            parameters=dict(self.maps[0].parameters),
            target=target_record(self.method.target),
            explained=tuple(self.names),
            warnings=tuple(dict.fromkeys(text for maps in self.maps for text in maps.warnings)),
            passes=Passes(forwards=self.rows),
        )


def _joined(arrays: Sequence[Array]) -> npt.NDArray[np.float32]:
    return np.concatenate(arrays).astype(np.float32)


def target_record(target: TargetSpec) -> dict[str, object]:
    """The target as the spec has it, with defaults."""
    record: dict[str, object] = target.model_dump(by_alias=True, exclude_none=True)
    if target.kind != "regression":
        record.pop("output", None)
        record.setdefault("class", "predicted")
    return record


@dataclass(eq=False)
class _Reader:
    """A pass reader and what it has read so far."""

    method: Method
    layer: SpatialLayer | None
    collected: _Collected
    zero_cases: int = 0
    """Cases in which no gradient reached the layer."""

    @classmethod
    def of(cls, method: Method, layers: Layers) -> _Reader:
        layer = layers.get(method.label)
        reader = cls(method, layer if isinstance(layer, SpatialLayer) else None, _Collected(method))
        if isinstance(layer, Refusal):
            reader.collected.fail(layer)
        return reader

    @property
    def label(self) -> str:
        return self.method.label

    @property
    def is_reading(self) -> bool:
        return self.collected.failure is None

    @property
    def needs(self) -> Needs:
        wanted = registry.method(self.method.use).needs
        return Needs((self.layer.path,) if self.layer else (), "input_gradient" in wanted)

    def read(self, result: PassResult, model: AuditedModel) -> None:
        """Read one pass; whatever goes wrong is this method's failure alone."""
        try:
            self._check_pass(result)
            maps = _implementation(self.method)(result, self.method, self.layer)
            self.collected.take(maps, result.target.names, self._shape(len(result.scores), model))
        except Exception as error:  # the method's step becomes evidence of a failure; the others go on
            self.collected.fail(error)

    def _shape(self, cases: int, model: AuditedModel) -> tuple[int | None, ...]:
        if registry.method(self.method.use).map_kind == "layer":
            return (cases, *(self.layer.grid if self.layer else (None, None)))
        return (cases, model.input.channels, *model.input.size)

    def _check_pass(self, result: PassResult) -> None:
        """Raises StepError that names the first stage with NaN, before the method blurs where it came from."""
        where = f"methods.{self.label}"
        if self.layer is not None:
            gradient = result.gradient(self.layer)
            check_finite(result.activation(self.layer).cpu().numpy(), f"activations of {self.layer.path!r}", where)
            check_finite(gradient.cpu().numpy(), f"gradients at {self.layer.path!r}", where)
            self.zero_cases += int((gradient.abs().amax((1, 2, 3)) == 0).sum())
        if self.needs.input_gradient and result.input_gradient is not None:
            check_finite(result.input_gradient.cpu().numpy(), "gradients of the pixels", where)

    def finished(self) -> Outcome:
        outcome = self.collected.finished()
        if not isinstance(outcome, Explained) or self.layer is None:
            return outcome
        cases = len(outcome.raw)
        if self.zero_cases == cases:
            return unreached(self.layer.path)
        parameters = {"layer": self.layer.path, "layout": _layout_record(self.layer), "grid": list(self.layer.grid)}
        warnings = outcome.warnings
        if self.zero_cases:
            text = f"No gradient reaches the layer in {self.zero_cases} of {cases} cases; their maps are all zero."
            warnings = (*warnings, text)
        return replace(outcome, parameters={**parameters, **outcome.parameters}, warnings=warnings)


def _layout_record(layer: SpatialLayer) -> object:
    return layer.layout if isinstance(layer.layout, str) else layer.layout.model_dump(mode="json")


@dataclass(eq=False)
class _Group:
    """Readers of one target."""

    target: TargetSpec
    readers: list[_Reader]
    needs: Needs
    counter: PassCounter

    def read(self, model: AuditedModel, batch: Batch) -> None:
        """One pass over a batch for every reader that has not failed."""
        pixels = torch.from_numpy(np.ascontiguousarray(batch.pixels)).to(model.device)
        try:
            for result in in_parts(pixels, lambda part: self._pass(model, part)):
                for reader in self._reading():
                    reader.read(result, model)
        except Exception as error:  # the pass itself failed: no reader of it has an answer
            for reader in self._reading():
                reader.collected.fail(error)

    def _pass(self, model: AuditedModel, pixels: torch.Tensor) -> PassResult:
        return run_pass(model, pixels, self.target, self.needs, self.counter)

    def _reading(self) -> Iterator[_Reader]:
        return (reader for reader in self.readers if reader.is_reading)

    def record(self) -> PassGroup:
        labels = tuple(reader.label for reader in self.readers)
        made = self.counter.made
        return PassGroup(target_record(self.target), self.needs.layers, self.needs.input_gradient, labels, made)


def _by_target(readers: Sequence[_Reader], progress: Progress) -> list[_Group]:
    """Readers grouped by target, without those that were refused already."""
    targets: dict[TargetSpec, list[_Reader]] = {}
    for reader in readers:
        if reader.is_reading:
            targets.setdefault(reader.method.target, []).append(reader)
    return [
        _Group(target, members, Needs.union(reader.needs for reader in members), PassCounter(progress))
        for target, members in targets.items()
    ]
