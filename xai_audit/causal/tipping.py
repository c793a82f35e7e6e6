"""The unmeasured cause that would erase an effect, in the units of the outcome (section 7)."""

from __future__ import annotations

from dataclasses import dataclass

SHIFTS = (0.1, 0.2, 0.3, 0.5)
"""By how much more often the cause is present at the alternative than at the reference, given what is adjusted for."""


@dataclass(frozen=True)
class Tipping:
    """A two-level cause present `shift` more often must change the outcome by `change` to explain all of an effect."""

    shift: float
    change: float
    """In the outcome's unit, to explain the estimate."""
    change_to_limit: float | None
    """The same for the end of the interval nearer 0; None where the interval holds 0 already."""
    is_possible: bool
    """False where no cause can change a probability by that much."""


def tipping(estimate: float, low: float, high: float, is_share: bool) -> tuple[Tipping, ...]:
    """One entry a shift: a cause that is alike in strength everywhere adds shift * change to the estimate (Rosenbaum
    and Rubin, JRSS B 1983; VanderWeele and Arah, Epidemiology 2011)."""
    nearer = None if low <= 0 <= high else low if low > 0 else high
    return tuple(
        Tipping(
            shift, estimate / shift, None if nearer is None else nearer / shift, not is_share or abs(estimate) <= shift
        )
        for shift in SHIFTS
    )
