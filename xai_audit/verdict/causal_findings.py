"""What is found of the causal part without a criterion: graphs and answers that a signatory must not miss.

A finding of kind `causal` has no verdict, as those of trust and concepts have none: it stops nothing, and is said as
loud as what does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from xai_audit.evidence.canonical import canonical, sha256
from xai_audit.evidence.records import Evidence
from xai_audit.verdict.causal_words import (
    contradicted_in_words,
    control_in_words,
    drop_in_words,
    misleading_in_words,
    operator_in_words,
    other_ways_in_words,
    refuter_in_words,
    role_in_words,
    sets_in_words,
    shortcut_in_words,
    without_in_words,
)
from xai_audit.verdict.findings import Finding, Severity

Entry = Mapping[str, Any]
EXACT = 1e-9
"""Difference of two exact numbers that is none."""
FAILED = ("fail", "failed", "not_met", False)
MOST_LEFT_OUT = 0.05
"""Share of units on which an operator may fail; they are left out and counted."""
OTHER_CHILDREN = "other children of"


def causal_findings(records: Sequence[Evidence]) -> tuple[Finding, ...]:
    """Graph, answers, operators, and where methods look although nothing changes there."""
    found: list[Finding] = []
    found += _of_operators(records)
    for record in records:
        if record.status != "measured":
            continue
        if record.kind == "causal_graph":
            found += _of_graph(record)
        elif record.kind == "causal_query":
            found += _of_query(record)
        elif record.kind == "cause_beside_attribution":
            found += _of_regions(record)
    return tuple(found)


def _of_graph(record: Evidence) -> Iterator[Finding]:
    queries = {
        str(entry.get("sentence")): entry.get("queries") or () for entry in record.details.get("contradicted") or ()
    }
    stated = [*record.details.get("implied", ()), *record.details.get("constraints", ())]
    wrong = [{**entry, "queries": queries.pop(str(entry.get("sentence")), ())}
             for entry in stated if entry.get("verdict") == "contradicted"]  # fmt: skip
    wrong += [{"sentence": sentence, "queries": resting} for sentence, resting in queries.items()]
    for entry in wrong:
        what = f"contradicted:{_mark(entry.get('sentence'))}"
        yield _about(record, what, "graph_contradicted", contradicted_in_words(entry), "major")
    for entry in record.details.get("roles") or ():
        what = f"role:{_mark(entry['variable'], entry['problem'])}"
        yield _about(record, what, "role_fault", role_in_words(entry), "major")
    for entry in record.details.get("negative_controls") or ():
        if entry.get("verdict") == "contradicted":
            yield _about(record, f"control:{entry['name']}", "control_moved", control_in_words(entry), "major")


def _of_query(record: Evidence) -> Iterator[Finding]:
    details = record.details
    outcome = str(details.get("outcome", "failed"))
    if outcome in ("refused", "unsupported", "no_estimator", "refuted", "failed"):
        severity: Severity = "major" if outcome in ("refuted", "failed") else "minor"
        reason = "graph_refuted" if outcome == "refuted" else f"query_{outcome}"
        yield _about(record, outcome, reason, without_in_words(record, outcome), severity)
    yield from _disagreements(record)
    for entry in details.get("refuters") or ():
        if entry.get("verdict") in FAILED:
            what = f"refuter:{_mark(entry['kind'], entry.get('rule'))}"
            yield _about(record, what, "refuter_failed", refuter_in_words(record, entry), "major")
    yield from _of_drop(record)
    for warning in details.get("warnings") or ():
        if OTHER_CHILDREN in str(warning).lower():
            detail = other_ways_in_words(record, str(warning))
            yield _about(record, f"children:{_mark(warning)}", "other_children", detail, "major")


def _of_drop(record: Evidence) -> Iterator[Finding]:
    """Accuracy that falls when a source is drawn anew, with no path that explains it."""
    mixed = (record.details.get("details") or {}).get("mixed") or {}
    told = mixed.get("randomised") or {}
    if told.get("unexplained"):
        detail = drop_in_words(record, str(mixed.get("source", "the source")), told)
        yield _about(record, "drop", "unexplained_drop", detail, "major")


def _disagreements(record: Evidence) -> Iterator[Finding]:
    """Ways that ought to agree and do not; each pair of sets once, the first pair told."""
    ways = [each for each in record.details.get("alternatives") or () if _is_told(each)]
    for first, second in combinations(ways, 2):
        if _differ(first, second):
            yield _about(record, "sets", "sets_disagree", sets_in_words(record, first, second), "major")
            return


def _is_told(entry: Entry) -> bool:
    return entry.get("estimate") is not None and entry.get("bounds") is None and entry.get("low") is not None


def _differ(first: Entry, second: Entry) -> bool:
    """Whether two numbers differ beyond their joint error; exact ones must be the same."""
    gap = abs(float(first["estimate"]) - float(second["estimate"]))
    halves = [(float(each["high"]) - float(each["low"])) / 2 for each in (first, second)]
    joint = float((halves[0] ** 2 + halves[1] ** 2) ** 0.5)
    return gap > max(EXACT, joint)


def _of_operators(records: Sequence[Evidence]) -> Iterator[Finding]:
    """One finding an operator that did not keep its contract, with the queries that used it."""
    broken: dict[str, list[tuple[Evidence, Entry]]] = {}
    for record in records:
        operator = (record.details.get("details") or {}).get("operator") or {}
        if record.kind == "causal_query" and operator and _is_broken(operator, int(record.details.get("n") or 0)):
            broken.setdefault(str(operator.get("name", "")), []).append((record, operator))
    for name, used in broken.items():
        records_of, worst = [record for record, _ in used], max((entry for _, entry in used), key=_left_out)
        detail = operator_in_words(name, [record.subject for record in records_of], worst)
        found = _about(records_of[0], f"operator:{name}", "operator_broken", detail, "major")
        yield replace(found, id=f"causal:operator:{name}", evidence=tuple(record.id for record in records_of))


def _left_out(operator: Entry) -> int:
    return int(operator.get("excluded") or 0)


def _is_broken(operator: Entry, n: int) -> bool:
    """Whether an operator moved a variable that must stay, or failed on more units than may be left out."""
    moved = any(not entry.get("ok", True) for entry in operator.get("modularity") or ())
    checks = [operator.get(key) for key in ("composition", "reversibility")]
    failed = any(isinstance(check, Mapping) and check.get("ok") is False for check in checks)
    return bool(moved or failed or operator.get("failed") is True or _left_out(operator) > MOST_LEFT_OUT * max(n, 1))


def _of_regions(record: Evidence) -> Iterator[Finding]:
    for entry in record.details.get("regions") or ():
        if entry.get("verdict") == "shortcut":
            yield _region(record, entry, "shortcut", shortcut_in_words(entry))
        elif entry.get("verdict") == "misleading":
            yield _region(record, entry, "misleading_explanation", misleading_in_words(entry))


def _region(record: Evidence, entry: Entry, reason: str, detail: str) -> Finding:
    found = _about(record, f"region:{entry['mask']}", reason, detail, "major")
    return replace(found, mask=str(entry["mask"]))


def _mark(*said: Any) -> str:
    """What names a finding in every run: what it says, not its place among others."""
    return sha256(canonical(said).encode())[:8]


def _about(record: Evidence, what: str, reason: str, detail: str, severity: Severity) -> Finding:
    named = f"causal:{record.subject}:{what}"
    return Finding(named, "causal", None, severity, reason, detail, (record.id,), slice=record.slice)
