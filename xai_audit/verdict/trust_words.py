"""Reasons of the trust gate as plain sentences with their numbers and limits."""

from __future__ import annotations

from xai_audit.verdict.trust import Reason, Trusted


def failed_in_words(trusted: Trusted) -> str:
    """What an explanation failed, in one or more plain sentences."""
    failed = [reason for reason in trusted.reasons if reason.state == "failed"]
    told = list(dict.fromkeys(in_words(reason) for reason in failed))
    return f"{trusted.method} failed its checks on {trusted.slice}. {' '.join(told)}"


def in_words(reason: Reason) -> str:
    """A reason as one plain sentence with its numbers and its limit."""
    if reason.code == "control":
        return _control_in_words(reason)
    if reason.code == "not_measured":
        return f"Not checked: {reason.measure}. {reason.detail}".strip()
    if reason.code == "step_failed":
        return f"The check {reason.measure} failed: {reason.detail}"
    if reason.code == "undefined_cases":
        return f"In {reason.measure} {_number(reason.estimate)} of {reason.n} cases have no number."
    what, side = _WORDS[reason.code]
    if reason.has_no_interval:
        unsure = f"{what} is {_number(reason.estimate)}, which {_without_interval(reason)}"
        return f"{unsure}: the limit is {side} {reason.limit:g}.{_because(reason)}"
    verb = {"met": "meets", "not_met": "misses", "straddles": "straddles"}[reason.met]
    return f"{what} is {_number(reason.estimate)}{_interval(reason)}; it {verb} the limit of {side} {reason.limit:g}."


_WORDS = {
    "randomisation": ("The likeness of its maps to those of a net with random parameters", "at most"),
    "cascade": ("The mean likeness of its maps while the net is made random from its head on", "at most"),
    "completeness": ("The gap to the sum that it promises", "at most"),
    "stability": ("The likeness of its maps over seeds", "at least"),
    "sensitivity": ("The change of its maps under small noise", "at most"),
    "skill": ("The agreement of the model's answers with the labels, beyond chance,", "at least"),
}


def _control_in_words(reason: Reason) -> str:
    name = f"the {reason.label.partition(':')[0]} control"
    if reason.estimate is None:
        return f"In {reason.measure} it could not be compared with {name}.{_because(reason)}"
    if reason.has_no_interval:
        difference = f"the difference {_number(reason.estimate)} from {name}"
        return f"In {reason.measure} {difference} {_without_interval(reason)}.{_because(reason)}"
    verb = {"met": "beats", "not_met": "does not beat", "straddles": "cannot be told from"}[reason.met]
    return f"In {reason.measure} it {verb} {name} (difference {_number(reason.estimate)}{_interval(reason)})."


def _without_interval(reason: Reason) -> str:
    return f"has no interval on {reason.n} cases, so it cannot be told"


def _because(reason: Reason) -> str:
    return f" {reason.detail}" if reason.detail else ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _interval(reason: Reason) -> str:
    if reason.low is None or reason.high is None:
        return ""
    return f" (interval {_number(reason.low)} to {_number(reason.high)})"
