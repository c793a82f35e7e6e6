"""Columns that the causal part names, against those of the table that was opened."""

from __future__ import annotations

from xai_audit.errors import Problem, SpecErrors
from xai_audit.spec.causal import FromColumn
from xai_audit.spec.checks_causal_variables import no_column
from xai_audit.spec.load import LoadedSpec
from xai_audit.spec.yaml_nodes import in_order


def require_columns(loaded: LoadedSpec, columns: tuple[str, ...], table: str) -> None:
    """Raise SpecErrors with every column of a variable that the table does not have, each where the spec names it."""
    causal = loaded.spec.causal
    found: list[Problem] = []
    for name, one in causal.variables.items() if causal is not None else ():
        if isinstance(one.source, FromColumn) and one.source.column not in columns:
            path = ("causal", "variables", name, "source", "column")
            message = no_column(one.source.column, table, columns)
            fix = "Correct the name, or add the column to the table."
            place = loaded.lines.place(path)
            found.append(loaded.lines.source.coded(place, path, "column_missing", message, fix))
    if found:
        raise SpecErrors(in_order(found))
