"""What an earlier run said, kept beside this one as comparison.json, and the state of each finding since.

| state | when |
|---|---|
| new | open now; the earlier run said nothing of it |
| regressed | open now; the earlier run had judged it and it was no problem |
| persisting | open in both; a waiver leaves a finding open |
| fixed | open then; looked at again and no longer open |
| gone | judged then and not looked at any more, whatever was said: that is never called fixed |
| met | judged and no problem now, and none before; or its limit was moved since |

Open is a criterion that is not `pass`, a step without a result, an explanation that is not trusted, a lean that is
there or cannot be told, and every causal finding and observation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import canonical
from xai_audit.evidence.records import Evidence
from xai_audit.verdict.changes import Change, Moved
from xai_audit.verdict.findings import Finding

NAME = "comparison.json"
FORMAT = 1
State = Literal["new", "regressed", "persisting", "fixed", "gone", "met"]
STATES: tuple[State, ...] = ("regressed", "new", "gone", "persisting", "fixed", "met")
"""In the order in which they worry."""
Chosen = Literal["named", "signed", "judged"]
_FINE = ("trust_trusted", "concept_does_not_lean")
_WHILE_WRONG = ("step", "causal", "concept", "observation")
"""Findings that are only there while something is wrong: gone and fixed are told apart by what was measured."""


@dataclass(frozen=True)
class Earlier:
    """The run that this one is compared with."""

    audit: str
    run: str
    ended: str
    """ISO 8601."""
    is_signed: bool
    chosen: Chosen
    """named: by hand; signed: the last signed one; judged: the last judged one, where none was signed."""
    findings_sha256: str


@dataclass(frozen=True)
class Told:
    """What the earlier run said in one of its findings, in words and numbers alone; no ids of cases."""

    key: str
    id: str
    kind: str
    word: str
    """Its verdict, or its reason where it judges nothing."""
    is_open: bool
    severity: str
    measure: str | None
    estimate: float | None
    n: int | None
    unit: str
    rests_on: tuple[str, ...]
    """What was measured for it, as `about` writes it."""
    subject: str
    """What it speaks of: its key; of concepts, of which several findings may speak, method and concept."""


@dataclass(frozen=True)
class Seen:
    """The run in which a finding that is open in the latest earlier run was first open, without a break since."""

    key: str
    run: str
    ended: str


@dataclass(frozen=True)
class History:
    """comparison.json: everything that this run's report needs of the runs before it."""

    earlier: Earlier
    told: tuple[Told, ...]
    measured: tuple[str, ...]
    """Everything that the earlier run measured, as `about` writes it."""
    changes: tuple[Change, ...]
    moved: tuple[Moved, ...]
    first_seen: tuple[Seen, ...]
    left_out: tuple[str, ...] = ()
    """Earlier runs whose files are not as they were left, so that nothing is taken from them."""


@dataclass(frozen=True)
class FindingState:
    """One finding of this run, of the earlier one, or of both."""

    key: str
    state: State
    finding: Finding | None
    told: Told | None
    first_run: str = ""
    """The run in which it was first open; empty where it is not a problem now."""
    first_on: str = ""
    """When that run ended, ISO 8601."""


def about(record: Evidence) -> str:
    """What a step looked at, the same in every run: kind, subject, slice, method and mask."""
    return canonical([record.kind, record.subject, record.slice, record.method, record.mask])


def key_of(finding: Finding, by_id: Mapping[str, Evidence]) -> str:
    """What names a finding in every run: its id; of a step, whose id changes with the inputs, what it looked at."""
    record = by_id.get(finding.evidence[0]) if finding.kind == "step" and finding.evidence else None
    return finding.id if record is None else f"step:{about(record)}"


def keyed(findings: Iterable[Finding], by_id: Mapping[str, Evidence]) -> dict[str, Finding]:
    """Every finding under what names it; of steps that looked at the same with other parameters the later are numbered.

    A number is never among what was measured, so such a step is never called fixed by another one.
    """
    found: dict[str, Finding] = {}
    times: Counter[str] = Counter()
    for finding in findings:
        key = key_of(finding, by_id)
        times[key] += 1
        found[key if times[key] == 1 else f"{key} #{times[key]}"] = finding
    return found


def is_open(finding: Finding) -> bool:
    """Whether a finding is a problem that somebody must still deal with; a waived one is."""
    return finding.verdict != "pass" if finding.kind == "criterion" else finding.reason not in _FINE


def told_of(key: str, finding: Finding, by_id: Mapping[str, Evidence]) -> Told:
    """A finding as a later run will remember it, under its key."""
    rests_on = tuple(about(by_id[step]) for step in finding.evidence if step in by_id)
    word = finding.verdict or finding.reason
    subject = canonical(["concept", finding.method, finding.concept]) if finding.kind == "concept" else key
    return Told(key, finding.id, finding.kind, word, is_open(finding), finding.severity,
                finding.measure, finding.estimate, finding.n, finding.unit, rests_on, subject)  # fmt: skip


def remembered(
    earlier: Earlier,
    findings: Sequence[Finding],
    records: Sequence[Evidence],
    *,
    changes: tuple[Change, ...] = (),
    moved: tuple[Moved, ...] = (),
    first_seen: tuple[Seen, ...] = (),
    left_out: tuple[str, ...] = (),
) -> History:
    """All that a later run needs of an earlier one, given its findings and records."""
    by_id = {record.id: record for record in records}
    told = tuple(told_of(key, finding, by_id) for key, finding in keyed(findings, by_id).items())
    measured = tuple(sorted({about(record) for record in records if record.status == "measured"}))
    return History(earlier, told, measured, changes, moved, first_seen, left_out)


def states(
    history: History | None, findings: Sequence[Finding], records: Sequence[Evidence], this: tuple[str, str]
) -> tuple[FindingState, ...]:
    """Every finding of this run in its order, then those of the earlier run that this one does not have.

    `this` is the run's id and the time at which it ended. Without an earlier run what is open is new.
    """
    by_id = {record.id: record for record in records}
    before = {} if history is None else {each.key: each for each in history.told}
    seen = {} if history is None else {each.key: (each.run, each.ended) for each in history.first_seen}
    fine = _fine_before(history)
    now = keyed(findings, by_id)
    told = [told_of(key, finding, by_id) for key, finding in now.items()]
    measured = frozenset(about(record) for record in records if record.status == "measured")
    left = [each for each in before.values() if each.key not in now]
    moved = frozenset(each.criterion for each in history.moved) if history is not None else frozenset()
    return (
        *(_now(each, now[each.key], before.get(each.key), fine, seen.get(each.key, this), moved) for each in told),
        *(
            _then(each, told, frozenset() if _is_unsaid(each, history) else measured, seen)
            for each in left
            if not _is_told_otherwise(each, told)
        ),
    )


def _fine_before(history: History | None) -> frozenset[str]:
    """Subjects that the earlier run looked at and found no problem with."""
    if history is None:
        return frozenset()
    steps = (f"step:{each}" for each in history.measured)
    return frozenset((*steps, *(each.subject for each in history.told if not each.is_open)))


def _now(
    told: Told,
    finding: Finding,
    before: Told | None,
    fine: frozenset[str],
    seen: tuple[str, str],
    moved: frozenset[str],
) -> FindingState:
    """A finding of this run; what is met under another limit than before was not fixed."""
    if not told.is_open:
        is_fixed = before is not None and before.is_open and finding.id not in moved
        return FindingState(told.key, "fixed" if is_fixed else "met", finding, before)
    state: State = "regressed" if told.subject in fine else "new"
    if before is not None and before.is_open:
        state = "persisting"
    return FindingState(told.key, state, finding, before, *seen)


def _is_told_otherwise(before: Told, now: Sequence[Told]) -> bool:
    """Whether this run says something else of what the earlier one found no problem with."""
    return not before.is_open and any(each.subject == before.subject for each in now)


def _is_unsaid(before: Told, history: History | None) -> bool:
    """Whether the spec was changed where it says what the finding was looked for in: then nothing was looked at again.

    Of a finding about causes that is the causal part, of one about training data their declaration.
    """
    start = {"causal": "causal", "observation": "data.training" if ":training" in before.key else None}.get(before.kind)
    if history is None or start is None:
        return False
    return any(change.part == "spec" and change.what.startswith(start) for change in history.changes)


def _then(
    before: Told, now: Sequence[Told], measured: frozenset[str], seen: Mapping[str, tuple[str, str]]
) -> FindingState:
    """A finding that only the earlier run has: fixed where all that it rests on was measured again, and is fine."""
    rests_on = (before.key.removeprefix("step:"),) if before.kind == "step" else before.rests_on
    is_fixed = before.is_open and before.kind in _WHILE_WRONG and bool(rests_on) and measured.issuperset(rests_on)
    if before.kind == "concept":
        about_it = [each for each in now if each.subject == before.subject]
        is_fixed = is_fixed and bool(about_it) and not any(each.is_open for each in about_it)
    return FindingState(before.key, "fixed" if is_fixed else "gone", None, before, *seen.get(before.key, ("", "")))


def next_first_seen(
    before: Sequence[Seen], findings: Sequence[Finding], records: Sequence[Evidence], run: str, ended: str
) -> tuple[Seen, ...]:
    """Since when each open finding of a run has been open, given the same of the run before it."""
    by_id = {record.id: record for record in records}
    known = {each.key: each for each in before}
    keys = [key for key, finding in keyed(findings, by_id).items() if is_open(finding)]
    return tuple(known.get(key, Seen(key, run, ended)) for key in keys)


def history_text(history: History) -> str:
    """Canonical JSON; the same runs give the same bytes."""
    return canonical({"format": FORMAT, **asdict(history)}) + "\n"


def read_history(data: bytes) -> History | None:
    """What `history_text` wrote, None of no bytes; EvidenceError where it is something else."""
    if not data:
        return None
    try:
        whole: dict[str, Any] = json.loads(data)
        if whole.pop("format") != FORMAT:
            raise ValueError("another format")
        return History(
            Earlier(**whole.pop("earlier")),
            tuple(Told(**{**each, "rests_on": tuple(each["rests_on"])}) for each in whole.pop("told")),
            tuple(whole.pop("measured")),
            tuple(Change(**each) for each in whole.pop("changes")),
            tuple(Moved(**each) for each in whole.pop("moved")),
            tuple(Seen(**each) for each in whole.pop("first_seen")),
            tuple(whole.pop("left_out")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            NAME, f"{error}", f"a comparison in format {FORMAT}", "Judge the run again: xai-audit judge."
        ) from error


def by_state(found: Sequence[FindingState]) -> Iterator[tuple[State, tuple[FindingState, ...]]]:
    """The findings of each state, the states that worry first, empty ones too."""
    for state in STATES:
        yield state, tuple(each for each in found if each.state == state)
