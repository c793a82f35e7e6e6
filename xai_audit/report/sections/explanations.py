"""Section 9: what the explanations show, how far they may be trusted, and where their relevance lies."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.report.context import Context
from xai_audit.report.document import Block, Prose
from xai_audit.report.explained import Chosen, chosen_cases, each_method
from xai_audit.report.sections.galleries import drawn_method, galleries
from xai_audit.report.sections.localisation import localisation
from xai_audit.report.sections.mean_maps import mean_maps, means_of_method, slice_groups
from xai_audit.report.sections.methods import methods
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.regions import regions
from xai_audit.report.sections.units import units


def section(context: Context) -> tuple[Block, ...]:
    """Methods and their state, pictures of cases, mean maps, shares by region, and which checks do not exist yet."""
    if not context.spec.methods:
        return (missing(context, "missing.methods"),)
    chosen = chosen_cases(context)
    return (
        Prose((context.say("explanations.unchecked"), context.say("explanations.attribution")), "strong"),
        *methods(context),
        *((missing(context, "missing.cases"),) if chosen is None else _pictures(context, chosen)),
        *localisation(context),
        missing(context, "missing.sanity"),
        missing(context, "missing.faithfulness"),
    )


def _pictures(context: Context, chosen: Chosen) -> Iterator[Block]:
    """Each method's maps are read once, turned into pictures and numbers, and let go."""
    groups, drawn, means = slice_groups(context, chosen), [], []
    for maps in each_method(context, chosen):
        drawn.append(drawn_method(context, chosen, maps))
        means.append(means_of_method(context, chosen, groups, maps))
    yield from galleries(context, chosen, drawn)
    yield from mean_maps(context, chosen, groups, means)
    yield from regions(context, chosen, [each.located for each in drawn])
    yield from units(context, chosen)
