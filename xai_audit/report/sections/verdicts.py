"""Counts by verdict and the list of what did not work: the same on the cover and on the decision page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_audit.report.causal_cards import causal_mark, causal_title
from xai_audit.report.concept_sentences import VERDICT as CONCEPT_VERDICT
from xai_audit.report.concept_sentences import state_of as concept_state
from xai_audit.report.context import FINDINGS, Context, number
from xai_audit.report.document import Block, Bullets, Count, FindingCard, Prose, Sentence, Tally
from xai_audit.report.sentences import brief_sentences, brief_step, finding_sentences, record_of, step_sentence
from xai_audit.report.trusted import VERDICT, state_of
from xai_audit.verdict import overall, worst_first

if TYPE_CHECKING:
    from xai_audit.verdict import Finding
    from xai_audit.verdict.findings import Verdict

ORDER: tuple[Verdict, ...] = ("pass", "fail", "inconclusive", "not_run", "error", "waived")
KINDS = (
    "data_profile", "predictions", "cases", "pass", "explanation", "performance", "calibration", "fairness",
    "operating_point", "challenger", "split_integrity", "sorting", "appraisers", "drift_baseline", "boundary",
    "localisation", "probe", "quality", "global", "scan", "units", "dissection", "tcav", "maximisation",
    "concept_effect", "surrogate", "reasons", "causal_graph", "causal_query", "severity", "cause_beside_attribution",
)  # fmt: skip
"""Kinds of steps, those that others rest on first."""
MOST_WORRIES = 3
MOST_BROKEN = 3


def tally(context: Context) -> Tally:
    """Criteria by verdict, zeros too: what did not happen is said as well."""
    counts = Counter(finding.verdict for finding in context.criteria)
    shown = tuple(Count(word, context.verdict(word), context.numbers.count(counts[word])) for word in ORDER)
    return Tally(context.label("tally.caption"), shown, FINDINGS)


def overall_line(context: Context) -> Sentence:
    """Whether the audit passes: only if every criterion is met or waived."""
    return context.say(f"tally.overall.{overall(context.findings, context.spec).sentence}")


@dataclass(frozen=True)
class Broken:
    """Steps of one kind that gave no result, on one slice or more."""

    finding: Finding
    sentence: Sentence
    brief: Sentence


def broken_steps(context: Context) -> tuple[Broken, ...]:
    """Steps without a result, those that others rest on first; one entry for the same step on several slices."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in worst_first(context.findings):
        if finding.kind == "step":
            groups.setdefault(_same_step(context, finding), []).append(finding)
    order = sorted(groups.values(), key=lambda group: _rank(context, group[0]))
    return tuple(
        Broken(group[0], step_sentence(context, group[0], group)[0], brief_step(context, group[0], group))
        for group in order
    )


def _same_step(context: Context, finding: Finding) -> tuple[str, ...]:
    record = record_of(context, finding)
    if record is None:
        return (finding.id,)
    return (record.kind, record.subject, record.method or "", record.mask or "", record.status)


def _rank(context: Context, finding: Finding) -> int:
    record = record_of(context, finding)
    return KINDS.index(record.kind) if record is not None else 0


def attention(context: Context) -> tuple[Block, ...]:
    """Steps that failed, at full size, on the first page."""
    broken = broken_steps(context)
    if not broken:
        return (Prose((overall_line(context), context.say("attention.none"))),)
    steps = sum(finding.kind == "step" for finding in context.findings)
    lead = context.count_of("attention.some", steps, FINDINGS)
    items = tuple(entry.sentence for entry in broken[:MOST_BROKEN])
    return (
        Prose((overall_line(context), lead), "strong"),
        Bullets((*items, *_rest(context, len(broken) - MOST_BROKEN))),
    )


def _rest(context: Context, count: int) -> tuple[Sentence, ...]:
    return (context.count_of("attention.more", count, FINDINGS),) if count > 0 else ()


def worries(context: Context) -> tuple[Block, ...]:
    """At most three findings, worst first, then the count of the rest by verdict; what is told of one is told once."""
    blocking = worrying_groups(context)
    if not blocking:
        key = "worries.none" if context.criteria else "worries.no_criteria"
        return (Prose((context.say(key),)),)
    told, rest = blocking[:MOST_WORRIES], [finding for group in blocking[MOST_WORRIES:] for finding in group]
    return (*(card(context, group[0], brief=True, alike=group) for group in told), *_others(context, rest))


def worrying_groups(context: Context) -> list[list[Finding]]:
    """What worries, worst first: findings of the same step, or on the same method, as one in the place of the worst."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in worrying(context):
        groups.setdefault(_subject(context, finding), []).append(finding)
    return list(groups.values())


def _subject(context: Context, finding: Finding) -> tuple[str, ...]:
    if finding.kind == "step":
        return ("step", *_same_step(context, finding))
    if finding.kind == "trust":
        return ("trust", str(finding.method), finding.reason)
    return (finding.kind, finding.id)


def worrying(context: Context) -> list[Finding]:
    """Findings that worry, worst first; the first `MOST_WORRIES` have cards on page one."""
    return [finding for finding in worst_first(context.findings) if _is_worrying(finding)]


def _is_worrying(finding: Finding) -> bool:
    return finding.severity != "minor" if finding.verdict is None else finding.verdict not in ("pass", "waived")


def _others(context: Context, found: Sequence[Finding]) -> tuple[Block, ...]:
    rest = Counter(finding.verdict for finding in found)
    if not rest:
        return ()
    every: tuple[Verdict | None, ...] = (*ORDER, None)
    counts = tuple(
        context.say(
            "worries.rest_of", word=context.verdict(word), count=number(context.numbers.count(rest[word]), FINDINGS)
        )
        for word in every
        if rest[word]
    )
    return (Prose((context.say("worries.rest"), *counts)),)


def card(context: Context, finding: Finding, *, brief: bool = False, alike: Sequence[Finding] = ()) -> FindingCard:
    """A finding as a card; a brief one leaves the limit's author to the full list and keeps the anchor there.

    `alike` are findings that a brief card tells in one with it: the same step on other slices.
    """
    sentences = brief_sentences(context, finding, alike) if brief else finding_sentences(context, finding)
    verdict: str = finding.verdict or "observation"
    word = context.verdict(finding.verdict)
    if finding.kind == "trust":
        verdict, word = VERDICT[state_of(finding)], context.label(f"trust.state.{state_of(finding)}")
    if finding.kind == "concept":
        state = concept_state(context, finding)
        verdict, word = CONCEPT_VERDICT[state], context.label(f"spurious.word.{state}")
    title = finding.id
    if finding.kind == "trust":
        title = context.method_name(finding.method or "")
    if finding.kind == "observation":
        named = context.label(f"observation.{finding.reason}")
        title = named if brief else context.words.bracketed(named, finding.id)
    if brief and finding.kind == "step":
        title = context.label("card.step")
    if finding.kind == "concept":
        title = context.label("spurious.card").format(
            concept=finding.concept, method=context.method_name(finding.method or "")
        )
    if finding.kind == "causal":
        verdict, word = causal_mark(finding), context.label(f"causal.finding.{finding.reason}")
        title = causal_title(context, finding)
    return FindingCard(
        "" if brief else f"finding-{finding.id}",
        title,
        verdict,
        word,
        context.label(f"severity.{finding.severity}") if finding.severity else "",
        sentences,
    )


def not_run(context: Context) -> tuple[Finding, ...]:
    """Criteria without an answer because something did not run."""
    return tuple(finding for finding in context.criteria if finding.verdict in ("not_run", "error"))
