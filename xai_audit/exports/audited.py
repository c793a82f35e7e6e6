"""What every export is made from: a judged run, its spec, its findings and how the clauses stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import file_sha256
from xai_audit.evidence.events import Event, last, read_events
from xai_audit.evidence.manifest import require_unchanged
from xai_audit.evidence.store import MANIFEST, RunRecord, read_run
from xai_audit.spec.base import Text
from xai_audit.spec.schema import AuditSpec, text_in
from xai_audit.verdict import Finding, Overall, overall, read_findings
from xai_audit.verdict.evidence_kinds import Parts
from xai_audit.verdict.findings import REASONS
from xai_audit.verdict.history import FindingState, read_history, states
from xai_audit.verdict.mapping import Mapping, mapping_of, people_of
from xai_audit.verdict.set_aside import set_aside_of
from xai_audit.verdict.waivers import require_lasting
from xai_audit.verdict.withheld import digest_of_id, ids_are_withheld, replaced

FINDINGS = "findings.json"


@dataclass(frozen=True)
class Audited:
    """A judged run folder, read once."""

    run: RunRecord
    spec: AuditSpec
    findings: tuple[Finding, ...]
    events: tuple[Event, ...]

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        return self.run.manifest

    @property
    def name(self) -> str:
        """Audit and run."""
        return f"{self.manifest['audit']}/{self.manifest['run']}"

    @property
    def judged(self) -> str:
        """When it was judged last, ISO 8601; the end of the run where the log does not say."""
        event = last(self.events, "judged")
        return str(self.manifest["ended"]) if event is None else event.time

    @property
    def overall(self) -> Overall:
        """What all findings come to."""
        return overall(self.findings, self.spec)

    @cached_property
    def mapping(self) -> Mapping:
        """How the clauses of the named packs stand."""
        people = people_of(self.spec, self.run.statements)
        records, findings = self.run.records, self.findings
        has_past = bool(self.run.comparison)
        has_curve = not isinstance(set_aside_of(self.spec, records, self.run.rows), str)
        return mapping_of(Parts(self.spec, self.manifest, records, findings, people, has_past, has_curve))

    @cached_property
    def state_of(self) -> dict[str, FindingState]:
        """What became of each finding since an earlier run, by the finding's id."""
        this = (str(self.manifest["run"]), str(self.manifest["ended"]))
        found = states(read_history(self.run.comparison), self.findings, self.run.records, this)
        return {each.finding.id: each for each in found if each.finding is not None}

    def text(self, text: Text) -> str:
        """A text of the spec in English where it has it, else in its first language."""
        languages = self.spec.audit.languages
        return text_in(text, "en" if "en" in languages else languages[0])

    def shown(self, text: str) -> str:
        """A message in one line, with digests in place of ids of cases where these are withheld."""
        text = " ".join(text.split())
        if not ids_are_withheld(self.spec):
            return text
        return replaced(text, self._ids, lambda identifier: f"case {digest_of_id(identifier)}")

    def detail(self, finding: Finding) -> str:
        """What a finding says; of too few cases to show only why it says so, without numbers."""
        if self.is_small(finding):
            return f"{REASONS[finding.reason]} The cases are too few for their numbers to be shown."
        return self.shown(finding.detail)

    @cached_property
    def _ids(self) -> frozenset[str]:
        profiles = [record for record in self.run.records if record.kind == "data_profile"]
        bad = [str(entry["id"]) for record in profiles for entry in record.details.get("bad_cases") or ()]
        return frozenset((*bad, *map(str, self.run.rows()["id"])))

    def is_small(self, finding: Finding) -> bool:
        """Whether a criterion is about so few cases that its numbers may not be shown."""
        is_of_group = finding.kind == "criterion" and finding.n is not None
        return is_of_group and 0 < (finding.n or 0) < self.spec.data.show.minimum_cell

    def size(self, finding: Finding) -> str:
        """How many cases a finding is about; of too few only that they are fewer."""
        if finding.n is None:
            return ""
        return f"< {self.spec.data.show.minimum_cell}" if self.is_small(finding) else str(finding.n)

    def digest(self, name: str) -> str:
        """sha256 of a file of the folder."""
        return file_sha256(self.run.folder / name)


def read_audited(folder: Path) -> Audited:
    """A judged run folder as it was left; EvidenceError where it is not judged or a file was changed."""
    from xai_audit.spec.load import load_text

    run = read_run(folder)
    if not (folder / FINDINGS).is_file():
        raise EvidenceError(str(folder), f"no {FINDINGS}", "a judged run folder", f"xai-audit judge {folder}")
    require_unchanged(folder, "rendered")
    spec = load_text(run.spec_text, folder / "audit.yaml").spec
    findings = read_findings((folder / FINDINGS).read_text(encoding="utf-8"))
    missing = {criterion.id for criterion in spec.criteria} - {each.id for each in findings if each.kind == "criterion"}
    if missing:
        raise EvidenceError(
            str(folder / FINDINGS), f"no finding for {', '.join(sorted(missing))}", "one finding for every criterion",
            f"xai-audit judge {folder}",
        )  # fmt: skip
    require_lasting(folder, findings, run.day)
    return Audited(run, spec, findings, read_events(folder))


__all__ = ["FINDINGS", "MANIFEST", "Audited", "read_audited"]
