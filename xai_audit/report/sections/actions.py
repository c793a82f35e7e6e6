"""Waivers and actions of section 15: who lives with what until when, and who does what by when."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from xai_audit.report.context import FINDINGS, STATEMENTS, Context, name, number
from xai_audit.report.document import Block, Cell, Group, Prose, Sentence, Span
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import words_of
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.verdict.people import Closed

if TYPE_CHECKING:
    from xai_audit.verdict import Finding
    from xai_audit.verdict.people import Action, Reopened


def waivers(context: Context) -> Group:
    """Every waiver with its owner, reason, scope and last day; one that has run out is marked as a failure."""
    found = [finding for finding in context.criteria if finding.waiver is not None]
    title = context.label("waivers.title")
    if not found:
        return Group(title, "waivers", (Prose((context.say("waivers.none"),)),))
    columns = columns_of(context, "criterion", "waiver_state", "owner", "reason", "scope", "expires")
    rows = [_waiver(context, finding) for finding in sorted(found, key=lambda one: not is_expired(one))]
    return Group(title, "waivers", (table(context, context.label("waivers.caption"), "waivers-table", columns, rows),))


def is_expired(finding: Finding) -> bool:
    """Whether a waiver of this criterion ran out before the findings were made."""
    return finding.reason == "waiver_expired"


def _waiver(context: Context, finding: Finding) -> Row:
    waiver = finding.waiver
    assert waiver is not None
    expires = context.date(datetime.date.fromisoformat(waiver.expires))
    state = "expired" if is_expired(finding) else "valid"
    return (
        cell(Span(finding.id, FINDINGS, f"#finding-{finding.id}", "name")),
        cell(context.label(f"waivers.{state}"), verdict="fail" if state == "expired" else "waived"),
        cell(context.say("person", name=name(waiver.owner), role=name(waiver.role))),
        cell(context.owner(waiver.reason)),
        cell(context.owner(waiver.scope)),
        cell(number(expires, FINDINGS)),
    )


def actions(context: Context) -> Group:
    """Every action with its owner and last day, the overdue ones first and marked; then what has none."""
    title = context.label("actions.title")
    found = sorted(context.people.open_and_closed, key=lambda one: not one.is_overdue(context.day))
    blocks: list[Block] = []
    if found:
        columns = columns_of(context, "finding", "action", "owner", "due", "action_state")
        rows = [_action(context, one) for one in found]
        note = context.say("actions.as_of", date=number(context.date(context.day), STATEMENTS))
        blocks.append(table(context, context.label("actions.caption"), "actions-table", columns, rows, note=note))
    else:
        blocks.append(missing(context, "missing.actions"))
    without = _without(context)
    return Group(title, "actions", (*blocks, *((Prose((without,), "strong"),) if without else ())))


def _action(context: Context, action: Action) -> Row:
    return (
        _finding(context, action),
        cell(words_of(context, action.what)),
        cell(context.say("person", name=name(action.owner, STATEMENTS), role=name(action.role, STATEMENTS))),
        cell(number(context.date(action.due), STATEMENTS)),
        _state(context, action),
    )


def _finding(context: Context, action: Action) -> Cell:
    """The finding that the action is about; one that the run does not have is marked."""
    if any(finding.id == action.finding for finding in context.findings):
        return cell(Span(action.finding, FINDINGS, f"#finding-{action.finding}", "name"))
    return cell(context.say("actions.unknown", finding=name(action.finding, STATEMENTS)), verdict="error")


def _state(context: Context, action: Action) -> Cell:
    """How it stands, and each time that it was closed or opened again."""
    past = context.joined(_turn(context, turn) for turn in context.people.turns(action))
    if action.closed is not None:
        return cell(past)
    is_late = action.is_overdue(context.day)
    state = context.label(f"actions.{'overdue' if is_late else 'open'}")
    told = context.say("actions.state_and_past", state=state, past=past) if past else state
    return cell(told, verdict="fail" if is_late else "")


def _turn(context: Context, turn: Closed | Reopened) -> Sentence:
    return context.say(
        "actions.closed" if isinstance(turn, Closed) else "actions.reopened",
        person=name(turn.by, STATEMENTS),
        date=number(context.date(turn.date), STATEMENTS),
        text=words_of(context, turn.text),
    )


def _without(context: Context) -> Sentence:
    """Criteria that are not met and that nobody does anything about."""
    told = {one.finding for one in context.people.open_and_closed}
    left = [one for one in context.criteria if one.verdict not in ("pass", "waived") and one.id not in told]
    if not left:
        return ()
    ids = context.listed([Span(one.id, FINDINGS, f"#finding-{one.id}", "name") for one in left])
    return context.count_of("actions.without", len(left), FINDINGS, ids=ids)
