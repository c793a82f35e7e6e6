"""The finding: its fields, its file, its order, and what many of them come to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NoReturn, get_args

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical
from xai_audit.spec.base import Text
from xai_audit.spec.schema import AuditSpec

Verdict = Literal["pass", "fail", "inconclusive", "not_run", "error", "waived"]
Kind = Literal["criterion", "step", "observation", "trust", "concept", "causal"]
JUDGES_NOTHING: tuple[Kind, ...] = ("observation", "trust", "concept", "causal")
"""Kinds without a verdict."""
Severity = Literal["minor", "major", "critical"]
LimitKind = Literal["at_least", "at_most", "between"]
Bound = Literal["lower", "upper", "estimate", "both"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GOOD: frozenset[Verdict | None] = frozenset({"pass", "waived", None})
"""What does not stop an audit from passing; None is an observation, which judges nothing."""
REASONS: dict[str, str] = {
    "met": "The end of the interval that must meet the limit meets it.",
    "not_met": "The whole interval misses the limit.",
    "straddles": "The limit lies inside the interval.",
    "too_few": "Fewer cases than the criterion demands.",
    "few_units": "Met, but on too few independent units (clusters) for its interval to be believed.",
    "holm": "Met alone, but not after correction for the other slices that were judged with it.",
    "undefined": "The number does not exist on these cases, such as an AUROC where all cases have one label.",
    "no_interval": "The number has no interval, and the criterion asks for one.",
    "invalid": "The record contradicts itself; it was not written by this tool as it stands.",
    "step_failed": "The step that should have measured it failed.",
    "refused": "The method or measure does not apply to this model or these data.",
    "no_evidence": "No step measured it.",
    "ambiguous": "More than one number fits the criterion.",
    "chance": "Met, but the number is no more than what chance, or random counterparts, would give.",
    "vacuous": "Met, but the limit cannot be missed, whatever the model does.",
    "explanation_failed": "The explanation that it rests on failed its own checks, or fails them on these cases.",
    "waived": "Not met; a named person has decided to live with it until a date.",
    "waiver_expired": "Not met, and the waiver has run out.",
    "bad_cases": "Cases that could not be read and are in no number.",
    "training_overlap": "Cases that are in the training data.",
    "training_near_overlap": "Cases that look almost like training images.",
    "training_not_declared": "Overlap with the training data was not looked for.",
    "duplicates": "Cases that are the same image.",
    "near_duplicates": "Cases that look almost the same.",
    "missing_values": "Values missing in columns of the table.",
    "surrogate_not_valid": "A decision tree that does not repeat the model's answers closely enough to stand for it.",
    "trust_trusted": "The explanation passed all three kinds of check: sanity, faithfulness and stability.",
    "trust_weak": "The explanation failed no check, but some check is missing, cannot tell yet or is not met in full.",
    "trust_failed": "The explanation failed a check: its pictures must not be relied on.",
    "trust_untested": "No check of the explanation was made.",
    "concept_leans": "A class leans on a spurious concept.",
    "concept_does_not_lean": "Classes that were tested and do not lean on a spurious concept.",
    "concept_not_told": "Whether a class leans on a spurious concept cannot be told.",
    "concept_not_found": "A spurious concept that the method did not find in the net, so that it tells nothing of it.",
    "graph_contradicted": "The data contradict a statement that the causal graph implies.",
    "graph_refuted": "The data contradict the graph on which a causal query rests, so that it has no number.",
    "role_fault": "A variable's role does not fit the edges of the graph.",
    "control_moved": "A negative control, which the graph says is zero, is not.",
    "sets_disagree": "Valid ways of computing the same causal answer disagree beyond their error.",
    "refuter_failed": "A causal answer failed a test whose rule was fixed before the run.",
    "operator_broken": "An operator changed something else than it was asked to, or failed on some units.",
    "other_children": "A query sets one cause of the image, while the same source reaches the image by other ways.",
    "query_refused": "A causal query that cannot be answered from these data.",
    "query_unsupported": "A causal query whose answer needs cases that the data do not hold.",
    "query_no_estimator": "A causal query that can be identified, but for which there is no estimator here.",
    "query_failed": "A causal query whose computation failed.",
    "shortcut": "A region that moves the model's score though the graph declares no causal path for it.",
    "unexplained_drop": "Accuracy falls when a source is drawn anew, and no path of the graph explains it.",
    "misleading_explanation": "A region that an explanation marks, while changing it does nothing to the score.",
}
"""Every reason that a finding can have, in plain words."""
FORMAT = 1
_SINCE: dict[str, Any] = {
    "compared_with": None, "concept": None, "query": None, "part": None, "absolute": False, "is_exact": False,
}  # fmt: skip
"""Fields that older findings of this format lack, with what they mean there."""
_SEVERITY_RANK = {"critical": 0, "major": 1, "minor": 2}


@dataclass(frozen=True)
class WaiverNote:
    """A waiver as it stood when the finding was made."""

    owner: str
    role: str
    reason: Text
    scope: Text
    expires: str
    """ISO 8601; the last day on which it holds."""


@dataclass(frozen=True)
class Finding:
    """One thing found, with everything a reader needs to check it."""

    id: str
    kind: Kind
    verdict: Verdict | None
    """None for an observation, for how far an explanation is to be trusted, and for what leans on a concept."""
    severity: Severity
    reason: str
    """A code of `REASONS`: met, not_met, straddles, too_few, holm, undefined, no_interval, invalid, step_failed,
    refused, no_evidence, ambiguous, chance, vacuous, explanation_failed, waived, waiver_expired; for observations
    bad_cases, training_overlap, ...; for trust trust_trusted, trust_weak, trust_failed, trust_untested; for concepts
    concept_leans, concept_does_not_lean, concept_not_told, concept_not_found; for causal graph_contradicted,
    sets_disagree, refuter_failed, operator_broken, query_refused, shortcut, misleading_explanation, ..."""
    detail: str
    """One plain sentence."""
    evidence: tuple[str, ...] = ()
    """Ids of the records it rests on."""
    measure: str | None = None
    slice: str | None = None
    method: str | None = None
    mask: str | None = None
    class_: str | None = None
    concept: str | None = None
    """Of measures of concepts, and of what leans on one."""
    compared_with: str | None = None
    """The reference slice, of a difference or ratio."""
    limit_kind: LimitKind | None = None
    limit: tuple[float, ...] = ()
    bound: Bound | None = None
    confidence: float | None = None
    minimum_cases: int | None = None
    estimate: float | None = None
    low: float | None = None
    """At `confidence`, before any correction."""
    high: float | None = None
    n: int | None = None
    successes: int | None = None
    trials: int | None = None
    unit: str = ""
    family: int = 1
    """Criteria that were corrected together (Holm); 1 where there was nothing to correct."""
    p: float | None = None
    """One-sided, against the limit; only where the strict end of the interval must meet it."""
    adjusted_p: float | None = None
    """After Holm's correction over the family."""
    waiver: WaiverNote | None = None
    unwaived: Verdict | None = None
    """The verdict without the waiver, where the criterion has one and did not pass."""
    underlying: str = ""
    """The reason without the waiver."""
    left_out: int = 0
    """Cases of the audit that could not be read and are in no number, this one included."""
    because: Text | None = None
    """Why this limit, in the owner's words."""
    query: str | None = None
    """Instead of a measure: id of the causal query that is judged."""
    part: str | None = None
    """Which of its numbers."""
    absolute: bool = False
    """The size of the number was compared, whichever its sign; estimate, low and high keep theirs."""
    is_exact: bool = False
    """The number is exact under a stated law or given mechanisms: there is no sampling error."""


@dataclass(frozen=True)
class Overall:
    """What all findings of an audit come to."""

    all_pass: bool
    """There is a criterion, each one passes or is waived, and no step failed or was refused."""
    counts: tuple[tuple[Verdict, int], ...]
    """Criteria by verdict, zeros too."""
    sentence: Literal["all_pass", "all_pass_some_waived", "not_all_pass", "steps_failed", "no_criteria"]
    """Key of the sentence on page one."""
    exit_code: int


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What is not a pass, then what is waived, then what passes; within each by severity, then in the order given.

    Of one severity fail, error and not_run come first, all alike; then inconclusive; then observations.
    """

    def rank(finding: Finding) -> tuple[int, int, int]:
        is_good = finding.verdict == "pass" or finding.reason in ("trust_trusted", "concept_does_not_lean")
        group = 2 if is_good else 1 if finding.verdict == "waived" else 0
        return group, _SEVERITY_RANK[finding.severity], {None: 2, "inconclusive": 1}.get(finding.verdict, 0)

    return tuple(sorted(findings, key=rank))


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where every finding that has a verdict is a pass or waived, 1 otherwise."""
    return 0 if all(finding.verdict in GOOD for finding in findings) else 1


def overall(findings: Sequence[Finding], spec: AuditSpec) -> Overall:
    """The audit's verdict; a criterion of the spec without a finding counts as not run."""
    by_id = {finding.id: finding for finding in findings if finding.kind == "criterion"}
    verdicts = [by_id[criterion.id].verdict if criterion.id in by_id else "not_run" for criterion in spec.criteria]
    tally = Counter(verdicts)
    counts = tuple((verdict, tally[verdict]) for verdict in VERDICTS)
    are_good = all(verdict in ("pass", "waived") for verdict in verdicts)
    code = exit_code(findings) if are_good else 1
    all_pass = bool(verdicts) and code == 0
    return Overall(all_pass, counts, _sentence(bool(verdicts), are_good, code, tally["waived"] > 0), code)


def _sentence(
    has_criteria: bool, are_good: bool, code: int, is_some_waived: bool
) -> Literal["all_pass", "all_pass_some_waived", "not_all_pass", "steps_failed", "no_criteria"]:
    if not are_good:
        return "not_all_pass"
    if code:
        return "steps_failed"
    if not has_criteria:
        return "no_criteria"
    return "all_pass_some_waived" if is_some_waived else "all_pass"


def findings_text(findings: Sequence[Finding]) -> str:
    """Canonical JSON of the findings: the same findings give the same bytes. ValueError for a number not finite."""
    return canonical({"format": FORMAT, "findings": [asdict(finding) for finding in findings]}) + "\n"


def read_findings(text: str) -> tuple[Finding, ...]:
    """Findings read back; EvidenceError where the text is not what `findings_text` writes."""
    try:
        whole = json.loads(text, parse_constant=_not_finite)
        if whole["format"] != FORMAT:
            raise ValueError(f"format {whole['format']}")
        return tuple(_finding(entry) for entry in whole["findings"])
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            "findings.json", f"{error}", f"findings in format {FORMAT}", "Judge the run again: xai-audit judge."
        ) from error


def _finding(entry: dict[str, Any]) -> Finding:
    entry = {**_SINCE, **entry}
    unknown = set(entry) ^ {field.name for field in fields(Finding)}
    if unknown:
        raise ValueError(f"fields that do not fit: {', '.join(sorted(unknown))}")
    judges_nothing = entry["kind"] in JUDGES_NOTHING
    if entry["kind"] not in get_args(Kind) or entry["severity"] not in _SEVERITY_RANK:
        raise ValueError(f"kind {entry['kind']!r} of severity {entry['severity']!r}")
    if (entry["verdict"] is None) != judges_nothing or (not judges_nothing and entry["verdict"] not in VERDICTS):
        raise ValueError(f"verdict {entry['verdict']!r} for kind {entry['kind']!r}")
    waiver = None if entry["waiver"] is None else WaiverNote(**entry["waiver"])
    lists = {"evidence": tuple(entry["evidence"]), "limit": tuple(entry["limit"])}
    return Finding(**{**entry, **lists, "waiver": waiver})


def _not_finite(name: str) -> NoReturn:
    raise ValueError(f"the number {name}")
