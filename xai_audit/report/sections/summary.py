"""Section 2: one page, four questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xai_audit.report.causal_counts import count_sentence
from xai_audit.report.context import FINDINGS, MANIFEST, SPEC, Context, joined, name, number
from xai_audit.report.document import Block, Bullets, Prose, Question, Sentence
from xai_audit.report.sections.trust import counts
from xai_audit.report.sections.verdicts import (
    MOST_BROKEN,
    MOST_WORRIES,
    broken_steps,
    not_run,
    overall_line,
    tally,
    worries,
    worrying,
)
from xai_audit.report.sentences import brief_sentences
from xai_audit.report.trusted import States, listed, states
from xai_audit.spec.base import Text

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

MOST_LEANING = 2
"""Classes that lean on what ought not to matter, beside the cards."""
LONGEST_USE = 200
"""Characters of the owner's words that the decision page holds."""


def section(context: Context) -> tuple[Block, ...]:
    """State, counts, and the four questions of the signatory."""
    questions = (("use", _use), ("tested", _tested), ("worries", _worries), ("decide", _decide))
    return (
        Prose((_identity(context),), "note"),
        tally(context),
        Prose((overall_line(context), count_sentence(context))),
        *(Question(context.label(f"question.{key}"), answer(context)) for key, answer in questions),
    )


def _identity(context: Context) -> Sentence:
    manifest = context.run.manifest
    return context.say(
        "summary.identity", audit=name(manifest["audit"], MANIFEST), run=name(manifest["run"], MANIFEST),
        date=number(context.time(manifest["ended"]), MANIFEST),
    )  # fmt: skip


def _use(context: Context) -> tuple[Block, ...]:
    audit = context.spec.audit
    items = [
        context.say(f"use.{key}", text=_clipped(context, text)) if text else context.say(f"use.no_{key}")
        for key, text in (("intended", audit.intended_use), ("not_for", audit.not_for))
    ]
    return (Prose(tuple(items)), Prose((context.say("use.owners_words"),), "note"))


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
    trusted: tuple[Block, ...] = (Prose(tuple(counts(context, found))),) if found.are_judged else ()
    said = joined([part for part in (done, slices, methods, criteria) if part])
    return (Prose((said,)), *trusted, *_gaps(context))


def _done(context: Context) -> Sentence:
    """How many cases were read, or that there are none to read."""
    if not context.spec.has_cases:
        return context.say("tested.no_cases")
    return context.count_of("tested.cases", _cases(context), _profile_id(context))


def _asked(context: Context) -> Sentence:
    """Explanation methods, causal queries, or both."""
    causal, found = context.spec.causal, []
    if context.spec.methods or causal is None:
        found.append(context.count_of("tested.methods", len(context.spec.methods), SPEC))
    if causal is not None:
        found.append(context.count_of("tested.queries", len(causal.queries), SPEC))
    return joined(found)


def _gaps(context: Context) -> tuple[Block, ...]:
    broken, unanswered = broken_steps(context), not_run(context)
    if not broken and not unanswered:
        return (Prose((context.say("tested.all_ran"), _never(context))),)
    items = [entry.brief for entry in broken[:MOST_BROKEN]]
    if len(broken) > len(items):
        items.append(context.count_of("attention.more", len(broken) - len(items), FINDINGS))
    if unanswered:
        ids = joined([(name(finding.id),) for finding in unanswered[:8]], ", ")
        items.append(context.count_of("tested.unanswered", len(unanswered), FINDINGS, ids=ids))
    return (Prose((context.say("tested.gaps"),), "strong"), Bullets((*items, _never(context))))


def _never(context: Context) -> Sentence:
    """What this audit was not about."""
    if context.spec.causal is not None:
        return context.say(
            "tested.never_assessed_causal" if context.spec.has_scores else "tested.never_assessed_no_model"
        )
    return context.say("tested.never_assessed_checked" if states(context).are_judged else "tested.never_assessed")


def _worries(context: Context) -> tuple[Block, ...]:
    """The worst findings; and what no criterion asks for: explanations and trees that may not be relied on."""
    beyond = tuple(_beyond(context))
    return (*worries(context), *((Bullets(beyond),) if beyond else ()))


def _beyond(context: Context) -> Iterator[Sentence]:
    found = states(context)
    doubted = _doubted(found)
    if doubted:
        yield context.count_of("worries.explanations", len(doubted), FINDINGS, methods=listed(context, doubted))
    for finding in _leaning(context):
        statement, *_, evidence = brief_sentences(context, finding)
        yield joined((statement, evidence))
    for finding in _not_valid(context):
        yield joined(brief_sentences(context, finding))


def _leaning(context: Context) -> tuple[Finding, ...]:
    """Classes that lean on what ought not to matter, where worse findings have taken the cards."""
    untold = worrying(context)[MOST_WORRIES:]
    return tuple(finding for finding in untold if finding.reason == "concept_leans")[:MOST_LEANING]


def _doubted(found: States) -> tuple[str, ...]:
    """Methods that are not trusted on every slice."""
    return tuple(method for method in found.methods if set(found.by_slice(method).values()) != {"trusted"})


def _not_valid(context: Context) -> tuple[Finding, ...]:
    """Trees whose rules may not be taken for the model's; they are minor, so no card names them."""
    return tuple(finding for finding in context.findings if finding.reason == "surrogate_not_valid")


def _decide(context: Context) -> tuple[Block, ...]:
    opened = [finding for finding in context.criteria if finding.verdict != "pass"]
    if not context.criteria:
        covers = context.say("decide.no_criteria")
    elif opened:
        covers = context.count_of("decide.open", len(opened), FINDINGS)
    else:
        covers = context.say("decide.none_open")
        if _doubted(states(context)) or _not_valid(context):
            covers = joined([covers, context.say("decide.beyond")])
    if any(finding.reason == "concept_leans" for finding in context.findings):
        covers = joined([covers, context.say("decide.leaning")])
    if any(finding.kind == "causal" and finding.severity != "minor" for finding in context.findings):
        covers = joined([covers, context.say("decide.causal")])
    unsigned = context.say("decide.unsigned")
    asked = context.say("decide.ask" if context.spec.has_scores else "decide.ask_answers")
    return (Prose((asked, covers)), Prose((unsigned,), "note"))


def _profile_id(context: Context) -> str:
    profile = context.first("data_profile")
    return profile.id if profile else MANIFEST


def _cases(context: Context) -> int:
    profile = context.first("data_profile")
    return int(profile.details["cases"]) if profile else 0
