"""Verdicts: evidence and criteria in, findings out. Reads records only, no model and no data.

Every criterion gives one finding. A pass needs positive evidence: a step that was carried out, a number that exists,
enough cases, and, unless the criterion judges the estimate alone, an interval that can be computed again from what the
step stored.

| verdict | when |
|---|---|
| pass | the end of the interval that the criterion names meets the limit; a limit equal to that end is met |
| fail | the whole interval misses the limit |
| inconclusive | the interval straddles the limit (straddles), too few cases or units (too_few, few_units), or holm; |
| | or of a concept no more than chance (chance), or a limit that cannot be missed (vacuous) |
| not_run | no step measured it (no_evidence), or the step was refused (refused) |
| error | the step failed, the number is undefined, has no interval, or its record contradicts itself; or the number |
| | comes from an explanation that failed its own checks (explanation_failed) |
| waived | not a pass, and a person has taken it on until a date that is not yet over |
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace

from xai_audit.evidence.records import Evidence
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict.causal_findings import causal_findings
from xai_audit.verdict.concept_findings import concept_findings
from xai_audit.verdict.criteria import Arrays, assess
from xai_audit.verdict.families import correct_families
from xai_audit.verdict.findings import (
    Finding,
    Overall,
    WaiverNote,
    exit_code,
    findings_text,
    overall,
    read_findings,
    worst_first,
)
from xai_audit.verdict.observations import observations, step_findings, unreadable
from xai_audit.verdict.trust import trust_of
from xai_audit.verdict.trust_findings import trust_findings
from xai_audit.verdict.waivers import apply_waiver

__all__ = [
    "Arrays",
    "Finding",
    "Overall",
    "WaiverNote",
    "exit_code",
    "findings_text",
    "judge",
    "overall",
    "read_findings",
    "worst_first",
]


def judge(spec: AuditSpec, records: Sequence[Evidence], arrays: Arrays, on: datetime.date) -> tuple[Finding, ...]:
    """One finding a criterion in the order of the spec, then failed and refused steps, then how far each explanation
    may be believed, then what leans on spurious concepts, then what is found of causes, then what the
    data shows.

    `arrays` gives the arrays of a step by its id. `on` is the day on which waivers must still hold.
    """
    trusted = trust_of(spec, records)
    alone = [assess(criterion, records, arrays, trusted) for criterion in spec.criteria]
    correct = spec.causal.checks.family.correct if spec.causal is not None else "holm"
    findings = correct_families(spec.criteria, alone, correct)
    waived = [apply_waiver(criterion, found, on) for criterion, found in zip(spec.criteria, findings, strict=True)]
    left_out = unreadable(records)
    judged = [replace(found, left_out=left_out) for found in waived]
    return (
        *judged,
        *step_findings(records),
        *trust_findings(trusted),
        *concept_findings(records),
        *causal_findings(records),
        *observations(records, spec.data.show.minimum_cell),
    )
