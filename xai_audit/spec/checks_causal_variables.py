"""Variables: their domains, where their values come from, and the two that stand for image and score."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.causal import CausalVariable, FromColumn, FromMeasure, FromModel, FromOperator
from xai_audit.spec.causal_domains import domain_text, holds, level_text
from xai_audit.spec.causal_forms import DOMAIN
from xai_audit.spec.causal_names import not_declared
from xai_audit.spec.causal_parts import CausalParts
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.schema import Generator, ModelInput, NoSource
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableInput, TableSource
from xai_audit.spec.yaml_nodes import Path


def check(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    """Mistakes of single variables, then of image and score."""
    for name, one in parts.variables.items():
        path: Path = ("causal", "variables", name)
        yield from _domain(parts, name, one, path)
        yield from _source(sections, parts, name, one, path)
    yield from _media(sections, parts)
    for name in parts.outputs:
        yield from _inputs_of_score(sections, parts, name)


def has_data(sections: Sections) -> bool | None:
    """Whether the audit has data; None where its data cannot be read."""
    if sections.data is None:
        return None
    return not isinstance(sections.data.source, NoSource)


def _domain(parts: CausalParts, name: str, one: CausalVariable, path: Path) -> Iterator[Mistake]:
    needs = one.role not in ("medium", "model_output") and (one.source != "unmeasured" or name in parts.mechanisms)
    is_read = parts.is_read("variables", name, "domain") and parts.is_read("variables", name, "role")
    if one.domain is None and needs and is_read:
        fix = "Write `domain: {levels: [...]}` or `domain: {range: [lo, hi]}`."
        yield coded("bad_domain", path, DOMAIN.format(name), fix, at_key=True)
    for key in ("neutral", "kept"):
        value = getattr(one, key)
        if value is not None and not holds(one.domain, value):
            yield outside((*path, key), name, one, value)


def outside(path: Path, name: str, one: CausalVariable, value: str | bool | float) -> Mistake:
    """A value that its variable cannot take."""
    message = f"value {level_text(value)} of '{name}' is outside its domain {domain_text(one.domain)}"
    return coded("out_of_domain", path, message, "Correct the value, or widen the domain.")


def _source(sections: Sections, parts: CausalParts, name: str, one: CausalVariable, path: Path) -> Iterator[Mistake]:
    data = has_data(sections)
    is_read = parts.is_read("variables", name, "source") and parts.is_read("variables", name, "role")
    if one.source is None and data and one.role != "medium" and is_read:
        fix = "Add `source: {column: ...}`, or `source: unmeasured` where nobody measured it."
        yield coded("source_missing", path, f"'{name}' has no source", fix, at_key=True)
    if isinstance(one.source, FromColumn):
        yield from _column(sections, one.source.column, (*path, "source", "column"))
    if isinstance(one.source, FromOperator):
        yield from _of_operator(parts, name, one.source.operator, (*path, "source", "operator"))
    if isinstance(one.source, FromModel) and not _has_scores(sections):
        fix = "Add `model:`, or give the scores as a column."
        yield coded("source_missing", (*path, "source"), f"'{name}' has no source: there is no model", fix)
    if isinstance(one.source, FromMeasure) and one.source.measure == "concept":
        yield from _concept(sections, one.source, (*path, "source"))


def _has_scores(sections: Sections) -> bool:
    return sections.has("model") or sections.data is None or sections.data.source.kind == "predictions"


def _column(sections: Sections, column: str, path: Path) -> Iterator[Mistake]:
    """Of a table in the spec, and of no data at all; a file is looked at when it is opened."""
    data = sections.data
    if data is None:
        return
    fix = "Correct the name, or add the column."
    if isinstance(data.source, NoSource):
        message = f"column '{column}' not in data: there are none; columns are none"
        yield coded("column_missing", path, message, "Add `data`, or write `source: given`.")
        return
    columns = data.source.columns if isinstance(data.source, TableSource) else None
    if columns is not None and column not in columns:
        yield coded("column_missing", path, no_column(column, "data.source", columns), fix)


def no_column(column: str, where: str, columns: tuple[str, ...]) -> str:
    """`column '…' not in …; columns are …`."""
    return f"column '{column}' not in {where}; columns are {', '.join(columns)}"


def _of_operator(parts: CausalParts, name: str, operator: str, path: Path) -> Iterator[Mistake]:
    if operator not in parts.operator_names:
        yield not_declared(path, operator, parts.operator_names, "operator")
        return
    one = parts.operators.get(operator)
    if one is not None and one.sets != name and one.sets in parts.names:
        message = f"operator '{operator}' sets '{one.sets}', which is not '{name}'"
        yield coded("operator_target", path, message, "Name the operator that sets this variable.")


def _concept(sections: Sections, source: FromMeasure, path: Path) -> Iterator[Mistake]:
    methods = sections.names("methods", "name", "use")
    if source.concept is None or source.method is None:
        fix = "Write `{measure: concept, concept: ..., method: ...}`."
        yield coded("source_missing", path, "a measured concept has no source: name concept and method", fix)
        return
    concepts = sections.names("concepts", "name")
    inside = [concept.name for use in sections.methods.values() for concept in getattr(use, "concepts", None) or ()]
    if source.concept not in (*concepts, *inside) and sections.are_named("concepts", "name"):
        yield not_declared((*path, "concept"), source.concept, [*concepts, *inside], "concept")
    if source.method not in methods:
        yield not_declared((*path, "method"), source.method, methods, "method")


def _media(sections: Sections, parts: CausalParts) -> Iterator[Mistake]:
    media = parts.media
    if not all(parts.is_read("variables", name, "role") for name in parts.names):
        return
    if len(media) > 1:
        path: Path = ("causal", "variables", media[1], "role")
        message = f"one image variable expected, found {', '.join(media)}"
        yield coded("medium_count", path, message, "Keep `role: medium` at one of them.")
    is_of_images = sections.model is not None and isinstance(sections.model.input, ModelInput)
    is_of_images = is_of_images or (sections.data is not None and isinstance(sections.data.source, Generator))
    if not media and (parts.operator_names or (is_of_images and parts.outputs)) and parts.is_read("variables"):
        fix = "Add `image: {role: medium}` with edges from its causes and to the score."
        yield coded(
            "medium_count", ("causal", "variables"), "one image variable expected, found none", fix, at_key=True
        )


def _inputs_of_score(sections: Sections, parts: CausalParts, name: str) -> Iterator[Mistake]:
    """The model sees the image, or the columns that it declares, and nothing else."""
    if not parts.is_read("edges"):
        return
    arcs = [edge for edge in parts.arrows if not edge.is_arrow and name in (edge.a, edge.b)]
    parents = parts.parents(name)
    if parts.media:
        is_wrong = bool(arcs) or parents != parts.media[:1]
    elif sections.model is not None and isinstance(sections.model.input, TableInput):
        read = {parent for parent in parents if _is_input(parts, parent, sections.model.input)}
        is_wrong = bool(arcs) or not parents or read != set(parents)
    else:
        is_wrong = bool(arcs)
    if is_wrong and len(parts.media) < 2:
        message = f"model_output '{name}' must have the image (or declared inputs) as its only parents"
        fix = "Let edges lead to the image, and from the image to the score."
        yield coded("medium_count", ("causal", "variables", name), message, fix, at_key=True)


def _is_input(parts: CausalParts, name: str, given: TableInput) -> bool:
    one = parts.variables.get(name)
    return one is None or (isinstance(one.source, FromColumn) and one.source.column in given.names)
