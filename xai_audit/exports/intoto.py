"""An in-toto Statement v1: which manifest and findings these are, and what the audit came to; for tools that sign."""

from __future__ import annotations

from typing import Any

from xai_audit.evidence.canonical import canonical
from xai_audit.exports.audited import FINDINGS, MANIFEST, Audited

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:xai-audit:predicate:audit-result:v1"


def statement(audited: Audited) -> bytes:
    """The statement as canonical JSON; its subjects are manifest.json, which holds every evidence file's digest, and
    findings.json."""
    names = (MANIFEST, FINDINGS)
    subjects = [{"name": f"{audited.name}/{name}", "digest": {"sha256": audited.digest(name)}} for name in names]
    whole = {"_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": _predicate(audited)}
    return (canonical(whole) + "\n").encode()


def _predicate(audited: Audited) -> dict[str, Any]:
    manifest, overall = audited.manifest, audited.overall
    return {
        "audit": manifest["audit"],
        "run": manifest["run"],
        "title": audited.text(audited.spec.audit.title),
        "domain": audited.spec.audit.domain,
        "tool": {"name": manifest["package"]["name"], "version": manifest["package"]["version"]},
        "started": manifest["started"],
        "ended": manifest["ended"],
        "judged": audited.judged,
        "spec": {"sha256": manifest["spec"]["sha256"]},
        "model": {"sha256": manifest["model"].get("digest") or ""},
        "data": {name: {"sha256": part["digest"]} for name, part in manifest["data"]["slices"].items()},
        "clausePacks": manifest.get("clause_packs") or [],
        "result": {
            "sentence": overall.sentence,
            "allPass": overall.all_pass,
            "exitCode": overall.exit_code,
            "criteria": dict(overall.counts),
            "findings": [_finding(audited, each.id) for each in audited.findings if each.kind in ("criterion", "step")],
        },
    }


def _finding(audited: Audited, identifier: str) -> dict[str, Any]:
    finding = next(each for each in audited.findings if each.id == identifier)
    return {"id": finding.id, "kind": finding.kind, "verdict": finding.verdict, "severity": finding.severity,
            "reason": finding.reason, "evidence": list(finding.evidence)}  # fmt: skip
