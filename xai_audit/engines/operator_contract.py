"""The contract of an operator (CAUSAL.md section 9), tested after every call: did it do what it says, and nothing else?

Every measurable variable is measured again. A unit where the target is not reached, another variable moves, the present
value is not the identity, or a declared undo does not restore, is excluded and counted; above 5 % the query fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.operators.placebos import NoPlace
from xai_audit.causal.sample import level_values
from xai_audit.engines.causal_measures import Masks, Measure, is_function, measures_of
from xai_audit.engines.operating import Changed, Settings, Tool, Unit, placebo_of, set_in, world_name
from xai_audit.graphs.graph import Graph
from xai_audit.spec.causal import Causal, CausalVariable, Level, Levels, Range
from xai_audit.spec.operators import OPERATORS

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
MOST_FAILED = 0.05
"""Largest share of units that may fail before the query does."""
SAME_PICTURE = 1 / 255
"""Root mean square difference up to which two pictures are the same: one step of grey."""
EFFECTIVENESS, MODULARITY, COMPOSITION, UNDO = "effectiveness", "modularity", "composition", "undo"
_EXACT = 1e-9


@dataclass(frozen=True, eq=False)
class Contract:
    """What operators promise about the variables of one query."""

    context: Context
    causal: Causal
    tools: Mapping[str, Tool]
    """By the variable that each sets."""
    measures: Mapping[str, Measure]
    may_move: frozenset[str]
    """Variables besides the targets that may move."""

    @classmethod
    def of(cls, context: Context, causal: Causal, graph: Graph, tools: Mapping[str, Tool]) -> Contract:
        """The contract of some tools; a re-render may also move all that its target causes."""
        may = {name for tool in tools.values() for name in tool.spec.may_change}
        rendered = [name for name, tool in tools.items() if tool.is_render and name in graph.variables]
        may |= set(graph.descendants(rendered)) if rendered else set()
        return cls(context, causal, tools, measures_of(context, causal), frozenset(may - set(tools)))

    def is_measurable(self, name: str) -> bool:
        """Whether a variable can be measured again after a call: on the picture, or in the row of a re-render."""
        return name in self.measures or (bool(self.tools) and all(tool.is_render for tool in self.tools.values()))

    @property
    def setting_only(self) -> tuple[str, ...]:
        """Targets that no measure can check."""
        return tuple(sorted(name for name in self.tools if not self.is_measurable(name)))

    @property
    def grade(self) -> str:
        """The lowest grade; a target that cannot be measured again is no better than B unless it is rendered."""
        grades = [tool.spec.grade for tool in self.tools.values()]
        return max([*grades, *("B" for name in self.setting_only if not self.tools[name].is_render)])

    def measured(self, changed_image: Floats, masks: Masks, cells: Mapping[str, Any] | None) -> dict[str, Level]:
        """Every variable that can be measured on a picture, or read in a generator's row."""
        found = {name: measure(changed_image, masks) for name, measure in self.measures.items()}
        if cells is not None:
            for name, one in self.causal.variables.items():
                if name not in found and world_name(name, one) in cells:
                    found[name] = cells[world_name(name, one)]
        return found


@dataclass(eq=False)
class Trial:
    """One unit under every setting of a query: pictures, and whether the contract held."""

    pictures: list[Floats]
    """One a setting."""
    placebos: list[Floats] = field(default_factory=list)
    """One a setting; none where no placebo is declared or no place is free."""
    settings: Sequence[Settings] = ()
    reached: list[dict[str, Level]] = field(default_factory=list)
    """By setting: what each measurable target came to."""
    moved: dict[str, float] = field(default_factory=dict)
    """Measurable variables that must not move: their largest move over the settings."""
    clipped: float = 0.0
    composition: float | None = None
    """Root mean square change of the picture when the present value is set."""
    reversal: float | None = None
    """The same, when a setting is taken back."""
    faults: set[str] = field(default_factory=set)


def tried(
    contract: Contract, unit: Unit, settings: Sequence[Settings], *, with_placebo: bool, hold: Sequence[str] = ()
) -> Trial:
    """A unit under some settings, each variable measured again after each call."""
    context, causal = contract.context, contract.causal
    before = contract.measured(unit.image, unit.masks, unit.row)
    trial = Trial([], settings=settings)
    for setting in settings:
        changed = set_in(context, causal, contract.tools, unit, setting, hold)
        trial.pictures.append(changed.image)
        trial.clipped = max(trial.clipped, changed.clipped)
        after = contract.measured(changed.image, changed.masks, changed.cells)
        _check(contract, trial, setting, before, after)
        _check_undo(contract, trial, unit, setting, changed)
        if with_placebo:
            _add_placebo(contract, trial, unit, setting, changed)
    if len(trial.placebos) < len(settings):
        trial.placebos = []
    _check_composition(contract, trial, unit, settings)
    return trial


def _check(
    contract: Contract, trial: Trial, setting: Settings, before: Mapping[str, Level], after: Mapping[str, Level]
) -> None:
    variables = contract.causal.variables
    reached = {name: after[name] for name in setting if contract.is_measurable(name) and name in after}
    trial.reached.append(reached)
    for name, value in reached.items():
        if gap(variables[name], value, setting[name]) > _tolerance(contract, name):
            trial.faults.add(EFFECTIVENESS)
    for name in after:
        if name in setting or name in contract.may_move or not _is_pictured(contract, name) or name not in before:
            continue
        move = gap(variables[name], after[name], before[name])
        trial.moved[name] = max(trial.moved.get(name, 0.0), move)
        if move > other_tolerance(contract, name):
            trial.faults.add(MODULARITY)


def _is_pictured(contract: Contract, name: str) -> bool:
    """Whether a variable's value belongs to the picture: not the image itself, and no score of the model."""
    return contract.causal.variables[name].role not in ("medium", "model_output")


def gap(one: CausalVariable, found: Level | None, wanted: Level | None) -> float:
    """How far two values of a variable are apart: in its unit, for named levels 0 or 1; infinite for no value."""
    if found is None or wanted is None:
        return 0.0 if found is wanted else float("inf")
    if isinstance(found, str) or isinstance(wanted, str):
        return 0.0 if str(found) == str(wanted) else 1.0
    return abs(float(found) - float(wanted))


def _tolerance(contract: Contract, name: str) -> float:
    return contract.tools[name].spec.tolerance * (1 + _EXACT) + _EXACT


def other_tolerance(contract: Contract, name: str) -> float:
    """How far a variable that is not set may move: the tolerance as the same share of its own range; of levels none."""
    shares = [
        tool.spec.tolerance / _width(contract.causal.variables[target]) for target, tool in contract.tools.items()
    ]
    one = contract.causal.variables[name]
    if isinstance(one.domain, Levels):
        return _EXACT
    return max(shares) * _width(one) + _EXACT


def _width(one: CausalVariable) -> float:
    if isinstance(one.domain, Range):
        return one.domain.range[1] - one.domain.range[0]
    values = level_values(one.domain.levels) if isinstance(one.domain, Levels) else None
    return 1.0 if values is None else float(np.ptp(values))


def present_of(contract: Contract, unit: Unit, name: str) -> Level | None:
    """The value that a variable has in the unit as it is: measured, in its row, or the setting that changes nothing."""
    one = contract.causal.variables[name]
    if unit.row.get(name) is not None:
        value: Level = unit.row[name]
        return value
    if one.neutral is not None:
        return one.neutral
    built_in = OPERATORS.get(contract.tools[name].spec.call)
    return None if built_in is None else built_in.neutral


def _check_composition(contract: Contract, trial: Trial, unit: Unit, settings: Sequence[Settings]) -> None:
    """Setting the present values must leave the picture as it is."""
    names = sorted({name for setting in settings for name in setting})
    present = {name: present_of(contract, unit, name) for name in names}
    known = {name: value for name, value in present.items() if value is not None}
    if not known:
        return
    same = set_in(contract.context, contract.causal, contract.tools, unit, known)
    trial.composition = rms(same.image, unit.image)
    if trial.composition > SAME_PICTURE:
        trial.faults.add(COMPOSITION)


def _check_undo(contract: Contract, trial: Trial, unit: Unit, setting: Settings, changed: Changed) -> None:
    """Setting back must restore the picture; it is a promise only where an undo is declared."""
    if len(setting) != 1:
        return
    ((name, value),) = setting.items()
    tool, present = contract.tools[name], present_of(contract, unit, name)
    if tool.is_render:  # a unit is made anew each time: nothing is left to take back
        return
    if tool.undo is not None:
        back = np.clip(tool.call(tool.undo, unit, changed.image, value, str(tool.spec.undo)), 0, 1)
    elif present is not None:
        back = np.clip(tool.set(unit, changed.image, present), 0, 1)
    else:
        return
    trial.reversal = max(trial.reversal or 0.0, rms(back, unit.image))
    if trial.reversal > SAME_PICTURE and tool.undo is not None:
        trial.faults.add(UNDO)


def _add_placebo(contract: Contract, trial: Trial, unit: Unit, setting: Settings, changed: Changed) -> None:
    chosen = placebo_tool(contract, setting)
    if chosen is None:
        return
    try:
        made = placebo_of(chosen, unit, changed, setting)
    except NoPlace:
        made = None
    if made is not None:
        trial.placebos.append(made)


def placebo_tool(contract: Contract, setting: Settings) -> Tool | None:
    """The first of the operators at work, by name, that declares a placebo."""
    return next((contract.tools[name] for name in sorted(setting) if contract.tools[name].spec.placebo), None)


def rms(one: Floats, other: Floats) -> float:
    """Root mean square difference of two pictures."""
    return float(np.sqrt(((one - other) ** 2).mean()))


@dataclass(eq=False)
class Record:
    """The contract over all units of a query."""

    contract: Contract
    settings: Sequence[Settings]
    trials: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """Take one unit's; its pictures are let go."""
        trial.pictures, trial.placebos = [], []
        self.trials.append(trial)

    @property
    def held(self) -> NDArray[np.bool_]:
        """(n,): units where the contract held."""
        return np.asarray([not trial.faults for trial in self.trials], np.bool_)

    @property
    def failed(self) -> dict[str, int]:
        """By part of the contract: units that fail it."""
        parts = (EFFECTIVENESS, MODULARITY, COMPOSITION, UNDO)
        counts = {part: sum(part in trial.faults for trial in self.trials) for part in parts}
        return {part: count for part, count in counts.items() if count}

    @property
    def is_broken(self) -> bool:
        """Whether too many units fail for an answer."""
        return bool(self.trials) and float((~self.held).mean()) > MOST_FAILED

    def details(self) -> dict[str, Any]:
        """All parts, as JSON values."""
        return {
            "effectiveness": self._effectiveness(),
            "modularity": self._modularity(),
            "composition": _spread([trial.composition for trial in self.trials], SAME_PICTURE),
            "reversibility": _spread([trial.reversal for trial in self.trials], SAME_PICTURE),
            "clipped": float(np.mean([trial.clipped for trial in self.trials])) if self.trials else 0.0,
            "setting_only": list(self.contract.setting_only),
            "units": len(self.trials),
            "failed": self.failed,
            "most_failed": MOST_FAILED,
            "measured_again": sorted(self.contract.measures),
            "not_measured_again": self._not_measured(),
        }

    def _not_measured(self) -> list[str]:
        """Concepts and other columns that belong to the case, not to the picture as changed."""
        variables = self.contract.causal.variables
        skipped = ("medium", "model_output")
        return sorted(
            name
            for name, one in variables.items()
            if one.role not in skipped and not self.contract.is_measurable(name) and not is_function(one.source)
        )

    def _effectiveness(self) -> list[dict[str, Any]]:
        """One entry a target and setting: what was asked, the mean reached, and the share of units within tolerance."""
        made = []
        for number, setting in enumerate(self.settings):
            for name in sorted(setting):
                pairs = [(trial.settings[number][name], trial.reached[number].get(name)) for trial in self.trials]
                one, tolerance = self.contract.causal.variables[name], _tolerance(self.contract, name)
                found = [value for _, value in pairs if value is not None]
                gaps = np.asarray([gap(one, value, asked) for asked, value in pairs if value is not None])
                asked_for = {asked for asked, _ in pairs}
                made.append({
                    "variable": name, "asked": next(iter(asked_for)) if len(asked_for) == 1 else None, "n": len(found),
                    "reached": _mean(found), "sd": _sd(found),
                    "within": None if not found else float((gaps <= tolerance).mean()),
                    "worst": None if not found else float(gaps.max()),
                    "tolerance": self.contract.tools[name].spec.tolerance,
                })  # fmt: skip
        return made

    def _modularity(self) -> list[dict[str, Any]]:
        names = sorted({name for trial in self.trials for name in trial.moved})
        made = []
        for name in names:
            moves = np.asarray([trial.moved.get(name, 0.0) for trial in self.trials])
            tolerance = other_tolerance(self.contract, name)
            over = int((moves > tolerance).sum())
            made.append({
                "variable": name, "moved": float(moves.mean()), "most": float(moves.max()), "tolerance": tolerance,
                "units": over, "ok": over == 0,
            })  # fmt: skip
        return made

    def arrays(self) -> dict[str, Floats]:
        """Reached values of each target that is a number, (units, settings), to be drawn against those asked."""
        made: dict[str, Floats] = {}
        for name in sorted({name for setting in self.settings for name in setting}):
            rows = [[entry.get(name) for entry in trial.reached] for trial in self.trials]
            if rows and all(isinstance(v, int | float) for row in rows for v in row):
                made[f"reached:{name}"] = np.asarray(rows, np.float64)
        return made


def _mean(values: Sequence[Level]) -> float | None:
    numbers = [float(value) for value in values if not isinstance(value, str)]
    return float(np.mean(numbers)) if numbers and len(numbers) == len(values) else None


def _sd(values: Sequence[Level]) -> float | None:
    numbers = [float(value) for value in values if not isinstance(value, str)]
    return float(np.std(numbers)) if numbers and len(numbers) == len(values) else None


def _spread(values: Sequence[float | None], limit: float) -> dict[str, Any]:
    """Mean and largest root mean square change of a picture, and units above the limit; n 0 where it was not tried."""
    found = np.asarray([value for value in values if value is not None])
    if not len(found):
        return {"n": 0, "mean": None, "most": None, "limit": limit, "units": 0}
    return {
        "n": len(found), "mean": float(found.mean()), "most": float(found.max()), "limit": limit,
        "units": int((found > limit).sum()),
    }  # fmt: skip
