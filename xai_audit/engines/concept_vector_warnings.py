"""What a reader of tcav's scores must know beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_audit.concepts.permutation import LEVEL, bonferroni
from xai_audit.concepts.vectors import Settings
from xai_audit.engines.tested_concepts import ClassCases, Pair, Tested

MANY_ZEROS = 0.1
"""Share of cases whose S is exactly 0 above which it is said."""


def warnings_of(
    pairs: Sequence[Pair], found: Sequence[Tested], classes: Sequence[ClassCases], settings: Settings, count: int
) -> Iterator[str]:
    """Sentences about concepts, then classes, comparisons, and the test."""
    for one in found:
        yield from _of_concept(one)
    for of_class in classes:
        yield from _of_class(of_class)
    for pair in pairs:
        if (share := pair.zeros) > MANY_ZEROS:
            yield (
                f"{pair.label}: S is exactly 0 for {share:.0%} of the cases, whose score does not depend on this "
                "layer; they count as not rising in the score, and as neither in the test."
            )
    smallest = bonferroni(1 / (settings.null_sets + 1), count)
    if smallest > LEVEL:
        yield (
            f"With {settings.null_sets} null sets and {count} comparisons no corrected p can be below {smallest:.2g}: "
            "nothing can be significant. Raise `null_sets`."
        )


def _of_concept(one: Tested) -> Iterator[str]:
    images, name = one.images, one.images.concept.name
    if images.refusal is not None:
        yield f"Not tested: {images.refusal}"
        return
    yield from images.warnings
    if images.size < images.shown:
        yield f"{name!r}: {images.size} of its {images.shown} images were drawn at random."
    if 2 * images.size > len(images.others):
        yield (
            f"{name!r}: counterparts of {images.size} out of {len(images.others)} images share most of them, so that "
            "the score's interval is too narrow; the test allows for it."
        )
    if one.state == "not_linearly_present":
        kept = int(one.kept.sum())
        told = f"{kept} of {len(one.kept)} vectors do, as luck alone gives" if kept else "no vector does"
        yield f"{name!r} is not linearly present at this layer: vectors must tell unseen images, and {told}."
    elif not one.kept.all():
        dropped = int((~one.kept).sum())
        yield f"{name!r}: {dropped} of {len(one.kept)} vectors are no better than chance and were dropped."


def _of_class(of_class: ClassCases) -> Iterator[str]:
    name = of_class.name
    if not len(of_class.indexes):
        yield f"The slice has no case of {name!r}."
    elif not of_class.is_reached:
        yield f"No gradient of the score of {name!r} reaches the layer."
    elif of_class.is_constant:
        yield (
            f"Behind this layer the score of {name!r} is linear: S is the same for every case, so that a vector "
            "scores 0 or 1, and sets that tie are told apart by the size of S."
        )
