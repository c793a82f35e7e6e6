"""Every method again on nets with random tensors, stage by stage, through shared passes (Adebayo et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xai_audit.errors import AuditError
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_pass import bytes_beside, explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_asker, is_pass_reader
from xai_audit.explain.explained import Batch, Layers, Limits, Outcome, Progress, no_progress
from xai_audit.explain.lanes import Incremental, Tail
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import Needs
from xai_audit.explain.readers import Reader, asked
from xai_audit.explain.transfer import on_device
from xai_audit.explain.untouched import UntouchedPart
from xai_audit.model.audited import AuditedModel, is_out_of_memory
from xai_audit.model.guard import left_as_found
from xai_audit.model.randomising import RandomNetwork, Stage
from xai_audit.spec.methods import Method


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways to compute less than whole forwards, of one net."""

    tails: Mapping[str, Tail] = field(default_factory=dict)
    incremental: Incremental | None = None


def no_ways(model: AuditedModel) -> Ways:
    """Whole forwards only."""
    return Ways()


@dataclass(frozen=True)
class Randomising:
    """What holds for a whole measurement."""

    network: RandomNetwork
    layers: Layers
    sources: FillSources
    seed: int
    """The one of the original explanations, so that chance in a method is the same."""
    limits: Limits
    progress: Progress = no_progress
    untouched: UntouchedPart | None = None
    """None: pass readers make whole forwards."""
    ways: Callable[[AuditedModel], Ways] = no_ways
    """Finds them for a random net: those of the original have its weights in them."""


@dataclass(frozen=True, eq=False)
class StageMaps:
    """What methods gave at one stage for some cases."""

    stage: int
    """Number of the stage, 0 the first."""
    ids: tuple[str, ...]
    outcomes: Mapping[str, Outcome]
    """By method label."""
    passes: Mapping[str, Passes]
    """Made for each method; what pass readers share belongs to the first of them."""


def randomised_maps(
    methods: Sequence[Method], batches: Callable[[], Iterable[Batch]], how: Randomising
) -> Iterator[StageMaps]:
    """The methods' maps at every stage, batch by batch; batches must hold the classes of the unperturbed net.

    A method that fails at a stage has its failure there. The net is as found after each item, and after an error.
    """
    readers = [method for method in methods if is_pass_reader(method)]
    askers = [method for method in methods if is_asker(method)]
    if readers and how.untouched is not None:
        yield from _from_untouched(readers, batches, how, how.untouched)
    elif readers:
        for number, stage in enumerate(how.network.stages):
            for batch in batches():
                with how.network.at(stage) as model:
                    found = _read(model, readers, batch, how)
                yield StageMaps(number, batch.ids, *found)
    if askers:
        for number, stage in enumerate(how.network.stages):
            yield _asked(askers, batches(), how, number, stage)


def _read(
    model: AuditedModel, readers: Sequence[Method], batch: Batch, how: Randomising
) -> tuple[Mapping[str, Outcome], dict[str, Passes]]:
    found = explain_by_pass(
        model, readers, [batch], how.layers, how.sources, how.limits, how.progress, checks_rules=False
    )
    return found.outcomes, {readers[0].label: found.record.passes}


def _asked(
    askers: Sequence[Method], batches: Iterable[Batch], how: Randomising, number: int, stage: Stage
) -> StageMaps:
    ids: list[str] = []

    def listed() -> Iterator[Batch]:
        for batch in batches:
            ids.extend(batch.ids)
            yield batch

    with how.network.at(stage) as model:
        ways = how.ways(model)
        found = explain_by_queries(
            model, askers, listed(), how.layers, how.sources, how.seed, how.limits, how.progress, tails=ways.tails,
            incremental=ways.incremental,
        )  # fmt: skip
    return StageMaps(number, tuple(ids), found.outcomes, found.passes)


def _from_untouched(
    methods: Sequence[Method], batches: Callable[[], Iterable[Batch]], how: Randomising, part: UntouchedPart
) -> Iterator[StageMaps]:
    """Batch by batch, every stage of a batch from one forward of what is untouched."""
    model = how.network.model
    wanted = asked([Reader.of(method, how.layers) for method in methods])
    needs = Needs.union(entry.request.needs for entry in wanted)
    follows_rule = any(entry.request.rule != "plain" for entry in wanted)
    beside = bytes_beside(model, wanted)
    with left_as_found(model.module):
        rows = rows_that_fit(model, how.limits, gradient=needs.any_gradient, beside=beside)
        beside += model.row_bytes.get(needs.any_gradient, 0)  # the untouched part is held beside a stage's own pass
        rows = rows_that_fit(model, how.limits, gradient=needs.any_gradient, beside=beside) if rows > 1 else 1
    for batch in batches():
        for piece in _pieces(batch, rows):
            yield from _stages(methods, piece, how, part, needs, follows_rule=follows_rule)


def _stages(
    methods: Sequence[Method], batch: Batch, how: Randomising, part: UntouchedPart, needs: Needs, *, follows_rule: bool
) -> Iterator[StageMaps]:
    model = how.network.model
    try:
        with left_as_found(model.module):
            pixels = on_device(batch.pixels, model.device)
            opened = part.open(pixels, needs, follows_rule=follows_rule)
    except Exception as error:
        if not (isinstance(error, AuditError) or is_out_of_memory(error)):
            raise
        opened = None  # each stage tells of its own failure, or runs in halves
    made = NO_PASSES if opened is None else opened.passes
    how.progress(made)
    for number, stage in enumerate(how.network.stages):
        if opened is None:
            with how.network.at(stage) as random:
                outcomes, passes = _read(random, methods, batch, how)
        else:
            limits = replace(how.limits, rows=max(len(batch.ids), 1))
            found = explain_by_pass(
                model, methods, [batch], how.layers, how.sources, limits, how.progress,
                forwards=part.forwards(stage, opened), checks_rules=False,
            )  # fmt: skip
            outcomes, passes = found.outcomes, {methods[0].label: found.record.passes}
        if number == 0:
            passes = {**passes, methods[0].label: passes[methods[0].label] + made}
        yield StageMaps(number, batch.ids, outcomes, passes)


def _pieces(batch: Batch, rows: int) -> Iterator[Batch]:
    for start in range(0, len(batch.ids), rows):
        part = slice(start, start + rows)
        classes = None if batch.classes is None else batch.classes[part]
        yield Batch(batch.indexes[part], batch.ids[part], batch.pixels[part], classes)
