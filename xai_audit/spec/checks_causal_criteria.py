"""Criteria about causal queries: one subject, a query that is there, its slice, and parts that it has."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.causal_names import not_declared
from xai_audit.spec.messages import Mistake, coded, did_you_mean
from xai_audit.spec.schema import Criterion
from xai_audit.spec.sections import Sections
from xai_audit.spec.yaml_nodes import Path

PARTS = {
    **dict.fromkeys(("nde", "nie"), ("total", "nde", "nie", "nde_reversed", "nie_reversed")),
    "pn_ps": ("necessity", "sufficiency", "both"),
}
"""Numbers that an answer has, where the question alone tells."""


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes of criteria that name a query, or neither query nor measure."""
    for index, criterion in sections.criteria.items():
        path: Path = ("criteria", index)
        if criterion.query is not None:
            yield from _of_query(sections, criterion, path)
            continue
        if criterion.measure is None and not sections.has(*path, "measure"):
            fix = "Add `measure: ...`" + (", or `query: ...`." if sections.has("causal") else ".")
            yield Mistake((*path, "measure"), "no key `measure`", "`measure`, which is required", fix)
        for key in ("part", "absolute"):
            if getattr(criterion, key):
                yield Mistake((*path, key), f"`{key}` without `query`", "a causal query", "Remove it.", at_key=True)


def _of_query(sections: Sections, criterion: Criterion, path: Path) -> Iterator[Mistake]:
    assert criterion.query is not None
    for key in ("measure", "method", "mask", "concept", "class"):
        if sections.has(*path, key):
            fix = "Remove it: the criterion is about the query."
            yield Mistake((*path, key), f"`{key}` beside `query`", f"no `{key}`", fix, at_key=True)
    parts = sections.causal
    ids = () if parts is None else parts.query_ids
    if criterion.query not in ids:
        if parts is None or parts.is_read("queries"):
            yield not_declared((*path, "query"), criterion.query, ids, "query")
        return
    assert parts is not None
    query = next((one for one in parts.queries.values() if one.id == criterion.query), None)
    if query is None:
        return
    if criterion.slice not in (Criterion.model_fields["slice"].default, query.slice):
        fix = "Remove `slice` from the criterion: it is the query's."
        yield Mistake((*path, "slice"), f'slice "{criterion.slice}"', f'"{query.slice}", as the query', fix)
    known = PARTS.get(query.ask)
    if known is not None and criterion.part is not None and criterion.part not in known:
        near = did_you_mean(criterion.part, known)
        meant = f" (did you mean '{near}'?)" if near else ""
        message = f"'{criterion.part}' is not a part of ask: {query.ask}{meant}"
        yield coded("unknown_name", (*path, "part"), message, f"Write one of: {', '.join(known)}.")
    if criterion.absolute:
        yield from _sizes(criterion, path)


def _sizes(criterion: Criterion, path: Path) -> Iterator[Mistake]:
    """A size is never below zero."""
    ends = [("at_least", criterion.at_least), ("at_most", criterion.at_most)]
    ends += [("between", None if criterion.between is None else criterion.between[1])]
    for key, limit in ends:
        if limit is not None and limit < 0:
            fix = "Correct the limit, or remove `absolute`."
            yield Mistake((*path, key), f"the number {limit:g}", "0 or more: a size has no sign", fix)
