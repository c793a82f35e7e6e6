"""network_dissection at work in a scan: which concepts are asked for, where they are marked, and what is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.dissection import LARGEST_KEPT, Asked, Dissection, rotation
from xai_audit.concepts.overlap import Picture
from xai_audit.concepts.reading import Read, Seen
from xai_audit.concepts.thresholds import bytes_of, rank_of
from xai_audit.data.column_types import missing_in
from xai_audit.engines.dissection_record import read_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES
from xai_audit.evidence.seeds import generator
from xai_audit.model.layers import SpatialLayer
from xai_audit.model.receptive import ReceptiveField, receptive_field
from xai_audit.plan import Step
from xai_audit.spec.concepts import concepts_of
from xai_audit.spec.methods import Concept, NetworkDissection, TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

FLOAT_BYTES, MEBIBYTE = 4, 2**20
MOST_MEGABYTES = 512
"""Memory of the highest values of all units and random directions."""


@dataclass(frozen=True, eq=False)
class Lookout:
    """The concepts that are looked for in the cases of a slice, and where they are annotated."""

    concepts: tuple[Concept, ...]
    categories: tuple[str, ...]
    """In order of their first concept."""
    cases: NDArray[np.int64]
    """Dataset indexes, ascending."""
    known: NDArray[np.bool_]
    """(cases, concepts): the concept's own mark is there, or its slice can be told."""
    context: Context

    @property
    def category(self) -> NDArray[np.int64]:
        """(concepts,) number of each concept's category."""
        return np.array([self.categories.index(concept.category) for concept in self.concepts], np.int64)

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(cases, categories): any concept of the category is marked there."""
        return np.stack([self.known[:, self.category == k].any(axis=1) for k in range(len(self.categories))], axis=1)

    @property
    def taken_as_absent(self) -> NDArray[np.int64]:
        """(concepts,) cases without a mark of the concept that are annotated for its category by another one."""
        return np.asarray((self.annotated[:, self.category] & ~self.known).sum(axis=0))

    def marks(self, place: int) -> NDArray[np.bool_]:
        """Masks of one case, (concepts, height, width), as the model sees it."""
        return np.stack([self._mark(concept, int(self.cases[place])) for concept in self.concepts])

    def mark(self, place: int, number: int) -> NDArray[np.bool_]:
        """The mask of one concept in one case, (height, width)."""
        return self._mark(self.concepts[number], int(self.cases[place]))

    def _mark(self, concept: Concept, index: int) -> NDArray[np.bool_]:
        context = self.context
        if concept.mask is not None:
            return context.dataset.seen_mask(index, concept.mask, context.input)
        members = context.slices[str(concept.slice)]
        place = int(np.searchsorted(members, index))
        return np.full(context.input.size, place < len(members) and members[place] == index)


class DissectionReader:
    """Reads a layer's activations over its slice, once, or twice where they are too many to keep."""

    targets: tuple[TargetSpec, ...] = ()
    passes = NO_PASSES

    def __init__(
        self,
        context: Context,
        step: Step,
        method: NetworkDissection,
        layer: SpatialLayer,
        lookout: Lookout,
        field: ReceptiveField,
    ) -> None:
        self.context, self.step, self.method, self.layer = context, step, method, layer
        self.lookout, self.field = lookout, field
        self.asked = Asked(
            label=method.label,
            cases=len(lookout.cases),
            units=layer.channels,
            grid=layer.grid,
            picture=Picture.of(field.centres(layer.grid), context.size),
            category=lookout.category,
            annotated=lookout.annotated,
            marks=lookout.marks,
            quantile=method.quantile,
            limit=method.iou,
            shuffles=method.shuffles,
            largest_kept=LARGEST_KEPT,
        )
        self._dissection: Dissection | None = None

    @property
    def looks(self) -> int:
        """1, or 2 where the activations are too large to keep; known once the first of them are seen."""
        return 1 if self._dissection is None else self._dissection.looks

    def random(self, of: str) -> np.random.Generator:
        """A generator for one part of the work."""
        return generator(self.context.spec.audit.seed, f"{self.step.id}:{of}")

    @property
    def dissection(self) -> Dissection:
        """What the cases seen so far came to."""
        assert self._dissection is not None
        return self._dissection

    def take(self, seen: Seen) -> None:
        """Some cases: tallied in the first look, met by their marks in the second."""
        activation = np.asarray(seen.activation.detach().cpu().numpy())
        if self._dissection is None:
            turn = rotation(self.layer.channels, self.random("rotation"))
            self._dissection = Dissection(self.asked, activation.dtype, turn)
        with self._closed_on_error():
            if seen.look == 0:
                self._dissection.tally(activation)
            else:
                self._dissection.meet(activation)

    def between(self) -> None:
        """All cases were tallied."""
        with self._closed_on_error():
            self.dissection.settle()

    def finish(self) -> Read:
        """Overlaps, what chance gives, detectors, and the cases in which they are strongest."""
        try:
            return read_of(self)
        finally:
            self.dissection.close()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Free the disk at once, so that what else runs does not miss it."""
        try:
            yield
        except BaseException:
            self.dissection.close()
            raise


def begin(
    context: Context, step: Step, method: NetworkDissection, layer: SpatialLayer, cases: NDArray[np.int64]
) -> DissectionReader:
    """A reader of one layer. Raises Refusal where no case of the slice marks a concept, or too much would be kept."""
    assert context.model is not None
    concepts = concepts_of(method, context.spec)
    where = f"methods.{method.label}.concepts"
    if not concepts:
        fix = "Add `data.masks` or a slice, and name it under `concepts`."
        raise Refusal(where, "no concept that is marked in the data", "at least one mask, box or slice", fix)
    _check_size(method, layer, len(cases))
    lookout = look_for(context, concepts, np.sort(cases), where)
    return DissectionReader(context, step, method, layer, lookout, receptive_field(context.model, layer))


def _check_size(method: NetworkDissection, layer: SpatialLayer, cases: int) -> None:
    """Raises Refusal where the highest values, the one part whose memory follows the cases, would be too many."""
    places = layer.grid[0] * layer.grid[1]
    size = bytes_of(2 * layer.channels, rank_of(method.quantile, cases * places), FLOAT_BYTES) // MEBIBYTE
    if size > MOST_MEGABYTES:
        found = f"{cases} cases of {layer.channels} units at {places} places, whose highest values take {size} MB"
        fix = "Choose a smaller slice or `quantile`, or a later layer."
        raise Refusal(f"methods.{method.label}", found, f"at most {MOST_MEGABYTES} MB", fix)


def look_for(context: Context, concepts: Sequence[Concept], cases: NDArray[np.int64], where: str) -> Lookout:
    """Where concepts are annotated among some cases. Raises Refusal where none is, in any case."""
    known = np.stack([_known(context, concept, cases, where) for concept in concepts], axis=1)
    if not known.any():
        named = ", ".join(concept.name for concept in concepts)
        fix = "Name a slice whose cases have masks, or other concepts."
        raise Refusal(where, f"no mark of {named} in {len(cases)} cases", "at least one case with a mark", fix)
    categories = tuple(dict.fromkeys(concept.category for concept in concepts))
    return Lookout(tuple(concepts), categories, cases, known, context)


def _known(context: Context, concept: Concept, cases: NDArray[np.int64], where: str) -> NDArray[np.bool_]:
    """(cases,) whether a case says if the concept is there: it has a mask, or values in all columns of the slice."""
    dataset = context.dataset
    if concept.mask is not None:
        return np.array([dataset.has_mask(int(index), concept.mask) for index in cases], np.bool_)
    if concept.slice is None:
        fix = "Leave it to tcav, or mark it by a mask, box or slice."
        raise Refusal(where, f"concept {concept.name!r}, which no mask or slice marks", "a mask or a slice", fix)
    filters = next(part.where for part in context.spec.slices if part.name == concept.slice)
    columns = [name for name, one in filters.items() if one.missing is None]
    gone = [np.asarray(missing_in(dataset.frame[name]))[cases] for name in columns]
    return np.asarray(~np.any([np.zeros(len(cases), np.bool_), *gone], axis=0))
