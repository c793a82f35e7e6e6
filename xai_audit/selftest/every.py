"""Every known answer of the installed version."""

from __future__ import annotations

from collections.abc import Callable

from xai_audit.evidence.qualification import Answer
from xai_audit.selftest import checks, concepts, games, maps, trees, units
from xai_audit.selftest.known import KnownAnswer

ANSWERS: tuple[KnownAnswer, ...] = (
    *maps.ANSWERS,
    *games.ANSWERS,
    *trees.ANSWERS,
    *units.ANSWERS,
    *concepts.ANSWERS,
    *checks.ANSWERS,
)


def ask_all(told: Callable[[Answer], None] = lambda answer: None) -> tuple[Answer, ...]:
    """Ask every known answer, telling of each as it comes; one that raises fails alone."""
    found = []
    for known in ANSWERS:
        answer = known.asked()
        told(answer)
        found.append(answer)
    return tuple(found)
