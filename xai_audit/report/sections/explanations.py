"""Section 9: what the explanations show, how far they may be trusted, and where their relevance lies."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit import registry
from xai_audit.report.context import Context
from xai_audit.report.document import Block, Prose
from xai_audit.report.explained import Chosen, chosen_cases, each_method
from xai_audit.report.inside import concept_records
from xai_audit.report.rows import explained_rows, table_input
from xai_audit.report.sections.checks import checks
from xai_audit.report.sections.concepts import concepts
from xai_audit.report.sections.galleries import drawn_method, galleries
from xai_audit.report.sections.global_views import global_views
from xai_audit.report.sections.localisation import localisation
from xai_audit.report.sections.mean_maps import mean_maps, means_of_method, slice_groups
from xai_audit.report.sections.methods import methods
from xai_audit.report.sections.missing import missing
from xai_audit.report.sections.reasons import reason_codes
from xai_audit.report.sections.regions import regions
from xai_audit.report.sections.row_cases import row_cases
from xai_audit.report.sections.surrogates import surrogates
from xai_audit.report.sections.trust import trust
from xai_audit.report.trusted import states


def section(context: Context) -> tuple[Block, ...]:
    """Methods and their state, pictures of cases, mean maps, shares by region, and which checks do not exist yet."""
    if not context.spec.methods:
        key = "missing.methods" if context.spec.has_scores else "missing.methods_causal"
        return (missing(context, key),)
    return (
        _lead(context),
        *methods(context),
        *trust(context),
        *_single_cases(context),
        *global_views(context),
        *concepts(context),
        *surrogates(context),
        *reason_codes(context),
        *checks(context),
    )


def _lead(context: Context) -> Prose:
    key = "checked" if states(context).are_judged else "unchecked"
    if not any(method.entry.gives_map for method in context.spec.methods) and concept_records(context):
        return Prose((context.say("explanations.concepts_alone"),), "strong")
    return Prose((context.say(f"explanations.{key}"), context.say("explanations.attribution")), "strong")


def _single_cases(context: Context) -> tuple[Block, ...]:
    """Pictures of images with where their relevance lies, or rows of a table as bars."""
    if all(registry.method(method.use).shape == "fitter" for method in context.spec.methods):
        return ()  # fitters read whole slices
    rows = explained_rows(context)
    if rows is not None:
        return row_cases(context, rows)
    if table_input(context) is not None:
        return (missing(context, "missing.cases"),)
    chosen = chosen_cases(context)
    shown = (missing(context, "missing.cases"),) if chosen is None else tuple(_pictures(context, chosen))
    return (*shown, *localisation(context))


def _pictures(context: Context, chosen: Chosen) -> Iterator[Block]:
    """Each method's maps are read once, turned into pictures and numbers, and let go."""
    groups, drawn, means = slice_groups(context, chosen), [], []
    for maps in each_method(context, chosen):
        drawn.append(drawn_method(context, chosen, maps))
        means.append(means_of_method(context, chosen, groups, maps))
    yield from galleries(context, chosen, drawn)
    yield from mean_maps(context, chosen, groups, means)
    yield from regions(context, chosen, [each.located for each in drawn])
