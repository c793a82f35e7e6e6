"""Which parts of a run give each kind of evidence that a clause may ask for; what a run has not measured gives none.

The kinds and what they mean stand in clauses/vocabulary.yaml. Four of its types are treated each in its own way:
measured kinds need a record whose status is `measured`, provenance the manifest, declared kinds the spec, and supplied
kinds a file that a person attached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_audit.clauses.packs import vocabulary
from xai_audit.evidence.records import Evidence
from xai_audit.spec.schema import AuditSpec
from xai_audit.verdict.findings import Finding
from xai_audit.verdict.people import People

MANIFEST, SPEC, FINDINGS, LOG = "manifest.json", "audit.yaml", "findings.json", "evidence.jsonl"
ROWS = "rows.parquet"
COMPARISON = "comparison.json"
FAITHFULNESS = ("deletion", "insertion", "road", "infidelity", "completeness")
SANITY = ("parameter_randomisation",)
STABILITY = ("stability", "max_sensitivity", "agreement")
COUNTERFACTUAL = ("counterfactual", "recourse", "counterfactual_fairness", "pn_ps", "image_counterfactual")
EFFECTS = ("interventional", "ate", "att", "cate", "cde", "nde", "nie", "path_effect")
ANSWERED = ("identified", "bounded")
NOT_FIXED_BY_DATA = ("identified", "bounded", "refused")
"""An effect that the data cannot fix is found out as well: the kind says "or not identifiable"."""


@dataclass(frozen=True)
class Parts:
    """Everything that evidence may lie in."""

    spec: AuditSpec
    manifest: Mapping[str, Any]
    records: Sequence[Evidence]
    findings: Sequence[Finding]
    people: People
    has_comparison: bool = False
    """Whether the run was compared with an earlier one."""
    has_set_aside: bool = False
    """Whether the curve of section 8 can be made from the rows of the run."""

    def measured(self, *kinds: str, subjects: Sequence[str] = ()) -> tuple[Evidence, ...]:
        """Records with an answer, of some kinds and, where given, subjects.

        None of a control, which tells nothing of a method, and none whose numbers are all undefined.
        """
        return tuple(
            record
            for record in self.records
            if record.kind in kinds and (not subjects or record.subject in subjects) and _has_answer(record)
        )


def _has_answer(record: Evidence) -> bool:
    if record.status != "measured" or (record.method or "").startswith("control:"):
        return False
    return not record.values or any(value.status == "measured" for value in record.values)


def present_kinds(parts: Parts) -> dict[str, tuple[str, ...]]:
    """Every kind of the vocabulary with the ids of records, or names of files, that give it; empty where none does."""
    return {kind: _given(parts, kind) for kind in vocabulary()["evidence_kinds"]}


def _given(parts: Parts, kind: str) -> tuple[str, ...]:
    if kind in NOT_MEASURED:
        return ()
    if kind in _FROM_RECORDS:
        return tuple(dict.fromkeys(record.id for record in _FROM_RECORDS[kind](parts)))
    if kind in _FROM_FILES:
        file, is_there = _FROM_FILES[kind]
        return (file,) if is_there(parts) else ()
    return _supplied(parts, kind)


def _supplied(parts: Parts, kind: str) -> tuple[str, ...]:
    """Files that people attached to a statement about the kind itself."""
    said = [one for one in parts.people.current if one.about == kind]  # a file that was taken back counts no more
    return tuple(dict.fromkeys(one.attachment.path for one in said if one.attachment is not None))


def _of(*kinds: str, subjects: Sequence[str] = ()) -> Callable[[Parts], Sequence[Evidence]]:
    return lambda parts: parts.measured(*kinds, subjects=subjects)


def _whole(parts: Parts) -> Iterator[Evidence]:
    whole = {part.name for part in parts.spec.slices if not part.where}
    return (record for record in parts.measured("performance") if record.slice in whole)


def _by_slice(parts: Parts) -> Iterator[Evidence]:
    cut = {part.name for part in parts.spec.slices if part.where}
    return (record for record in parts.measured("performance") if record.slice in cut)


def _failures(parts: Parts) -> Sequence[Evidence]:
    """Wrong answers can be grouped where there are classes, and shown where cases were chosen for it."""
    if parts.spec.task not in ("single_label", "binary_logit"):
        return ()
    predictions, cases = parts.measured("predictions"), parts.measured("cases")
    return (*predictions, *cases) if predictions and cases else ()


def _queries(asks: Sequence[str], outcomes: Sequence[str]) -> Callable[[Parts], Iterator[Evidence]]:
    return lambda parts: (
        record
        for record in parts.measured("causal_query")
        if record.details.get("ask") in asks and record.details.get("outcome") in outcomes
    )


def _shortcuts(parts: Parts) -> Iterator[Evidence]:
    """What moves the score though it should not: regions beside attribution, and effects of declared shortcuts."""
    yield from parts.measured("cause_beside_attribution")
    variables = parts.spec.causal.variables if parts.spec.causal is not None else {}
    nuisance = {name for name, one in variables.items() if one.role in ("shortcut", "protected")}
    for record in _queries(EFFECTS, ANSWERED)(parts):
        if nuisance & set((record.details.get("query") or {}).get("do") or ()):
            yield record


_FROM_RECORDS: dict[str, Callable[[Parts], Iterator[Evidence] | Sequence[Evidence]]] = {
    "performance": _whole,
    "performance_by_slice": _by_slice,
    "calibration": _of("calibration"),
    "fairness_gap": _of("fairness"),
    "robustness": _of("severity"),
    "baseline_comparison": _of("challenger"),
    "inspection_agreement": _of("appraisers"),
    "error_catalogue": _failures,
    "explanation_faithfulness": _of("quality", subjects=FAITHFULNESS),
    "explanation_sanity": _of("quality", subjects=SANITY),
    "explanation_stability": _of("quality", subjects=STABILITY),
    "localisation": _of("localisation"),
    "reason_fidelity": _of("reasons"),
    "concept_findings": _of("dissection", "tcav", "concept_effect"),
    "surrogate_fidelity": _of("surrogate"),
    "graph_checks": _of("causal_graph"),
    "causal_effects": _queries(EFFECTS, NOT_FIXED_BY_DATA),
    "shortcut_effect": _shortcuts,
    "counterfactuals": _queries(COUNTERFACTUAL, ANSWERED),
    "data_profile": _of("data_profile"),
    "split_integrity": _of("split_integrity"),
    "label_quality": _of("appraisers"),
    "drift_baseline": _of("drift_baseline"),
}
"""Measured kinds that steps give."""
NOT_MEASURED = ("shift", "reproducibility", "log_check")
"""Measured kinds that this tool does not measure: no run gives them."""


def _is_self_tested(parts: Parts) -> bool:
    record = parts.manifest.get("qualification")
    return record is not None and bool(record) and int(record["failed"]) == 0


_FROM_FILES: dict[str, tuple[str, Callable[[Parts], bool]]] = {
    "uncertainty": (ROWS, lambda parts: parts.has_set_aside),
    "version_difference": (COMPARISON, lambda parts: parts.has_comparison),
    "model_identity": (MANIFEST, lambda parts: bool(parts.manifest["model"].get("digest"))),
    "data_provenance": (MANIFEST, lambda parts: bool(parts.manifest["data"]["slices"])),
    "run_log": (LOG, lambda parts: bool(parts.records)),
    "tool_identity": (MANIFEST, _is_self_tested),
    "declared_in_spec": (SPEC, lambda parts: parts.spec.audit.intended_use is not None),
    "criteria_beforehand": (
        SPEC,
        lambda parts: bool(parts.spec.criteria) and all(one.set_by is not None for one in parts.spec.criteria),
    ),
    "metric_rationale": (SPEC, lambda parts: bool(parts.spec.criteria)),
    "limitations": (SPEC, lambda parts: bool(parts.spec.audit.limitations)),
    "plain_summary": (FINDINGS, lambda parts: bool(parts.findings)),
    "traceability": (FINDINGS, lambda parts: any(one.clauses for one in parts.spec.criteria)),
}
"""What files give, provenance, what the spec declares, and what the report itself shows: the file, and when it is
there."""
