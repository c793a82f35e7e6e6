"""Units of a query under its settings: made one by one, scored through the shared queue, then let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.off_manifold import EMBEDDING, QUANTILE, distances, statistics
from xai_audit.causal.sample import Sample
from xai_audit.engines.operating import Settings, Tool, Unit, tools_of, unit_of
from xai_audit.engines.operator_contract import Contract, Record, placebo_tool, tried
from xai_audit.engines.operator_questions import scores_of, target_of
from xai_audit.evidence.records import NO_PASSES, Passes
from xai_audit.spec.causal import Causal, FromModel, Query
from xai_audit.spec.methods import TargetSpec

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """Every unit of some rows under every setting."""

    sample: Sample
    """The rows, in their order."""
    settings: Sequence[Settings]
    record: Record
    scores: Floats
    """(n, settings)"""
    placebo: Floats | None
    """(n, settings), NaN rows where no place was free; None where no placebo is declared."""
    off: NDArray[np.bool_] | None
    """(n,): whether a changed picture lies off the slice; None where that cannot be told."""
    off_manifold: dict[str, Any]
    passes: Passes
    answers: NDArray[np.int64] | None = None
    """(n, settings): place of the most probable class; None where classes were not asked for."""

    @property
    def held(self) -> NDArray[np.bool_]:
        """(n,): units where the contract held."""
        return self.record.held


def tool_of(causal: Causal, query: Query, variable: str) -> str | None:
    """The operator that sets a variable: the query's `via` where it does, else the one that there is."""
    if query.via is not None and causal.operators[query.via].sets == variable:
        return query.via
    setting = sorted(name for name, one in causal.operators.items() if one.sets == variable)
    return setting[0] if len(setting) == 1 else None


def tools_for(context: Context, asked: Asked, variables: Sequence[str]) -> dict[str, Tool]:
    """The tool of each variable that has one."""
    chosen = {name: tool_of(asked.causal, asked.query, name) for name in variables}
    named = {name: tool for name, tool in chosen.items() if tool is not None}
    ready = tools_of(context, asked.causal, sorted(set(named.values())))
    return {name: ready[tool] for name, tool in sorted(named.items())}


@dataclass(frozen=True, eq=False)
class Part:
    """Settings that belong together: one contract, one record, one set of columns of scores."""

    contract: Contract
    settings: Sequence[Settings]
    """Of every unit; where `of_unit` is there, their number and the variables set alone."""
    of_unit: Callable[[Unit, int], Sequence[Settings]] | None = None
    """The settings of one unit, from it and its place in the sample, where they differ by unit."""
    hold: tuple[str, ...] = ()
    """What a re-render keeps at its facts."""


def run(
    context: Context, label: str, asked: Asked, contract: Contract, sample: Sample, settings: Sequence[Settings]
) -> Run:
    """Each row of the sample under each setting, with the model's score of each and of its placebo."""
    (made,), passes = run_parts(context, label, asked, [Part(contract, settings)], sample)
    return replace(made, passes=passes)


def run_parts(
    context: Context,
    label: str,
    asked: Asked,
    parts: Sequence[Part],
    sample: Sample,
    *,
    with_placebo: bool = True,
    classes: Sequence[TargetSpec] = (),
) -> tuple[list[Run], Passes]:
    """Several parts over the same rows; a picture that two of them share is asked about once.

    `classes`: targets, one a class, for the answer to each picture.
    """
    source = asked.causal.variables[asked.on].source
    assert isinstance(source, FromModel)
    seen = [_Seen(part, sample.n, with_placebo) for part in parts]

    def pictures() -> Iterator[tuple[int, list[Floats]]]:
        for place in range(sample.n):
            unit = unit_of(context, asked.causal, sample, place)
            yield place, [picture for one in seen for picture in one.take(unit, place)]

    passes = NO_PASSES
    for place, found, made in scores_of(context, label, [target_of(context, source), *classes], pictures()):
        left = found
        for one in seen:
            left = left[:, one.keep(place, left) :]
        passes += made
    return [one.run(sample) for one in seen], passes


@dataclass(eq=False)
class _Seen:
    """One part as its units come in."""

    part: Part
    n: int
    with_placebo: bool
    own: list[Floats] = field(default_factory=list)
    changed: list[Floats] = field(default_factory=list)
    has_placebo: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.part.settings)
        self.record = Record(self.part.contract, self.part.settings)
        self.scores, self.placebo = np.zeros((self.n, count)), np.full((self.n, count), np.nan)
        self.answers: NDArray[np.int64] | None = None
        declared = any(placebo_tool(self.part.contract, setting) for setting in self.part.settings)
        self.with_placebo = self.with_placebo and declared

    def take(self, unit: Unit, place: int) -> list[Floats]:
        """The pictures of one unit."""
        part = self.part
        settings = part.settings if part.of_unit is None else part.of_unit(unit, place)
        trial = tried(part.contract, unit, settings, with_placebo=self.with_placebo, hold=part.hold)
        self.own.append(statistics(unit.image))
        self.changed.append(np.stack([statistics(picture) for picture in trial.pictures]))
        self.has_placebo.append(bool(trial.placebos))
        made = [*trial.pictures, *trial.placebos]
        self.record.add(trial)
        return made

    def keep(self, place: int, scores: Floats) -> int:
        """Take the scores of one unit, (targets, pictures): how many of the pictures are this part's."""
        count = len(self.part.settings)
        self.scores[place] = scores[0, :count]
        if len(scores) > 1:
            if self.answers is None:
                self.answers = np.zeros((self.n, count), np.int64)
            self.answers[place] = scores[1:, :count].argmax(0)
        if not self.has_placebo[place]:
            return count
        self.placebo[place] = scores[0, count : 2 * count]
        return 2 * count

    def run(self, sample: Sample) -> Run:
        """All units together."""
        off, told = _off(self.own, self.changed)
        placebo = self.placebo if self.with_placebo else None
        return Run(sample, self.part.settings, self.record, self.scores, placebo, off, told, NO_PASSES, self.answers)


def _off(own: list[Floats], changed: list[Floats]) -> tuple[NDArray[np.bool_] | None, dict[str, Any]]:
    found = distances(np.stack(own), np.stack(changed)) if own else None
    if found is None:
        return None, {"embedding": EMBEDDING, "reason": "fewer than 10 cases to compare with"}
    told = {
        "embedding": EMBEDDING,
        "quantile": QUANTILE,
        "limit": found.limit,
        "median_of_slice": float(np.median(found.of_slice)),
        "median_of_changed": float(np.median(found.of_changed)),
        "share_off": float(found.is_off.mean()),
    }
    return found.is_off, told
