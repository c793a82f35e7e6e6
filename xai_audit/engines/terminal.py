"""Progress on a terminal: the stage, how far it is, and the time left of the whole run."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class TerminalProgress:
    """One bar for the stage at work, with the time that is left of the whole run."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"), console=self._console, transient=True,
        )  # fmt: skip
        self._total, self._done, self._start = 0, 0, time.monotonic()
        self._stage: TaskID | None = None
        self._title = ""
        self._began = self._start

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def plan(self, units: int) -> None:
        """The whole run holds this many units of work: the base of the time left."""
        self._total, self._done, self._start = units, 0, time.monotonic()

    def begin(self, stage: str, total: int) -> None:
        """Draw a bar for a stage."""
        self._title, self._began = stage, time.monotonic()
        self._stage = self._bars.add_task(stage, total=total or None, left="")

    def advance(self, units: int) -> None:
        """Move the bar, and say how long the whole run still takes at the pace so far."""
        self._done += units
        if self._stage is not None:
            self._bars.update(self._stage, advance=units, left=self._left())

    def end(self, outcome: str) -> None:
        """Replace the bar by one line that stays."""
        if self._stage is not None:
            self._bars.remove_task(self._stage)
            self._stage = None
        self._console.print(
            f"{outcome:>14}  {self._title}  [dim]{time.monotonic() - self._began:.1f} s[/dim]", highlight=False
        )

    def _left(self) -> str:
        if not self._done or self._done > self._total:
            return ""
        seconds = (time.monotonic() - self._start) / self._done * (self._total - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"
