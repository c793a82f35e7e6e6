"""Section 11: which wrong answers there are, which steps failed, and when the model must not be used."""

from __future__ import annotations

from collections import Counter
from typing import Any

from xai_audit.evidence.records import Evidence
from xai_audit.report.context import Context, cite, name, number
from xai_audit.report.document import Block, Bullets, Group, Prose, Span
from xai_audit.report.sections.conditions import conditions
from xai_audit.report.sections.failures_by import by_label, by_size, by_slice
from xai_audit.report.sections.missing import failure_reason, missing
from xai_audit.report.sections.privacy import case_name
from xai_audit.report.sentences import step_title
from xai_audit.report.tables import cell, columns_of, table

MOST_CASES = 12


def section(context: Context) -> tuple[Block, ...]:
    """When not to use it, wrong answers grouped, the most confident ones, failed steps, declared limits."""
    return (conditions(context), *_wrong(context), _broken(context), _limits(context))


def _wrong(context: Context) -> tuple[Block, ...]:
    record = context.first("predictions")
    if record is None:
        key = "missing.predictions" if context.spec.has_scores else "missing.failures_causal"
        return (missing(context, key),)
    rows = context.run.rows().to_dict("records")
    answered = [row for row in rows if row.get("label") is not None and row.get("predicted") is not None]
    if context.spec.task == "regression":
        return by_size(context, record, answered)
    if context.spec.task not in ("single_label", "binary_logit", "multi_label"):
        return (missing(context, "missing.failures_of_task"),)
    wrong = [row for row in answered if row["label"] != row["predicted"]]
    said = Prose((
        context.say("failures.count", wrong=number(context.numbers.count(len(wrong)), record.id),
                    cases=number(context.numbers.group(len(answered)), record.id), evidence=cite(record.id)),
    ))  # fmt: skip
    if not wrong:
        return (said,)
    slices = by_slice(context, record, answered)
    if context.spec.task == "multi_label":
        return (said, *slices, *by_label(context, record, answered))
    return (said, _groups(context, record, answered, wrong), *slices, _most_confident(context, record, wrong))


def _groups(context: Context, record: Evidence, answered: list[dict[str, Any]], wrong: list[dict[str, Any]]) -> Group:
    totals = Counter(str(row["label"]) for row in answered)
    pairs = Counter((str(row["label"]), str(row["predicted"])) for row in wrong)
    columns = columns_of(context, "true_class", "predicted_class", "wrong", "of_class", numbers=("wrong", "of_class"))
    rows = [
        (cell(name(true, record.id)), cell(name(chosen, record.id)),
         cell(number(context.numbers.count(count) if context.numbers.may_show(totals[true]) else "–", record.id)),
         cell(number(context.numbers.group(totals[true]), record.id)))
        for (true, chosen), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    ]  # fmt: skip
    title = context.label("failures.groups_title")
    return Group(title, "failure-groups", (table(context, title, "failures", columns, rows),))


def _most_confident(context: Context, record: Evidence, wrong: list[dict[str, Any]]) -> Group:
    title = context.label("failures.worst_title")
    if not context.spec.data.show.images:
        return Group(title, "worst-cases", (Prose((context.count_of("failures.withheld", len(wrong), record.id),)),))
    confident = sorted(wrong, key=lambda row: (-_confidence(row), str(row["id"])))[:MOST_CASES]
    columns = columns_of(context, "case", "true_class", "predicted_class", "probability", numbers=("probability",))
    rows = [
        (cell(name(case_name(context, str(row["id"])), record.id)), cell(name(str(row["label"]), record.id)),
         cell(name(str(row["predicted"]), record.id)),
         cell(number(context.numbers.probability(_confidence(row)), record.id)))
        for row in confident
    ]  # fmt: skip
    note = context.say("failures.worst_note", shown=number(context.numbers.count(len(rows)), record.id),
                       wrong=number(context.numbers.count(len(wrong)), record.id))  # fmt: skip
    return Group(title, "worst-cases", (table(context, title, "worst", columns, rows, note=note),))


def _confidence(row: dict[str, Any]) -> float:
    value = row.get(f"probability:{row['predicted']}")
    return 0.0 if value is None else float(value)


def _broken(context: Context) -> Group:
    title = context.label("failures.steps_title")
    if not context.broken:
        return Group(title, "failed-steps", (Prose((context.say("failures.no_steps"),)),))
    columns = columns_of(context, "step", "state", "reason", "evidence")
    rows = []
    for record in context.broken:
        verdict = "error" if record.status == "failed" else "not_run"
        kind = step_title(context, record.kind, record.subject, record.slice, record.method, record.mask)
        rows.append((cell(Span(kind, record.id)), cell(context.label(f"status.{record.status}"), verdict=verdict),
                     cell(failure_reason(context, record)), cell(cite(record.id))))  # fmt: skip
    return Group(title, "failed-steps", (table(context, title, "broken", columns, rows),))


def _limits(context: Context) -> Group:
    limits = context.spec.audit.limitations
    blocks: tuple[Block, ...] = (Bullets(tuple(context.owner(limit) for limit in limits)),)
    return Group(
        context.label("failures.limits_title"),
        "known-limits",
        blocks if limits else (missing(context, "missing.limitations"),),
    )
