"""What has to be said beside an operator's answer: other ways from the same cause to the image, and weak spots."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from xai_audit.causal.sample import Sample
from xai_audit.engines.operator_contract import Contract
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.spec.causal import Causal

LEGITIMATE = ("cause", "outcome")
"""Roles of what a picture is meant to show: what they move in the picture is no shortcut."""
UNRELIABLE = 0.9
"""Below this share of true variance the error of a measured variable is told."""


def image_of(causal: Causal) -> str | None:
    """The variable that is the picture."""
    return next((name for name, one in causal.variables.items() if one.role == "medium"), None)


def legitimate(causal: Causal, graph: Graph) -> Names:
    """What the picture is meant to show, and all that comes of it apart from image and score."""
    own = [name for name, one in causal.variables.items() if one.role in LEGITIMATE]
    skipped = {name for name, one in causal.variables.items() if one.role in ("medium", "model_output")}
    return sorted_names(set(graph.descendants(own)) - skipped)


def ways_to_image(causal: Causal, graph: Graph, source: str) -> Names:
    """Direct causes of the image that a variable reaches without passing what the picture is meant to show."""
    image = image_of(causal)
    if image is None:
        return ()
    own = {name for name, one in causal.variables.items() if one.role in LEGITIMATE} - {source}
    reached = graph.without(own).descendants((source,)) if source in graph.variables else (source,)
    return tuple(name for name in graph.parents_of(image) if name in reached)


def other_ways(causal: Causal, graph: Graph, variables: Collection[str]) -> tuple[str, ...]:
    """One warning a common source of a set variable and of other direct causes of the image."""
    made = []
    sources = sorted_names(a for name in variables for a in graph.ancestors((name,)) if a not in variables)
    for source in sources:
        if causal.variables[source].role in LEGITIMATE:
            continue
        reached = ways_to_image(causal, graph, source)
        others = [name for name in reached if name not in graph.descendants(variables) and name != source]
        if others and set(reached) & set(graph.descendants(variables)):
            made.append(f"Other children of {source} reach the image: {', '.join(others)}.")
    return tuple(made)


def contract_warnings(contract: Contract, record: Mapping[str, object], sample: Sample) -> tuple[str, ...]:
    """What of the contract is to be told though the query stands."""
    made = []
    for name in contract.setting_only:
        made.append(f"{name} exists only as a setting: whether it was reached cannot be measured on the picture.")
    for name in sorted({one for tool in contract.tools.values() for one in tool.spec.may_change} - set(contract.tools)):
        made.append(f"The operator may also move {name}: the change of the score belongs to both.")
    clipped = record["clipped"]
    if isinstance(clipped, float) and clipped > 0.01:
        made.append(f"{clipped:.1%} of pixel values were clipped: the picture could not take the whole change.")
    back = record["reversibility"]
    if isinstance(back, Mapping) and back["units"]:
        made.append(f"Setting back does not restore the picture in {back['units']} of {back['n']} units.")
    made += _measurement_error(contract, sample)
    return tuple(made)


def _measurement_error(contract: Contract, sample: Sample) -> list[str]:
    made = []
    for name in sorted(contract.tools):
        one = contract.causal.variables[name]
        if not one.error_sd or name not in sample.columns or name in sample.levels:
            continue
        variance = float(np.var(sample.values(name)))
        share = max(0.0, 1 - one.error_sd**2 / variance) if variance > 0 else 0.0
        if share < UNRELIABLE:
            made.append(
                f"{name} is measured with an error of standard deviation {one.error_sd:g}: only {share:.0%} of its "
                "variance is its own, and associations with it look that much weaker than they are."
            )
    return made
