"""One linear program for the data and for each bootstrap draw (CAUSAL.md section 7: bounds with sampling error).

Between draws only the right-hand side moves (and, with covariates, the costs). The columns that an optimum uses answer
every draw for which they stay feasible and optimal, so that few programs are solved one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, identity

from xai_audit.causal.bounds import Program
from xai_audit.causal.factors import Array
from xai_audit.errors import Refusal

TIGHT = 1e-9
MOST_REDUCED = 20_000_000
"""Reduced costs that are computed at a time."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lowest:
    """The least value of each program."""

    values: Array
    """(laws,); of a draw that no model has, the largest value that a dual solution found so far gives."""
    is_feasible: Flags
    solution: Array | None
    """The first program's, (types,); None where no model has the data."""


def most_solved(types: int) -> int:
    """Programs that are solved one by one; what is left takes the bound that known dual solutions give."""
    return 4_000 if types <= 500 else 400 if types <= 5_000 else 40


def lowest(program: Program) -> Lowest:
    """The least costs @ p of every law, p >= 0 and matrix @ p = wanted.

    Raises Refusal where a program ends without an optimum.
    """
    costs, wanted = program.costs, program.wanted
    if np.ptp(costs, axis=0).max(initial=0) < TIGHT:
        costs = costs[:1]
    pool = _Pool(program.matrix.toarray(), costs, wanted)
    solution = None
    for solved in range(most_solved(costs.shape[1])):
        left = np.flatnonzero(pool.is_open)
        if not len(left):
            break
        place = int(left[0])
        found = linprog(pool.cost(place), A_eq=program.matrix, b_eq=wanted[place], bounds=(0, None), method="highs")
        if found.status not in (0, 2):
            raise Refusal(
                "if_not_identified",
                f"a linear program that ended with: {found.message}",
                "an optimum",
                "Coarsen levels.",
            )
        pool.take(place, found if found.status == 0 else None)
        if solved == 0 and found.status == 0:
            solution = np.asarray(found.x)
        if solved == 0 and found.status == 2:
            break
    return Lowest(pool.values_or_duals(), pool.is_feasible, solution)


class _Pool:
    """Optimal columns and dual solutions found so far."""

    def __init__(self, matrix: Array, costs: Array, wanted: Array) -> None:
        self.matrix, self.costs, self.wanted = matrix, costs, wanted
        self.values = np.full(len(wanted), np.nan)
        self.is_open = np.ones(len(wanted), np.bool_)
        self.is_feasible = np.ones(len(wanted), np.bool_)
        self.duals: list[Array] = []

    def cost(self, place: int) -> Array:
        return np.asarray(self.costs[place if len(self.costs) > 1 else 0])

    def take(self, place: int, found: Any) -> None:
        """One program's optimum, as scipy gives it, and all programs that its columns solve too; None where it has no
        solution."""
        self.is_open[place] = False
        if found is None:
            self.is_feasible[place] = False
            return
        self.values[place] = found.fun
        used = np.flatnonzero(found.x > TIGHT)
        left = np.flatnonzero(self.is_open)
        columns = self.matrix[:, used]
        inverse = np.linalg.pinv(columns)
        shares = np.sum(self.wanted[left][:, None, :] * inverse[None], axis=2)
        gap = np.abs(np.sum(shares[:, None, :] * columns[None], axis=2) - self.wanted[left]).max(axis=1, initial=0)
        fits = (shares.min(axis=1, initial=0) >= -TIGHT) & (gap < TIGHT)
        if len(self.costs) == 1:
            self.duals.append(np.asarray(found.eqlin.marginals))
            costs = np.broadcast_to(self.costs[0][used], shares.shape)
        elif len(left) * self.matrix.shape[1] <= MOST_REDUCED:
            costs = self.costs[left][:, used]
            reduced = self.costs[left] - np.sum(costs[:, :, None] * inverse[None], axis=1) @ self.matrix
            fits &= reduced.min(axis=1) >= -TIGHT
        else:
            return
        solved = left[fits]
        self.values[solved] = np.sum(costs * shares, axis=1)[fits]
        self.is_open[solved] = False

    def values_or_duals(self) -> Array:
        """The values; where there is none, the best that a dual solution gives: never above the least value."""
        none = np.isnan(self.values)
        if none.any() and self.duals:
            self.values[none] = (self.wanted[none] @ np.array(self.duals).T).max(axis=1)
        return self.values


@dataclass(frozen=True)
class Misfit:
    """How far the data are from every model of the graph."""

    slack: float
    """Least sum of changes of probabilities after which some model fits."""
    p: float | None
    """One-sided: how often a law that a model has shows as much; None for an exact law."""

    def is_beyond_error(self, alpha: float) -> bool:
        """Whether sampling noise does not explain it."""
        return self.slack > TIGHT and (self.p is None or self.p <= alpha)


def misfit(program: Program) -> Misfit:
    """The least slack of the data, and its law by bootstrap around the closest law that some model has."""
    rows, types = program.matrix.shape
    spread = csr_matrix(np.hstack([program.matrix.toarray(), identity(rows).toarray(), -identity(rows).toarray()]))
    costs = np.concatenate([np.zeros(types), np.ones(2 * rows)])[None]
    first = lowest(Program(costs, spread, program.wanted[:1]))
    assert first.solution is not None, "with slack every law fits"
    slack = float(first.values[0])
    if len(program.wanted) == 1 or slack <= TIGHT:
        return Misfit(slack, None if len(program.wanted) == 1 else 1.0)
    nearest = np.asarray(program.matrix @ first.solution[:types])
    moved = nearest + program.wanted[1:] - program.wanted[0]
    draws = lowest(Program(costs, spread, moved)).values
    return Misfit(slack, float((1 + np.count_nonzero(draws >= slack - TIGHT)) / (len(draws) + 1)))
