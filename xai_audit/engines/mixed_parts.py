"""The parts of a mixed query: which ways lead from the variable to the image, and what each operator is set to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.asked import Asked
from xai_audit.causal.child_laws import ChildLaw, child_law
from xai_audit.data.generated import GeneratedPixels
from xai_audit.engines.operating import Settings, Tool, Unit, rerender, world_name
from xai_audit.engines.operator_contract import Contract
from xai_audit.engines.operator_designs import settings_of
from xai_audit.engines.operator_runs import Part, tools_for
from xai_audit.engines.operator_warnings import image_of, legitimate, ways_to_image
from xai_audit.graphs.graph import Names
from xai_audit.spec.causal import Level, Operator
from xai_audit.spec.operators import RENDER

if TYPE_CHECKING:
    from xai_audit.engines.steps import Context

Floats = NDArray[np.float64]
MOST_SETTINGS = 36
"""Settings of one unit; with more, the joint effect through all pixels is not computed."""
THROUGH = "through_pixels"


@dataclass(frozen=True, eq=False)
class Ways:
    """How a variable reaches the image."""

    source: str
    image: str
    to_image: Names
    """Direct causes of the image that it reaches other than through what the picture is meant to show."""
    paths: dict[str, str]
    """By direct cause: the shortest path in words."""
    held: Names
    """What stays at its facts through pixels: what the picture is meant to show, and all that comes of it."""
    is_rendered: bool
    """Whether a generator can make each unit again."""
    prefers_render: bool
    """Whether the query asks for the total by re-render."""
    missing: dict[str, str] = field(default_factory=dict)
    """Direct causes without a number, and why."""

    def path_to(self, name: str) -> str:
        """The path to the image through a direct cause of it."""
        return self.paths.get(name, name)


@dataclass(frozen=True, eq=False)
class MixedPart:
    """One number of a mixed query."""

    name: str
    """total, through_pixels, or path:a -> b -> image."""
    part: Part
    weights: Callable[[Floats], Floats] | None
    """(units, settings): what each score counts for, by weights of the rows; None: the last less the first."""
    how: str
    """How the world part was found, as a sentence."""
    also: str = ""
    """Another name of the same number, where only one way is covered."""


def ways_of(context: Context, asked: Asked) -> Ways:
    """The ways of the one variable that is set."""
    causal, graph = asked.causal, asked.whole
    (source,) = asked.treatments
    image = image_of(causal)
    assert image is not None
    to_image = ways_to_image(causal, graph, source)
    paths = {}
    for name in to_image:
        found = [(source, image)] if name == source else [(*p, image) for p in graph.directed_paths(source, name)]
        paths[name] = " -> ".join(min(found, key=lambda path: (len(path), path)))
    reached = graph.descendants((source,))
    held = tuple(name for name in legitimate(causal, graph) if name in reached and name != source)
    renderers = {name for name, one in causal.operators.items() if one.call == RENDER}
    is_rendered = isinstance(context.dataset.pixels, GeneratedPixels) and bool(renderers)
    own = any(causal.operators[name].sets == source or asked.query.via == name for name in renderers)
    prefers = asked.query.answer_by == "operator" or own
    return Ways(source, image, to_image, paths, held, is_rendered, prefers)


def render_parts(context: Context, asked: Asked, ways: Ways) -> list[MixedPart]:
    """Total, through pixels and each path, each by making the same units again under do()."""
    settings = settings_of(asked.query.do)
    own = _renderer(context, asked, ways.source)
    whole = Contract.of(context, asked.causal, asked.whole, {ways.source: own})
    how = "The generator makes each unit again."
    held = _in_world(context, asked, ways.held)
    parts = [
        MixedPart("total", Part(whole, settings), None, how),
        MixedPart(THROUGH, Part(whole, settings, hold=held), None, how),
    ]
    for name in ways.to_image if len(settings) == 2 else ():
        label = f"path:{ways.path_to(name)}"
        if name == ways.source:
            others = tuple(one for one in asked.whole.descendants((name,)) if one != name)
            alone = Part(whole, settings, hold=_in_world(context, asked, others))
        else:
            tools = {ways.source: own, name: _renderer(context, asked, name)}
            contract = Contract.of(context, asked.causal, asked.whole, tools)
            of_unit = _follows(context, asked, name, settings)
            alone = Part(contract, [{**settings[0], name: 0.0}] * 2, of_unit)
        parts.append(MixedPart(label, alone, None, f"{how} Along every other path it is the first value."))
    return parts


def _renderer(context: Context, asked: Asked, name: str) -> Tool:
    """The generator as an operator on a variable; one that the spec declares keeps its own name and tolerance."""
    declared = [key for key, one in sorted(asked.causal.operators.items()) if one.call == RENDER and one.sets == name]
    spec = asked.causal.operators[declared[0]] if declared else Operator(call=RENDER, sets=name, grade="A")
    return Tool(context, declared[0] if declared else RENDER, spec, None, None, None)


def _in_world(context: Context, asked: Asked, names: Names) -> tuple[str, ...]:
    """Those of some variables that the generator has."""
    pixels = context.dataset.pixels
    assert isinstance(pixels, GeneratedPixels)
    return tuple(one for one in names if world_name(one, asked.causal.variables[one]) in pixels.world.equations)


def _follows(
    context: Context, asked: Asked, name: str, settings: Sequence[Settings]
) -> Callable[[Unit, int], list[dict[str, Level]]]:
    """The reference; then the same with one cause of the image as it would be under the alternative."""
    key = world_name(name, asked.causal.variables[name])

    def of_unit(unit: Unit, place: int) -> list[dict[str, Level]]:
        made = [rerender(context, asked.causal, unit, setting).cells or {} for setting in settings]
        return [{**settings[0], name: cells[key]} for cells in made]

    return of_unit


def operator_parts(context: Context, asked: Asked, ways: Ways) -> list[MixedPart]:
    """Each path whose law and operator are there, and all of them together; what is not is told in `ways.missing`."""
    names = [name for name in ways.to_image if name != ways.source]
    if ways.source in ways.to_image:
        ways.missing[ways.source] = f"no operator sets {ways.source} itself in the picture"
    tools = tools_for(context, asked, names) if names else {}
    sides = settings_of(asked.query.do)
    reference, alternative = (asked.number(ways.source, side[ways.source]) for side in (sides[0], sides[-1]))
    laws: dict[str, ChildLaw] = {}
    for name in names:
        if name not in tools:
            ways.missing[name] = f"no single operator sets {name}"
            continue
        law = child_law(asked, ways.source, name, (reference, alternative))
        if isinstance(law, str):
            ways.missing[name] = law
        else:
            laws[name] = law
    is_contrast, together = len(sides) == 2, [law for _, law in sorted(laws.items())]
    parts = [_part(context, asked, tools, [law], f"path:{ways.path_to(law.name)}", is_contrast) for law in together]
    if len(parts) == 1:
        return [replace(parts[0], also=THROUGH)]
    count = int(np.prod([len(law.values[0]) for law in together])) if together else 0
    if 0 < count <= MOST_SETTINGS:
        parts.append(_part(context, asked, tools, together, THROUGH, is_contrast))
    elif count:
        ways.missing[THROUGH] = f"{count} joint settings of a unit, more than {MOST_SETTINGS}"
    return parts


def _part(
    context: Context, asked: Asked, tools: dict[str, Tool], laws: Sequence[ChildLaw], name: str, is_contrast: bool
) -> MixedPart:
    """Units set to every combination of values of some laws, weighted by their product."""
    contract = Contract.of(context, asked.causal, asked.whole, {law.name: tools[law.name] for law in laws})
    places = list(product(*(range(len(law.values[0])) for law in laws)))

    def of_unit(unit: Unit, row: int) -> list[dict[str, Level]]:
        return _settings(laws, places, row)

    def weights(rows: Floats) -> Floats:
        both = [law.under(rows) for law in laws]
        high = _products([one[1] for one in both], places)
        return high - _products([one[0] for one in both], places) if is_contrast else high

    how = " ".join([*(law.how for law in laws), "Everything else stays as in the picture."])
    return MixedPart(name, Part(contract, _settings(laws, places, 0), of_unit), weights, how)


def _settings(laws: Sequence[ChildLaw], places: Sequence[tuple[int, ...]], row: int) -> list[dict[str, Level]]:
    """The settings of one unit; those of the first stand for the number and variables of every unit's."""
    return [{law.name: law.values[row][k] for law, k in zip(laws, one, strict=True)} for one in places]


def _products(weights: Sequence[Floats], places: Sequence[tuple[int, ...]]) -> Floats:
    """(units, settings): the probability of each combination, causes apart from each other given what is set."""
    columns = [np.prod([one[:, k] for one, k in zip(weights, place, strict=True)], axis=0) for place in places]
    return np.stack(columns, axis=1)
