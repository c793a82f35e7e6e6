"""Section 12: which evidence speaks to which clause, both ways; it never says that a clause is met in law."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from xai_audit.clauses.packs import Translated
from xai_audit.report.context import FINDINGS, Context, Part, cite, name, number
from xai_audit.report.document import Block, Bullets, Cell, Facts, Group, Prose, Sentence, Span, Table
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.said import person_of, words_of
from xai_audit.report.tables import Row, cell, columns_of, table
from xai_audit.verdict.evidence_kinds import NOT_MEASURED
from xai_audit.verdict.requirements import Status

if TYPE_CHECKING:
    from xai_audit.clauses.packs import Clause, Pack
    from xai_audit.verdict import Finding
    from xai_audit.verdict.requirements import Standing

STATUSES: tuple[Status, ...] = get_args(Status)
MARKS: dict[Status, str] = {
    "evidence_attached": "observation",
    "criterion_not_met": "fail",
    "partial": "inconclusive",
    "human_statement_pending": "inconclusive",
    "human_statement_given": "observation",
    "not_assessed": "not_run",
    "not_applicable": "waived",
}
"""Mark and colour of each status word; none has that of a pass."""
COVERAGES = ("supports", "partial", "placeholder")
MOST_IDS = 3
"""Records named in a cell; the rest are counted, and all stand in the attached table."""


def section(context: Context) -> tuple[Block, ...]:
    """The packs with their ages, the clauses of each with what speaks to them, and the same the other way round."""
    mapping = context.mapping
    if not mapping.packs:
        return (missing(context, "missing.clauses"),)
    return (
        Prose((context.say("mapping.disclaimer"),), "strong"),
        Prose((context.say("mapping.lead"),)),
        Facts(
            tuple((context.label(f"coverage.{word}"), context.say(f"coverage.{word}_means")) for word in COVERAGES),
            context.label("mapping.coverage_caption"),
        ),
        packs_table(context),
        _counts(context),
        *(_pack(context, pack) for pack in mapping.packs),
        _kinds(context),
        _criteria_without(context),
    )


def clause_text(text: Translated, pack: str) -> Span:
    """A text of a pack as it stands there; whoever prints a title says where it is in English only."""
    return Span(text.text, source_of(pack), kind="words")


def marked(context: Context, text: Translated, pack: str) -> Sentence:
    """A title, marked where it is there in English only; the mark holds for all that is said below it."""
    said = clause_text(text, pack)
    return (said,) if text.is_translated else context.say("mapping.english_only", text=said)


def source_of(pack: str) -> str:
    """Where the words of a pack come from."""
    return f"clauses/{pack}.yaml"


def pack_of(context: Context, clause: Clause) -> str:
    """Id of the pack that a clause stands in."""
    return next(pack.id for pack in context.mapping.packs if clause in pack.clauses)


def clause_name(context: Context, clause: Clause) -> Sentence:
    """Reference and title of a clause."""
    pack = pack_of(context, clause)
    return context.say(
        "mapping.clause",
        ref=Span(clause.ref, source_of(pack), kind="words"),
        title=marked(context, clause.text("title", context.language), pack),
    )


def packs_table(context: Context) -> Table:
    """Every named pack: what it is, whether it binds here, and how old it is."""
    columns = columns_of(context, "pack", "pack_status", "pack_binding", "pack_as_of", "digest")
    rows = [
        (
            cell(marked(context, pack.title_in(context.language), pack.id)),
            cell(context.label(f"pack.status.{pack.status}")),
            cell(binding(context, pack)),
            cell(number(context.date(pack.as_of), source_of(pack.id))),
            cell(name(pack.digest[:12], source_of(pack.id))),
        )
        for pack in context.mapping.packs
    ]
    return table(context, context.label("mapping.packs_caption"), "packs", columns, rows)


def binding(context: Context, pack: Pack) -> Sentence:
    """Whether the pack binds in this domain today: a voluntary mapping, a preparatory one until its dates, or in
    force."""
    if context.spec.audit.domain in pack.voluntary_for or pack.status == "voluntary_mapping":
        return context.say("mapping.voluntary")
    later = [entry for entry in pack.applies_from if entry.date > context.day]
    if not later:
        return context.say("mapping.binding")
    dates = [
        context.say(
            "mapping.from",
            date=number(context.date(entry.date), source_of(pack.id)),
            scope=Span(entry.scope, source_of(pack.id), kind="words"),
        )
        for entry in later
    ]
    return context.say("mapping.preparatory", dates=context.listed(dates))


def _counts(context: Context) -> Table:
    """How many clauses have which status, as counts and never as a share."""
    columns = (*columns_of(context, "pack"), *columns_of(context, *(f"mapping.{word}" for word in STATUSES),
               numbers=[f"mapping.{word}" for word in STATUSES]))  # fmt: skip
    rows = []
    for pack in context.mapping.packs:
        found = Counter(one.status for one in context.mapping.of_pack(pack))
        title = clause_text(pack.title_in(context.language), pack.id)
        counted = (cell(number(context.numbers.count(found[word]), FINDINGS)) for word in STATUSES)
        rows.append((cell(title), *counted))
    return table(context, context.label("mapping.counts_caption"), "clause-counts", columns, rows)


def _pack(context: Context, pack: Pack) -> Group:
    title = pack.title_in(context.language)
    heading = title.text if title.is_translated else context.label("mapping.english_only").format(text=title.text)
    standings = context.mapping.of_pack(pack)
    english = [Translated(caveat, context.language == "en") for caveat in pack.caveats]
    caveats = Bullets(tuple(marked(context, caveat, pack.id) for caveat in english))
    lead = context.say("mapping.citation", citation=Span(pack.citation, source_of(pack.id), kind="words"))
    if not standings:
        empty = missing(context, "missing.clauses_of_domain")
        return Group(heading, f"pack-{pack.id}", (Prose((lead,), "note"), caveats, empty))
    columns = columns_of(context, "clause", "status", "coverage", "evidence", "mapping.criteria", "human_statement")
    rows = [_row(context, pack, one) for one in standings]
    caption = context.label("mapping.pack_caption").format(pack=title.text)
    matrix = table(context, caption, f"clauses-{pack.id}", columns, rows)
    return Group(heading, f"pack-{pack.id}", (Prose((lead,), "note"), caveats, matrix))


def _row(context: Context, pack: Pack, standing: Standing) -> Row:
    clause = standing.clause
    asked = clause_text(clause.text("paraphrase", context.language), pack.id)
    said = context.joined([clause_name(context, clause), (asked,), *_marks(context, clause)])
    return (
        cell(said, anchor=f"clause-{clause.id}"),
        cell(context.label(f"mapping.status.{standing.status}"), verdict=MARKS[standing.status]),
        cell(context.label(f"coverage.{clause.coverage}")),
        cell(_evidence(context, standing)),
        cell(_criteria(context, standing.criteria)),
        cell(_statement(context, standing, pack.id)),
    )


def _marks(context: Context, clause: Clause) -> list[Sentence]:
    """What a reader must know of the clause itself: draft, superseded, how sure the citation is."""
    found = [context.say(f"mapping.mark.{clause.status}")] if clause.status in ("draft", "superseded") else []
    if clause.verification == "unchecked":
        found.append(context.say("mapping.mark.unchecked"))
    if clause.confidence != "high":
        found.append(context.say(f"mapping.mark.{clause.confidence}"))
    return found


def _evidence(context: Context, standing: Standing) -> Sentence:
    """Kinds that are there, each with the number of its records, and kinds that are missing."""
    present = [kind for kind in standing.clause.evidence if kind not in standing.missing]
    said = []
    if present:
        kinds = [
            context.count_of(
                "mapping.kind_records", len(context.mapping.present[kind]), context.mapping.present[kind][0],
                kind=_kind(context, kind),
            )
            for kind in present
        ]  # fmt: skip
        said.append(context.say("mapping.there", kinds=context.listed(kinds)))
    for key, gaps in (("gap", standing.not_given), ("never", standing.not_measured)):
        if gaps:
            said.append(context.say(f"mapping.{key}", kinds=context.listed([_kind(context, kind) for kind in gaps])))
    return context.joined(said)


def _kind(context: Context, kind: str) -> Sentence:
    return (Span(context.label(f"evidence_kind.{kind}"), href=f"#kind-{kind}"),)


def _criteria(context: Context, criteria: Sequence[Finding]) -> Sentence:
    """Criteria that name the clause, each with its verdict; a waived one with owner and last day."""
    if not criteria:
        return context.say("mapping.no_criterion")
    return context.listed([_criterion(context, finding) for finding in criteria])


def _criterion(context: Context, finding: Finding) -> Sentence:
    identifier = Span(finding.id, FINDINGS, f"#finding-{finding.id}", "name")
    if finding.verdict == "waived" and finding.waiver is not None:
        import datetime

        expires = context.date(datetime.date.fromisoformat(finding.waiver.expires))
        return context.say(
            "mapping.waived", id=identifier, verdict=context.verdict(finding.verdict),
            owner=name(finding.waiver.owner), date=number(expires, FINDINGS),
        )  # fmt: skip
    return context.say("mapping.criterion", id=identifier, verdict=context.verdict(finding.verdict))


def _statement(context: Context, standing: Standing, pack: str) -> Sentence:
    clause = standing.clause
    if standing.statements:
        last = standing.statements[-1]
        answer = context.label(f"answer.{last.answer or 'none'}")
        parts: dict[str, Part] = {"answer": answer, "person": person_of(context, last)}
        if last.answer != "not_applicable":
            return context.say("mapping.said", **parts)
        return context.say("mapping.not_applicable", **parts, reason=words_of(context, last.reason))
    if not clause.human_statement_needed:
        return context.say("mapping.none_needed")
    asked = clause_text(clause.text("human_statement", context.language), pack)
    return context.say("mapping.pending", asked=asked)


def _kinds(context: Context) -> Group:
    """The other way round: each kind of evidence that is there or asked for, and the clauses that ask for it."""
    mapping = context.mapping
    asked = {kind for one in mapping.standings for kind in one.clause.evidence}
    shown = [kind for kind in mapping.present if mapping.present[kind] or kind in asked]
    columns = columns_of(context, "evidence_kind", "evidence", "clauses")
    rows = [_kind_row(context, kind) for kind in shown]
    lead = [context.say("mapping.kinds_lead")]
    if mapping.without:
        kinds = context.listed([_kind(context, kind) for kind in mapping.without])
        lead.append(context.count_of("mapping.without", len(mapping.without), FINDINGS, kinds=kinds))
    caption = context.label("mapping.kinds_caption")
    whole = Table(caption, columns, tuple(rows), anchor="evidence-kinds")
    return Group(context.label("mapping.kinds_title"), "evidence-without-clause", (Prose(tuple(lead)), whole))


def _kind_row(context: Context, kind: str) -> Row:
    given = context.mapping.present[kind]
    clauses = [one.clause for one in context.mapping.standings if kind in one.clause.evidence]
    refs = [
        Span(clause.ref, source_of(pack_of(context, clause)), f"#clause-{clause.id}", "words") for clause in clauses
    ]
    return (
        Cell((Span(context.label(f"evidence_kind.{kind}")),), "", f"kind-{kind}"),
        cell(_given(context, kind), verdict="" if given else "not_run"),
        cell(context.listed(refs) if refs else context.say("mapping.no_clause")),
    )


def _given(context: Context, kind: str) -> Sentence:
    given = context.mapping.present[kind]
    if not given:
        return context.say("mapping.not_measured" if kind in NOT_MEASURED else "mapping.not_there")
    named = [(cite(one) if one in context.by_id else name(one, one),) for one in given[:MOST_IDS]]
    more = len(given) - len(named)
    if not more:
        return context.listed(named)
    return context.count_of("mapping.and_more", more, given[0], ids=context.listed(named))


def _criteria_without(context: Context) -> Prose:
    """Criteria that speak to no clause of the packs, so that the way from requirement to test is whole."""
    alone = [entry.id for entry in context.spec.criteria if not entry.clauses]
    if not alone:
        return Prose((context.say("mapping.all_linked"),), "note")
    ids = context.listed([Span(each, FINDINGS, f"#finding-{each}", "name") for each in alone])
    return Prose((context.count_of("mapping.not_linked", len(alone), FINDINGS, ids=ids),), "note")


def pack_line(context: Context) -> Sentence:
    """Named packs with their ages, for the cover."""
    packs = context.mapping.packs
    if not packs:
        return context.say("cover.no_clause_packs")
    return context.listed(
        [
            context.say(
                "cover.pack",
                title=clause_text(pack.title_in(context.language), pack.id),
                date=number(context.date(pack.as_of), source_of(pack.id)),
            )
            for pack in packs
        ]
    )


def outdated(context: Context) -> tuple[Pack, ...]:
    """Packs that were last looked at too long ago."""
    return tuple(pack for pack in context.mapping.packs if pack.is_outdated(context.day))


def changed(context: Context) -> tuple[Pack, ...]:
    """Packs that are not word for word those of the day of the run."""
    recorded = {entry["id"]: entry["digest"] for entry in context.run.manifest.get("clause_packs", ())}
    return tuple(pack for pack in context.mapping.packs if recorded.get(pack.id, pack.digest) != pack.digest)
