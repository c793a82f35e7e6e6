"""Section 13: what named people say, and the boxes that are still empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xai_audit.clauses.packs import clauses_by_id
from xai_audit.report.context import STATEMENTS, Context, name, number
from xai_audit.report.document import Blank, Block, Group, Prose, Sentence, Span, TickBoxes, TickRow
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.requirements import clause_name, clause_text, pack_of, source_of
from xai_audit.report.sections.said import person_of, words_of
from xai_audit.report.tables import Row, cell, columns_of, table

if TYPE_CHECKING:
    from xai_audit.verdict.people import Statement
    from xai_audit.verdict.requirements import Standing

ANSWERS = ("yes", "no", "not_applicable")
BLANKS = ("reason", "name", "date")
LINES = {"reason": 2}
"""Lines of the fields that need more than one."""


def section(context: Context) -> tuple[Block, ...]:
    """The count of empty boxes, statements that were given, and the boxes themselves."""
    people, pending = context.people, context.mapping.pending
    if not people.statements and not pending:
        return (missing(context, "missing.statements"),)
    asked = sum(one.clause.human_statement_needed for one in context.mapping.standings)
    lead = [context.say("statements.lead")]
    if asked:
        of = number(context.numbers.of_count(len(pending), asked), STATEMENTS)
        lead.append(context.say("statements.empty" if pending else "statements.none_empty", count=of))
    return (Prose(tuple(lead)), *_given(context), *_pending(context))


def _given(context: Context) -> tuple[Block, ...]:
    if not context.people.statements:
        return (missing(context, "missing.no_statement"),)
    columns = columns_of(context, "about", "answer", "human_statement", "stated_by", "version", "attachment",
                         numbers=("version",))  # fmt: skip
    rows = [_row(context, one) for one in context.people.current]
    caption = context.label("statements.caption")
    return (table(context, caption, "statements", columns, rows, note=context.say("statements.theirs")),)


def _row(context: Context, statement: Statement) -> Row:
    return (
        cell(subject(context, statement.about), anchor=""),
        cell(context.label(f"answer.{statement.answer or 'none'}")),
        cell(_words(context, statement)),
        cell(person_of(context, statement)),
        cell(number(context.numbers.count(statement.version), STATEMENTS)),
        cell(_attachment(context, statement)),
    )


def subject(context: Context, about: str) -> Sentence:
    """What a statement is about: a clause by its name, or a topic in words where we have them."""
    standing = next((one for one in context.mapping.standings if one.clause.id == about), None)
    if standing is not None:
        return clause_name(context, standing.clause)
    if about in clauses_by_id():
        return context.say("statements.other_domain", clause=name(about, STATEMENTS))
    key = f"topic.{about}"
    return (Span(context.label(key)),) if context.words.has(key) else (name(about, STATEMENTS),)


def _words(context: Context, statement: Statement) -> Sentence:
    said = words_of(context, statement.text)
    if not statement.is_reasoned:
        return said
    return context.say("statements.with_reason", text=said, reason=words_of(context, statement.reason))


def _attachment(context: Context, statement: Statement) -> Sentence:
    file = statement.attachment
    if file is None:
        return context.say("statements.no_attachment")
    return context.say(
        "statements.attachment", file=name(file.name, STATEMENTS), digest=name(file.sha256[:12], STATEMENTS)
    )


def _pending(context: Context) -> tuple[Block, ...]:
    pending = context.mapping.pending
    if not pending:
        return ()
    rows = tuple(tick_row(context, one) for one in pending)
    title = context.label("statements.pending_title")
    lead = Prose((context.say("statements.pending_lead"),), "note")
    return (Group(title, "pending-statements", (lead, TickBoxes(title, context.label("statements.asked"), rows))),)


def tick_row(context: Context, standing: Standing) -> TickRow:
    """One clause with three empty boxes, and lines for reason, name and date."""
    clause = standing.clause
    pack = pack_of(context, clause)
    asked = clause_text(clause.text("human_statement", context.language), pack)
    return TickRow(
        f"tick-{clause.id}",
        clause_name(context, clause),
        context.say("statements.asks", asked=asked, source=Span(clause.id, source_of(pack), kind="name")),
        tuple(Blank(f"tick.{clause.id}.{key}", context.label(f"answer.{key}")) for key in ANSWERS),
        tuple(Blank(f"tick.{clause.id}.{key}", context.label(f"blank.{key}"), LINES.get(key, 1)) for key in BLANKS),
    )


def earlier(context: Context) -> tuple[Block, ...]:
    """For the annex: versions of statements that a later one took the place of, word for word."""
    edited = context.people.edited
    if not edited:
        return ()
    columns = columns_of(context, "about", "answer", "human_statement", "stated_by", "version", "attachment",
                         numbers=("version",))  # fmt: skip
    title = context.label("statements.earlier_title")
    rows = [_row(context, one) for one in edited]
    return (Group(title, "earlier-statements", (table(context, title, "earlier", columns, rows),)),)
