"""What a use of shap comes to on a kind of input, known without torch: the plan counts passes by it."""

from __future__ import annotations

from typing import Literal

from xai_audit.errors import Refusal
from xai_audit.spec.methods import Background, Baseline, Segments, Shap, Slic

Mode = Literal["exact", "kernel", "permutation", "owen", "tree"]

EVALUATIONS = 2048
"""Most coalitions of a case where they are drawn and the spec names no number."""
MOST_EXACT = 14
"""Most players whose coalitions are all asked."""
ROWS_A_PLAYER = 4
"""Fewest evaluations a player."""


def shap_players(method: Shap, is_table: bool) -> Segments | None:
    """The players named, or SLIC with about 50 superpixels; None for the features of a table, each alone."""
    return method.players if method.players is not None or is_table else Slic()


def shap_baseline(method: Shap, is_table: bool) -> Baseline:
    """What stands for "absent": as named, or a hundred rows for a table and the mean colour for an image."""
    if method.baseline is not None:
        return method.baseline
    return Background(background=100) if is_table else "mean_colour"


def cap_of(method: Shap) -> int:
    """Most coalitions that are asked for a case where they are drawn."""
    return EVALUATIONS if method.evaluations is None else method.evaluations


def shap_mode(method: Shap, players: int) -> Mode:
    """The estimator for a number of players: `auto` is exact up to 14, unless `evaluations` is set to fewer than all.

    Raises Refusal where there are too many players to ask all coalitions, or too few evaluations to tell them apart.
    """
    mode = method.mode
    if mode == "auto":
        is_capped = method.evaluations is not None and 2**players > method.evaluations
        mode = "exact" if players == 1 or (players <= MOST_EXACT and not is_capped) else "kernel"
    if mode == "exact" and players > MOST_EXACT:
        found = f"{players} players, which have 2^{players} coalitions"
        fix = "Take `mode: kernel`, or fewer players."
        raise Refusal(f"methods.{method.label}.mode", found, f"at most {MOST_EXACT} for mode exact", fix)
    if mode in ("kernel", "permutation") and cap_of(method) < min(ROWS_A_PLAYER * players, 2**players):
        found = f"{players} players and {cap_of(method)} evaluations"
        fix = f"Set `evaluations` to {ROWS_A_PLAYER * players} or more, or take fewer players."
        where = f"methods.{method.label}.evaluations"
        raise Refusal(where, found, f"at least {ROWS_A_PLAYER * players} evaluations, {ROWS_A_PLAYER} a player", fix)
    return mode


def most_evaluations(method: Shap, mode: Mode, players: int | None) -> int:
    """Most coalitions for one case, the empty one and that of all among them."""
    if mode == "exact":
        every: int = 2 ** (players if players is not None else MOST_EXACT)
        return every
    if mode == "tree":
        return 2
    most: int = 2 ** min(players, 62) if players is not None else cap_of(method)
    return min(cap_of(method), most)
