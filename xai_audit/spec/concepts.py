"""Which concepts a method looks for: those it names, or those declared that it can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from xai_audit.spec.methods import Concept, NetworkDissection, Tcav
from xai_audit.spec.schema import AuditSpec, Border, Mask, Outside

EFFECT_TASKS = ("single_label", "binary_logit", "multi_label", "regression")
"""Tasks in which each class, label or output has a score of the whole picture, which may lose without a concept."""
Origin = Literal["mask", "slice", "files", "unknown"]


def origin_of(concept: Concept, masks: Sequence[str], slices: Sequence[str]) -> tuple[Origin, str]:
    """Where a concept's marks are, and their name there; the mask, or else the slice, of its own name by default."""
    if concept.mask is not None:
        return "mask", concept.mask
    if concept.slice is not None:
        return "slice", concept.slice
    if concept.files is not None:
        return "files", concept.files
    if concept.name in masks:
        return "mask", concept.name
    return ("slice", concept.name) if concept.name in slices else ("unknown", concept.name)


def reads(method: NetworkDissection | Tcav) -> tuple[Origin, ...]:
    """Origins of concepts that a method can read."""
    return ("mask", "slice") if isinstance(method, NetworkDissection) else ("slice", "files")


def concepts_of(method: NetworkDissection | Tcav, spec: AuditSpec) -> tuple[Concept, ...]:
    """The concepts that a method looks for, each with its origin filled in and `spurious` settled."""
    declared = {concept.name: concept for concept in spec.concepts}
    masks, slices = list(spec.data.masks), [part.name for part in spec.slices]
    if method.concepts is None:
        chosen = [c for c in spec.concepts if origin_of(c, masks, slices)[0] in reads(method)]
    else:
        chosen = [declared.get(c.name, c) if c == Concept(name=c.name) else c for c in method.concepts]
    return tuple(_settled(concept, spec.data.masks, masks, slices) for concept in chosen)


def folders_of(spec: AuditSpec) -> tuple[str, ...]:
    """Folders of concept pictures that some tcav looks at, each once, sorted."""
    tcavs = [method for method in spec.methods if isinstance(method, Tcav)]
    return tuple(sorted({c.files for method in tcavs for c in concepts_of(method, spec) if c.files is not None}))


def _settled(concept: Concept, kinds: Mapping[str, Mask], masks: Sequence[str], slices: Sequence[str]) -> Concept:
    origin, name = origin_of(concept, masks, slices)
    changed: dict[str, object] = {} if origin == "unknown" else {origin: name}
    if concept.spurious is None:
        changed["spurious"] = origin == "mask" and isinstance(kinds.get(name), Outside | Border)
    return concept.model_copy(update=changed)


def score_names(spec: AuditSpec) -> tuple[str, ...]:
    """The classes, labels or outputs that have a score."""
    return spec.classes or (spec.model.outputs if spec.model else None) or ("value",)
