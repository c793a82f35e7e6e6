"""What each question asks of a structural model: which children see which setting, and which facts hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product as combinations_of

from xai_audit.causal.asked import Asked
from xai_audit.causal.scm.laws import Asking, Facts, Mean
from xai_audit.causal.scm.model import Model, Seen, everywhere
from xai_audit.errors import Refusal
from xai_audit.graphs.graph import Graph, Names
from xai_audit.graphs.paths import RecantingWitness, settings_of_paths
from xai_audit.graphs.read import read_path


@dataclass(frozen=True)
class Part:
    """One named number: the mean where children see `alternative`, less the mean where they see `reference`."""

    name: str
    alternative: Seen | None
    """None: the mean without an intervention, under other facts."""
    reference: Seen | None = None
    facts: Facts | None = None
    reference_facts: Facts | None = None
    is_contrast: bool = True
    label: str = ""

    def of(self, model: Model, asking: Asking) -> Mean:
        """The number."""
        above = asking.mean(model.split(self.alternative or {}), self.facts)
        if not self.is_contrast:
            return above
        facts = self.facts if self.reference_facts is None else self.reference_facts
        return above - asking.mean(model.split(self.reference or {}), facts)


def parts_of(asked: Asked, graph: Graph) -> list[Part]:
    """The numbers that answer a query, the answer first. Raises Refusal, naming the culprit, where there is none."""
    return _PARTS[asked.query.ask](asked, graph)


def _association(asked: Asked, graph: Graph) -> list[Part]:
    given = asked.given
    above, below = {**given, **asked.alternative}, {**given, **asked.reference}
    return [Part("association", None, None, above, below, asked.is_contrast)]


def _interventional(asked: Asked, graph: Graph) -> list[Part]:
    given = asked.given
    after, before = everywhere(graph, asked.alternative), everywhere(graph, asked.reference)
    return [Part(asked.part, after, before, given, None, asked.is_contrast)]


def _total(asked: Asked, graph: Graph) -> list[Part]:
    after, before = everywhere(graph, asked.alternative), everywhere(graph, asked.reference)
    return [Part(asked.part, after, before, asked.given)]


def _treated(asked: Asked, graph: Graph) -> list[Part]:
    """Among units that have the alternative by themselves."""
    after, before = everywhere(graph, asked.alternative), everywhere(graph, asked.reference)
    return [Part(asked.part, after, before, {**asked.given, **asked.alternative})]


def groups_of(asked: Asked) -> list[tuple[str, dict[str, float]]]:
    """Every combination of levels of the variables that `cate` lists, or the one that it gives; (label, facts).

    Raises Refusal for a variable without levels.
    """
    given = asked.query.given
    if isinstance(given, Mapping):
        shown = ", ".join(f"{name} {level}" for name, level in given.items() if name != "row")
        return [(shown, asked.given)]
    lacking = [name for name in given if name not in asked.levels]
    if lacking:
        found = f"cate by '{lacking[0]}', which has no levels"
        raise Refusal(
            "given", found, "variables with levels, or a single value", f"Write given: {{{lacking[0]}: ...}}."
        )
    every = combinations_of(*(range(len(asked.levels[name])) for name in given))
    return [(_shown(asked, given, places), dict(zip(given, map(float, places), strict=True))) for places in every]


def _shown(asked: Asked, names: Sequence[str], places: Sequence[int]) -> str:
    return ", ".join(f"{name} {asked.levels[name][place]}" for name, place in zip(names, places, strict=True))


def _by_group(asked: Asked, graph: Graph) -> list[Part]:
    after, before = everywhere(graph, asked.alternative), everywhere(graph, asked.reference)
    return [Part("conditional", after, before, facts, label=label) for label, facts in groups_of(asked)]


def _controlled(asked: Asked, graph: Graph) -> list[Part]:
    after = everywhere(graph, {**asked.hold, **asked.alternative})
    before = everywhere(graph, {**asked.hold, **asked.reference})
    return [Part(asked.part, after, before, asked.given)]


def _natural(asked: Asked, graph: Graph) -> list[Part]:
    """The five parts of a total effect (CAUSAL.md section 2): the reversed ones go from the alternative back."""
    x = single_treatment(asked)
    paths = list(graph.directed_paths(x, asked.on))
    through = [path for path in paths if set(path[1:-1]) & set(asked.query.through)]
    around = [path for path in paths if path not in through]
    nothing, everything = (seen_along(asked, graph, x, kept) for kept in ([], paths))
    direct, indirect = (seen_along(asked, graph, x, kept) for kept in (around, through))
    facts = before_the_change(asked, graph, x)
    found = [
        Part("total", everything, nothing, facts),
        Part("nde", direct, nothing, facts),
        Part("nie", indirect, nothing, facts),
        Part("nde_reversed", indirect, everything, facts),
        Part("nie_reversed", direct, everything, facts),
    ]
    return sorted(found, key=lambda part: part.name != asked.query.ask)


def _path_specific(asked: Asked, graph: Graph) -> list[Part]:
    x = single_treatment(asked)
    kept = [read_path(path) for path in asked.query.paths]
    facts = before_the_change(asked, graph, x)
    return [Part("path_specific", seen_along(asked, graph, x, kept), seen_along(asked, graph, x, []), facts)]


def single_treatment(asked: Asked) -> str:
    """The one treatment of a nested question. Raises Refusal where there are several."""
    if len(asked.treatments) != 1:
        found = f"{len(asked.treatments)} treatments in a question about paths"
        raise Refusal("do", found, "one: several at a time are not supported", "Ask one query a treatment.")
    return asked.treatments[0]


def seen_along(asked: Asked, graph: Graph, x: str, kept: Sequence[Names]) -> dict[str, dict[str, float]]:
    """What each child of x sees where the change goes along some paths. Raises Refusal for a recanting witness."""
    settings = settings_of_paths(graph, x, asked.on, kept)
    if isinstance(settings, RecantingWitness):
        raise Refusal("paths" if asked.query.paths else "through", *_recanting(settings, bool(asked.query.paths)))
    values = {"ref": asked.reference[x], "alt": asked.alternative[x]}
    return {child: {x: values[setting]} for child, setting in settings.items()}


def _recanting(found: RecantingWitness, is_path: bool) -> tuple[str, str, str]:
    kept, blocked = " -> ".join(found.kept), " -> ".join(found.blocked)
    what = f"'{found.witness}', which must carry the change along {kept} and not along {blocked} (a recanting witness)"
    if is_path:
        return what, "paths that part before such a variable", f"Ask for all paths through '{found.witness}' together."
    fix = f"Count '{found.witness}' among the mediators, or ask for the total effect."
    return what, "no variable that the treatment affects and that leads both to mediator and outcome", fix


def before_the_change(asked: Asked, graph: Graph, x: str) -> dict[str, float]:
    """Facts of a nested question. Raises Refusal for facts that the change would move."""
    moved = set(graph.descendants((x,))) - {x}
    late = [name for name in asked.given if name in moved]
    if late:
        found = f"a fact of '{late[0]}', which '{x}' affects, in a question about paths"
        raise Refusal("given", found, "facts from before the change: others are not supported", "Remove it.")
    return asked.given


_PARTS = {
    "association": _association, "interventional": _interventional, "ate": _total, "att": _treated,
    "cate": _by_group, "cde": _controlled, "nde": _natural, "nie": _natural, "path_effect": _path_specific,
}  # fmt: skip
