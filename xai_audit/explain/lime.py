"""LIME: a weighted linear model of the target over which superpixels or features are shown (METHODS 5)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xai_audit.data.superpixels import Labels, player_names, segments_record
from xai_audit.evidence.seeds import generator
from xai_audit.explain.baselines import baseline_record, fills
from xai_audit.explain.explained import wrong_use
from xai_audit.explain.lime_settings import LimeSettings, lime_settings, too_few_rows, undetermined
from xai_audit.explain.linear import Fit, kernel, weighted_ridge
from xai_audit.explain.maps import Maps
from xai_audit.explain.players import players
from xai_audit.explain.questions import Answered, Asking, Case, Question
from xai_audit.explain.shapley.asker import worths
from xai_audit.spec.methods import Lime, Method

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]

POOR_FIT = 0.5
_POOR = (
    "In {n} of {cases} cases the local linear fit is poor (weighted R2 below 0.5): there the coefficients are not an "
    "explanation."
)
_FLAT = "In {n} of {cases} cases the target is the same for every perturbed copy: all coefficients are 0."


def lime(case: Case, method: Method) -> Asking:
    """Coefficients of the weighted ridge regression of y on the rows z, painted on their superpixels.

    raw (1, height, width); segments, standard_error (1, height, width); r2, intercept, local_prediction, players and
    distinct (rows that differ), each (1,). Raises Refusal for players or fills that do not fit, and where the rows do
    not determine the coefficients. Ribeiro, Singh, Guestrin, KDD 2016.
    """
    if not isinstance(method, Lime):
        raise wrong_use(method, "lime")
    settings = lime_settings(method, is_table=bool(case.names))
    labels = players(settings.segments, case, f"methods.{method.label}.segments")
    n_players = int(labels.max()) + 1
    refusal = too_few_rows(method, settings, n_players)
    if refusal is not None:
        raise refusal
    drawn = draw(settings, n_players, case.seed)
    y = yield from _asked(case, drawn, labels, settings)
    fit = weighted_ridge(drawn.rows, y, kernel(drawn.rows, settings.kernel_width), settings.alpha, drawn.blocks)
    if fit is None:
        raise undetermined(method, n_players, len(drawn.rows))
    parameters = _parameters(method, settings, case)
    return Maps(
        fit.coefficients[labels][None], _extras(fit, drawn, labels), parameters, _deviations(method), _said(fit)
    )


@dataclass(frozen=True, eq=False)
class Drawn:
    """The rows of one case."""

    rows: Rows
    """(rows, players): which players each row shows; the first one shows all."""
    blocks: npt.NDArray[np.int64]
    """(rows,): draw that a row belongs to, with its complement where rows are paired; -1 for a row that is no draw."""

    @cached_property
    def distinct(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Numbers of the rows that differ, where each is met first, and for each row which of these it is."""
        _, first, numbers = np.unique(np.packbits(self.rows, axis=1), axis=0, return_index=True, return_inverse=True)
        return first, numbers.reshape(-1)


def draw(settings: LimeSettings, n_players: int, seed: int) -> Drawn:
    """Rows of 0 and 1, each bit 1 with probability 1/2: the first row all ones, the others drawn alone or in pairs.

    In pairs each row comes with its complement, the row of ones too; all 2^players rows are taken, each once, where
    they are no more than `samples`.
    """
    if not settings.is_paired:
        rows = generator(seed, "lime").integers(0, 2, (settings.samples, n_players)).astype(bool)
        rows[0] = True
        return Drawn(rows, np.arange(-1, len(rows) - 1))
    half, blocks = _first_halves(settings, n_players, seed)
    rows = np.stack([half, ~half], axis=1).reshape(-1, n_players)
    return Drawn(rows, np.repeat(blocks, 2))


def _first_halves(settings: LimeSettings, n_players: int, seed: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The first row of each pair, and the number of its draw."""
    if settings.takes_all(n_players):
        numbers = np.arange(2 ** (n_players - 1))
        return (numbers[:, None] >> np.arange(n_players)) & 1 == 0, np.full(len(numbers), -1)
    pairs = settings.samples // 2
    rows = generator(seed, "lime").integers(0, 2, (pairs, n_players)).astype(bool)
    rows[0] = True
    return rows, np.arange(-1, pairs - 1)


def _asked(case: Case, drawn: Drawn, labels: Labels, settings: LimeSettings) -> Generator[Question, Answered, Array]:
    """The target of each row, its mean over the fills; rows that are alike are asked once."""
    covers = fills(settings.baseline, case.pixels, labels, case.sources)
    first, numbers = drawn.distinct
    values = yield from worths(case, drawn.rows[first], labels, covers)
    return np.asarray(values[numbers], np.float64)


def _extras(fit: Fit, drawn: Drawn, labels: Labels) -> dict[str, npt.NDArray[np.floating]]:
    numbers = {
        "r2": fit.r2,
        "intercept": fit.intercept,
        "local_prediction": fit.intercept + float(fit.coefficients.sum()),
        "players": drawn.rows.shape[1],
        "distinct": len(drawn.distinct[0]),
    }
    painted = {"segments": labels.astype(np.float64), "standard_error": fit.standard_errors[labels]}
    maps = {name: array[None] for name, array in painted.items()}
    return {**maps, **{name: np.array([value], np.float64) for name, value in numbers.items()}}


def _said(fit: Fit) -> dict[str, int]:
    return {_FLAT: int(fit.is_flat), _POOR: int(not fit.is_flat and fit.r2 < POOR_FIT)}


def _deviations(method: Lime) -> tuple[str, ...]:
    """What a spec changes in the estimator as published."""
    if method.preset != "lime-2016":
        return ()
    changed = [key for key in ("segments", "baseline", "kernel_width", "alpha") if _is_changed(method, key)]
    return (f"Not lime-2016 as published: the spec sets {', '.join(changed)}.",) if changed else ()


def _is_changed(method: Lime, key: str) -> bool:
    value = getattr(method, key)
    return value is not None and value != getattr(lime_settings(Lime(use="lime", preset="lime-2016"), False), key)


def _parameters(method: Lime, settings: LimeSettings, case: Case) -> dict[str, object]:
    """Every parameter used; those of one case alone are among the extras."""
    named = {"players": list(player_names(settings.segments, case.names))} if case.names else {}
    return {
        "preset": method.preset,
        "segments": segments_record(settings.segments),
        **named,
        "samples": settings.samples,
        "sampling": settings.sampling,
        "baseline": baseline_record(settings.baseline, case.sources),
        "distance": "cosine to the row of ones: 1 - sqrt(share of players shown)",
        "kernel_width": settings.kernel_width,
        "alpha": settings.alpha,
        "regression": "weighted ridge, free intercept, all players kept",
        "standard_error": settings.standard_error,
        "poor_fit": POOR_FIT,
    }
