"""Operators at work: one that the spec names, ready to set its variable in the picture of a case."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.operators.placebos import NoPlace
from xai_audit.causal.sample import Sample
from xai_audit.data.drawn_masks import border_mask
from xai_audit.data.generated import GeneratedPixels, image_of
from xai_audit.data.preprocess import prepare, prepare_mask
from xai_audit.engines.causal_measures import Masks, seen
from xai_audit.errors import AuditError, ModelError, Refusal, StepError
from xai_audit.evidence.seeds import derived_seed, generator
from xai_audit.model.factory import code_error, find_factory
from xai_audit.spec.causal import Causal, CausalVariable, FromColumn, Level, Operator
from xai_audit.spec.operators import OPERATORS, PLACEBOS, RENDER, Number, fault_of
from xai_audit.spec.schema import Border, Outside

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
Function = Callable[..., Any]
Settings = Mapping[str, Level]
"""Variable: the level or number that it is set to."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A case as the model sees it."""

    index: int
    id: str
    image: Floats
    """(H, W, C) in [0, 1]"""
    masks: Masks
    row: Mapping[str, Any]
    """Cells of the table by column, and values of measured variables by variable."""


@dataclass(frozen=True, eq=False)
class Changed:
    """The same unit with some variables set."""

    image: Floats
    """(H, W, C), clipped to [0, 1]"""
    masks: Masks
    cells: Mapping[str, Any] | None
    """The row as the generator gives it; None where an operator changed pixels alone."""
    clipped: float
    """Share of pixel values that had to be clipped."""


@dataclass(frozen=True, eq=False)
class Tool:
    """One operator of the spec with its code."""

    context: Context
    name: str
    spec: Operator
    run: Function | None
    """None: the generator's re-render."""
    placebo: Function | None
    """Of the user's own, called as the operator is."""
    undo: Function | None

    @property
    def is_render(self) -> bool:
        """Whether the generator makes the unit again."""
        return self.run is None

    def set(self, unit: Unit, image: Floats, value: Level) -> Floats:
        """The picture with the variable set, not clipped. Raises ModelError for what the code raises."""
        assert self.run is not None
        return self.call(self.run, unit, image, value, self.spec.call)

    def call(self, function: Function, unit: Unit, image: Floats, value: Level, called: str) -> Floats:
        """A function of the operator's form, with random numbers of the case's own and what it gives checked."""
        where = f"causal.operators.{self.name}"
        rng = generator(self.context.spec.audit.seed, f"operator:{self.name}:{unit.id}")
        masks = {name: mask.copy() for name, mask in unit.masks.items()}
        known = OPERATORS.get(called)
        more: dict[str, Any] = (
            {} if known is None or called != "set_patch" else {"present": unit.row.get(self.spec.sets)}
        )
        if known is not None and known.needs_donor:
            more["donor"] = donor_of(self.context, unit, self.spec.parameters.get("donors"), rng)
        try:
            given = function(image.copy(), masks, dict(unit.row), value, rng, **more)
        except AuditError:
            raise
        except (Exception, SystemExit) as error:
            what = f"{called} failed on case {unit.id} with value {value}"
            raise code_error(error, where, what, self.context.spec_folder) from error
        return _checked(given, image, where, unit.id)


def tools_of(context: Context, causal: Causal, names: Sequence[str]) -> dict[str, Tool]:
    """Operators by name, ready for work. Raises ModelError where code is missing, Refusal where there is no picture."""
    if not context.dataset.has_images or context.is_table:
        found = "an audit of rows, not of pictures"
        raise Refusal("causal.operators", found, "a model of pictures and cases with pictures", "Ask a world query.")
    return {name: _tool(context, name, causal.operators[name]) for name in names}


def _tool(context: Context, name: str, spec: Operator) -> Tool:
    where = f"causal.operators.{name}"
    fault = fault_of(spec.call, spec.parameters)
    if fault:
        raise ModelError(f"{where}.call", fault, "an operator that there is", "Correct the operator.")
    if spec.call == RENDER and not isinstance(context.dataset.pixels, GeneratedPixels):
        found = f"render on cases of kind {context.dataset.source}"
        raise ModelError(f"{where}.call", found, "cases of kind generator", "Name another operator.")
    run = None if spec.call == RENDER else _function(context, spec.call, spec.parameters, f"{where}.call")
    placebo = undo = None
    if spec.placebo is not None and spec.placebo not in PLACEBOS:
        placebo = _function(context, spec.placebo, spec.parameters, f"{where}.placebo")
    if spec.undo is not None:
        undo = _function(context, spec.undo, spec.parameters, f"{where}.undo")
    return Tool(context, name, spec, run, placebo, undo)


def _function(context: Context, call: str, parameters: Mapping[str, Any], where: str) -> Function:
    if ":" in call:
        return partial(find_factory(call, context.spec_folder, where), **parameters)
    known = OPERATORS[call]
    module, _, name = known.call.partition(":")
    defaults = {key: one.default for key, one in known.parameters.items() if one.default is not None}
    given = {key: float(value) if isinstance(known.parameters[key], Number) else value
             for key, value in parameters.items() if key != "donors"}  # fmt: skip
    return partial(getattr(importlib.import_module(module), name), **{**defaults, **given})


def _checked(given: object, image: Floats, where: str, case: str) -> Floats:
    """What an operator gave, as a picture of the same form. Raises StepError."""
    try:
        made = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        made = np.zeros(0)
    if made.shape != image.shape:
        found = f"{type(given).__name__} of shape {made.shape} for case {case}"
        raise StepError(where, found, f"a picture of shape {image.shape}", "Give the picture back in its own form.")
    if not np.isfinite(made).all():
        raise StepError(where, f"NaN or infinity in the picture of case {case}", "numbers", "Correct the operator.")
    return made


def donor_of(context: Context, unit: Unit, slice_name: object, rng: np.random.Generator) -> tuple[Floats, Masks]:
    """Another case's picture and masks, drawn by chance; of another cluster where there is one.

    Raises Refusal where there is no other case.
    """
    inside = context.slices[str(slice_name)] if slice_name else np.arange(len(context.dataset.ids))
    clusters = context.dataset.clusters
    others = inside[inside != unit.index]
    apart = others if clusters is None else others[clusters[others] != clusters[unit.index]]
    among = apart if len(apart) else others
    if not len(among):
        raise Refusal("causal.operators", "no other case to take a background from", "two cases or more", "Add cases.")
    return seen(context, int(among[int(rng.integers(len(among)))]))


def unit_of(context: Context, causal: Causal, sample: Sample, place: int) -> Unit:
    """The case of one row of the sample."""
    index = int(sample.rows[place])
    image, masks = seen(context, index)
    cells = dict(context.dataset.frame.iloc[index])
    values = {name: value_at(sample, name, place) for name in sample.columns if causal.variables[name].role != "medium"}
    return Unit(index, context.dataset.ids[index], image, masks, {**cells, **values})


def value_at(sample: Sample, name: str, place: int) -> Level:
    """A variable's level or number in one row."""
    cell = sample.columns[name][place]
    return sample.levels[name][int(cell)] if name in sample.levels else float(cell)


def world_name(name: str, one: CausalVariable) -> str:
    """What a generator calls a variable: the column that it is read from, else its own name."""
    return one.source.column if isinstance(one.source, FromColumn) else name


def set_in(
    context: Context,
    causal: Causal,
    tools: Mapping[str, Tool],
    unit: Unit,
    settings: Settings,
    hold: Sequence[str] = (),
) -> Changed:
    """A unit with variables set, each by its tool: re-rendered ones together first, then the others by name.

    `tools` by variable; `hold`: variables that a re-render keeps at their facts.
    """
    rendered = {name: value for name, value in settings.items() if tools[name].is_render}
    start = Changed(unit.image, unit.masks, None, 0.0)
    if rendered or hold:
        start = rerender(context, causal, unit, rendered, hold)
    image, clipped = start.image, 0.0
    for name in sorted(set(settings) - set(rendered)):
        moved = tools[name].set(unit, image, settings[name])
        image, share = clip(moved)
        clipped = max(clipped, share)
    return Changed(image, start.masks, start.cells, clipped)


def clip(image: Floats) -> tuple[Floats, float]:
    """The picture in [0, 1], and the share of values that lay outside."""
    outside = (image < 0) | (image > 1)
    return np.clip(image, 0.0, 1.0), float(outside.mean())


def rerender(context: Context, causal: Causal, unit: Unit, do: Settings, hold: Sequence[str] = ()) -> Changed:
    """The same unit made again by its generator. Raises StepError where the world has no such variable or level."""
    pixels, input_ = context.dataset.pixels, context.input
    assert isinstance(pixels, GeneratedPixels)
    variables = causal.variables
    forced = {world_name(name, variables[name]): value for name, value in do.items()}
    kept = [world_name(name, variables[name]) for name in hold]
    known = set(pixels.world.equations)
    try:
        made = pixels.under(int(context.dataset.rows[unit.index]), forced, [name for name in kept if name in known])
    except (ValueError, KeyError) as error:
        fix = "Name a variable and a level of the world."
        raise StepError("causal.operators", str(error), "what the generator has", fix) from error
    image = np.moveaxis(prepare(image_of(made), input_), 0, 2).astype(np.float64)
    masks = {name: prepare_mask(mask, input_) for name, mask in pixels.masks_of(made).items()}
    return Changed(image, _with_drawn(context, masks), pixels.shown(made.row), 0.0)


def _with_drawn(context: Context, masks: Masks) -> Masks:
    for name, drawn in context.dataset.drawn.items():
        if isinstance(drawn, Border):
            masks[name] = border_mask(context.input.size, drawn.border)
    for name, drawn in context.dataset.drawn.items():
        if isinstance(drawn, Outside) and drawn.outside in masks:
            masks[name] = ~masks[drawn.outside]
    return masks


def placebo_of(tool: Tool, unit: Unit, changed: Changed, settings: Settings) -> Floats | None:
    """A picture with a change of equal size that should not matter; None where no place is free for it."""
    if tool.placebo is not None:
        value = settings[tool.spec.sets]
        return clip(tool.call(tool.placebo, unit, unit.image, value, str(tool.spec.placebo)))[0]
    assert tool.spec.placebo is not None
    module, _, name = PLACEBOS[tool.spec.placebo].partition(":")
    function = getattr(importlib.import_module(module), name)
    rng = np.random.default_rng(derived_seed(tool.context.spec.audit.seed, f"placebo:{tool.name}:{unit.id}"))
    masks = {**unit.masks, **{f"after {key}": mask for key, mask in changed.masks.items()}}
    try:
        made = function(unit.image, changed.image - unit.image, masks, rng, tool.spec.parameters)
    except NoPlace:
        return None
    return clip(made)[0]
