"""Charts that are asked for now and drawn later: all of them at once, in several processes, or taken from a cache.

A chart is a job: a function of a module, the report's words and number formats, and plain arguments. Its key is a
digest of all of that, of the code, the texts and the fonts, so a chart with the same key is the same chart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xai_audit.report.catalogue import templates_folder
from xai_audit.report.document import Chart, Drawn
from xai_audit.report.drawn_cache import read_chart, write_charts
from xai_audit.report.pen import Forms

Painter = Callable[..., Chart]


@dataclass(frozen=True, eq=False)
class Job:
    """A chart to draw: `painter(pen, *arguments)`."""

    painter: Painter
    forms: Forms
    arguments: tuple[Any, ...]

    @cached_property
    def mark(self) -> str:
        """Digest of what is drawn, the same on every machine: it names the chart in the PDF."""
        found = hashlib.sha256(f"{self.painter.__module__}:{self.painter.__qualname__}".encode())
        for part in (self.forms, self.arguments):
            _feed(found, part)
        return found.hexdigest()

    @cached_property
    def key(self) -> str:
        """Digest of everything that the chart depends on."""
        return hashlib.sha256(f"{code_and_fonts(self.forms.language)}{self.mark}".encode()).hexdigest()

    @cached_property
    def size(self) -> tuple[float, float]:
        """Width and height in points, known before it is drawn."""
        from xai_audit.report.style import size_of

        return size_of(self.draw)

    def draw(self) -> Chart:
        """The chart, drawn in this process."""
        return self.painter(self.forms.pen, *self.arguments)


class Sketch:
    """One chart of a board."""

    __slots__ = ("_board", "_job")

    def __init__(self, board: Board, job: Job) -> None:
        self._board, self._job = board, job

    @property
    def chart(self) -> Chart:
        """The chart; the first look at one draws all that the board has."""
        return self._board.chart(self._job)

    @property
    def mark(self) -> str:
        """Digest of what is drawn."""
        return self._job.mark

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points; nothing is drawn for that."""
        return self._job.size

    @property
    def drawn(self) -> Drawn:
        """The same with its chart, on no board."""
        return Drawn(self.chart, self.mark, self.size)

    def begin(self) -> None:
        """Have all that waits on the board drawn by other processes, while this one goes on."""
        self._board.begin()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._job.key == other._job.key

    def __hash__(self) -> int:
        return hash(self._job.key)

    def __reduce__(self) -> tuple[type[Drawn], tuple[Chart, str, tuple[float, float]]]:
        """A sketch that goes to another process goes with its chart."""
        return Drawn, (self.chart, self.mark, self.size)


class Board:
    """Charts of one report that wait to be drawn, and those that were; equal ones are drawn once."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._waiting: dict[str, Job] = {}
        self._drawn: dict[str, Chart] = {}
        self._coming: Future[None] | None = None

    def sketch(self, painter: Painter, forms: Forms, arguments: tuple[Any, ...]) -> Sketch:
        """A chart to be drawn."""
        job = Job(painter, forms, arguments)
        if job.key not in self._drawn:
            self._waiting.setdefault(job.key, job)
        return Sketch(self, job)

    def chart(self, job: Job) -> Chart:
        """The chart of a job of this board. Raises what drawing it raised."""
        if self._coming is not None:
            coming, self._coming = self._coming, None
            coming.result()
        if job.key not in self._drawn:
            self._draw()
        return self._drawn[job.key]

    def begin(self) -> None:
        """Let other processes draw what waits; does nothing where this one would have to."""
        from xai_audit.report.workers import are_worth_processes

        self._take_known()
        if self._coming is None and are_worth_processes(len(self._waiting)):
            pool = ThreadPoolExecutor(1)
            self._coming = pool.submit(self._draw, is_beside=True)
            pool.shutdown(wait=False)

    def _draw(self, *, is_beside: bool = False) -> None:
        from xai_audit.report.workers import draw_all

        self._take_known()
        waiting, self._waiting = self._waiting, {}
        new = dict(zip(waiting, draw_all(list(waiting.values()), is_beside=is_beside), strict=True))
        write_charts(self._folder, new)
        self._drawn |= new

    def _take_known(self) -> None:
        """Take from the cache what it has; only the rest waits on."""
        known = {key: chart for key in self._waiting if (chart := read_chart(self._folder, key)) is not None}
        self._drawn |= known
        self._waiting = {key: job for key, job in self._waiting.items() if key not in known}


def _feed(found: Any, value: object) -> None:
    """Add a value to a digest, the same in every process; TypeError for one that has no plain form."""
    found.update(f"<{type(value).__name__}".encode())
    if value is None or isinstance(value, bool | int | str):
        found.update(repr(value).encode())
    elif isinstance(value, float):
        found.update(float(value).hex().encode())
    elif isinstance(value, np.ndarray):
        found.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.generic):
        _feed(found, value.item())
    elif isinstance(value, bytes):
        found.update(value)
    elif is_dataclass(value):
        for entry in fields(value):
            _feed(found, getattr(value, entry.name))
    else:
        for part in _parts(value):
            _feed(found, part)
    found.update(b">")


def _parts(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return [part for key in sorted(value, key=repr) for part in (key, value[key])]
    if isinstance(value, frozenset | set):
        return sorted(value, key=repr)
    if isinstance(value, tuple | list | range):
        return value
    raise TypeError(f"a chart cannot be drawn from a {type(value).__name__}")


@cache
def code_and_fonts(language: str) -> str:
    """Digest of the code that draws, of the texts of a language, and of the library and fonts that it draws with."""
    import matplotlib

    from xai_audit.report.style import font_files

    found = hashlib.sha256(matplotlib.__version__.encode())
    code = sorted(Path(__file__).parent.glob("*.py"))
    texts = templates_folder() / "locales" / f"{language}.po"
    for file in (*code, texts):
        found.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    for file in font_files():
        found.update(f"{file.name} {file.stat().st_size}".encode())
    return found.hexdigest()
