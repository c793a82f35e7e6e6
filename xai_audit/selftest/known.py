"""A known answer: what a method must find on a net or a game whose truth is known by construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xai_audit.evidence.qualification import Answer

FLOAT32 = 1e-5
"""Tolerance of maps, which are kept in float32."""
FLOAT64 = 1e-10


@dataclass(frozen=True)
class KnownAnswer:
    """What is asked and what must come out."""

    id: str
    subject: str
    """The method or measure."""
    says: str
    """What is known, in a sentence."""
    expected: Sequence[float]
    find: Callable[[], object]
    """Asks the installed version; one number for each of `expected`."""
    tolerance: float = FLOAT32

    def asked(self) -> Answer:
        """The answer that the installed version gives; an error of any kind is a failed answer."""
        expected = np.asarray(self.expected, np.float64)
        told = (self.id, self.subject, self.says, tuple(expected.tolist()))
        try:
            found = np.asarray(self.find(), dtype=np.float64).ravel()
        except Exception as error:
            return Answer(*told, (), self.tolerance, False, f"{type(error).__name__}: {error}")
        if found.shape != expected.shape or not np.isfinite(found).all():
            return Answer(*told, (), self.tolerance, False, f"{found.shape} numbers, or some that are not finite")
        answer = Answer(*told, tuple(found.tolist()), self.tolerance, False)
        return replace(answer, passed=answer.is_right)
