"""Section 2: one page, four questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xai_audit.report.causal_counts import count_sentence
from xai_audit.report.context import FINDINGS, MANIFEST, SPEC, STATEMENTS, Context, measured_values, name, number
from xai_audit.report.document import Block, Bullets, FindingCard, Prose, Question, Sentence, Span
from xai_audit.report.sections.cover import state_of
from xai_audit.report.sections.late import warnings
from xai_audit.report.sections.sector_index import link
from xai_audit.report.sections.since import moved_lead
from xai_audit.report.sections.verdicts import (
    MOST_BROKEN,
    MOST_WORRIES,
    broken_steps,
    not_run,
    overall_line,
    tally,
    worries,
    worrying_groups,
)
from xai_audit.report.sentences import brief_sentences
from xai_audit.report.trusted import States, listed, states
from xai_audit.report.walk import mapped
from xai_audit.spec.base import Text

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

ONE_ANSWER = ("single_label", "binary_logit")
"""Tasks in which a case has one answer, which is its label or is not."""
LACKING = frozenset({"not_assessed", "criterion_not_met", "partial"})
"""Status words of a clause whose evidence is not all there or not all good."""
MOST_LEANING = 2
"""Classes that lean on what ought not to matter, beside the cards."""
LONGEST_USE = 260
"""Characters of the owner's words that the decision page holds."""
LONGEST = {"name": 24, "text": 170}
"""Characters of a name that a person gave, and of the reason of a step, that the decision page holds."""
LONGEST_PERSON = 60
"""Characters of the owner's name, and of the role."""
MOST_IDS = 2
"""Pieces of evidence that a card of the decision page names."""
MOST_NAMED = 8
"""Open criteria that the decision page names; of more it gives the count."""


def section(context: Context) -> tuple[Block, ...]:
    """State, counts, and the four questions of the signatory."""
    questions = (("tested", _tested), ("worries", _worries), ("decide", _decide))
    head: tuple[Block, ...] = (
        Prose((_identity(context),), "note"),
        tally(context),
        Prose((overall_line(context), count_sentence(context))),
    )
    used = Question(context.label("question.use"), _use(context))  # in the owner's words, which are clipped already
    asked = [Question(context.label(f"question.{key}"), answer(context)) for key, answer in questions]
    return (*map(_fitted, head), used, *map(_fitted, asked))


def _fitted(part: Any) -> Any:
    """A part of the page with long names and reasons cut, so that it stays one page; section 15 has them whole."""
    if isinstance(part, Span):
        most = LONGEST.get(part.kind, 0) if part.source else 0
        if not most or len(part.text) <= most:
            return part
        return replace(part, text=_cut_inside(part.text, most) if part.kind == "name" else _cut(part.text, most))
    if isinstance(part, FindingCard):
        sentences = tuple(_few_ids(sentence) for sentence in part.sentences)
        part = replace(part, name=_cut(part.name, LONGEST["text"]), sentences=sentences)
    return mapped(part, _fitted)


def _few_ids(sentence: Sentence) -> Sentence:
    """A sentence with its first pieces of evidence; the finding itself has them all."""
    ids = [place for place, span in enumerate(sentence) if span.kind == "evidence"]
    if len(ids) <= MOST_IDS:
        return sentence
    return (*sentence[: ids[MOST_IDS]], Span("…"), *sentence[ids[-1] + 1 :])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()}…"


def _cut_inside(text: str, most: int) -> str:
    """A name without its middle: the ends tell it from its neighbours."""
    return f"{text[: most // 2].rstrip()}…{text[len(text) - most // 2 :].lstrip()}"


def _identity(context: Context) -> Sentence:
    manifest = context.run.manifest
    return context.say(
        "summary.identity", audit=name(manifest["audit"], MANIFEST), run=name(manifest["run"], MANIFEST),
        date=number(context.time(manifest["ended"]), MANIFEST), state=context.label(f"state.{state_of(context)}"),
    )  # fmt: skip


def _use(context: Context) -> tuple[Block, ...]:
    audit = context.spec.audit
    items = [
        context.say(f"use.{key}", text=_clipped(context, text)) if text else context.say(f"use.no_{key}")
        for key, text in (("intended", audit.intended_use), ("not_for", audit.not_for))
    ]
    return (*(Prose((item,)) for item in items), Prose((_stated_by(context),), "note"))


def _stated_by(context: Context) -> Sentence:
    owner = context.spec.audit.owner
    if owner is None:
        return context.say("use.owners_words")
    who = {"name": owner.name, "role": owner.role}
    return context.say("use.words_of", **{key: name(_cut(text, LONGEST_PERSON)) for key, text in who.items()})


def _clipped(context: Context, text: Text) -> Sentence:
    whole = context.text(text)
    if len(whole) <= LONGEST_USE:
        return context.owner(text)
    return context.say("use.clipped", text=context.owner(whole[:LONGEST_USE].rsplit(" ", 1)[0]))


def _tested(context: Context) -> tuple[Block, ...]:
    done = _done(context)
    slices = context.count_of("tested.slices", len(context.spec.slices), SPEC) if context.spec.has_cases else ()
    methods = _asked(context)
    criteria = context.count_of("tested.criteria", len(context.spec.criteria), SPEC)
    found = states(context)
    trusted: tuple[Block, ...] = (Prose((_trusted(context, found),)),) if found.are_judged else ()
    said = context.joined([part for part in (done, slices, methods, criteria) if part])
    right = (_right(context),) if context.spec.has_scores and context.spec.task in ONE_ANSWER else ()
    return (Prose((said, *right)), *trusted, *_gaps(context))


def _right(context: Context) -> Sentence:
    """How often the model's answer is the label, over all cases; or that nobody measured it."""
    for record, value in measured_values(context.of_kind("performance")):
        is_it = value.name == "accuracy" and record.slice is not None and record.slice == context.whole
        ends = {"share": value.estimate, "low": value.low, "high": value.high}
        if is_it and value.estimate is not None:
            said = {
                key: number(context.numbers.value(value.name, end, value.unit), record.id)
                for key, end in ends.items()
                if end is not None
            }
            confidence = number(context.numbers.confidence(value.confidence), SPEC)
            key = "tested.right_alone" if value.low is None or value.high is None else "tested.right"
            return context.say(key, **said, confidence=confidence)
    return context.say("tested.right_unknown")


def _trusted(context: Context, found: States) -> Sentence:
    """How many explanation methods may be believed; which may not is told among the worries."""
    methods = len(found.methods)
    trusted = number(context.numbers.count(methods - len(_doubted(found))), FINDINGS)
    return context.count_of("tested.trusted", methods, FINDINGS, trusted=trusted)


def _done(context: Context) -> Sentence:
    """How many cases were read, or that there are none to read."""
    if not context.spec.has_cases:
        return context.say("tested.no_cases")
    profile = context.first("data_profile")
    if profile is None:
        return context.say("tested.unread")
    return context.count_of("tested.cases", int(profile.details["cases"]), profile.id)


def _asked(context: Context) -> Sentence:
    """Explanation methods, causal queries, or both."""
    causal, found = context.spec.causal, []
    if context.spec.methods or causal is None:
        found.append(context.count_of("tested.methods", len(context.spec.methods), SPEC))
    if causal is not None:
        found.append(context.count_of("tested.queries", len(causal.queries), SPEC))
    return context.joined(found)


def _gaps(context: Context) -> tuple[Block, ...]:
    broken, unanswered, clauses = broken_steps(context), not_run(context), tuple(_clauses(context))
    if not broken and not unanswered:
        return (Prose((context.say("tested.all_ran"), *clauses, _never(context))),)
    items = [entry.brief for entry in broken[:MOST_BROKEN]]
    if len(broken) > len(items):
        items.append(context.count_of("attention.more", len(broken) - len(items), FINDINGS))
    if unanswered:
        items.append(context.count_of("tested.unanswered", len(unanswered), FINDINGS, ids=_named(context, unanswered)))
    return (Prose((context.say("tested.gaps"),), "strong"), Bullets((*items, *clauses, _never(context))))


def _clauses(context: Context) -> Iterator[Sentence]:
    """How many clauses of the packs have no evidence, or not all of it, or a criterion that is not met."""
    standings = context.mapping.standings
    lacking = [one for one in standings if one.status in LACKING]
    if standings:
        of = number(context.numbers.of_count(len(lacking), len(standings)), FINDINGS)
        yield context.say("tested.clauses" if lacking else "tested.no_clause", count=of)


def _named(context: Context, found: tuple[Finding, ...]) -> Sentence:
    """Ids of criteria, and how many more there are."""
    return _some(context, [name(finding.id, FINDINGS) for finding in found])


def _some(context: Context, names: Sequence[Span]) -> Sentence:
    """The first names of a row, and how many more there are."""
    ids, more = context.listed(names[:MOST_NAMED]), len(names) - MOST_NAMED
    return ids if more <= 0 else context.count_of("summary.and_more", more, FINDINGS, ids=ids)


def _never(context: Context) -> Sentence:
    """What this audit was not about; whether a law is met is no part of any audit."""
    spec = context.spec
    absent = {
        "model": not spec.has_scores,
        "robustness": spec.has_scores and not any(record.kind == "severity" for record in context.run.records),
        "causes": spec.causal is None,
        "checks": bool(spec.methods) and not states(context).are_judged,
        "requirements": not spec.audit.frameworks,
    }
    parts = [context.say(f"never.{key}") for key, is_absent in absent.items() if is_absent]
    return context.say("never.lead", parts=context.listed([*parts, context.say("never.law")]))


def _worries(context: Context) -> tuple[Block, ...]:
    """The worst findings; and what no criterion asks for: explanations and trees that may not be relied on."""
    told, beyond = worries(context), tuple(_beyond(context))
    is_graded = any(isinstance(block, FindingCard) and block.severity for block in told)
    grades = (Prose((context.say("worries.grades"),), "note"),) if is_graded else ()
    return (*told, *((Bullets(beyond),) if beyond else ()), *grades)


def _beyond(context: Context) -> Iterator[Sentence]:
    yield from _dissent(context)
    if context.history is not None and context.history.moved:
        yield moved_lead(context, context.history)
    found = states(context)
    doubted = _doubted(found)
    if doubted:
        yield context.count_of("worries.explanations", len(doubted), FINDINGS, methods=listed(context, doubted))
    for finding in _leaning(context):
        statement, *_, evidence = brief_sentences(context, finding)
        yield context.joined((statement, evidence))
    for finding in _not_valid(context):
        yield context.joined(brief_sentences(context, finding))


def _dissent(context: Context) -> Iterator[Sentence]:
    """People who said no, and what is past its date."""
    against = [one for one in context.people.current if one.answer == "no"]
    if against:
        who = tuple(dict.fromkeys(one.author for one in against))
        names = _some(context, [name(author, STATEMENTS) for author in who])
        yield context.count_of("worries.dissent", len(against), STATEMENTS, people=names)
    late = len(warnings(context))
    if late:
        yield context.count_of("worries.late", late, FINDINGS)


def _leaning(context: Context) -> tuple[Finding, ...]:
    """Classes that lean on what ought not to matter, where worse findings have taken the cards."""
    untold = [finding for group in worrying_groups(context)[MOST_WORRIES:] for finding in group]
    return tuple(finding for finding in untold if finding.reason == "concept_leans")[:MOST_LEANING]


def _doubted(found: States) -> tuple[str, ...]:
    """Methods that are not trusted on every slice."""
    return tuple(method for method in found.methods if set(found.by_slice(method).values()) != {"trusted"})


def _not_valid(context: Context) -> tuple[Finding, ...]:
    """Trees whose rules may not be taken for the model's; they are minor, so no card names them."""
    return tuple(finding for finding in context.findings if finding.reason == "surrogate_not_valid")


def _decide(context: Context) -> tuple[Block, ...]:
    opened = tuple(finding for finding in context.criteria if finding.verdict != "pass")
    met = tuple(finding for finding in context.criteria if finding.verdict == "pass")
    if not context.criteria:
        covers = context.say("decide.no_criteria")
    elif opened:
        covers = context.count_of("decide.open_named", len(opened), FINDINGS, ids=_named(context, opened))
    else:
        covers = context.say("decide.none_open")
        if _doubted(states(context)) or _not_valid(context):
            covers = context.joined([covers, context.say("decide.beyond")])
    if met:
        covers = context.joined([covers, context.say("decide.met", ids=_named(context, met))])
    if any(finding.reason == "concept_leans" for finding in context.findings):
        covers = context.joined([covers, context.say("decide.leaning")])
    causal = sum(finding.kind == "causal" and finding.severity != "minor" for finding in context.findings)
    if causal:
        covers = context.joined([covers, context.count_of("decide.causal", causal, FINDINGS)])
    empty = len(context.mapping.pending)
    if empty:
        covers = context.joined([covers, context.count_of("decide.empty", empty, STATEMENTS)])
    form = replace(link(context, "sign_off"), text=context.label("section.sign_off.title"), kind="elsewhere")
    unsigned = context.say("decide.unsigned", section=form)
    asked = context.say("decide.ask" if context.spec.has_scores else "decide.ask_answers")
    return (Prose((asked, covers)), Prose((unsigned,), "note"))
