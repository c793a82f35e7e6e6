"""The table of a causal audit: a file or rows in the spec, its weights, and columns that it has."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.checks_causal_variables import no_column
from xai_audit.spec.messages import Mistake, coded
from xai_audit.spec.sections import Sections
from xai_audit.spec.tables import TableSource
from xai_audit.spec.yaml_nodes import Path

_PATH: Path = ("data", "source")


def check(sections: Sections) -> Iterator[Mistake]:
    """Mistakes of a table's keys and rows; columns of a file are looked at when it is opened."""
    source = sections.data.source if sections.data is not None else None
    if not isinstance(source, TableSource):
        return
    yield from _one_table(source)
    if source.weight is not None and sections.has("model"):
        fix = "Remove it: a model is measured on single rows."
        yield Mistake((*_PATH, "weight"), "`weight` beside a model", "no `weight`", fix, at_key=True)
    if source.law is not None and source.weight is None:
        fix = "Name the column of the probabilities as `weight`."
        yield Mistake((*_PATH, "law"), "`law` without `weight`", "both or neither", fix, at_key=True)
    if source.columns is not None:
        named = [((*_PATH, "weight"), source.weight), ((*_PATH, "id"), source.id)]
        named.append((("data", "cluster"), sections.data.cluster if sections.data is not None else None))
        for path, column in named:
            if column is not None and column not in source.columns:
                message = no_column(column, "data.source", source.columns)
                yield coded("column_missing", path, message, "Correct the name, or add the column.")


def _one_table(source: TableSource) -> Iterator[Mistake]:
    """A file, or columns with rows as long as they are."""
    inline = [key for key in ("columns", "rows") if getattr(source, key) is not None]
    if source.table is not None and inline:
        fix = "Keep one of the two."
        yield Mistake((*_PATH, inline[0]), f"`{inline[0]}` beside `table`", "a file, or rows", fix, at_key=True)
    elif source.table is None and not inline:
        fix = "Add `table: ...`."
        yield Mistake((*_PATH, "table"), "no key `table`", "`table`, which is required", fix)
    elif len(inline) == 1:
        other = "rows" if inline == ["columns"] else "columns"
        yield Mistake((*_PATH, other), f"`{inline[0]}` without `{other}`", "both", f"Add `{other}: [...]`.")
    columns = source.columns or ()
    for place, name in enumerate(columns):
        if name in columns[:place]:
            path: Path = (*_PATH, "columns", place)
            yield Mistake(path, f'"{name}" a second time', "each column once", "Rename one of the two.")
    for place, row in enumerate(source.rows or ()):
        if columns and len(row) != len(columns):
            path = (*_PATH, "rows", place)
            yield Mistake(path, f"a row of {len(row)}", f"{len(columns)} cells, one a column", "Correct the row.")
