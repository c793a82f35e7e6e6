"""What differs between two runs: the inputs that changed and the criteria whose answer changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xai_audit.errors import EvidenceError
from xai_audit.evidence.manifest import require_unchanged
from xai_audit.evidence.store import RunRecord, read_run
from xai_audit.verdict import Finding, read_findings
from xai_audit.verdict.changes import PACKAGE, Change, changes_between
from xai_audit.verdict.history import STATES, Earlier, FindingState, State, by_state, remembered, states

_RANK = {"pass": 0, "waived": 1, "inconclusive": 2, "not_run": 3, "error": 3, "fail": 3, "absent": 4}
"""How far a verdict is from a pass; a criterion that was taken out is further than any."""


@dataclass(frozen=True)
class CriterionChange:
    """A criterion whose verdict or number is not the same, or that only one run has (the other side is `absent`)."""

    id: str
    before: str
    after: str
    estimate_before: float | None
    estimate_after: float | None

    @property
    def is_worse(self) -> bool:
        """Further from a pass than before; a criterion that was taken out counts as worse, whatever it said."""
        return self.before != "absent" and _RANK[self.after] > _RANK[self.before]


@dataclass(frozen=True)
class TrustChange:
    """An explanation that is believed more or less than before on a slice; `absent` where a run did not check it."""

    method: str
    slice: str
    before: str
    after: str


@dataclass(frozen=True)
class ConceptChange:
    """A spurious concept of which a method says something else than before; `absent` where a run says nothing.

    Of several classes it may say more than one thing, with commas between.
    """

    method: str
    concept: str
    class_: str
    """Empty where it speaks of several classes, or of none."""
    before: str
    after: str


@dataclass(frozen=True)
class FindingChange:
    """A finding of either run that is a problem in one of them, or that one of them did not look at."""

    id: str
    kind: str
    state: State
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    before: str
    after: str
    inputs: tuple[Change, ...]
    criteria: tuple[CriterionChange, ...]
    unchanged: int
    trust: tuple[TrustChange, ...] = ()
    concepts: tuple[ConceptChange, ...] = ()
    findings: tuple[FindingChange, ...] = ()
    """Regressed, new, gone, persisting and fixed, in this order."""

    @property
    def worse(self) -> tuple[CriterionChange, ...]:
        """Criteria that got worse."""
        return tuple(change for change in self.criteria if change.is_worse)

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        inputs = [{**asdict(change), "what": _what(change)} for change in self.inputs]
        return {**asdict(self), "inputs": inputs, "worse": [change.id for change in self.worse]}


def compare_runs(before: Path, after: Path) -> Comparison:
    """Compare two finished run folders; EvidenceError when one of them is not finished, not judged or changed."""
    for folder in (before, after):
        read_run(folder)
        require_unchanged(folder, "rendered")
    old, new = read_run(before), read_run(after)
    criteria = list(_criteria(_findings(old, "criterion"), _findings(new, "criterion")))
    trust = tuple(_trust(_findings(old, "trust"), _findings(new, "trust")))
    concepts = tuple(_concepts(_findings(old, "concept").values(), _findings(new, "concept").values()))
    changed = tuple(c for c in criteria if c.before != c.after or c.estimate_before != c.estimate_after)
    inputs = changes_between(old.manifest, new.manifest, _spec(old), _spec(new))
    return Comparison(
        _name(old), _name(new), inputs, changed, len(criteria) - len(changed), trust, concepts, _states(old, new)
    )


def _name(run: RunRecord) -> str:
    return f"{run.manifest['audit']}/{run.manifest['run']}"


def _findings(run: RunRecord, kind: str) -> dict[str, Finding]:
    path = run.folder / "findings.json"
    if not path.exists():
        raise EvidenceError(str(path), "no findings", "a judged run", f"xai-audit judge {run.folder}")
    findings = read_findings(path.read_text(encoding="utf-8"))
    return {finding.id: finding for finding in findings if finding.kind == kind}


def _trust(old: dict[str, Finding], new: dict[str, Finding]) -> Iterator[TrustChange]:
    for identifier in dict.fromkeys((*old, *new)):
        a, b = old.get(identifier), new.get(identifier)
        states = [finding.reason.removeprefix("trust_") if finding else "absent" for finding in (a, b)]
        one = b or a
        if one is not None and states[0] != states[1]:
            yield TrustChange(str(one.method), str(one.slice), *states)


def _concepts(old: Iterable[Finding], new: Iterable[Finding]) -> Iterator[ConceptChange]:
    before, after = _told(old), _told(new)
    for about in dict.fromkeys((*before, *after)):
        states = [", ".join(sorted(told.get(about, ()))) or "absent" for told in (before, after)]
        if states[0] != states[1]:
            yield ConceptChange(*about, *states)


def _told(findings: Iterable[Finding]) -> dict[tuple[str, str, str], set[str]]:
    """All that is said of each method, concept and class; of several classes or none it may be more than one thing."""
    told: dict[tuple[str, str, str], set[str]] = {}
    for finding in findings:
        about = (str(finding.method), str(finding.concept), finding.class_ or "")
        told.setdefault(about, set()).add(finding.reason.removeprefix("concept_"))
    return told


def _criteria(old: dict[str, Finding], new: dict[str, Finding]) -> Iterator[CriterionChange]:
    for identifier in dict.fromkeys((*old, *new)):
        a, b = old.get(identifier), new.get(identifier)
        yield CriterionChange(
            identifier, str(a.verdict) if a else "absent", str(b.verdict) if b else "absent",
            a.estimate if a else None, b.estimate if b else None,
        )  # fmt: skip


def _states(old: RunRecord, new: RunRecord) -> tuple[FindingChange, ...]:
    before, after = (read_findings((run.folder / "findings.json").read_text(encoding="utf-8")) for run in (old, new))
    earlier = Earlier(old.manifest["audit"], old.manifest["run"], old.manifest["ended"], False, "named", "")
    found = states(remembered(earlier, before, old.records), after, new.records, ("", ""))
    return tuple(_finding(each) for state, group in by_state(found) if state != "met" for each in group)


def _finding(each: FindingState) -> FindingChange:
    now, then = each.finding, each.told
    one = now or then
    assert one is not None
    after = "absent" if now is None else now.verdict or now.reason
    return FindingChange(one.id, one.kind, each.state, "absent" if then is None else then.word, after)


def _what(change: Change) -> str:
    named = {"spec": "spec {}", "model": "model {}", "data": "data of slice {}", "packs": "clause pack {}"}
    if change.part == "software":
        return change.what if change.what in (PACKAGE, "device") else f"version of {change.what}"
    return named[change.part].format({"source": "code"}.get(change.what, change.what))


def _spec(run: RunRecord) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((run.folder / "audit.normalised.json").read_bytes())
    return spec


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The comparison as lines of text."""
    yield f"Before: {comparison.before}    After: {comparison.after}"
    yield f"Inputs that changed: {len(comparison.inputs)}"
    for change in comparison.inputs:
        yield f"  {_what(change)}: {change.before} -> {change.after}"
    yield f"Criteria that changed: {len(comparison.criteria)} ({comparison.unchanged} unchanged)"
    for judged in comparison.criteria:
        numbers = f"{_number(judged.estimate_before)} -> {_number(judged.estimate_after)}"
        yield f"  {judged.id}: {judged.before} -> {judged.after}  ({numbers}){'  WORSE' if judged.is_worse else ''}"
    counts = Counter(change.state for change in comparison.findings)
    yield "Findings: " + ", ".join(f"{counts[state]} {state}" for state in STATES if state != "met")
    for found in comparison.findings:
        yield f"  {found.state:<10} {found.id}: {found.before} -> {found.after}"
    if comparison.trust:
        yield f"Explanations believed more or less: {len(comparison.trust)}"
    for told in comparison.trust:
        yield f"  {told.method} on {told.slice}: {told.before} -> {told.after}"
    if comparison.concepts:
        yield f"Spurious concepts told of otherwise: {len(comparison.concepts)}"
    for lean in comparison.concepts:
        of_class = f" for {lean.class_}" if lean.class_ else ""
        yield f"  {lean.concept} by {lean.method}{of_class}: {lean.before} -> {lean.after}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
