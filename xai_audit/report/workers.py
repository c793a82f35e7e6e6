"""Processes that draw and render: plain interpreters fed over pipes, whatever the start method or threads of this one.

Unlike multiprocessing they never import the main script again, so a script of three lines may write a report.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, cast

from xai_audit.errors import RenderError
from xai_audit.report.collecting import THRESHOLDS, few_collections

if TYPE_CHECKING:
    from xai_audit.report.document import Chart
    from xai_audit.report.sketches import Job

WORTH_A_PROCESS = 8
"""Charts that take about as long as a process takes to start."""
HEAD = struct.Struct(">Q")


@dataclass(frozen=True, eq=False)
class Task:
    """Work for another process: a function without arguments that pickles, and what to call it in an error."""

    name: str
    run: Callable[[], object]


def draw_all(jobs: Sequence[Job], *, is_beside: bool = False) -> list[Chart]:
    """The charts in the order of the jobs; beside other work, one processor is left to it. Raises as `run_all` does."""
    tasks = [Task(f"the chart {job.painter.__name__}", job.draw) for job in jobs]
    return cast("list[Chart]", run_all(tasks, WORTH_A_PROCESS, is_beside=is_beside))


def are_worth_processes(charts: int) -> bool:
    """Whether so many charts are drawn by other processes."""
    return _processes(charts, WORTH_A_PROCESS) > 1


def _processes(tasks: int, worth: int) -> int:
    return min(processors(), tasks // worth)


def run_all(tasks: Sequence[Task], worth: int = 1, *, is_beside: bool = False) -> list[object]:
    """What the tasks return, in their order; a process for each `worth` of them, as far as there are processors.

    is_beside: this process works on meanwhile, so it keeps one processor. Raises what the first that fails raises;
    RenderError if a process dies.
    """
    count = _processes(len(tasks), worth)
    if is_beside:
        count = min(count, max(1, processors() - 1))
    elif count < 2:
        with few_collections():
            return [task.run() for task in tasks]
    waiting: SimpleQueue[tuple[int, Task]] = SimpleQueue()
    for entry in enumerate(tasks):
        waiting.put(entry)
    done: dict[int, object] = {}
    with ThreadPoolExecutor(count) as pool:
        for feeding in [pool.submit(_feed, waiting, done) for _ in range(count)]:
            feeding.result()
    for place in sorted(done):
        if isinstance(fault := done[place], Exception):
            raise fault
    return [done[place] for place in range(len(tasks))]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _feed(waiting: SimpleQueue[tuple[int, Task]], done: dict[int, object]) -> None:
    """Start a process and hand it task after task until none waits or one fails."""
    paths = os.pathsep.join(path for path in sys.path if path)
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "xai_audit.report.workers"]  # -P: nothing is imported from where it starts
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None and process.stdout is not None
        while not any(isinstance(each, Exception) for each in list(done.values())):
            try:
                place, task = waiting.get_nowait()
            except Empty:
                break
            try:
                send(process.stdin, task.run)
                done[place] = receive(process.stdout)
            except (OSError, EOFError):
                done[place] = RenderError(
                    "the report", f"the process that made {task.name} ended",
                    "a process that runs to its end", "Look for a lack of memory, and render again.",
                )  # fmt: skip
        with contextlib.suppress(OSError):  # of a process that has ended
            process.stdin.close()


def send(pipe: IO[bytes], value: object) -> None:
    """A value into a pipe, with its length before it."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(HEAD.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> object:
    """The next value of a pipe; EOFError where it has ended."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    (length,) = HEAD.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def serve(tasks: IO[bytes], results: IO[bytes]) -> None:
    """Do what comes in until nothing does; a fault of a task goes back in place of its result."""
    gc.set_threshold(*THRESHOLDS)
    while True:
        try:
            run: Any = receive(tasks)
        except EOFError:
            return
        try:
            found: object = run()
        except Exception as error:
            error.add_note(traceback.format_exc())
            found = error
        send(results, found)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints must not run into the results
        serve(sys.stdin.buffer, out)
