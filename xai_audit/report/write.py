"""From a run folder to the files that people read; only the folder is read."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from xai_audit.errors import EvidenceError
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.store import RunRecord, read_run
from xai_audit.report.build import build_report
from xai_audit.report.document import Image, Report
from xai_audit.report.html import render_html
from xai_audit.report.pdf import render_pdf
from xai_audit.report.sketches import Sketch
from xai_audit.report.views import WHOLE, view
from xai_audit.report.walk import mapped
from xai_audit.report.workers import Task, run_all
from xai_audit.spec.schema import Audience

ATTACHED = ("audit.yaml", "evidence.jsonl", "findings.json", "manifest.json")
ATTACHED_IF_THERE = ("statements.json", "comparison.json")
FORMATS = ("html", "pdf")


@dataclass(frozen=True)
class Job:
    """One file to render: which view of which report, as what."""

    name: str
    report: Report
    suffix: str


def read_report(folder: Path, language: str | None = None) -> Report:
    """The whole report of a judged run folder, in one language or else the first of its spec."""
    from xai_audit.spec.load import load_text
    from xai_audit.verdict import read_findings
    from xai_audit.verdict.waivers import require_lasting

    run = read_run(folder)
    spec = load_text(run.spec_text, folder / "audit.yaml").spec
    findings = read_findings(_text(folder, "findings.json"))
    require_lasting(folder, findings, run.day)
    return build_report(run, spec, findings, language or spec.audit.languages[0])


def _text(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        raise EvidenceError(folder.name, f"no {name}", "a judged run folder", "Judge it first: xai-audit judge.")
    return (folder / name).read_text(encoding="utf-8")


def file_name(audience: Audience, language: str, first: str, suffix: str) -> str:
    """`report[.<audience>][.<language>].<suffix>`; the whole report and the first language of the spec have no word."""
    words = [audience] * (audience != WHOLE) + [language] * (language != first)
    return ".".join(("report", *words, suffix))


def write_report(
    folder: Path,
    formats: Sequence[str] = FORMATS,
    audiences: Sequence[Audience] | None = None,
    languages: Sequence[str] | None = None,
) -> tuple[Path, ...]:
    """Write every view in every language and figures/, each whole or not at all; the paths of all that was written.

    Audiences and languages are those of the spec unless named. Everything is rendered before the first byte is
    written, so a RenderError leaves earlier reports as they were. Several files are rendered in processes of their own.
    """
    from xai_audit.spec.load import load_text

    run = read_run(folder)
    spec = load_text(run.spec_text, folder / "audit.yaml").spec
    first = spec.audit.languages[0]
    reports: dict[str, Report] = {}
    jobs: list[Job] = []
    for language in dict.fromkeys(languages or spec.audit.languages):
        report = read_report(folder, language)
        reports["figures" if language == first else f"figures/{language}"] = report
        for audience in dict.fromkeys(audiences or spec.report.audience):
            seen = view(report, audience)
            jobs += [Job(file_name(audience, language, first, suffix), seen, suffix) for suffix in formats]
    files = render_all(jobs, _attached(folder), _ended(run))
    for place, report in reports.items():
        files |= dict(_figures(report, place))
    for name, data in files.items():
        write_atomically(folder / name, data)
    return tuple(folder / name for name in files)


def _figures(report: Report, folder: str) -> Iterator[tuple[str, bytes]]:
    for image in report.images:
        if image.mime == "image/svg+xml":
            yield f"{folder}/{image.name}.svg", image.data


def render_all(jobs: Sequence[Job], attached: Mapping[str, bytes], ended: datetime.datetime) -> dict[str, bytes]:
    """The bytes of every file by name.

    More than one PDF: the charts are drawn, then the files are shared out among the processors. One: it comes first,
    since its pages are set while other processes draw its charts.
    """
    if sum(job.suffix == "pdf" for job in jobs) < 2:
        return {job.name: _rendered(job, attached, ended) for job in sorted(jobs, key=lambda job: job.suffix != "pdf")}
    jobs = [Job(job.name, _drawn(job.report), job.suffix) for job in jobs]
    made = run_all([Task(job.name, partial(_rendered, job, attached, ended)) for job in jobs])
    return {job.name: cast(bytes, data) for job, data in zip(jobs, made, strict=True)}


def _drawn(part: Any) -> Any:
    """A part of the report with every chart drawn, so that it can be handed to another process."""
    if isinstance(part, Image):
        return replace(part, source=part.source.drawn) if isinstance(part.source, Sketch) else part
    return mapped(part, _drawn)


def _rendered(job: Job, attached: Mapping[str, bytes], ended: datetime.datetime) -> bytes:
    return render_html(job.report) if job.suffix == "html" else render_pdf(job.report, attached, ended)


def _attached(folder: Path) -> dict[str, bytes]:
    names = (*ATTACHED, *(name for name in ATTACHED_IF_THERE if (folder / name).is_file()))
    return {name: (folder / name).read_bytes() for name in names}


def _ended(run: RunRecord) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(run.manifest["ended"])
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
