"""OSCAL assessment results: criteria as findings, everything else that was found or mapped as observations.

OSCAL knows two states of a finding. `satisfied` is written for a criterion that is `pass` and for nothing else; what
was waived, cannot be told, did not run or broke is `not-satisfied`, with the verdict in the remarks. How a clause
stands is an observation and never `satisfied`: that a law is met is not for a tool to say.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from xai_audit.exports.audited import FINDINGS, MANIFEST, Audited
from xai_audit.verdict import Finding
from xai_audit.verdict.requirements import Standing

VERSION = "1.2.1"
"""Of OSCAL."""
NAMESPACE = "urn:xai-audit:oscal"
"""Of our properties."""
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)
FILES = {
    "audit.yaml": "application/yaml",
    MANIFEST: "application/json",
    "evidence.jsonl": "application/jsonl",
    FINDINGS: "application/json",
}
REMARKS = (
    "Made by a tool from measurements. It does not say that any requirement is met; that is for the people who sign."
)
_NO_TOKEN = re.compile(r"[^\w.\-]")

Json = dict[str, Any]


def assessment_results(audited: Audited) -> bytes:
    """The document as JSON. The same folder gives the same bytes: every uuid is made from run and subject."""
    made = _Maker(audited)
    whole = {
        "uuid": made.id("document"),
        "metadata": made.metadata(),
        "import-ap": {
            "href": f"#{made.id('file', 'audit.yaml')}",
            "remarks": "The audit's spec takes the place of a plan.",
        },
        "results": [made.result()],
        "back-matter": {"resources": [made.resource(name) for name in FILES]},
    }
    return (json.dumps({"assessment-results": whole}, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


class _Maker:
    """The parts of one document."""

    def __init__(self, audited: Audited) -> None:
        self.audited, self.manifest = audited, audited.manifest

    def id(self, *parts: str) -> str:
        """A uuid that only these parts of this run have."""
        return str(uuid.uuid5(_IDS, json.dumps([self.audited.name, self.audited.digest(FINDINGS), *parts])))

    def metadata(self) -> Json:
        """Title, times, tool version and the owner."""
        owner, package = self.audited.spec.audit.owner, self.manifest["package"]
        people: Json = {}
        if owner is not None:
            party = {"uuid": self.id("owner"), "type": "person", "name": _line(owner.name)}
            people = {
                "roles": [{"id": "owner", "title": "Owner of the audit", "description": _line(owner.role)}],
                "parties": [party],
                "responsible-parties": [{"role-id": "owner", "party-uuids": [self.id("owner")]}],
            }
        return {
            "title": _line(self.audited.text(self.audited.spec.audit.title)),
            "last-modified": self.audited.judged,
            "version": str(self.manifest["run"]),
            "oscal-version": VERSION,
            "props": _props(audit=self.manifest["audit"], tool=f"{package['name']} {package['version']}"),
            **people,
            "remarks": REMARKS,
        }

    def resource(self, name: str) -> Json:
        """A file of the run folder with its digest."""
        link = {
            "href": name,
            "media-type": FILES[name],
            "hashes": [{"algorithm": "SHA-256", "value": self.audited.digest(name)}],
        }
        return {"uuid": self.id("file", name), "title": name, "rlinks": [link]}

    def result(self) -> Json:
        """The one result: what was looked at and what was found."""
        audited, overall = self.audited, self.audited.overall
        criteria = [each for each in audited.findings if each.kind == "criterion"]
        observations = [
            *(self.finding_seen(each) for each in audited.findings),
            *map(self.clause_seen, audited.mapping.standings),
        ]
        counts = {f"criteria-{verdict.replace('_', '-')}": count for verdict, count in overall.counts}
        found: Json = {"observations": observations} if observations else {}
        if criteria:
            found["findings"] = [self.finding(each) for each in criteria]
        return {
            "uuid": self.id("result"),
            "title": f"Run {self.manifest['run']}",
            "description": _block(audited.text(audited.spec.audit.intended_use or audited.spec.audit.title)),
            "start": _moment(self.manifest["started"]),
            "end": _moment(self.manifest["ended"]),
            "props": _props(overall=overall.sentence, **{key: str(count) for key, count in counts.items()}),
            "reviewed-controls": self.reviewed(criteria),
            **found,
        }

    def reviewed(self, criteria: Sequence[Finding]) -> Json:
        """The clauses of the named packs, or the criteria where no pack is named."""
        clauses = [one.clause.id for one in self.audited.mapping.standings]
        if clauses:
            said, controls = "Clauses of the packs that the audit names.", clauses
        else:
            said = "No clause pack is named, so the audit's own criteria stand here."
            controls = [each.id for each in criteria] or [str(self.manifest["audit"])]
        chosen = [{"control-id": _token(control)} for control in controls]
        return {"control-selections": [{"description": said, "include-controls": chosen}]}

    def finding(self, finding: Finding) -> Json:
        """A criterion: satisfied where it passes and nowhere else."""
        criterion = next(each for each in self.audited.spec.criteria if each.id == finding.id)
        is_pass = finding.verdict == "pass"
        reason = "pass" if is_pass else "fail" if finding.verdict == "fail" else "other"
        status = {
            "state": "satisfied" if is_pass else "not-satisfied",
            "reason": reason,
            "remarks": self.verdict(finding),
        }
        return {
            "uuid": self.id("finding", finding.id),
            "title": f"Criterion {_line(finding.id)}",
            "description": _block(self.audited.detail(finding)),
            "props": _of_finding(finding, clauses="; ".join(criterion.clauses)),
            "target": {"type": "objective-id", "target-id": _token(finding.id), "status": status},
            "related-observations": [{"observation-uuid": self.id("observation", finding.id)}],
            "remarks": _block(self.audited.text(criterion.because)),
        }

    def verdict(self, finding: Finding) -> str:
        """The verdict in words, a waiver with all that belongs to it."""
        waiver = finding.waiver
        if waiver is None or finding.verdict != "waived":
            return f"Verdict: {finding.verdict}."
        reason = self.audited.shown(self.audited.text(waiver.reason))
        return _block(
            f"Verdict: waived by {waiver.owner} ({waiver.role}) until {waiver.expires}; without it: "
            f"{finding.unwaived}. {reason}"
        )

    def finding_seen(self, finding: Finding) -> Json:
        """One finding as an observation, with the records that it rests on."""
        link = f"#{self.id('file', 'evidence.jsonl')}"
        evidence = [{"href": link, "description": f"Record {step} of evidence.jsonl"} for step in finding.evidence]
        return {
            "uuid": self.id("observation", finding.id),
            "title": _line(f"{finding.kind} {finding.id}"),
            "description": _block(self.audited.detail(finding)),
            "props": _of_finding(finding, state=self.audited.state_of[finding.id].state),
            "methods": ["TEST"],
            "types": ["finding"],
            **({"relevant-evidence": evidence} if evidence else {}),
            "collected": _moment(self.manifest["ended"]),
        }

    def clause_seen(self, one: Standing) -> Json:
        """How a clause stands, in the report's own words; no state of OSCAL fits."""
        clause = one.clause
        missing = f"No evidence of: {', '.join(one.not_given)}. " * bool(one.not_given)
        missing += f"Not measured by this tool: {', '.join(one.not_measured)}. " * bool(one.not_measured)
        said = f"{clause.ref}: {clause.title}. Status: {one.status.replace('_', ' ')}. {missing}"
        return {
            "uuid": self.id("clause", clause.id),
            "title": _line(f"clause {clause.id}"),
            "description": _block(said),
            "props": _props(
                clause=clause.id, status=one.status, coverage=clause.coverage, confidence=clause.confidence,
                verification=clause.verification, evidence="; ".join(one.evidence), missing="; ".join(one.not_given),
                not_measured="; ".join(one.not_measured),
                criteria="; ".join(each.id for each in one.criteria),
                statement="given" if one.statements else "pending" if one.is_pending else "",
            ),
            "methods": ["EXAMINE"],
            "types": ["control-objective"],
            "collected": _moment(self.manifest["ended"]),
        }  # fmt: skip


def _of_finding(finding: Finding, **more: str) -> list[Json]:
    return _props(
        id=finding.id, verdict=finding.verdict or "none", severity=finding.severity, reason=finding.reason,
        measure=finding.measure, slice=finding.slice, method=finding.method, mask=finding.mask, query=finding.query,
        part=finding.part, **more,
    )  # fmt: skip


def _props(**values: object) -> list[Json]:
    """Properties of our namespace; empty ones are left out."""
    return list(_each(values))


def _each(values: Json) -> Iterator[Json]:
    for key, value in values.items():
        text = _line(str(value)) if value is not None else ""
        if text:
            yield {"name": key.replace("_", "-"), "ns": NAMESPACE, "value": text}


def _line(text: str) -> str:
    """One line without spaces at its ends, as OSCAL wants titles and values."""
    return " ".join(text.split())


def _block(text: str) -> str:
    """A text that is never empty."""
    return _line(text) or "Nothing was said."


def _token(text: str) -> str:
    """An id as OSCAL writes one: it starts with a letter or _, and holds letters, digits, points, - and _."""
    token = _NO_TOKEN.sub("_", text)
    return token if token[:1].isalpha() or token[:1] == "_" else f"_{token}"


def _moment(moment: object) -> str:
    """A time with its zone; a manifest without one is in UTC."""
    text = str(moment)
    return text if text.endswith("Z") or "+" in text[10:] else f"{text}Z"
