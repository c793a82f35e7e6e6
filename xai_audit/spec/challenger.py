"""What a model is compared with: a built-in rule, or answers that stand in a column of the data or in another table."""

# No `from __future__ import annotations` here: pydantic would compile every annotation from its text at import, and
# `xai-audit check` has half a second in all.
from typing import Literal, Self

from pydantic import model_validator

from xai_audit.spec.base import Fault, Identifier, Share, Strict


class Challenger(Strict):
    """Answers of something else on the same cases: an earlier version, a simple model, a reader, or a rule."""

    name: Identifier
    """Name in criteria and report."""
    rule: Literal["majority"] | None = None
    """majority: always the commonest label of the audited cases; of a regression always their median."""
    answer: str | None = None
    """Column of its answers: a class name, or of a regression a number."""
    score: str | None = None
    """Instead of answers: column of its probability of the positive class, where there are two."""
    threshold: Share = 0.5
    """Of scores: it answers with the positive class at this probability or above."""
    table: str | None = None
    """CSV or parquet file that holds the column; default: the table of the data."""
    id: str | None = None
    """Column of that file that names a case."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [key for key in ("rule", "answer", "score") if getattr(self, key) is not None]
        if len(given) != 1:
            raise Fault(
                " and ".join(f"`{key}`" for key in given) or "no answers",
                "exactly one of rule, answer, score",
                "Write {name: commonest, rule: majority}, or name the column that holds its answers.",
                keys=("rule", "answer", "score"),
                at=tuple(given[1:2]),
            )
        if self.rule is not None and self.table is not None:
            raise Fault(
                "a table beside a rule", "one of the two", "Remove `table`.", keys=("rule", "table"), at=("table",)
            )
        if (self.table is None) != (self.id is None):
            found = "`id` without `table`" if self.table is None else "`table` without `id`"
            fix = "Name the column that holds the case's name." if self.table else "Remove `id`."
            raise Fault(found, "both or neither", fix, keys=("table", "id"), at=())
        return self
