"""Whether an explanation can be believed: trusted, weak, failed or untested, on limits that the spec sets.

| state | when |
|---|---|
| failed | maps stay alike on a random net, a promised sum is broken, maps differ from seed to seed, no measure of |
| | faithfulness puts the method above every control, or the net has learnt nothing on these cases |
| weak | something of that cannot be told yet, a control is not beaten or was not tested, maps change much under |
| | small noise, a kind of check (sanity, faithfulness, stability) is missing, a declared check gave no number, or |
| | more than a tenth of its cases have none |
| trusted | all three kinds are there, every declared check gave a number, and everything is met |
| untested | nothing was checked |

A check that failed or was refused never helps. A method that promises no sum owes no completeness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

from xai_audit import registry
from xai_audit.evidence.records import Evidence, Value
from xai_audit.measures.measured import SAME_NUMBER
from xai_audit.spec.schema import AuditSpec, MeasureUse
from xai_audit.spec.tables import TableInput

State = Literal["trusted", "weak", "failed", "untested"]
Met = Literal["met", "straddles", "not_met"]
FAITHFULNESS = ("deletion", "insertion", "road", "infidelity")
KINDS = {"sanity": ("parameter_randomisation",), "faithfulness": FAITHFULNESS, "stability": ("stability",)}
ENOUGH_TO_TELL = 20
"""Cases below which answers no better than chance only make a method weak."""
ENOUGH_ALIKE = 10
"""Cases from which a number that is the same in every resample is judged by itself."""
UNDEFINED_ALLOWED = 0.1
"""Share of the cases of a check that may have no number in a trusted method."""
_ROUNDING = 1e-9
_WORST: tuple[State, ...] = ("failed", "weak", "trusted")


@dataclass(frozen=True)
class Reason:
    """One limit, how it was met, and where the number stands."""

    code: str
    """randomisation, cascade, completeness, stability, sensitivity, control, skill, undefined_cases, not_measured or
    step_failed."""
    measure: str
    """The measure; of not_measured also the kind of check that was not asked for (sanity, faithfulness or stability),
    `skill`, or `explanation` where the maps themselves are not there."""
    met: Met
    state: State
    """What the reason alone would make of the method."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    evidence: str = ""
    label: str = ""
    """Of control: its name."""
    detail: str = ""
    """Of not_measured and step_failed: why; of a number without an interval: why it has none."""
    n: int = 0
    """Cases behind the number."""
    is_few: bool = False
    """Whether nothing but the count of cases stands in the way."""

    @property
    def has_no_interval(self) -> bool:
        """Whether there is a number that nothing can be told from, since it has no interval."""
        return self.met == "straddles" and self.estimate is not None and self.low is None


@dataclass(frozen=True)
class Trusted:
    """How far one method may be believed on one slice."""

    method: str
    slice: str
    state: State
    reasons: tuple[Reason, ...]
    """What decided it first, the rest after it."""

    @property
    def is_too_few(self) -> bool:
        """Whether a weak method lacks nothing but cases."""
        weak = [reason for reason in self.reasons if reason.state == "weak"]
        return self.state == "weak" and all(reason.is_few for reason in weak)


def trust_of(spec: AuditSpec, records: Sequence[Evidence]) -> tuple[Trusted, ...]:
    """Every method that gives maps on every slice, in the order of the spec. Reads records only."""
    skills = _skills(records)
    parts = [part.name for part in spec.slices]
    return tuple(
        _trusted(spec, method, part, _about(records, method, part), skills.get(part))
        for method in _methods(spec)
        for part in parts
    )


def _methods(spec: AuditSpec) -> list[str]:
    return [method.label for method in spec.methods if method.entry.gives_map]


def _about(records: Sequence[Evidence], method: str, part: str) -> list[Evidence]:
    """The checks of a method on a slice, and the method's explanation."""
    return [
        record
        for record in records
        if (record.kind == "quality" and record.method == method and record.slice == part)
        or (record.kind == "explanation" and record.subject == method)
    ]


@dataclass(frozen=True)
class _Skill:
    """How far the net's answers on a slice agree with the labels beyond chance."""

    estimate: float | None
    low: float | None
    high: float | None
    n: int
    evidence: str


def _skills(records: Sequence[Evidence]) -> dict[str, _Skill]:
    """By slice, from the predictions' record."""
    found: dict[str, _Skill] = {}
    for record in records:
        if record.kind == "predictions" and record.status == "measured":
            entries: dict[str, dict[str, Any]] = record.details.get("skill") or {}
            for part, entry in entries.items():
                ends = entry.get("low"), entry.get("high")
                found[part] = _Skill(entry.get("estimate"), *ends, int(entry.get("n") or 0), record.id)
    return found


def _trusted(spec: AuditSpec, method: str, part: str, about: Sequence[Evidence], skill: _Skill | None) -> Trusted:
    records = [record for record in about if record.kind == "quality"]
    if not records:
        return Trusted(method, part, "untested", ())
    reasons = [*_without_maps(about), *_without_numbers(records), *_not_made(spec, method, records)]
    reasons += [*_sanity(spec, records), *_faithfulness(spec, records), *_steadiness(spec, records)]
    reasons.append(_of_skill(spec, skill))
    state = next(state for state in _WORST if state == "trusted" or any(r.state == state for r in reasons))
    return Trusted(method, part, state, tuple(sorted(reasons, key=lambda reason: _WORST.index(reason.state))))


def _without_maps(about: Sequence[Evidence]) -> Iterator[Reason]:
    """An explanation that is not there can be trusted by nobody, whatever its checks say."""
    for record in about:
        if record.kind == "explanation" and record.status != "measured":
            yield _not_measured("explanation", _why(record), record.id)


def _without_numbers(records: Sequence[Evidence]) -> Iterator[Reason]:
    """Every check that failed, was refused, gave no number, or gave none for too many of its cases."""
    for record in records:
        if record.status == "failed":
            yield Reason("step_failed", record.subject, "straddles", "weak", evidence=record.id, detail=_why(record))
        elif record.status != "measured":
            if not _promises_nothing(record):
                yield _not_measured(record.subject, _why(record), record.id)
        else:
            fault = _fault_of(record, record.subject)
            if fault:
                has_no_case = record.details.get("cases") == 0
                yield replace(_not_measured(record.subject, fault, record.id), is_few=has_no_case)
            yield from _undefined_cases(record)


def _promises_nothing(record: Evidence) -> bool:
    """Whether completeness was refused because the method promises no sum: it then owes none."""
    if record.subject != "completeness" or record.failure is None:
        return False
    message = record.failure.message.removeprefix(f"completeness of {record.method}: found ")
    return message.startswith("no promise")


def _undefined_cases(record: Evidence) -> Iterator[Reason]:
    value = _value(record, "undefined_cases")
    if value is not None and value.estimate is not None and not value.estimate <= UNDEFINED_ALLOWED * value.n:
        found = Reason("undefined_cases", record.subject, "straddles", "weak", value.estimate)
        yield replace(found, evidence=record.id, n=value.n)


def _not_made(spec: AuditSpec, method: str, records: Sequence[Evidence]) -> Iterator[Reason]:
    """A kind of check that was not asked for, and a check that was asked for and left no record."""
    made = {record.subject for record in records}
    for kind, measures in KINDS.items():
        if not made.intersection(measures):
            yield _not_measured(kind, "It was not asked for.")
    for use in spec.measures:
        for name in registry.MEASURE_GROUPS.get(use.use, (use.use,)) if _is_asked_of(use, method) else ():
            if registry.measure(name).group == "quality" and name != "agreement" and name not in made:
                yield _not_measured(name, "It was asked for and left no record.")


def _is_asked_of(use: MeasureUse, method: str) -> bool:
    return use.methods is None or method in use.methods


def _not_measured(measure: str, why: str, evidence: str = "") -> Reason:
    return Reason("not_measured", measure, "straddles", "weak", evidence=evidence, detail=why)


def _of_skill(spec: AuditSpec, skill: _Skill | None) -> Reason:
    """A net whose answers are no better than chance has learnt nothing that could be explained."""
    if skill is None:
        return _not_measured("skill", "The predictions hold no agreement of answers and labels on this slice.")
    fault = _fault(skill.estimate, skill.low, skill.high)
    if fault or skill.estimate is None:
        return _not_measured("skill", fault, skill.evidence)
    limit = spec.trust.skill
    if skill.estimate >= limit and skill.low is None:
        why = f"The number {skill.estimate:.3g} has no interval on {skill.n} cases, so it cannot be told."
        found = replace(_not_measured("skill", why, skill.evidence), estimate=skill.estimate, limit=limit, n=skill.n)
        return replace(found, is_few=skill.n < ENOUGH_TO_TELL)
    is_above_chance = skill.low is not None and skill.low > 0
    met: Met = "straddles"
    if is_above_chance == (skill.estimate >= limit):
        met = "met" if is_above_chance else "not_met"
    is_few = met == "not_met" and skill.n < ENOUGH_TO_TELL
    state: State = "trusted" if met == "met" else "failed" if met == "not_met" and not is_few else "weak"
    ends = skill.estimate, skill.low, skill.high
    return Reason("skill", "skill", met, state, *ends, limit, skill.evidence, n=skill.n, is_few=is_few)


def _sanity(spec: AuditSpec, records: Sequence[Evidence]) -> Iterator[Reason]:
    trust = spec.trust
    yield from _against_limit(records, "parameter_randomisation", "randomisation", trust.randomisation)
    yield from _cascades(records, trust.randomisation)
    yield from _against_limit(records, "completeness", "completeness", trust.completeness)


def _cascades(records: Sequence[Evidence], limit: float) -> Iterator[Reason]:
    for record in records:
        value = _value(record, "cascade") if record.subject == "parameter_randomisation" else None
        if value is not None:
            fault = _fault_of(record, "cascade")
            if fault:
                yield _not_measured(record.subject, fault, record.id)
            else:
                yield _limited("cascade", record, value, limit)


def _steadiness(spec: AuditSpec, records: Sequence[Evidence]) -> Iterator[Reason]:
    trust = spec.trust
    yield from _against_limit(records, "stability", "stability", trust.stability, is_ceiling=False)
    yield from _against_limit(records, "max_sensitivity", "sensitivity", trust.sensitivity, fails=False)


def _against_limit(
    records: Sequence[Evidence], measure: str, code: str, limit: float, *, is_ceiling: bool = True, fails: bool = True
) -> Iterator[Reason]:
    """Each number of a measure against its limit; what gave none has its reason already."""
    for record in records:
        value = _value(record, measure) if record.subject == measure else None
        if value is not None and not _fault_of(record, measure):
            yield _limited(code, record, value, limit, is_ceiling=is_ceiling, fails=fails)


def controls_of(spec: AuditSpec) -> tuple[str, ...]:
    """The controls that the plan makes for the kind of input."""
    if spec.model is None:
        return ()
    return ("random", "uniform") if isinstance(spec.model.input, TableInput) else ("random", "sobel", "centre")


def _faithfulness(spec: AuditSpec, records: Sequence[Evidence]) -> Iterator[Reason]:
    """A method must beat the controls; where no measure puts it above all of them, it has failed."""
    taken = [record for record in records if record.subject in FAITHFULNESS and record.status == "measured"]
    compared = [_against_controls(record, controls_of(spec)) for record in taken]
    beats = [all(reason.met == "met" for reason in reasons) for reasons in compared]
    is_no_better = [any(reason.met == "not_met" for reason in reasons) for reasons in compared]
    is_enough = any(beats) if spec.trust.controls == "any" else all(beats)
    state: State = "trusted" if is_enough else "failed" if all(is_no_better) else "weak"
    for reason in (reason for reasons in compared for reason in reasons):
        untested = reason.estimate is None  # weak by itself, whatever else was beaten
        yield reason if untested else replace(reason, state="trusted" if reason.met == "met" else state)


def _against_controls(record: Evidence, planned: Sequence[str]) -> list[Reason]:
    """How a method compares with each control that the plan makes, and any other that it was set against."""
    entries = record.details.get("controls") or {}
    labels = dict.fromkeys((*planned, *sorted(entries)))
    return [_against_control(record, label, entries.get(label)) for label in labels]


def _against_control(record: Evidence, label: str, entry: Any) -> Reason:
    """Not better than a control where the interval of the paired difference includes 0 or lies below (METHODS 6); on
    few cases an interval that includes 0 tells nothing yet. A control without a state or a number is not tested.
    """
    told = entry if isinstance(entry, dict) else {}
    value = _value(record, "beats_control", label)
    fault = "It was not compared." if value is None else _fault_of(record, "beats_control", label)
    if value is None or value.estimate is None or fault or told.get("state") not in ("beaten", "not_beaten"):
        why = str(told.get("reason") or fault or "It was not tested.")
        return Reason("control", record.subject, "straddles", "weak", None, None, None, 0.0, record.id, label, why)
    low, high = _ends(value)
    tells = value.n >= ENOUGH_TO_TELL and value.low is not None
    met: Met = "met" if low > 0 else "not_met" if high <= 0 or tells else "straddles"
    is_few = met == "straddles" and (value.low is not None or _is_few(value))
    found = Reason("control", record.subject, met, "weak", value.estimate, value.low, value.high, 0.0, record.id, label)
    return replace(found, detail=value.reason, n=value.n, is_few=is_few)


def _value(record: Evidence, name: str, label: str = "") -> Value | None:
    if record.status != "measured":
        return None
    return next((value for value in record.values if value.name == name and value.label == label), None)


def _fault_of(record: Evidence, name: str, label: str = "") -> str:
    """Why a measured record holds no number of a name that could meet a limit; empty where it does."""
    value = _value(record, name, label)
    if value is None:
        return f"{name} gave no number."
    if value.status != "measured":
        return value.reason or f"{name} gave no number."
    return _fault(value.estimate, value.low, value.high, value.reason)


def _fault(estimate: float | None, low: float | None, high: float | None, reason: str = "") -> str:
    """Why three numbers are no number with an interval, or without one; empty where they are."""
    if estimate is None:
        return reason or "The number does not exist."
    if not isfinite(estimate):
        return "The number is not finite."
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return "The interval has one end only."
    room = _ROUNDING * max(1.0, abs(estimate))
    return "" if low - room <= estimate <= high + room else "The estimate lies outside its interval."


def _why(record: Evidence) -> str:
    return record.failure.message if record.failure is not None else f"{record.subject} gave no number."


def _limited(
    code: str, record: Evidence, value: Value, limit: float, *, is_ceiling: bool = True, fails: bool = True
) -> Reason:
    """A number against a limit by its interval, or by itself where every resample gave the same number."""
    low, high = _ends(value)
    if is_ceiling:
        met: Met = "met" if high <= limit else "not_met" if low > limit else "straddles"
    else:
        met = "met" if low >= limit else "not_met" if high < limit else "straddles"
    state: State = "trusted" if met == "met" else "failed" if met == "not_met" and fails else "weak"
    found = Reason(code, record.subject, met, state, value.estimate, value.low, value.high, limit, record.id)
    return replace(found, detail=value.reason, n=value.n, is_few=met == "straddles" and _is_few(value))


def _ends(value: Value) -> tuple[float, float]:
    """The interval; the number itself where every resample gave it, from enough cases; else nothing is known."""
    assert value.estimate is not None
    if value.low is not None and value.high is not None:
        return value.low, value.high
    if value.reason == SAME_NUMBER and value.n >= ENOUGH_ALIKE:
        return value.estimate, value.estimate
    return float("-inf"), float("inf")


def _is_few(value: Value) -> bool:
    """Whether a number has no interval because it rests on too few cases or independent units."""
    return value.low is None and (value.reason == SAME_NUMBER or "too few" in value.reason)


def failed_explanation(record: Evidence, trusted: Sequence[Trusted]) -> Trusted | None:
    """The failure of the explanation that a measured record speaks of, on its slice or on all cases; None where none.

    What the checks themselves, or a surrogate, say of a method does not rest on its maps being right.
    """
    if record.method is None or record.kind in ("quality", "surrogate"):
        return None
    about = [each for each in trusted if each.method == record.method and each.state == "failed"]
    return next((each for part in (record.slice, "all") for each in about if each.slice == part), None)
