"""What changed since an earlier report: page two, moved limits, the model's history and the state of each finding."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xai_audit.report.context import COMPARISON, FINDINGS, Context, name, number
from xai_audit.report.document import Block, Cell, Column, Group, Missing, Prose, Sentence, Span
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.verdicts import card
from xai_audit.report.tables import LONGEST, Row, cell, columns_of, table
from xai_audit.verdict.changes import ABSENT, MODEL
from xai_audit.verdict.history import by_state

if TYPE_CHECKING:
    from xai_audit.verdict.changes import Change, Moved
    from xai_audit.verdict.history import FindingState, History

MARKS = {
    "new": "fail", "regressed": "fail", "gone": "not_run", "persisting": "inconclusive", "fixed": "pass", "met": "pass"
}  # fmt: skip
"""Verdict whose mark and colour a state has."""
LONGEST_VALUE = 80
"""Characters of a value of the spec that a table holds."""
DIGITS = 16
"""Hex digits of a digest that a table holds."""
ON_PAGE = 20
"""Rows of a table of this page; a longer one goes whole into an attachment."""


def page(context: Context) -> tuple[Block, ...]:
    """Page two: with which report this one is compared, what became of each finding, and what changed; else nothing."""
    history = context.history
    if history is None:
        return ()
    return (
        Prose((_lead(context, history), *_left_out(context, history)), "lead"),
        _counts(context),
        *_problems(context),
        *_changes(context, history),
        Prose((moved_lead(context, history),), "strong" if history.moved else "plain"),
    )


def _lead(context: Context, history: History) -> Sentence:
    how: str = history.earlier.chosen
    if how == "named":
        how = "named_signed" if history.earlier.is_signed else "named_unsigned"
    return context.say(f"since.lead.{how}", **_earlier(context, history))


def _earlier(context: Context, history: History) -> dict[str, Span]:
    return {"run": name(history.earlier.run, COMPARISON), "date": _day(context, history.earlier.ended, COMPARISON)}


def _day(context: Context, moment: str, source: str) -> Span:
    return number(context.date(datetime.datetime.fromisoformat(moment).date()), source)


def _left_out(context: Context, history: History) -> tuple[Sentence, ...]:
    """Runs whose files were changed, so that nothing was taken from them."""
    if not history.left_out:
        return ()
    runs = context.listed([name(run, COMPARISON) for run in history.left_out])
    return (context.count_of("since.left_out", len(history.left_out), COMPARISON, runs=runs),)


def _counts(context: Context) -> Block:
    rows = [
        (
            _state(context, state),
            cell(number(context.numbers.count(len(found)), COMPARISON)),
            cell(context.say(f"since.meaning.{state}")),
        )
        for state, found in by_state(context.finding_states)
    ]
    columns = _columns(context, "state", "count", "meaning", numbers=("count",))
    return table(context, context.label("since.counts_caption"), "since-counts", columns, rows)


def _columns(context: Context, *keys: str, numbers: Sequence[str] = ()) -> tuple[Column, ...]:
    return tuple(Column(context.label(f"since.column.{key}"), key in numbers) for key in keys)


def _state(context: Context, state: str) -> Cell:
    return cell(context.label(f"since.state.{state}"), verdict=MARKS[state])


def _problems(context: Context) -> tuple[Block, ...]:
    """Every finding that is or was a problem, those that worry most first."""
    found = [each for each in _in_order(context) if each.state != "met"]
    if not found:
        return (Prose((context.say("since.none"),)),)
    return (_states(context, found, "since.findings_caption", "since-findings", ON_PAGE),)


def _in_order(context: Context) -> list[FindingState]:
    return [each for _, found in by_state(context.finding_states) for each in found]


def _states(context: Context, found: Sequence[FindingState], caption: str, anchor: str, on_page: int) -> Block:
    columns = _columns(context, "finding", "state", "before", "now", "first")
    rows = [_row(context, each) for each in found]
    return table(context, context.label(caption), anchor, columns, rows, on_page=on_page)


def _row(context: Context, each: FindingState) -> Row:
    return (
        cell(_title(context, each)),
        _state(context, each.state),
        cell(_told(context, each)),
        cell(_said(context, each)),
        cell(_first(context, each)),
    )


def _title(context: Context, each: FindingState) -> Sentence:
    """What the finding is about: of a step its subject, since its id says nothing to a reader."""
    if each.key.startswith("step:"):
        kind, subject, part, method, mask = json.loads(each.key.removeprefix("step:"))
        parts = dict.fromkeys(one for one in (subject or kind, method, mask, part) if one)
        return context.listed([_link(each, _in_words(context, str(one))) for one in parts])
    title = each.told.id if each.told is not None else each.key
    return (_link(each, title if each.finding is None else card(context, each.finding, brief=True).name),)


def _in_words(context: Context, name_of: str) -> str:
    """A measure or a method by its name in words; a slice, a mask or another step as it is called."""
    key = f"measure.{name_of}.name"
    return context.label(key) if context.words.has(key) else context.method_name(name_of)


def _link(each: FindingState, text: str) -> Span:
    """A name that leads to the finding, where this report has it."""
    if each.finding is None:
        return name(text, COMPARISON)
    return Span(text, FINDINGS, f"#finding-{each.finding.id}", "name")


def _said(context: Context, each: FindingState) -> Sentence:
    """What this report says: the verdict, and of a criterion its number."""
    finding = each.finding
    if finding is None:
        is_step = each.told is not None and each.told.kind == "step"
        fixed = "since.word.measured" if is_step else "since.word.no_longer"
        return context.say(fixed if each.state == "fixed" else "since.not_judged")
    word = _word(context, finding.kind, finding.verdict or finding.reason)
    shown = _estimate(context, finding.kind, finding.measure, finding.estimate, finding.n, finding.unit)
    source = finding.evidence[0] if finding.evidence else FINDINGS
    return context.say("list.bracketed", name=word, more=number(shown, source)) if shown else (Span(word),)


def _told(context: Context, each: FindingState) -> Sentence:
    """What the earlier report said."""
    told = each.told
    if told is None:
        had_result = each.state == "regressed" and each.key.startswith("step:")
        return context.say("since.word.measured" if had_result else "since.word.nothing")
    word = _word(context, told.kind, told.word)
    shown = _estimate(context, told.kind, told.measure, told.estimate, told.n, told.unit)
    return context.say("list.bracketed", name=word, more=number(shown, COMPARISON)) if shown else (Span(word),)


def _word(context: Context, kind: str, word: str) -> str:
    if kind in ("criterion", "step"):
        return context.verdict(word)
    if kind == "trust":
        return context.label(f"trust.state.{word.removeprefix('trust_')}")
    if kind == "causal":
        return context.label(f"causal.finding.{word}")
    return context.label(f"since.word.{word if kind == 'concept' else 'found'}")


def _estimate(
    context: Context, kind: str, measure: str | None, estimate: float | None, n: int | None, unit: str
) -> str:
    """The number of a criterion; of a group that is too small to show, none."""
    if kind != "criterion" or estimate is None or not context.numbers.may_show(n or 0):
        return ""
    return context.numbers.value(measure or "", estimate, unit)


def _first(context: Context, each: FindingState) -> Sentence:
    if not each.first_run:
        return (Span("–"),)
    if each.first_run == context.run.manifest["run"]:
        return context.say("since.first_here")
    return context.say(
        "since.first", run=name(each.first_run, COMPARISON), date=_day(context, each.first_on, COMPARISON)
    )


def _changes(context: Context, history: History) -> tuple[Block, ...]:
    """What goes in and is not as it was."""
    if not history.changes:
        return (Prose((context.say("since.no_changes"),)),)
    columns = _columns(context, "part", "what", "before", "now")
    rows = [_change_row(context, change) for change in history.changes]
    spec = [change for change in history.changes if change.part != "model"]
    is_cut = any(len(text) > LONGEST_VALUE for each in spec for text in (each.before, each.after))
    note = context.say("since.changes_note") if is_cut else ()
    caption = context.label("since.changes_caption")
    return (table(context, caption, "since-changes", columns, rows, note=note, on_page=ON_PAGE),)


def _change_row(context: Context, change: Change) -> Row:
    what = context.label(f"since.model.{change.what}") if change.part == "model" else change.what
    return (
        cell(context.label(f"since.part.{change.part}")),
        cell(name(what, COMPARISON)),
        cell(_value(context, change.before, change.part)),
        cell(_value(context, change.after, change.part)),
    )


def _value(context: Context, text: str, part: str = "spec") -> Span:
    """A value, cut where it is long; of a digest its beginning."""
    if text == ABSENT:
        return Span(context.label("since.absent"))
    most = DIGITS if part == "model" else LONGEST_VALUE
    return name(text if len(text) <= most else f"{text[:most].rstrip()}…", COMPARISON)


def limits(context: Context) -> tuple[Block, ...]:
    """Section 4: the limits that were moved when earlier results were known; nothing without an earlier run."""
    history = context.history
    if history is None:
        return ()
    blocks: list[Block] = [Prose((moved_lead(context, history),), "strong" if history.moved else "plain")]
    if history.moved:
        columns = (*columns_of(context, "criterion"), *_columns(context, "what", "before", "now", "verdict_then"))
        rows = [_moved_row(context, moved) for moved in history.moved]
        blocks.append(table(context, context.label("since.moved_caption"), "limits-changed", columns, rows))
    return (Group(context.label("since.moved_title"), "limits-moved", tuple(blocks)),)


def moved_lead(context: Context, history: History) -> Sentence:
    """How many limits were moved when earlier results were known, or that none was."""
    run = name(history.earlier.run, COMPARISON)
    if not history.moved:
        return context.say("since.not_moved", run=run)
    return context.count_of("since.moved", len(history.moved), COMPARISON, run=run)


def _moved_row(context: Context, moved: Moved) -> Row:
    then = context.label("since.not_judged") if moved.verdict == ABSENT else context.verdict(moved.verdict)
    return (
        cell(name(moved.criterion, COMPARISON)),
        cell(name(moved.what, COMPARISON)),
        cell(_value(context, moved.before)),
        cell(_value(context, moved.after)),
        cell(then, verdict="" if moved.verdict == ABSENT else moved.verdict),
    )


def model_history(context: Context) -> Block:
    """Section 5: whether weights and code are those of the earlier run."""
    history = context.history
    if history is None:
        return missing(context, "missing.model_history")
    earlier = _earlier(context, history)
    changed = [change for change in history.changes if change.part == "model" and change.what in MODEL]
    if not changed:
        return Prose((context.say("since.model_same", **earlier),))
    said = [
        context.say(
            "since.model_changed",
            what=context.label(f"since.model.{change.what}"),
            before=_value(context, change.before, "model"),
            after=_value(context, change.after, "model"),
            **earlier,
        )
        for change in changed
    ]
    return Prose(tuple(said))


def states(context: Context) -> Group:
    """Section 15: every finding of this run and of the earlier one, passed ones too."""
    found = _in_order(context)
    blocks: list[Block] = [] if context.history is not None else [_no_earlier(context)]
    blocks.append(_states(context, found, "since.states_caption", "finding-states", LONGEST))
    return Group(context.label("since.states_title"), "finding-states-group", tuple(blocks))


def _no_earlier(context: Context) -> Missing:
    return missing(context, "since.no_earlier")
