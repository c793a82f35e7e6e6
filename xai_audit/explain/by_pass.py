"""All pass readers of an audit over the chosen cases, each with its result or its own failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from xai_audit.evidence.records import Passes
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.cost import is_pass_reader
from xai_audit.explain.explained import Batch, Layers, Limits, Outcome, Progress, no_progress, target_record
from xai_audit.explain.fetching import Fetched, Read, coming
from xai_audit.explain.memory import rows_that_fit
from xai_audit.explain.passes import Forwards, Needs, PassCounter, PassResult, in_parts, run_pass
from xai_audit.explain.readers import Asked, Reader, asked
from xai_audit.explain.rectifiers import rectifier_refusals
from xai_audit.explain.transfer import Fetching, on_device
from xai_audit.model.audited import AuditedModel
from xai_audit.model.guard import left_as_found
from xai_audit.registry import Rule
from xai_audit.spec.methods import Method


@dataclass(frozen=True)
class PassRecord:
    """What the readers shared: one forward a case, and one backward for each target and rule that wants one."""

    targets: tuple[dict[str, object], ...]
    rules: tuple[Rule, ...]
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
    record: PassRecord


def explain_by_pass(
    model: AuditedModel,
    methods: Sequence[Method],
    batches: Iterable[Batch],
    layers: Layers,
    sources: FillSources | None = None,
    limits: Limits | None = None,
    progress: Progress = no_progress,
    *,
    forwards: Forwards | None = None,
    checks_rules: bool = True,
) -> PassExplanations:
    """Every pass reader over the batches: one forward a case, and one backward for each distinct target and rule.

    A method that raises, or gives NaN or a wrong shape, fails alone; a target that cannot be frozen or differentiated
    fails its readers. `forwards` makes the forwards, where they need not be whole ones. `checks_rules`: whether it is
    still to be seen if the model's rectifiers can be followed. Raises ModelError when a method changed the model.
    """
    readers = [Reader.of(method, layers) for method in methods if is_pass_reader(method)]
    if checks_rules:
        _refuse_rules(model, readers)
    limits, counter = limits or Limits.of(model.device), PassCounter(progress)
    work = _Work(model, readers, sources or FillSources(), limits, counter, forwards)
    wanted = work.asked()
    with left_as_found(model.module):
        for batch in batches if wanted else ():
            work.read(batch)
            if not work.asked():
                break
    work.finish()
    return PassExplanations({reader.label: reader.finished() for reader in readers}, _record(wanted, work.counter.made))


def _refuse_rules(model: AuditedModel, readers: Sequence[Reader]) -> None:
    """Refuse the rules of backward that are undefined for the model."""
    ruled = [reader for reader in readers if reader.is_reading and reader.rule != "plain"]
    try:
        refusals = rectifier_refusals(model, [reader.method for reader in ruled])
    except Exception as error:  # the network itself failed
        for reader in ruled:
            reader.collected.fail(error)
        return
    for reader in ruled:
        if reader.label in refusals:
            reader.collected.fail(refusals[reader.label])


def _record(wanted: Sequence[Asked], passes: Passes) -> PassRecord:
    needs = Needs.union(entry.request.needs for entry in wanted)
    targets = dict.fromkeys(entry.request.target for entry in wanted if entry.request.target is not None)
    return PassRecord(
        targets=tuple(target_record(target) for target in targets),
        rules=tuple(dict.fromkeys(entry.request.rule for entry in wanted)),
        layers=needs.layers,
        input_gradient=needs.input_gradient,
        readers=tuple(reader.label for entry in wanted for reader in entry.readers),
        passes=passes,
    )


@dataclass(eq=False)
class _Work:
    """The readers, the model that they read, and the passes made for them."""

    model: AuditedModel
    readers: list[Reader]
    sources: FillSources
    limits: Limits
    counter: PassCounter
    forwards: Forwards | None = None
    rows: int = 0
    """Cases in one part of a batch; 0 until it is known."""
    coming: _Part | None = None
    """The last part, where a GPU is still at it: meanwhile the next one is begun, or the model's state compared."""

    def asked(self) -> list[Asked]:
        """What is still asked for."""
        return asked(self.readers)

    def read(self, batch: Batch) -> None:
        """One pass over a batch, in parts that fit, for every reader that has not failed."""
        try:
            rows = self._rows() if len(batch.ids) > 1 else 1
            for start in range(0, len(batch.ids), rows):
                pixels = on_device(batch.pixels[start : start + rows], self.model.device)
                classes = None if batch.classes is None else batch.classes[start : start + rows]
                self._read_parts(pixels, batch.ids[start : start + rows], classes)
        except Exception as error:  # the pass itself failed: no reader of it has an answer
            for reader in self.readers:
                reader.collected.fail(error)

    def _read_parts(self, pixels: Tensor, ids: Sequence[str], classes: Sequence[int] | None) -> None:
        done = 0

        def run(part: Tensor) -> _Part:
            kept = None if classes is None else classes[done : done + len(part)]
            return self._part(part, ids[done : done + len(part)], kept)

        for part in in_parts(pixels, run):
            done += len(part.ids)
            self.finish()
            self.coming = part
            if part.is_there:
                self.finish()

    def _rows(self) -> int:
        if not self.rows:
            wanted = self.asked()
            wants_gradient = any(entry.request.needs.any_gradient for entry in wanted)
            beside = bytes_beside(self.model, wanted)
            self.rows = rows_that_fit(self.model, self.limits, gradient=wants_gradient, beside=beside)
        return self.rows

    def _part(self, pixels: Tensor, ids: Sequence[str], classes: Sequence[int] | None) -> _Part:
        """What every reader makes of some cases; raises lack of memory, before anything is counted."""
        wanted, counter, fetching = self.asked(), PassCounter(), Fetching(self.model.device)
        results = run_pass(
            self.model, pixels, [entry.request for entry in wanted], counter, ids, classes, self.forwards
        )
        reading = [(reader, result) for entry, result in zip(wanted, results, strict=True) for reader in entry.readers]
        reading.sort(key=lambda pair: not pair[0].needs.input_gradient)  # large maps travel while others are made
        reads = [Read.of(reader, result, self.sources, fetching) for reader, result in reading]
        return _Part(tuple(ids), counter.made, coming(reads, fetching), fetching.is_there)

    def finish(self) -> None:
        """Take the part that is coming, if there is one."""
        if self.coming is not None:
            part, self.coming = self.coming, None
            self._take(part)

    def _take(self, part: _Part) -> None:
        self.counter.add(part.passes)
        for read, found in part.found():
            reader, shape = read.reader, read.reader.shape(len(part.ids), self.model)
            try:
                if isinstance(found, Exception):
                    raise found
                found.check(reader.label)
                names = read.result.target.names if isinstance(read.result, PassResult) else ()
                reader.collected.take(found.maps, names, shape, part.ids, known_finite=found.is_finite)
                reader.counts.update(found.counts)
            except Exception as error:  # the method's step becomes evidence of a failure; the others go on
                reader.collected.fail(error)


KEPT, WORKED = 3, 10
"""Tensors of a layer's size that are held at once: the copy kept, the one handed on and the gradient; and those of the
method at work."""
FLOAT_BYTES = 4


def bytes_beside(model: AuditedModel, wanted: Sequence[Asked]) -> int:
    """Bytes that one case takes beside its pass: layers that are read, gradients of the pixels, and work on them."""
    readers = [reader for entry in wanted for reader in entry.readers]
    layers = {reader.layer.path: reader.layer for reader in readers if reader.layer is not None}
    sizes = [layer.channels * layer.grid[0] * layer.grid[1] for layer in layers.values()]
    pixel_maps = sum(reader.needs.input_gradient for reader in readers)
    image = model.input.channels * model.input.size[0] * model.input.size[1]
    return FLOAT_BYTES * (KEPT * sum(sizes) + WORKED * max(sizes, default=0) + pixel_maps * image)


@dataclass(frozen=True, eq=False)
class _Part:
    """What all readers made of some cases."""

    ids: tuple[str, ...]
    passes: Passes
    found: Callable[[], list[tuple[Read, Fetched | Exception]]]
    """Waits for a GPU that is still at it."""
    is_there: bool
    """Whether nothing is waited for."""
