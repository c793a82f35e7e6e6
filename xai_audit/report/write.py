"""From a run folder to the files that people read; only the folder is read."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from xai_audit.errors import EvidenceError
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.store import RunRecord, read_run
from xai_audit.report.build import build_report
from xai_audit.report.document import Report
from xai_audit.report.html import render_html
from xai_audit.report.pdf import render_pdf

ATTACHED = ("audit.yaml", "evidence.jsonl", "findings.json", "manifest.json")
FORMATS = ("html", "pdf")


def read_report(folder: Path) -> Report:
    """The report of a judged run folder, in the first language of its spec."""
    from xai_audit.spec.load import load_text
    from xai_audit.verdict import read_findings

    run = read_run(folder)
    spec = load_text(run.spec_text, folder / "audit.yaml").spec
    findings = read_findings(_text(folder, "findings.json"))
    return build_report(run, spec, findings, spec.audit.languages[0])


def _text(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        raise EvidenceError(folder.name, f"no {name}", "a judged run folder", "Judge it first: xai-audit judge.")
    return (folder / name).read_text(encoding="utf-8")


def write_report(folder: Path, formats: Sequence[str] = FORMATS) -> tuple[Path, ...]:
    """Write report.html, report.pdf and figures/, each whole or not at all; the paths of all that was written.

    Everything is rendered before the first byte is written, so a RenderError leaves an earlier report as it was.
    """
    report, run = read_report(folder), read_run(folder)
    files: dict[str, bytes] = {
        f"figures/{image.name}.svg": image.data for image in report.images if image.mime == "image/svg+xml"
    }
    if "html" in formats:
        files["report.html"] = render_html(report)
    if "pdf" in formats:
        files["report.pdf"] = render_pdf(report, _attached(folder), _ended(run))
    for name, data in files.items():
        write_atomically(folder / name, data)
    return tuple(folder / name for name in files)


def _attached(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ATTACHED}


def _ended(run: RunRecord) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(run.manifest["ended"])
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
