"""Shapley values of one case: players are superpixels or features, a coalition's worth is the target with the others
hidden (METHODS 5)."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from xai_audit.data.superpixels import Labels, player_names, segments_record
from xai_audit.errors import Refusal
from xai_audit.explain.baselines import Pixels, baseline_record, fills
from xai_audit.explain.explained import wrong_use
from xai_audit.explain.maps import Maps
from xai_audit.explain.players import players
from xai_audit.explain.questions import Answered, Asking, Case, Coalitions, CoalitionsOver, Question
from xai_audit.explain.shapley.exact import exact
from xai_audit.explain.shapley.games import Array, Coalition, Estimate, Playing
from xai_audit.explain.shapley.groups import declared, nearest_first
from xai_audit.explain.shapley.kernel import kernel
from xai_audit.explain.shapley.permutation import permutation
from xai_audit.explain.shapley.through_shap import estimator, owen
from xai_audit.explain.shapley.trees import tree_values
from xai_audit.explain.shapley_settings import MOST_EXACT, Mode, cap_of, shap_baseline, shap_mode, shap_players
from xai_audit.spec.methods import Groups, Method, Segments, Shap

SMALL_CHANGE = 1e-6
"""A change of the target smaller than this is said to be next to nothing."""
MOST_ROWS = 2**18
"""Rows of one question about a table."""

_NOT_CONVERGED = (
    "{n} of {cases} cases did not reach `tolerance` with all `evaluations`: the largest standard error is above it."
)
_SMALL = (
    "In {n} of {cases} cases the target differs by less than 1e-6 between the case and its baseline: the values share "
    "out next to nothing."
)
_NOT_OPENED = (
    "In {n} of {cases} cases `evaluations` did not suffice for every group: groups that were not opened share their "
    "worth evenly."
)


def shap(case: Case, method: Method) -> Asking:
    """phi_i = mean over orders of v(U + i) - v(U), v(z) = y(x where z is 1, the baseline where it is 0), painted.

    Of a background v is the mean over its rows (interventional). raw (1, height, width); segments, standard_error (1,
    height, width; not of Owen values); gap = sum - (v(1) - v(0)), value, empty, evaluations,
    players, exact and converged, each (1,). Raises Refusal for players, fills or evaluations that do not fit.
    """
    if not isinstance(method, Shap):
        raise wrong_use(method, "shap")
    segments = _players(method, case)
    labels = players(segments, case, f"methods.{method.label}.players")
    covers = fills(shap_baseline(method, bool(case.names)), case.pixels, labels, case.sources)
    mode = shap_mode(method, int(labels.max()) + 1)
    if mode == "tree":
        found = yield from tree_values(case, method, labels, covers)
    else:
        found = yield from _played(_estimator(case, method, mode, labels), case, labels, covers)
    return Maps(
        found.values[labels][None], _extras(found, labels), _parameters(case, method, mode, found),
        counts=_said(found, mode),
    )  # fmt: skip


def _players(method: Shap, case: Case) -> Segments | None:
    """Owen values of a table's groups have the features as players, which join within their groups first."""
    segments = shap_players(method, bool(case.names))
    return None if method.mode == "owen" and isinstance(segments, Groups) else segments


def _estimator(case: Case, method: Shap, mode: Mode, labels: Labels) -> Playing:
    count = int(labels.max()) + 1
    if mode == "exact":
        return exact(count)
    if mode == "permutation":
        return permutation(count, cap_of(method), method.tolerance, case.seed)
    if mode == "owen":
        return owen(_tree(case, method, labels), cap_of(method), case.seed)
    return kernel(count, cap_of(method), method.tolerance, method.sampling, case.shared_seed)


def _tree(case: Case, method: Shap, labels: Labels) -> Array:
    if not case.names:
        return nearest_first(labels)
    if not isinstance(method.players, Groups):
        found, expected = "features without groups", "`players: {groups: ...}`, the groups whose members join first"
        raise Refusal(f"methods.{method.label}.players", found, expected, "Declare groups, or take another mode.")
    members = [[case.names.index(name) for name in group] for group in method.players.groups.values()]
    return declared(members, len(case.names))


def _played(playing: Playing, case: Case, labels: Labels, covers: Pixels) -> Generator[Question, Answered, Estimate]:
    """An estimator's coalitions asked as questions about the case; that of all is the case itself and never asked."""
    try:
        asked = next(playing)
        while True:
            asked = playing.send((yield from worths(case, asked, labels, covers)))
    except StopIteration as stop:
        estimate: Estimate = stop.value
        return estimate
    finally:
        playing.close()


def worths(case: Case, present: Coalition, labels: Labels, covers: Pixels) -> Generator[Question, Answered, Array]:
    """Worth v of each coalition, (rows,): the target, its mean over the covers (covers, channels, height, width)."""
    v = np.full(len(present), case.value)
    asked = np.flatnonzero(~present.all(1))
    if not len(asked):
        return v
    if not case.names:
        v[asked] = (yield Coalitions(labels, present[asked], covers[0])).values
        return v
    rows = max(1, MOST_ROWS // len(covers))
    for start in range(0, len(asked), rows):
        part = asked[start : start + rows]
        answered = yield CoalitionsOver(labels, present[part], covers)
        v[part] = answered.values.reshape(len(part), len(covers)).mean(1)
    return v


def _extras(found: Estimate, labels: Labels) -> dict[str, Array]:
    numbers = {
        "gap": found.gap,
        "value": found.full,
        "empty": found.empty,
        "evaluations": found.evaluations,
        "players": len(found.values),
        "exact": found.is_exact,
        "converged": found.has_converged,
    }
    painted: dict[str, Array] = {"segments": labels.astype(np.float64)}
    if found.standard_errors is not None:
        painted["standard_error"] = found.standard_errors[labels]
    maps = {name: array[None] for name, array in painted.items()}
    return {**maps, **{name: np.array([value], np.float64) for name, value in numbers.items()}}


def _said(found: Estimate, mode: Mode) -> dict[str, int]:
    late = _NOT_OPENED if mode == "owen" else _NOT_CONVERGED
    return {_SMALL: int(abs(found.change) < SMALL_CHANGE), late: int(not found.has_converged)}


def _parameters(case: Case, method: Shap, mode: Mode, found: Estimate) -> dict[str, object]:
    """Every parameter used; those of one case alone are among the extras."""
    segments = _players(method, case)
    by_case = method.mode == "auto" and not case.names and segments_record(segments)["kind"] != "grid"
    names = {"names": list(player_names(segments, case.names))} if case.names else {}
    asked = {"evaluations": cap_of(method)} if mode in ("kernel", "permutation", "owen") else {}
    steps = {"tolerance": method.tolerance} if mode in ("kernel", "permutation") else {}
    sampling = {"sampling": f"{method.sampling}, in pairs, without replacement", **_KERNEL} if mode == "kernel" else {}
    return {
        "mode": f"exact up to {MOST_EXACT} players, else kernel" if by_case else mode,
        "estimator": _ESTIMATORS.get(mode, f"xai-audit {mode}") if mode != "owen" else estimator("PartitionExplainer"),
        "values": "Owen values of nested groups, not Shapley values" if mode == "owen" else "Shapley values",
        "players": segments_record(segments),
        **names,
        "baseline": baseline_record(shap_baseline(method, bool(case.names)), case.sources),
        "worth": "mean over the background's rows (interventional)" if case.names else "the target with players hidden",
        **asked,
        **steps,
        **sampling,
        "standard_error": _ERRORS[mode],
        **{key: value for key, value in found.said.items() if mode == "tree"},
    }


_ESTIMATORS: dict[str, str] = {
    "exact": "xai-audit exact",
    "kernel": "xai-audit kernel regression with interactions as control",
    "permutation": "xai-audit permutation, antithetic",
}
_KERNEL: dict[str, object] = {
    "interactions": "covariance found case by case from the answers, among seven settings",
    "design": "one draw of coalitions, shared by all cases of the method",
}
_JACKKNIFE = "jackknife over 20 blocks, each pair in one block"
_ERRORS: dict[str, str] = {
    "exact": "0: exact",
    "kernel": _JACKKNIFE,
    "permutation": _JACKKNIFE,
    "owen": "none: see `exact`",
    "tree": "0: exact",
}
