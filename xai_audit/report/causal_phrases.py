"""Variables, settings and what is asked about, as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from xai_audit.graphs.read import read_edge, read_path
from xai_audit.report.causal_numbers import exact_text
from xai_audit.report.causal_told import Told, causal_of
from xai_audit.report.context import SPEC, Context, name
from xai_audit.report.document import Sentence
from xai_audit.spec.causal import FromModel, Levels


def label_of(context: Context, variable: str) -> str:
    """A variable by the label that the spec gives it."""
    one = causal_of(context).variables.get(variable)
    return context.text(one.label) if one is not None and one.label is not None else variable.replace("_", " ")


def named(context: Context, variable: str) -> Sentence:
    """A variable in a sentence."""
    return (name(label_of(context, variable)),)


def listed(context: Context, variables: Iterable[str]) -> Sentence:
    """Variables in a row."""
    return context.listed([named(context, each) for each in variables])


def set_text(context: Context, variables: Iterable[str]) -> Sentence:
    """An adjustment set; the empty one in words."""
    return listed(context, variables) or context.say("causal.empty_set")


def setting(context: Context, variable: str, value: Any, source: str = SPEC) -> Sentence:
    """`humidity = damp`."""
    shown = value_text(context, value)
    return (name(f"{label_of(context, variable)} = {shown}", source),)


def value_text(context: Context, value: Any) -> str:
    """A level or a number as it was written."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return exact_text(context, float(value))


def settings(context: Context, values: Mapping[str, Any], source: str = SPEC) -> Sentence:
    """Several settings."""
    return context.listed([setting(context, variable, value, source) for variable, value in values.items()])


def side(told: Told, place: int) -> dict[str, Any]:
    """What is set: of a contrast the reference (0) or the alternative (1)."""
    return {variable: value[place] if isinstance(value, tuple) else value for variable, value in told.query.do.items()}


def is_contrast(told: Told) -> bool:
    """Whether two settings are compared."""
    return any(isinstance(value, tuple) for value in told.query.do.values())


def target(context: Context, told: Told, label: str = "") -> Sentence:
    """What is read off: a probability, a mean, or the model's score."""
    on = told.query.on
    if on is None:
        return context.say("causal.target.published")
    one = causal_of(context).variables[on]
    if isinstance(one.source, FromModel):
        chosen = one.source.model.class_
        if chosen is None:
            return context.say("causal.target.score")
        return context.say("causal.target.score_of", class_=name(str(chosen)))
    if isinstance(one.domain, Levels):
        levels = one.domain.levels
        if all(not isinstance(level, str) for level in levels) and {float(level) for level in levels} == {0.0, 1.0}:
            return context.say("causal.target.event", on=named(context, on))
        if label:
            return context.say("causal.target.level", setting=setting(context, on, label, told.source))
        if any(isinstance(level, str) for level in levels):
            return context.say("causal.target.levels", on=named(context, on))
    return context.say("causal.target.mean", on=named(context, on))


def given_of(context: Context, told: Told) -> Sentence:
    """What is seen beside the settings; nothing where nothing is."""
    given = told.query.given
    if isinstance(given, tuple):
        return listed(context, given)
    return settings(context, given)


def path_text(context: Context, path: str) -> Sentence:
    """A directed path by the labels of its variables."""
    return (name(" → ".join(label_of(context, each) for each in read_path(path))),)


def edge_text(context: Context, edge: str) -> Sentence:
    """An edge, `a -> b` or `a <-> b`, by the labels of its ends; as it stands where it is none."""
    try:
        first, second, arrow = read_edge(edge)
    except ValueError:
        return (name(edge),)
    sign = "→" if arrow == "->" else "↔"
    return (name(f"{label_of(context, first)} {sign} {label_of(context, second)}"),)


def unit_of(told: Told) -> str:
    """Unit of the numbers."""
    return str(told.details.get("unit") or "")
