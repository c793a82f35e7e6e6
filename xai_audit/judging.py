"""Judging a run folder: evidence in, findings.json out; no model, no data, no torch."""

from __future__ import annotations

import datetime
from pathlib import Path

from xai_audit.evidence.events import last, read_events
from xai_audit.evidence.files import write_atomically
from xai_audit.evidence.manifest import digests, record_outputs, require_unchanged
from xai_audit.evidence.store import read_run
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict import Finding, findings_text, judge

FINDINGS = "findings.json"


def judge_folder(folder: Path, spec: AuditSpec) -> tuple[Finding, ...]:
    """Judge a sealed run and keep its findings; the folder is left alone when they are there already, unchanged.

    A waiver must still hold today: a run that was judged before it ran out is judged anew. Raises EvidenceError when
    the spec or the evidence in it is not as the run left it.
    """
    require_unchanged(folder, "judged", "compared", "rendered")
    run = read_run(folder)
    ended = datetime.datetime.fromisoformat(run.manifest["ended"]).date()
    today = datetime.datetime.now(datetime.UTC).date()
    findings = judge(spec, run.records, run.arrays, max(ended, today))
    text = findings_text(findings).encode()
    if not _is_current(folder, text):
        write_atomically(folder / FINDINGS, text)
        record_outputs(folder, "judged", [FINDINGS])
    return findings


def _is_current(folder: Path, text: bytes) -> bool:
    path, judged = folder / FINDINGS, last(read_events(folder), "judged")
    return (
        judged is not None
        and path.exists()
        and path.read_bytes() == text
        and judged.data["files"] == digests(folder, [FINDINGS])
    )
