"""The report as a value: run, spec and findings in, everything that a reader will see out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING

from xai_audit.errors import RenderError
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, Run, marks_of
from xai_audit.report.document import (
    Block,
    Cover,
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
    causal,
    cover,
    data,
    declared,
    explanations,
    failures,
    findings,
    missing,
    performance,
    summary,
)

if TYPE_CHECKING:
    from xai_audit.spec.schema import AuditSpec
    from xai_audit.verdict import Finding


@dataclass(frozen=True)
class Part:
    """A section of the outline and the function that writes it."""

    key: str
    write: Callable[[Context], tuple[Block, ...]]


OUTLINE: tuple[Part, ...] = (
    Part("cover", cover.section),
    Part("summary", summary.section),
    Part("use", declared.intended_use),
    Part("criteria", declared.criteria),
    Part("model", declared.model),
    Part("data", data.section),
    Part("performance", performance.section),
    Part("robustness", missing.robustness),
    Part("explanations", explanations.section),
    Part("causal", causal.causal),
    Part("failures", failures.section),
    Part("requirements", missing.requirements),
    Part("statements", missing.statements),
    Part("monitoring", findings.monitoring),
    Part("findings", findings.findings),
    Part("sign_off", findings.sign_off),
)
"""The numbered sections in order; the annex follows them, because its glossary reads them."""


def build_report(run: Run, spec: AuditSpec, found: Sequence[Finding], language: str) -> Report:
    """Everything that the report will show. Raises RenderError for a missing text or a number without source."""
    words = load_catalogue(language)
    numbers = Numbers(words, spec.data.show.minimum_cell).with_marks(marks_of(found))
    context = Context(run, spec, tuple(found), language, words, numbers)
    _check_findings(context)
    sections = tuple(_section(context, place, part) for place, part in enumerate(OUTLINE, start=1))
    blocks = annex.section(context, text_of(sections))
    last = _numbered(context, Section(len(sections) + 1, "annex", *_heading(context, "annex"), blocks))
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
            context.label("state.draft"),
            context.label("state.draft_meaning"),
            context.label("report.disclaimer"),
        ),
        sections=(*sections, last),
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
    assessed = not all(isinstance(block, Missing) for block in blocks)
    return _numbered(context, Section(place, part.key, *_heading(context, part.key), blocks, assessed))


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
        label = context.label(f"{kind}.number").format(section=section.number, place=counts[kind])
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
