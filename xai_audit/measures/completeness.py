"""Whether a map adds up to what it promises (the axiom of Sundararajan, Taly, Yan, ICML 2017, section 3)."""

from __future__ import annotations

SMALL_CHANGE = 1e-4
"""A change of the target smaller than this share of the target (of 1, if that is larger) has no relative gap."""


def completeness(total: float, value: float, reference: float) -> float | None:
    """|sum - (y(x) - y(x'))| / |y(x) - y(x')|; None where the target hardly differs, so that there is no such ratio."""
    change = value - reference
    if abs(change) < SMALL_CHANGE * max(1.0, abs(value)):
        return None
    return abs(total - change) / abs(change)
