"""Which images show each concept of a tcav, and which its random counterparts are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.concepts.permutation import LEAST, POOL, set_size
from xai_audit.data.concept_pictures import ConceptFolder, concept_folder
from xai_audit.errors import Refusal
from xai_audit.evidence.seeds import generator
from xai_audit.plan import Step
from xai_audit.spec.concepts import origin_of
from xai_audit.spec.methods import Concept, Tcav

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ConceptSet:
    """A concept's images and those that its random counterparts are drawn from."""

    concept: Concept
    origin: str
    source: str
    """Name of the slice, or the folder as the spec writes it."""
    shown: int
    """Images that show the concept."""
    pool: int
    """Images that do not."""
    size: int = 0
    """Images of a set, the concept's and each counterpart; 0 where the concept is refused."""
    refusal: Refusal | None = None
    own: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Cases of the set, or numbers of the folder's pictures."""
    others: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Cases that counterparts are drawn from."""
    folder: ConceptFolder | None = None
    warnings: tuple[str, ...] = ()


def concept_set(context: Context, step: Step, method: Tcav, concept: Concept, cases: Integers) -> ConceptSet:
    """The images of one concept, among the cases of the method's slice or in a folder.

    More than a set takes are thinned out at random, by the spec's seed. Raises DataError for a folder that is none.
    """
    origin, source = origin_of(concept, (), list(context.slices))
    among = cases if method.random == "pool" else np.intersect1d(cases, context.slices[method.random])
    folder: ConceptFolder | None = None
    warnings: list[str] = []
    if origin == "files":
        folder = concept_folder(source, context.spec_folder, f"concepts.{concept.name}.files")
        shown, others = np.arange(len(folder.files)), _unlike(context, folder, among)
        warnings += _left_out(folder, source, len(among) - len(others))
    elif origin == "slice":
        shown = np.intersect1d(cases, context.slices[source])
        others = np.setdiff1d(among, shown)
        warnings += _of_clusters(context, concept, shown)
    else:
        refusal = _refusal(concept, "no images of its own", "a slice or a folder of pictures", "Give it one.")
        return ConceptSet(concept, origin, source, 0, len(among), refusal=refusal)
    size = set_size(len(shown), len(others))
    found = ConceptSet(concept, origin, source, len(shown), len(others), size, folder=folder, warnings=tuple(warnings))
    if size < LEAST:
        return _too_small(found, method)
    rng = generator(context.spec.audit.seed, f"{step.id}:{concept.name}:images")
    own, drawn = _some(shown, size, rng), _some(others, POOL, rng)
    return ConceptSet(
        concept, origin, source, len(shown), len(others), size, None, own, drawn, folder, tuple(warnings)
    )  # fmt: skip


def _some(images: Integers, most: int, rng: np.random.Generator) -> Integers:
    """At most so many of them, in random order."""
    return np.asarray(rng.permutation(images)[:most])


def _too_small(found: ConceptSet, method: Tcav) -> ConceptSet:
    name = found.concept.name
    if found.shown < LEAST:
        where = f"in {found.source}" if found.origin == "files" else f"in slice {method.slice!r}"
        what, expected = f"{found.shown} images {where}", f"at least {LEAST}"
        refusal = _refusal(found.concept, what, expected, f"Add images of {name!r}.")
    else:
        what = f"{found.pool} images to draw random counterparts from"
        expected = f"at least {LEAST * 4 // 3}, so that sets of {LEAST} leave a quarter out"
        refusal = _refusal(found.concept, what, expected, "Name a larger `slice` or `random`, or a rarer concept.")
    return ConceptSet(found.concept, found.origin, found.source, found.shown, found.pool, 0, refusal)


def _refusal(concept: Concept, found: str, expected: str, fix: str) -> Refusal:
    return Refusal(f"concept {concept.name!r}", found, expected, fix)


def _unlike(context: Context, folder: ConceptFolder, cases: Integers) -> Integers:
    """The cases whose picture is not one of the folder's, by file or by pixels."""
    known = {*folder.digests, *(digest for _, digest in folder.images())}
    is_other = [context.dataset.file_digest(int(index)) not in known for index in cases]
    return np.asarray(cases[np.asarray(is_other, dtype=bool)])


def _left_out(folder: ConceptFolder, source: str, known: int) -> Iterator[str]:
    """Files of a folder that are no pictures of a set, and cases that are pictures of the folder."""
    if folder.again == 1:
        yield f"1 picture of {source} is a copy of another there and was left out."
    elif folder.again:
        yield f"{folder.again} pictures of {source} are copies of others there and were left out."
    if folder.others:
        count = len(folder.others)
        yield f"1 file of {source} is no image." if count == 1 else f"{count} files of {source} are no images."
    if known:
        what = "1 case is a picture" if known == 1 else f"{known} cases are pictures"
        yield f"{what} of {source} and not drawn from."


def _of_clusters(context: Context, concept: Concept, shown: Integers) -> Iterator[str]:
    clusters = context.dataset.clusters
    if clusters is not None and (count := len(np.unique(clusters[shown]))) < len(shown):
        yield (
            f"The {len(shown)} images of {concept.name!r} come from {count} {'cluster' if count == 1 else 'clusters'}; "
            "the test takes them for independent, and its p is too small where images of a cluster are alike."
        )
