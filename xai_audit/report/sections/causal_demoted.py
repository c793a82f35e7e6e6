"""Section 17: numbers of queries that rest on a statement which the data contradict; they support nothing."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.causal_told import told_queries
from xai_audit.report.context import Context, name
from xai_audit.report.document import Group, Prose
from xai_audit.report.sections.causal_answer import number_row
from xai_audit.report.tables import cell, columns_of, table


def demoted(context: Context) -> Iterator[Group]:
    """One table of all of them; nothing where there are none."""
    told = [each for each in told_queries(context) if each.state == "contradicted" and each.answered]
    if not told:
        return
    rows = [
        (cell(name(each.query.id)), *number_row(context, each, amount)) for each in told for amount in each.answered
    ]
    columns = columns_of(context, "query", "number_name", "of_group", "value", "evidence", numbers=("value",))
    title = context.label("causal.annex.title")
    lead = Prose((context.say("causal.annex.lead"),), "note")
    yield Group(title, "causal-demoted", (lead, table(context, title, "causal-demoted-numbers", columns, rows)))
