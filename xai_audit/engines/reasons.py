"""Reason codes: the method is asked about every adverse decision, then again with other seeds and backgrounds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.data.superpixels import feature_groups, player_names
from xai_audit.engines.explaining import fitting
from xai_audit.engines.filling import fill_sources
from xai_audit.engines.recording import failed, result_of
from xai_audit.errors import Refusal
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.evidence.seeds import generator
from xai_audit.evidence.store import StepResult
from xai_audit.explain.baselines import FillSources, baseline_record
from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.cost import is_asker
from xai_audit.explain.explained import Batch, Explained, Layers, Outcome
from xai_audit.measures.reasons import Decision, Reason, Runs, reason_measures, reasons_of
from xai_audit.plan import Step
from xai_audit.plan.reasons import Asked, asked_methods
from xai_audit.spec.methods import Method, Segments
from xai_audit.spec.schema import Reasons
from xai_audit.spec.tables import Feature

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

POOR_FIT = 0.5
"""As in lime: a weighted R2 below this is no explanation."""


def reasons_unit(context: Context, unit: Sequence[Step]) -> list[StepResult]:
    """The reason codes of each step of a unit."""
    return [_reasons(context, step) for step in unit]


@dataclass(frozen=True, eq=False)
class _Players:
    """The features or groups of features that are reasons."""

    names: tuple[str, ...]
    of_feature: NDArray[np.int64]
    """(features,): the player of each feature."""

    @classmethod
    def of(cls, method: Method, features: Sequence[str]) -> _Players:
        """Of a method that groups features, or takes them one by one."""
        segments: Segments | None = getattr(method, "players", None) or getattr(method, "segments", None)
        if getattr(method, "mode", "") == "owen":  # whose groups say only which features join first
            segments = None
        where = f"methods.{method.label}"
        return cls(player_names(segments, features), feature_groups(segments, features, where)[0])


@dataclass(eq=False)
class _Found:
    """Every method's outcome over the decisions, and the passes that were made."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    passes: Passes = NO_PASSES


def _reasons(context: Context, step: Step) -> StepResult:
    assert context.spec.reasons is not None
    adverse = _adverse(context, step, context.spec.reasons)
    if not len(adverse.chosen):
        context.progress.advance(step.cases)
        return result_of(step, {**adverse.record(), "decisions": [], "players": [], "warnings": []})
    asked = asked_methods(context.spec)
    sources = fill_sources(context, [getattr(method, "baseline", None) for method in asked.every])
    found = _ask(context, asked, adverse.chosen, sources)
    wrong = _wrong(asked, found)
    if wrong is not None:
        if not isinstance(wrong, Refusal):
            context.report(step, wrong)
        return failed(step, wrong, found.passes)
    return _result(context, step, adverse, asked, found, sources)


# --- Which decisions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Adverse:
    """The adverse decisions, and those of them whose reasons are given."""

    name: str
    total: int
    chosen: NDArray[np.int64]
    """Indexes of cases, in the order of the data."""
    probabilities: NDArray[np.float64] | None
    """Of the adverse class, of those chosen."""

    def record(self) -> dict[str, Any]:
        """Which decisions these are, in words."""
        every = f"every case that the model decides as {self.name!r}"
        some = f"{len(self.chosen)} of {self.total} cases that the model decides as {self.name!r}, drawn by their ids"
        rule = every if len(self.chosen) == self.total else some
        return {"adverse": self.name, "adverse_cases": self.total, "rule": rule}


def _adverse(context: Context, step: Step, reasons: Reasons) -> _Adverse:
    from xai_audit.engines.steps import predictions_of

    predictions = predictions_of(context, context.parent(step, "predictions"))
    of_class = predictions.index_of(reasons.adverse)
    chosen = predictions.chosen[:, of_class] if predictions.task == "multi_label" else predictions.chosen == of_class
    indexes = np.flatnonzero(chosen)
    taken = _drawn(indexes, [context.dataset.ids[i] for i in indexes], reasons.cases, context.spec.audit.seed)
    stated = None if predictions.probabilities is None else predictions.probabilities[taken, of_class]
    return _Adverse(reasons.adverse, len(indexes), taken, stated)


def _drawn(indexes: NDArray[np.int64], ids: Sequence[str], most: int | None, seed: int) -> NDArray[np.int64]:
    """At most so many cases: those whose digest of seed and id comes first, so that no other case changes the draw."""
    if most is None or len(indexes) <= most:
        return indexes
    digests = [hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest() for identifier in ids]
    order = sorted(range(len(indexes)), key=digests.__getitem__)
    return np.sort(indexes[order[:most]])


# --- What the methods say -------------------------------------------------------------------------------------------


def _ask(context: Context, asked: Asked, cases: NDArray[np.int64], sources: FillSources) -> _Found:
    """All askers through one queue, so that what two of them ask alike is asked once; then the pass readers."""
    assert context.model is not None
    layers = _layers(context, asked, cases)
    found = _Found()
    askers = [method for method in asked.every if is_asker(method)]
    readers = [method for method in asked.every if not is_asker(method)]
    if askers:
        answers = explain_by_queries(
            context.model, askers, _batches(context, cases), layers, sources, context.spec.audit.seed,
            context.limits, context.count,
        )  # fmt: skip
        found.outcomes |= answers.outcomes
        found.passes += sum(answers.passes.values(), NO_PASSES)
    if readers:
        read = explain_by_pass(
            context.model, readers, _batches(context, cases), layers, sources, context.limits, context.count
        )
        found.outcomes |= read.outcomes
        found.passes += read.record.passes
    return found


def _layers(context: Context, asked: Asked, cases: NDArray[np.int64]) -> Layers:
    """Why a method cannot run, if so; what holds of the main method holds under its other names."""
    layers = dict(fitting(context, asked.every, [{"index": int(index)} for index in cases]))
    if asked.main.label in layers:
        layers |= {method.label: layers[asked.main.label] for method in (*asked.seeds, *asked.backgrounds)}
    return layers


def _batches(context: Context, cases: NDArray[np.int64]) -> Iterable[Batch]:
    for indexes, rows in context.pixels(cases.tolist()):
        ids = tuple(context.dataset.ids[int(index)] for index in indexes)
        yield Batch(tuple(int(index) for index in indexes), ids, rows)


def _wrong(asked: Asked, found: _Found) -> Exception | None:
    """Why there are no reasons: the main method, or one of its repetitions, gave no result."""
    for method in (asked.main, *asked.seeds, *asked.backgrounds):
        outcome = found.outcomes[method.label]
        if not isinstance(outcome, Explained):
            return outcome
    return None


def _contributions(found: Explained, own: _Players, wanted: _Players) -> NDArray[np.float64] | None:
    """Contributions to the wanted players, (cases, players), as sums over the method's own players within each.

    None where a player of the method's belongs to more than one of the wanted players.
    """
    painted = found.raw.reshape(len(found.raw), -1).astype(np.float64)
    first = [int(np.flatnonzero(own.of_feature == player)[0]) for player in range(len(own.names))]
    summed = np.zeros((len(painted), len(wanted.names)))
    for player, feature in enumerate(first):
        of_player = np.unique(wanted.of_feature[own.of_feature == player])
        if len(of_player) > 1:
            return None
        summed[:, of_player[0]] += painted[:, feature]
    return summed


def _runs(context: Context, asked: Asked, found: _Found, players: _Players) -> tuple[Runs, dict[str, str]]:
    """Contributions of every method and repetition; why a method is not compared, by label."""
    assert context.table_input is not None
    names = context.table_input.names

    def of(method: Method) -> NDArray[np.float64]:
        outcome = found.outcomes[method.label]
        assert isinstance(outcome, Explained)
        contributions = _contributions(outcome, players, players)
        assert contributions is not None
        return contributions

    others: dict[str, NDArray[np.float64]] = {}
    left_out: dict[str, str] = {}
    for method in asked.others:
        outcome = found.outcomes[method.label]
        if not isinstance(outcome, Explained):
            left_out[method.label] = str(outcome)
            continue
        contributions = _contributions(outcome, _Players.of(method, names), players)
        if contributions is None:
            left_out[method.label] = "Its groups of features do not lie within those of the reasons."
        else:
            others[method.label] = contributions
    main = found.outcomes[asked.main.label]
    assert isinstance(main, Explained)
    runs = Runs(
        of(asked.main),
        _standard_errors(main, players),
        np.stack([of(method) for method in asked.seeds]) if asked.seeds else None,
        np.stack([of(method) for method in asked.backgrounds]) if asked.backgrounds else None,
        others,
        is_deterministic=not asked.seeds,
    )
    return runs, left_out


def _standard_errors(found: Explained, players: _Players) -> NDArray[np.float64] | None:
    painted = found.extras.get("standard_error")
    if painted is None:
        return None
    first = [int(np.flatnonzero(players.of_feature == player)[0]) for player in range(len(players.names))]
    return np.asarray(painted.reshape(len(painted), -1)[:, first], dtype=np.float64)


# --- The record -----------------------------------------------------------------------------------------------------


def _result(
    context: Context, step: Step, adverse: _Adverse, asked: Asked, found: _Found, sources: FillSources
) -> StepResult:
    reasons, table = context.spec.reasons, context.table_input
    assert reasons is not None and table is not None
    players = _Players.of(asked.main, table.names)
    runs, left_out = _runs(context, asked, found, players)
    decisions = reasons_of(runs, reasons.top)
    clusters = None if context.dataset.clusters is None else context.dataset.clusters[adverse.chosen]
    measured = reason_measures(runs, decisions, clusters, generator(context.spec.audit.seed, step.id))
    main = found.outcomes[asked.main.label]
    assert isinstance(main, Explained)
    hidden, protected = context.spec.data.show.withhold, step.parameters["protected"]
    told = _Told(context, players, adverse, runs, _flags(main), set(hidden), set(protected))
    details = {
        **measured.details,
        **adverse.record(),
        "players": [told.player(number) for number in range(len(players.names))],
        "decisions": [told.decision(place, decision) for place, decision in enumerate(decisions)],
        "parameters": _parameters(asked, main, reasons, sources),
        "not_compared": left_out,
        "seeds_are": "deterministic" if runs.are_alike else "drawn",
        "warnings": [*measured.details["warnings"], *main.warnings],
    }
    arrays = {**measured.arrays, **_arrays(runs)}
    return result_of(step, details, values=measured.values, arrays=arrays, passes=found.passes)


def _flags(main: Explained) -> list[list[str]]:
    """What speaks against a decision's contributions altogether, one list a decision."""
    cases = len(main.raw)
    converged = np.ravel(main.extras.get("converged", np.ones(cases)))
    fit = np.ravel(main.extras.get("r2", np.ones(cases)))
    return [
        [*(["not_converged"] if converged[case] == 0 else []), *(["poor_fit"] if fit[case] < POOR_FIT else [])]
        for case in range(cases)
    ]


def _parameters(asked: Asked, main: Explained, reasons: Reasons, sources: FillSources) -> dict[str, Any]:
    """Everything that the reasons depend on."""
    return {
        "method": main.parameters,
        "target": main.target,
        "top": reasons.top,
        "seeds": reasons.seeds,
        "backgrounds": [baseline_record(background, sources) for background in reasons.backgrounds],
        "compared_with": [method.label for method in asked.others],
        "poor_fit": POOR_FIT,
    }


def _arrays(runs: Runs) -> dict[str, NDArray[np.float64]]:
    """Contributions of every run; each (decisions, players), those of repetitions with these in front."""
    named: Mapping[str, NDArray[np.float64] | None] = {
        "contributions": runs.main,
        "standard_errors": runs.standard_errors,
        "seeds": runs.seeds,
        "backgrounds": runs.backgrounds,
        **{f"method:{label}": contributions for label, contributions in runs.others.items()},
    }
    return {name: np.ascontiguousarray(array) for name, array in named.items() if array is not None}


@dataclass(frozen=True, eq=False)
class _Told:
    """Reasons as JSON, with values that may be shown."""

    context: Context
    players: _Players
    adverse: _Adverse
    runs: Runs
    flags: Sequence[Sequence[str]]
    hidden: set[str]
    protected: set[str]

    @property
    def features(self) -> Sequence[Feature]:
        """Features in the order of the model's input."""
        assert self.context.table_input is not None
        return self.context.table_input.features

    def player(self, number: int) -> dict[str, Any]:
        """A feature or group: its columns, and whether one of them tells protected groups apart."""
        columns = [self.features[place].column for place in self._places(number)]
        return {
            "name": self.players.names[number],
            "columns": columns,
            "protected": any(column in self.protected for column in columns),
        }

    def decision(self, place: int, decision: Decision) -> dict[str, Any]:
        """One decision with its reasons, the largest first."""
        index = int(self.adverse.chosen[place])
        stated = self.adverse.probabilities
        return {
            "id": self.context.dataset.ids[index],
            "probability": None if stated is None else float(stated[place]),
            "slices": [name for name, inside in self.context.slices.items() if index in inside],
            "flags": list(self.flags[place]),
            "overlap": decision.overlap,
            "same_first": decision.same_first,
            "reasons": [self._reason(index, reason) for reason in decision.reasons],
        }

    def _reason(self, index: int, reason: Reason) -> dict[str, Any]:
        player = self.player(reason.player)
        is_marked = {"unstable": reason.is_unstable, "protected": player["protected"]}
        return {
            "feature": player["name"],
            "value": self._value(index, reason.player),
            "contribution": reason.contribution,
            "share": reason.share,
            "standard_error": reason.standard_error,
            "rank_low": reason.rank_low,
            "rank_high": reason.rank_high,
            "kept_over_seeds": 1.0 if self.runs.are_alike else reason.kept_over_seeds,
            "background_rank_low": reason.background_rank_low,
            "background_rank_high": reason.background_rank_high,
            "kept_over_backgrounds": reason.kept_over_backgrounds,
            "agreed": reason.agreed,
            "flags": [name for name, holds in is_marked.items() if holds],
        }

    def _places(self, player: int) -> list[int]:
        return [int(place) for place in np.flatnonzero(self.players.of_feature == player)]

    def _value(self, index: int, player: int) -> str:
        """The value in words; of a group each feature's. Empty where it is withheld."""
        places = [place for place in self._places(player) if self.features[place].column not in self.hidden]
        values = [(self.features[place].column, self._text(index, place)) for place in places]
        if len(self._places(player)) == 1:
            return values[0][1] if values else ""
        return ", ".join(f"{column} {text}" for column, text in values)

    def _text(self, index: int, place: int) -> str:
        value, feature = float(self.context.features[index, place]), self.features[place]
        if np.isnan(value):
            return "missing"
        if feature.categories is not None:
            return feature.categories[int(value)]
        return np.format_float_positional(value, precision=4, trim="-")
