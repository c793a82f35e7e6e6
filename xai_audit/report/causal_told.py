"""Causal queries as the report tells them: each with its record, its spec entry and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_audit.report.context import Context

if TYPE_CHECKING:
    from xai_audit.evidence.records import Evidence
    from xai_audit.spec.causal import Causal, Query

STATES = ("identified", "bounded", "refused", "unsupported", "no_estimator", "contradicted", "failed")
"""What a query may come to; `contradicted` where the data speak against the graph, or against a statement of it on
which the answer rests."""
MARK = {
    "identified": "observation",
    "bounded": "inconclusive",
    "refused": "not_run",
    "unsupported": "not_run",
    "no_estimator": "not_run",
    "contradicted": "fail",
    "failed": "error",
}
"""Mark and colour of each."""


@dataclass(frozen=True)
class Told:
    """One query with its answer."""

    query: Query
    record: Evidence | None
    """None where no step of it is in the run."""

    @property
    def details(self) -> Mapping[str, Any]:
        """What the record keeps; nothing where the step has no result."""
        return self.record.details if self.record is not None and self.record.status == "measured" else {}

    @property
    def source(self) -> str:
        """Evidence id that numbers carry."""
        return self.record.id if self.record is not None else ""

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return state_of(self.record)

    @property
    def answered(self) -> tuple[Mapping[str, Any], ...]:
        """The numbers of the answer, the first one the answer itself."""
        return tuple(self.details.get("answered") or ())

    @property
    def may_show(self) -> bool:
        """Whether its numbers stand in the block: those of a query on a contradicted statement are in the annex."""
        return self.state in ("identified", "bounded")

    @property
    def scope(self) -> str:
        """world, model or mixed."""
        return str(self.details.get("scope") or "world")

    @property
    def grade(self) -> str:
        """Grade of the operator used; empty where none was."""
        return str((self.own("operator") or {}).get("grade") or self.details.get("grade") or "")

    def own(self, key: str) -> Any:
        """What only this kind of query keeps."""
        return (self.details.get("details") or {}).get(key)


def state_of(record: Evidence | None) -> str:
    """What a query came to."""
    if record is None or record.status == "failed":
        return "failed"
    if record.status == "not_applicable":
        return "refused"
    outcome = str(record.details.get("outcome", "failed"))
    if outcome == "refuted" or (outcome in ("identified", "bounded") and record.details.get("contradicted_by")):
        return "contradicted"
    return outcome if outcome in STATES else "failed"


def told_queries(context: Context) -> tuple[Told, ...]:
    """Every query of the spec, in its order."""
    causal = context.spec.causal
    if causal is None:
        return ()
    records = {record.subject: record for record in context.of_kind("causal_query")}
    return tuple(Told(query, records.get(query.id)) for query in causal.queries)


NO_REASON = "no reason given"
"""What the record of the graph writes for an absent edge that the auditor gives no reason for."""


def reason_given(entry: Mapping[str, Any]) -> Any:
    """The auditor's reason for an absent edge; None where there is none."""
    reason = entry.get("reason")
    return None if reason in (None, "", NO_REASON) else reason


def graph_record(context: Context) -> Evidence | None:
    """The record of the graph, where its step has a result."""
    return context.first("causal_graph")


def causal_of(context: Context) -> Causal:
    """The causal part of the spec, which is there wherever this is asked."""
    causal = context.spec.causal
    assert causal is not None
    return causal
