"""Whether an explanation may be believed, as the verdict left it: the state of each method on each slice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from xai_audit.report.context import FINDINGS, SPEC, Context, name
from xai_audit.report.document import Picture, Sentence, Span
from xai_audit.report.stamps import Stamp
from xai_audit.report.style import MARKS

if TYPE_CHECKING:
    from xai_audit.verdict import Finding

State = Literal["failed", "weak", "untested", "trusted"]
STATES: tuple[State, ...] = get_args(State)
"""Worst first: what failed is known to mislead, what is weak or untested is not known to help."""
VERDICT: Mapping[State, str] = {"failed": "fail", "weak": "inconclusive", "untested": "not_run", "trusted": "pass"}
"""The verdict whose mark and colour a state has."""
WHOLE = "all"
"""Slice that speaks for a method where several were judged."""
PREFIX = "trust_"

assert set(VERDICT.values()) - {"not_run"} <= set(MARKS)


@dataclass(frozen=True)
class States:
    """The states of all methods, by method and slice."""

    findings: Mapping[tuple[str, str], Finding]

    @property
    def methods(self) -> tuple[str, ...]:
        """Labels of the methods that were judged."""
        return tuple(dict.fromkeys(method for method, _ in self.findings))

    @property
    def are_judged(self) -> bool:
        """Whether any explanation was checked at all."""
        return any(state_of(finding) != "untested" for finding in self.findings.values())

    def of(self, method: str, part: str) -> State:
        """State of a method on a slice; untested where nothing was judged."""
        finding = self.findings.get((method, part))
        return state_of(finding) if finding is not None else "untested"

    def over(self, method: str, parts: Iterable[str]) -> State:
        """State of what lies in several slices at once: the worst of them; all cases are one of them."""
        found = [self.of(method, part) for part in self._judged(method, parts)]
        return min(found, key=STATES.index, default="untested")

    def worst(self, method: str, parts: Iterable[str]) -> tuple[str, ...]:
        """The slices to which what lies in several owes its state; none where it is the state on all cases too."""
        judged = self._judged(method, parts)
        state = self.over(method, judged)
        at = tuple(part for part in judged if self.of(method, part) == state)
        return () if WHOLE in at or state == "trusted" else at

    def _judged(self, method: str, parts: Iterable[str]) -> list[str]:
        return [part for part in dict.fromkeys((WHOLE, *parts)) if (method, part) in self.findings]

    def overall(self, method: str) -> State:
        """State on all cases, or the worst one where no slice holds them all."""
        parts = [part for each, part in self.findings if each == method]
        return self.of(method, WHOLE) if WHOLE in parts else self.over(method, parts)

    def by_slice(self, method: str) -> Mapping[str, State]:
        """State of a method on every slice on which it was judged."""
        return {part: state_of(finding) for (each, part), finding in self.findings.items() if each == method}


def state_of(finding: Finding) -> State:
    """The state that a finding of kind trust says."""
    return next(state for state in STATES if finding.reason == f"{PREFIX}{state}")


def states(context: Context) -> States:
    """What the findings say of each method on each slice."""
    return States(context.trust_findings)


def stamp_of(context: Context, state: State) -> Stamp | None:
    """What is burnt into a picture of this state."""
    if state not in ("failed", "weak"):
        return None
    return Stamp(context.label(f"trust.stamp.{state}"), is_struck=state == "failed")


def below(context: Context, state: State, where: Sequence[str] = ()) -> Sentence:
    """A state as it stands below a picture, with the slices that it comes from where they are not all cases."""
    if not where or state == "trusted":
        return context.say(f"trust.below.{state}")
    return context.say(f"trust.below_on.{state}", slices=name(context.words.listed(where), FINDINGS))


def marked(context: Context, picture: Picture, state: State, where: Sequence[str] = ()) -> Picture:
    """The picture with its state below it in words, and first in its alt text where it failed or is weak."""
    alt = picture.image.alt
    if state in ("failed", "weak"):
        alt = context.label(f"trust.alt.{state}").format(alt=alt)
    said = below(context, state, where)
    return replace(picture, image=replace(picture.image, alt=alt), state=VERDICT[state], state_text=said)


def listed(context: Context, methods: Sequence[str]) -> Sentence:
    """Names of methods in a row."""
    return (Span(context.words.listed(context.method_name(method) for method in methods), SPEC),)
