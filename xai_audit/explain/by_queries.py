"""All perturbation methods of an audit over the chosen cases, through one engine; each has a result or own failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xai_audit.errors import DataError, Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.cost import is_asker
from xai_audit.explain.explained import (
    Batch,
    Collected,
    Layers,
    Limits,
    Outcome,
    Progress,
    implementation,
    layer_record,
    map_shape,
    no_progress,
)
from xai_audit.explain.lanes import Incremental, Tail
from xai_audit.explain.openings import Asker, Picture
from xai_audit.explain.passes import PassCounter
from xai_audit.explain.queries import Answer, Shortcuts, ask
from xai_audit.explain.readers import EMPTY
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import Method


@dataclass(frozen=True, eq=False)
class QueryExplanations:
    """What all query askers found."""

    outcomes: dict[str, Outcome]
    """By method label, in the order of the spec."""
    passes: dict[str, Passes]
    """Passes made for what each method asked first, by label; together all that were made and counted."""


def explain_by_queries(
    model: AuditedModel,
    methods: Sequence[Method],
    batches: Iterable[Batch],
    layers: Layers,
    sources: FillSources,
    seed: int,
    limits: Limits,
    progress: Progress = no_progress,
    *,
    tails: Mapping[str, Tail] | None = None,
    incremental: Incremental | None = None,
) -> QueryExplanations:
    """Every query asker over the batches, through one queue of questions.

    A method that raises, or gives NaN or a wrong shape, fails alone; a Refusal in `layers` keeps a method from running.
    `tails`, by module path, and `incremental` compute less than whole forwards. Raises ModelError when the model was
    changed, and DataError where a batch cannot be read.
    """
    counter = PassCounter(progress)
    kept = {method.label: _Kept.of(method, layers) for method in methods if is_asker(method)}
    askers = [entry.asker for entry in kept.values() if entry.asker is not None]
    shortcuts = Shortcuts(tails or {}, incremental)
    with left_as_found(model.module):
        try:
            for answer in ask(model, _pictures(batches), askers, sources, seed, limits, counter, shortcuts):
                kept[answer.label].take(answer, model)
        except DataError:
            raise
        except Exception as error:  # the network itself failed: no method has an answer
            for entry in kept.values():
                entry.collected.fail(error)
    outcomes = {label: entry.finished() for label, entry in kept.items()}
    return QueryExplanations(outcomes, {label: entry.passes for label, entry in kept.items()})


def _pictures(batches: Iterable[Batch]) -> Iterator[Picture]:
    for batch in batches:
        classes = batch.classes or [None] * len(batch.ids)
        for name, pixels, chosen in zip(batch.ids, batch.pixels, classes, strict=True):
            yield Picture(name, pixels, chosen)


@dataclass(eq=False)
class _Kept:
    """A method and what it has found so far."""

    collected: Collected
    layer: SpatialLayer | None
    asker: Asker | None = None
    """None where the method cannot be asked."""
    passes: Passes = NO_PASSES
    empty: int = 0
    """Cases with nothing to explain."""

    @classmethod
    def of(cls, method: Method, layers: Layers) -> _Kept:
        layer = layers.get(method.label)
        kept = cls(Collected(method), layer if isinstance(layer, SpatialLayer) else None)
        try:
            if isinstance(layer, Refusal):
                raise layer
            kept.asker = Asker(method, implementation(method), kept.layer)
        except Exception as error:
            kept.collected.fail(error)
        return kept

    def take(self, answer: Answer, model: AuditedModel) -> None:
        """Take what was found about one image."""
        self.passes += answer.passes
        self.empty += answer.is_empty
        if isinstance(answer.outcome, Exception):
            self.collected.fail(answer.outcome)
            return
        raw = np.asarray(answer.outcome.raw, np.float32)  # kept till the end: half the size
        shape = map_shape(self.collected.method, self.layer, 1, model)
        self.collected.take(replace(answer.outcome, raw=raw), [answer.name], shape, [answer.id])

    def finished(self) -> Outcome:
        """All maps together, or why there are none."""
        layer = {} if self.layer is None else layer_record(self.layer)
        return self.collected.finished(self.passes, layer, {EMPTY: self.empty})
