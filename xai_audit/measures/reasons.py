"""Reason codes: which features speak most for an adverse decision, and whether that stays so when it is asked again.

A reason is a feature (or a group of features that comes and goes together) with a contribution above 0 towards the
adverse class. Those with the largest contributions are the principal reasons. The contributions are asked for again
with other seeds, against other backgrounds, and of other methods; a reason is kept where it is principal there too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xai_audit.evidence.records import Value
from xai_audit.measures.intervals import CONFIDENCE
from xai_audit.measures.measured import Estimate, Measured, gather
from xai_audit.measures.resampling import clusters_with, resampled_sums

Contributions = NDArray[np.float64]
"""(..., players), towards the adverse class."""

LEAST = 1e-6
"""A contribution below this share of the sum of all sizes is none: what rounding leaves is no reason."""
ALIKE = "Every seed gives the same contributions: the method is deterministic here."


@dataclass(frozen=True, eq=False)
class Runs:
    """Contributions to all adverse decisions, as asked once and asked again."""

    main: Contributions
    """(decisions, players): the declared seed and baseline."""
    standard_errors: NDArray[np.float64] | None = None
    """(decisions, players) of `main`, where the method gives any."""
    seeds: Contributions | None = None
    """(seeds beside the declared one, decisions, players)."""
    backgrounds: Contributions | None = None
    """(backgrounds beside the declared one, decisions, players)."""
    others: Mapping[str, Contributions] = field(default_factory=dict)
    """By label of another method: (decisions, players), of the same players."""
    is_deterministic: bool = False
    """The method draws nothing, so that no other seed was tried."""

    @property
    def are_alike(self) -> bool:
        """Whether every seed gives the very same contributions."""
        tried = self.seeds is not None and all(np.array_equal(again, self.main) for again in self.seeds)
        return self.is_deterministic or tried


@dataclass(frozen=True)
class Reason:
    """One principal reason of one decision."""

    player: int
    contribution: float
    share: float
    """Of all contributions towards the adverse class."""
    standard_error: float | None
    rank_low: int
    """Best place over all seeds; 1 is the largest contribution."""
    rank_high: int
    """Worst place over all seeds."""
    kept_over_seeds: float | None
    """Share of the other seeds with which it is a principal reason too."""
    background_rank_low: int
    background_rank_high: int
    kept_over_backgrounds: float | None
    agreed: dict[str, bool]
    """By method: it is a principal reason there too."""
    is_unstable: bool
    """With another seed it speaks against the adverse class, or not at all."""


@dataclass(frozen=True)
class Decision:
    """The principal reasons of one decision, the largest first, and how far other methods agree."""

    reasons: tuple[Reason, ...]
    overlap: dict[str, float]
    """By method: share of these reasons that are among the other's; nothing where there is no reason."""
    same_first: dict[str, bool]
    """By method: the first reason is the same."""


def principal(contributions: Contributions, top: int) -> tuple[int, ...]:
    """Players with the `top` largest contributions above none, the largest first; of equals the earlier player."""
    order = np.argsort(-contributions, kind="stable")
    floor = LEAST * float(np.abs(contributions).sum())
    return tuple(int(player) for player in order[:top] if contributions[player] > floor)


def ranks(contributions: Contributions) -> NDArray[np.int64]:
    """Place of each player, (..., players), 1 for the largest contribution; of equals the earlier player first."""
    order = np.argsort(-contributions, axis=-1, kind="stable")
    places = np.broadcast_to(np.arange(1, contributions.shape[-1] + 1), contributions.shape)
    found = np.empty(contributions.shape, dtype=np.int64)
    np.put_along_axis(found, order, places, axis=-1)
    return found


def reasons_of(runs: Runs, top: int) -> tuple[Decision, ...]:
    """The principal reasons of every decision, in order."""
    return tuple(_decision(runs, index, top) for index in range(len(runs.main)))


def reason_measures(
    runs: Runs, decisions: Sequence[Decision], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> Measured:
    """Means over decisions that have a reason: what is kept over seeds and backgrounds, and agreement by method.

    `kept_over_seeds` and `kept_over_backgrounds` are means of a decision's reasons; `overlap` and `same_first` are
    labelled by the other method. Intervals resample decisions, or the clusters that they belong to.
    """
    having = np.asarray([bool(decision.reasons) for decision in decisions], dtype=bool)
    with_reasons = [decision for decision in decisions if decision.reasons]
    columns: dict[tuple[str, str], list[float]] = {}
    if runs.seeds is not None and not runs.are_alike:
        columns["kept_over_seeds", ""] = [_mean_kept(d, "kept_over_seeds") for d in with_reasons]
    if runs.backgrounds is not None:
        columns["kept_over_backgrounds", ""] = [_mean_kept(d, "kept_over_backgrounds") for d in with_reasons]
    for label in runs.others:
        columns["overlap", label] = [decision.overlap[label] for decision in with_reasons]
        columns["same_first", label] = [float(decision.same_first[label]) for decision in with_reasons]
    of_reasons = None if clusters is None else clusters[having]
    estimates = [_mean(name, label, np.asarray(column), of_reasons, rng) for (name, label), column in columns.items()]
    found = gather(estimates, {"without_reasons": int((~having).sum())}, of_reasons)
    return _with_alike(found, runs, len(with_reasons))


def _decision(runs: Runs, index: int, top: int) -> Decision:
    main = runs.main[index]
    chosen = principal(main, top)
    again = {name: principal(other[index], top) for name, other in runs.others.items()}
    return Decision(
        tuple(_reason(runs, index, player, top, again) for player in chosen),
        {name: len(set(chosen) & set(other)) / len(chosen) for name, other in again.items() if chosen},
        {name: chosen[:1] == other[:1] for name, other in again.items() if chosen},
    )


def _reason(runs: Runs, index: int, player: int, top: int, others: Mapping[str, tuple[int, ...]]) -> Reason:
    main = runs.main[index]
    of_seeds, of_backgrounds = (_of_case(again, index, len(main)) for again in (runs.seeds, runs.backgrounds))
    seed_places, background_places = (
        ranks(np.concatenate([main[None], again]))[:, player] for again in (of_seeds, of_backgrounds)
    )
    return Reason(
        player=player,
        contribution=float(main[player]),
        share=float(main[player] / main[main > 0].sum()),
        standard_error=None if runs.standard_errors is None else float(runs.standard_errors[index, player]),
        rank_low=int(seed_places.min()),
        rank_high=int(seed_places.max()),
        kept_over_seeds=_kept(of_seeds, player, top),
        background_rank_low=int(background_places.min()),
        background_rank_high=int(background_places.max()),
        kept_over_backgrounds=_kept(of_backgrounds, player, top),
        agreed={name: player in other for name, other in others.items()},
        is_unstable=bool((of_seeds[:, player] <= 0).any()),
    )


def _of_case(again: Contributions | None, index: int, players: int) -> Contributions:
    """Contributions of one decision in each repetition, (repetitions, players)."""
    return np.empty((0, players)) if again is None else again[:, index]


def _kept(again: Contributions, player: int, top: int) -> float | None:
    """Share of repetitions in which a player is a principal reason; None where there is none."""
    if not len(again):
        return None
    return float(np.mean([player in principal(contributions, top) for contributions in again]))


def _mean_kept(decision: Decision, name: str) -> float:
    return float(np.mean([getattr(reason, name) for reason in decision.reasons]))


def _mean(
    name: str, label: str, column: NDArray[np.float64], clusters: NDArray[np.int64] | None, rng: np.random.Generator
) -> Estimate:
    if not len(column):
        return Estimate(name, np.nan, 0, "share", label, "No decision has a reason.")
    sums = resampled_sums(np.stack([column, np.ones(len(column))], axis=1), clusters, rng)
    independent = clusters_with(clusters, np.ones(len(column), dtype=bool))
    draws = sums[:, 0] / sums[:, 1]
    return Estimate(name, float(column.mean()), len(column), "share", label, draws=draws, independent=independent)


def _with_alike(found: Measured, runs: Runs, decisions: int) -> Measured:
    """With a deterministic method seeds are no test: 1 by construction, and said so."""
    if not runs.are_alike or not decisions:
        return found
    same = Value("kept_over_seeds", 1.0, None, None, decisions, "share", CONFIDENCE, reason=ALIKE)
    return Measured((same, *found.values), found.arrays, found.details, found.rows)
