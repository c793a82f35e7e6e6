"""What a run says while it works."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what a run does; a command line draws it, a test records it."""

    def plan(self, units: int) -> None:
        """The run's steps hold this many units of work; what `advance` counts towards the time left."""

    def begin(self, stage: str, total: int) -> None:
        """A stage starts: its title and how many units of work it holds, 0 where that is not known."""

    def advance(self, units: int) -> None:
        """Units of work are done."""

    def end(self, outcome: str) -> None:
        """The stage is over; `outcome` is measured, failed, not_applicable or done."""


class Silent:
    """Says nothing."""

    def plan(self, units: int) -> None:
        """Nothing is shown."""

    def begin(self, stage: str, total: int) -> None:
        """Nothing is shown."""

    def advance(self, units: int) -> None:
        """Nothing is shown."""

    def end(self, outcome: str) -> None:
        """Nothing is shown."""
