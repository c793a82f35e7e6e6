"""One finding for each explanation on each slice: how far it may be believed."""

from __future__ import annotations

from collections.abc import Sequence

from xai_audit.verdict.findings import Finding, Severity
from xai_audit.verdict.trust import State, Trusted
from xai_audit.verdict.trust_words import in_words

_SEVERITY: dict[State, Severity] = {"failed": "major", "weak": "minor", "untested": "minor", "trusted": "minor"}
_LEAD: dict[State, str] = {
    "failed": "{method} failed its checks on {slice}.",
    "weak": "{method} is weak on {slice}.",
    "trusted": "{method} passed its checks on {slice}.",
    "untested": "{method} was not checked on {slice}.",
}
_TOO_FEW = "{method} is weak on {slice}: there are too few cases to tell."


def trust_findings(trusted: Sequence[Trusted]) -> tuple[Finding, ...]:
    """A finding each, without a verdict; none at all where the audit checks no explanation."""
    if all(each.state == "untested" for each in trusted):
        return ()
    return tuple(_finding(each) for each in trusted)


def _finding(each: Trusted) -> Finding:
    against = [reason for reason in each.reasons if reason.state != "trusted"]
    shown = against or list(each.reasons)
    told = list(dict.fromkeys(in_words(reason) for reason in shown))
    words = _TOO_FEW if each.is_too_few else _LEAD[each.state]
    lead = words.format(method=each.method, slice=each.slice)
    return Finding(
        f"trust:{each.method}:{each.slice}",
        "trust",
        None,
        _SEVERITY[each.state],
        f"trust_{each.state}",
        " ".join([lead, *told]),
        tuple(dict.fromkeys(reason.evidence for reason in each.reasons if reason.evidence)),
        slice=each.slice,
        method=each.method,
    )
