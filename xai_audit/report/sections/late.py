"""What is past its date, on the cover: packs, waivers, actions and the report itself; loud, and as of a printed day."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.context import FINDINGS, SPEC, STATEMENTS, Context, name, number
from xai_audit.report.document import Block, Missing, Sentence, Span
from xai_audit.report.sections.actions import is_expired
from xai_audit.report.sections.requirements import changed, clause_text, outdated, source_of


def warnings(context: Context) -> tuple[Block, ...]:
    """One box for each kind of thing that is past its date; nothing where all is in time."""
    word = context.label("late.word")
    return tuple(Missing(word, sentence, "fail") for sentence in _late(context))


def _late(context: Context) -> Iterator[Sentence]:
    day = number(context.date(context.day), SPEC)
    until = context.spec.audit.valid_until
    if until is not None and until < context.day:
        yield context.say("late.report", until=number(context.date(until), SPEC), day=day)
    for pack in outdated(context):
        title = clause_text(pack.title_in(context.language), pack.id)
        age = (context.day - pack.as_of).days
        yield context.count_of(
            "late.pack",
            age,
            source_of(pack.id),
            title=title,
            as_of=number(context.date(pack.as_of), source_of(pack.id)),
        )
    for pack in changed(context):
        yield context.say("late.pack_changed", title=clause_text(pack.title_in(context.language), pack.id))
    expired = [finding for finding in context.criteria if is_expired(finding)]
    if expired:
        ids = context.listed([Span(each.id, FINDINGS, f"#finding-{each.id}", "name") for each in expired])
        yield context.count_of("late.waivers", len(expired), FINDINGS, ids=ids, day=day)
    overdue = [action for action in context.people.open_and_closed if action.is_overdue(context.day)]
    if overdue:
        ids = context.listed([name(each, STATEMENTS) for each in dict.fromkeys(one.finding for one in overdue)])
        yield context.count_of("late.actions", len(overdue), STATEMENTS, ids=ids, day=day)
