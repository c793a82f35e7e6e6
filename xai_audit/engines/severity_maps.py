"""How alike explanations stay when their pictures are changed: rank correlation with the first map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit import registry
from xai_audit.causal.sample import Sample
from xai_audit.engines.explaining import fills
from xai_audit.engines.operating import Settings, set_in, unit_of
from xai_audit.engines.operator_contract import Contract
from xai_audit.errors import StepError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.store import StepResult
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.explained import Batch, Explained
from xai_audit.explain.stages import relevance_map
from xai_audit.measures.agreement import rank_correlations, standard_ranks
from xai_audit.plan import Step
from xai_audit.spec.causal import Causal
from xai_audit.spec.methods import Method

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]


def likeness(
    context: Context, step: Step, causal: Causal, contract: Contract, settings: Sequence[Settings], sample: Sample
) -> tuple[dict[str, Floats], Passes]:
    """By method: correlation of each row's map at each level with its own, (n, levels), NaN where it was not explained.

    The class that is explained stays that of the picture as it is.
    """
    kept = [one for one in map(context.read, step.parents) if one.record.kind == "explanation"]
    found: dict[str, Floats] = {}
    passes = NO_PASSES
    for one in kept:
        if one.record.status != "measured":
            continue
        method = next(entry for entry in context.spec.methods if entry.label == one.record.subject)
        likes = np.full((sample.n, len(settings)), np.nan)
        for level, setting in enumerate(settings):
            rows = _Changed(context, causal, contract, sample, one)
            raw, made = _again(context, method, rows.batches(setting))
            passes += made
            likes[rows.places, level] = _alike(context, method, one.arrays["raw"][rows.kept], raw)
        found[method.label] = likes
    return found, passes


class _Changed:
    """The explained cases that belong to the sample, in the order of their maps."""

    def __init__(self, context: Context, causal: Causal, contract: Contract, sample: Sample, kept: StepResult) -> None:
        self.context, self.causal, self.contract, self.sample = context, causal, contract, sample
        place_of = {context.dataset.ids[int(row)]: place for place, row in enumerate(sample.rows)}
        ids: list[str] = list(kept.record.details["case_ids"])
        self.kept = [number for number, case in enumerate(ids) if case in place_of]
        self.places = [place_of[ids[number]] for number in self.kept]
        self.ids = [ids[number] for number in self.kept]
        names = [
            str(kept.record.details["explained"][number]) for number in self.kept if kept.record.details["explained"]
        ]
        known = () if context.model is None else context.model.classes
        self.classes = tuple(known.index(name) for name in names) if names and set(names) <= set(known) else None

    def batches(self, setting: Settings) -> Iterator[Batch]:
        """The changed pictures, a batch at a time."""
        size = self.context.limits.rows
        for start in range(0, len(self.places), size):
            part = self.places[start : start + size]
            pixels = np.stack([self._pixels(place, setting) for place in part])
            classes = None if self.classes is None else self.classes[start : start + size]
            numbers = tuple(int(self.sample.rows[place]) for place in part)
            yield Batch(numbers, tuple(self.ids[start : start + size]), pixels, classes)

    def _pixels(self, place: int, setting: Settings) -> NDArray[np.float32]:
        unit = unit_of(self.context, self.causal, self.sample, place)
        image = set_in(self.context, self.causal, self.contract.tools, unit, setting).image
        return np.ascontiguousarray(np.moveaxis(image, 2, 0), np.float32)


def _again(context: Context, method: Method, batches: Iterator[Batch]) -> tuple[NDArray[Any], Passes]:
    """Raw maps of changed pictures. Raises the method's own failure."""
    model, prepared = context.model, context.prepared()
    assert model is not None
    sources = fills(context, [method])
    if is_pass_reader(method):
        read = explain_by_pass(
            model, [method], batches, prepared.layers, sources, context.limits, context.count, checks_rules=False
        )
        outcome, passes = read.outcomes[method.label], read.record.passes
    else:
        asked = explain_by_queries(
            model, [method], batches, prepared.layers, sources, context.spec.audit.seed, context.limits, context.count,
            tails=prepared.tails, incremental=prepared.incremental,
        )  # fmt: skip
        outcome, passes = asked.outcomes[method.label], asked.passes[method.label]
    if isinstance(outcome, Explained):
        return outcome.raw, passes
    raise outcome if isinstance(outcome, Exception) else StepError("causal.severity", "no map", "a map", "")


def _alike(context: Context, method: Method, before: NDArray[Any], after: NDArray[Any]) -> Floats:
    """Spearman's correlation of the relevance of each case before and after; NaN for a constant map."""
    reduction = registry.method(method.use).reduction
    maps = [relevance_map(raw.astype(np.float64), reduction, context.size) for raw in (before, after)]
    pairs = zip(*maps, strict=True)
    return np.asarray([rank_correlations([standard_ranks(one), standard_ranks(other)])[0, 1] for one, other in pairs])
