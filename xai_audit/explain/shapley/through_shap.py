"""The shap package's estimators, run so that every evaluation is a question of our own engine.

shap calls a function of masks. Here that function waits in a thread of its own: each call becomes what the estimator
yields, and what it is sent is the call's answer. The two never run at the same time, so that the order is fixed; global
random numbers, which shap draws, are seeded while it runs and put back whenever it waits.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib import metadata
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from xai_audit.explain.shapley.games import Array, Coalition, Estimate, Playing, shared_out

T = TypeVar("T")
_NODES_A_BATCH = 10
"""Coalitions that the partition explainer asks at a time; it is shap's own default, and changes which come first."""


class _GivenUp(BaseException):
    """The one who answered is gone: the estimator's thread ends."""


@dataclass(eq=False)
class _Line:
    """Between the estimator's thread and the one that answers."""

    asked: SimpleQueue[tuple[str, Any]] = field(default_factory=SimpleQueue)
    answered: SimpleQueue[Array | None] = field(default_factory=SimpleQueue)

    def __call__(self, masks: Any) -> Array:
        """The worths of some coalitions; called in the estimator's thread."""
        self.asked.put(("ask", np.array(masks, dtype=bool)))
        answer = self.answered.get()
        if answer is None:
            raise _GivenUp
        return answer


def asking(run: Callable[[Callable[[Any], Array]], T], seed: int) -> Generator[Coalition, Array, T]:
    """`run` is given a function of masks (rows, players); every call of it is yielded here, and answered by `send`.

    Returns what `run` returned, and raises what it raised. numpy's global generator starts from the seed for `run` and
    is found as it was by everyone else.
    """
    line = _Line()
    theirs = np.random.RandomState(seed % 2**32).get_state()

    def work() -> None:
        try:
            line.asked.put(("done", run(line)))
        except _GivenUp:
            line.asked.put(("done", None))
        except BaseException as error:  # told to the one who asks, who raises it
            line.asked.put(("error", error))

    thread = threading.Thread(target=work, name="shap", daemon=True)

    def turn(start: Callable[[], object]) -> tuple[str, Any]:
        nonlocal theirs
        ours = np.random.get_state()
        np.random.set_state(theirs)
        try:
            start()
            return line.asked.get()
        finally:
            theirs = np.random.get_state()
            np.random.set_state(ours)

    kind, what = turn(thread.start)
    try:
        while kind == "ask":
            answer = yield what
            kind, what = turn(lambda answer=answer: line.answered.put(answer))  # type: ignore[misc]
    except BaseException:
        turn(lambda: line.answered.put(None))
        raise
    finally:
        thread.join()
    if kind == "error":
        raise what
    return what  # type: ignore[no-any-return]


def package() -> Any:
    """The shap package, imported where it is first wanted: that takes seconds, and warns of other packages' future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    return shap


def estimator(name: str) -> str:
    """The package's version and the class, for the report."""
    return f"shap {metadata.version('shap')} {name}"


def owen(tree: Array, evaluations: int, seed: int) -> Playing:
    """Owen values of nested groups, by shap's PartitionExplainer (Owen 1977; Lundberg and others).

    `tree` is a scipy linkage (players - 1, 4): each row joins two groups. Each group's share is halved between its two
    parts, with the group's neighbours there and not there. Exact where the evaluations allow for the whole tree;
    otherwise the groups that were not opened share their worth evenly, and the estimate has not converged.
    """
    partition = package().explainers.Partition  # imported here: a thread must not change how warnings are treated
    found, empty, full, used = yield from asking(lambda game: _partitioned(partition, game, tree, evaluations), seed)
    whole = used >= evaluations_of(tree)
    values = shared_out(found, full - empty)
    return Estimate(values, None, empty, full, used, is_exact=whole, has_converged=whole)


def evaluations_of(tree: Array) -> int:
    """Coalitions that the whole tree asks: two a group and a surrounding, which double at every level."""
    players = len(tree) + 1
    depth = np.zeros(2 * players - 1, np.int64)
    for row in range(len(tree) - 1, -1, -1):
        depth[tree[row, :2].astype(int)] = depth[players + row] + 1
    return 2 + int((2 * 2.0 ** depth[players:]).sum())


def _partitioned(
    partition: Any, game: Callable[[Any], Array], tree: Array, evaluations: int
) -> tuple[Array, float, float, int]:
    ends: list[float] = []
    used = 0

    def counted(masks: Any) -> Array:
        nonlocal used
        worths = game(masks)
        used += len(worths)
        ends.extend(worths[: 2 - len(ends)].tolist())  # the empty coalition is asked first, then that of all
        return worths

    explainer = partition(counted, _Players(tree))
    players = np.ones((1, len(tree) + 1))
    found = explainer(players, max_evals=evaluations, batch_size=_NODES_A_BATCH, silent=True)
    return np.asarray(found.values[0], np.float64), ends[0], ends[1], used


class _Players:
    """A shap masker whose masked inputs are the masks themselves."""

    def __init__(self, tree: Array) -> None:
        self.clustering = tree
        self.shape = (1, len(tree) + 1)

    def __call__(self, mask: Any, *_: Any) -> tuple[np.ndarray]:
        return (np.asarray(mask, bool).reshape(1, -1),)
