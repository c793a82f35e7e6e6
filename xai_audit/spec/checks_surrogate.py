"""What a decision_tree and criteria about it must name: a slice, masks, features that the input can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xai_audit.registry import MEASURES
from xai_audit.spec.messages import Mistake, did_you_mean, one_of, unknown
from xai_audit.spec.methods import ConceptFeature, DecisionTree, GridFeature, RegionFeature
from xai_audit.spec.schema import Criterion, MeasureUse, ModelInput
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput
from xai_audit.spec.yaml_nodes import Path, quoted

OF_SURROGATES = tuple(entry.name for entry in MEASURES if entry.group == "surrogate")
"""Measures that every decision_tree gives, declared or not."""
_WHOLE = "image"
_COLOURS = ("red", "green", "blue")
_ADD_TREE = "Add {use: decision_tree} under `methods:`."


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes in decision trees, and in measures and criteria about them."""
    for index, method in sections.methods.items():
        if isinstance(method, DecisionTree):
            yield from _tree(sections, method, ("methods", index))
    for index, use in sections.measures.items():
        if use.use in OF_SURROGATES:
            yield from _measure(sections, use, ("measures", index))
    for index, criterion in sections.criteria.items():
        if criterion.measure in OF_SURROGATES:
            yield from _criterion(sections, criterion, ("criteria", index))


def _tree(sections: Sections, method: DecisionTree, path: Path) -> Iterator[Mistake]:
    slices = sections.names("slices", "name") if sections.has("slices") else ["all"]
    are_known = not sections.has("slices") or sections.are_named("slices", "name")
    if method.slice not in slices and are_known:
        fix = "Add the slice under `slices:` or correct the name."
        yield unknown((*path, "slice"), method.slice, slices, fix)
    if method.features is None:
        yield from _default(sections, path)
    for place, feature in enumerate(method.features or ()):
        at: Path = (*path, "features", place)
        if feature in (method.features or ())[:place]:
            yield Mistake(at, "a feature a second time", "each feature once", "Remove one of the two.")
        elif isinstance(feature, str):
            yield from _column(sections, feature, at)
        elif not isinstance(feature, ConceptFeature):  # whose method and concept checks_concepts looks up
            yield from _of_images(sections, feature, at)


def _default(sections: Sections, path: Path) -> Iterator[Mistake]:
    """Images without a slice that names a column have nothing to ask about."""
    is_of_images = sections.model is not None and isinstance(sections.model.input, ModelInput)
    slices = sections.raw.get("slices", ())
    is_named = any(part.where for part in sections.slices.values()) or len(sections.slices) != len(slices or (None,))
    if is_of_images and not is_named and not sections.has(*path, "features"):
        fix = "Add `features:` with columns of the table, {region: image} or {grid: [2, 2]}."
        expected = "features: no slice names a column that could be one"
        yield Mistake((*path, "use"), "decision_tree without `features`", expected, fix)


def _column(sections: Sections, name: str, at: Path) -> Iterator[Mistake]:
    source = sections.data.source if sections.data is not None else None
    label = getattr(source, "label", None)
    labels = (label,) if isinstance(label, str) else label or ()
    if name in labels and source is not None and source.kind != "arrays":
        fix = "Remove it: the tree must say what the model does, not what is true."
        yield Mistake(at, f"{quoted(name)}, the label", "a feature that is not the label", fix)
    given = sections.model.input if sections.model is not None else None
    if isinstance(given, TableInput) and name not in given.names:
        near = did_you_mean(name, list(given.names))
        if near is not None:
            yield unknown(at, name, list(given.names), "Or name another column of the table.")


def _of_images(sections: Sections, feature: RegionFeature | GridFeature, at: Path) -> Iterator[Mistake]:
    given = sections.model.input if sections.model is not None else None
    if isinstance(given, TableInput):
        expected, fix = "columns: a row of a table has no regions", "Name columns of the table."
        yield Mistake(at, "a region or grid for a table", expected, fix)
        return
    if isinstance(given, ModelInput) and feature.statistic in _COLOURS and given.channels != 3:
        expected = "brightness or contrast: the model reads grey images"
        yield Mistake((*at, "statistic"), quoted(feature.statistic), expected, "Ask for brightness.")
    if isinstance(feature, RegionFeature):
        yield from _region(sections, feature, at)
    elif isinstance(given, ModelInput) and (feature.grid[0] > given.size[0] or feature.grid[1] > given.size[1]):
        expected = f"at most a cell a pixel, [{given.size[0]}, {given.size[1]}]"
        found = f"[{feature.grid[0]}, {feature.grid[1]}]"
        yield Mistake((*at, "grid"), found, expected, "Take fewer cells.")


def _region(sections: Sections, feature: RegionFeature, at: Path) -> Iterator[Mistake]:
    raw = sections.raw["data"].get("masks", {}) if isinstance(sections.raw.get("data"), Mapping) else {}
    masks = list(raw) if isinstance(raw, Mapping) else []
    if feature.region != _WHOLE and feature.region not in masks:
        fix = "Declare the mask under `data.masks`, or write `region: image`."
        yield unknown((*at, "region"), feature.region, [*masks, _WHOLE], fix)
    elif feature.region == _WHOLE and feature.statistic == "share":
        fix = "Name a mask, or another statistic."
        yield Mistake((*at, "statistic"), '"share" of the whole image', "a number that differs between cases", fix)


def _trees(sections: Sections) -> dict[str, DecisionTree]:
    return {method.label: method for method in sections.methods.values() if isinstance(method, DecisionTree)}


def _are_read(sections: Sections) -> bool:
    """Whether every method could be read: else one of them may be the tree that is meant."""
    methods = sections.raw.get("methods", ())
    return isinstance(methods, tuple) and len(sections.methods) == len(methods)


def _measure(sections: Sections, use: MeasureUse, path: Path) -> Iterator[Mistake]:
    trees = _trees(sections)
    if not _are_read(sections):
        return
    if not trees:
        yield Mistake((*path, "use"), f"{use.use} without a decision_tree", "a tree whose fidelity it is", _ADD_TREE)
    for place, name in enumerate(use.methods or ()):
        if trees and name not in trees:
            yield unknown((*path, "methods", place), name, list(trees), "Name a decision_tree.")


def _criterion(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    trees = _trees(sections)
    for key, name in (("mask", criterion.mask), ("class", criterion.class_ if criterion.measure == "kappa" else None)):
        if name is not None:
            found, fix = f"`{key}` for {criterion.measure}", "Remove it."
            yield Mistake((*path, key), found, f"no `{key}`", fix, at_key=True)
    if sections.model is not None and sections.model.task == "regression" and criterion.measure == "kappa":
        fix = "Use fidelity, which is R2 there."
        yield Mistake((*path, "measure"), "kappa of a regression", "a measure of numbers", fix)
    if not _are_read(sections):
        return
    if not trees:
        found = f"{criterion.measure} without a decision_tree"
        yield Mistake((*path, "measure"), found, "a tree whose fidelity it is", _ADD_TREE)
    elif criterion.method is None and len(trees) > 1:
        fix = "Add `method:` to say which tree the limit is for."
        yield Mistake((*path, "method"), f"no `method` for {criterion.measure}", one_of(list(trees)), fix)
    elif criterion.method is not None and criterion.method not in trees:
        yield unknown((*path, "method"), criterion.method, list(trees), "Name a decision_tree.")
    else:
        tree = trees[criterion.method or next(iter(trees))]
        if criterion.slice != tree.slice:
            expected = f"{quoted(tree.slice)}, on which the tree is grown"
            fix = f"Write `slice: {tree.slice}`, or add a tree on {criterion.slice}."
            yield Mistake((*path, "slice"), f"slice {quoted(criterion.slice)}", expected, fix)
