"""The report as a value: run, spec and findings in, everything that a reader will see out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from xai_audit.errors import RenderError
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, Run, marks_of
from xai_audit.report.document import (
    Block,
    Cover,
    Entry,
    Figure,
    Gallery,
    Group,
    Missing,
    Question,
    Report,
    Section,
    Span,
    Table,
)
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections import (
    annex,
    automotive,
    causal,
    cover,
    data,
    declared,
    explanations,
    failures,
    finance,
    findings,
    industrial,
    medical,
    monitoring,
    performance,
    requirements,
    robustness,
    since,
    statements,
    summary,
)
from xai_audit.report.terms import linked, spelt_out
from xai_audit.report.told import in_language
from xai_audit.report.trace import refuse_untraced
from xai_audit.report.walk import anchors_of

if TYPE_CHECKING:
    from xai_audit.spec.schema import AuditSpec
    from xai_audit.verdict import Finding


Write: TypeAlias = Callable[[Context], tuple[Block, ...]]


@dataclass(frozen=True)
class Part:
    """A section of the outline and the function that writes it."""

    key: str
    write: Write


OUTLINE: tuple[Part, ...] = (
    Part("cover", cover.section),
    Part("summary", summary.section),
    Part("use", declared.intended_use),
    Part("criteria", declared.criteria),
    Part("model", declared.model),
    Part("data", data.section),
    Part("performance", performance.section),
    Part("robustness", robustness.section),
    Part("explanations", explanations.section),
    Part("causal", causal.causal),
    Part("failures", failures.section),
    Part("requirements", requirements.section),
    Part("statements", statements.section),
    Part("monitoring", monitoring.section),
    Part("findings", findings.findings),
    Part("sign_off", findings.sign_off),
)
"""The numbered sections in order; the annex follows them, because its glossary reads them."""
SECTORS: Mapping[str, Write] = {
    "automotive": automotive.section,
    "finance": finance.section,
    "industrial": industrial.section,
    "medical": medical.section,
}
"""The annex of a sector by domain; one that writes no block is not printed."""
SECTOR_LETTER = "A"


def build_report(run: Run, spec: AuditSpec, found: Sequence[Finding], language: str) -> Report:
    """Everything that the report will show. Raises RenderError for a missing text or a number without source."""
    words = load_catalogue(language)
    numbers = Numbers(words, spec.data.show.minimum_cell).with_marks(marks_of(found))
    context = Context(run, spec, tuple(found), language, words, numbers)
    _check_findings(context)
    sections = tuple(_section(context, place, part) for place, part in enumerate(OUTLINE, start=1))
    sector = _sector(context, len(sections) + 2)
    blocks = annex.section(context, text_of((sections, sector)))
    last = _numbered(context, Section(len(sections) + 1, "annex", *_heading(context, "annex"), blocks))
    whole = _explained(context, (*sections, last, *sector))
    title = context.text(spec.audit.title)
    return Report(
        language=language,
        title=context.label("report.title").format(title=title),
        running_title=title,
        running_id=context.label("report.running").format(audit=run.manifest["audit"], run=run.manifest["run"]),
        author=f"{run.manifest['package']['name']} {run.manifest['package']['version']}",
        cover=Cover(
            context.label("report.kind"),
            title,
            context.label(f"state.{cover.state_of(context)}"),
            context.label(f"state.{cover.state_of(context)}_meaning"),
            context.label("report.disclaimer"),
        ),
        sections=whole,
        domain=spec.audit.domain,
        contents=tuple(Entry(each.place, each.title, each.anchor, each.is_assessed) for each in whole),
    )


def _check_findings(context: Context) -> None:
    missing_ids = {entry.id for entry in context.spec.criteria} - {finding.id for finding in context.criteria}
    if missing_ids:
        raise RenderError(
            "findings.json",
            f"no finding for {', '.join(sorted(missing_ids))}",
            "one finding for every criterion",
            "Judge the run folder again: xai-audit judge.",
        )


def _heading(context: Context, key: str) -> tuple[str, str]:
    return context.label(f"section.{key}.title"), context.label(f"section.{key}.question")


def _section(context: Context, place: int, part: Part) -> Section:
    blocks = part.write(context)
    if part.key == "summary":
        blocks = (*blocks, *_page_two(context))
    assessed = not all(isinstance(block, Missing) for block in blocks)
    return _numbered(context, Section(place, part.key, *_heading(context, part.key), blocks, assessed))


def _explained(context: Context, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """The sections with glossary links and with abbreviations spelt out; RenderError for a number without source."""
    sections = in_language(sections, context.language)
    refuse_untraced(sections)
    terms = frozenset(f"term-{key}" for key in context.words.under("glossary"))
    return spelt_out(linked(sections, context.words, terms & anchors_of(sections)), context.words)


def _sector(context: Context, place: int) -> tuple[Section, ...]:
    """The annex of the audit's sector, where it has one and something to say."""
    write = SECTORS.get(context.spec.audit.domain)
    blocks = write(context) if write is not None else ()
    if not blocks:
        return ()
    made = Section(place, "sector", *_heading(context, f"sector_{context.spec.audit.domain}"), blocks)
    return (_numbered(context, replace(made, letter=SECTOR_LETTER)),)


def _page_two(context: Context) -> tuple[Block, ...]:
    """The page after the decision page, where a signed report went before."""
    blocks = since.page(context)
    return (Group(context.label("since.title"), "since", blocks),) if blocks else ()


def _numbered(context: Context, section: Section) -> Section:
    """Figures and tables numbered within their section, in the order of the page."""
    counts = {"figure": 0, "table": 0}

    def visit(block: Block) -> Block:
        if isinstance(block, Group):
            return replace(block, blocks=tuple(visit(part) for part in block.blocks))
        if isinstance(block, Question):
            return replace(block, blocks=tuple(visit(part) for part in block.blocks))
        if not isinstance(block, Table | Figure | Gallery):
            return block
        kind = "table" if isinstance(block, Table) else "figure"
        counts[kind] += 1
        label = context.label(f"{kind}.number").format(section=section.place, place=counts[kind])
        return replace(block, number=label)

    return replace(section, blocks=tuple(visit(block) for block in section.blocks))


def text_of(value: object) -> str:
    """Every text in a part of the report, for search."""
    if isinstance(value, str):
        return value
    if isinstance(value, Span):
        return value.text
    if isinstance(value, tuple):
        return " ".join(text_of(part) for part in value)
    if is_dataclass(value):
        return " ".join(text_of(getattr(value, entry.name)) for entry in fields(value))
    return ""
