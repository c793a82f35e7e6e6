"""Interventional, total, conditional and controlled direct effects from data (CAUSAL.md sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xai_audit.causal.answer import Answer, exact, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation import groups
from xai_audit.causal.estimation.again import adjustment, again
from xai_audit.causal.estimation.bounded import bounds_of
from xai_audit.causal.estimation.cells import size_of
from xai_audit.causal.estimation.columns import is_number
from xai_audit.causal.estimation.crude import crude
from xai_audit.causal.estimation.instruments import local_effect, structure_of
from xai_audit.causal.estimation.plug_in import can_plug_in
from xai_audit.causal.estimation.points import Part, Way, answered, sentence
from xai_audit.causal.estimation.refusals import hedge_reason, joined, not_measured, refused_with
from xai_audit.causal.estimation.selection import Selected, selected
from xai_audit.graphs.adjustment import MOST_SETS, AdjustmentSets, adjustment_sets, check_adjustment
from xai_audit.graphs.estimand import latex
from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.identify import Hedge, Identified, identify
from xai_audit.graphs.patterns import pattern_of
from xai_audit.graphs.separation import are_separated, separator
from xai_audit.graphs.terms import Term

NO_PATH = "by the graph, no directed path"


def by_identification(asked: Asked) -> Answer:
    """The answer to interventional, ate, att, cate or cde from data."""
    from xai_audit.causal.estimation.tested import with_tests

    own = over_measured(asked)
    missing = unmeasured(own)
    if missing:
        return not_measured(missing)
    if is_nothing(own):
        return nothing(own)
    if own.query.ask == "att":
        return groups.among_treated(own)
    found, ways, part = _answer(own)
    estimate = again(own, ways[0], part) if ways and len(own.treatments) == 1 else None
    return with_tests(own, found, estimate) if ways else found


def over_measured(asked: Asked) -> Asked:
    """The query with its graph over what the data hold; a selection that they went through is projected away too."""
    assert asked.sample is not None
    chosen = selected(asked)
    hidden = set() if chosen is None else set(chosen.names)
    kept = [name for name in asked.graph.variables if name in asked.sample.columns and name not in hidden]
    return replace(asked, graph=asked.graph.project(kept))


def unmeasured(asked: Asked) -> Names:
    """Variables of the question that no column holds."""
    query = asked.query
    named = {*query.do, *query.hold, *query.given, *(query.adjust or ()), *query.through, asked.on}
    return sorted_names(named - set(asked.graph.variables))


def is_nothing(asked: Asked) -> bool:
    """Whether the graph alone says that a contrast is 0: nothing that is changed can reach the outcome."""
    x = [name for name in asked.treatments if asked.reference[name] != asked.alternative[name]]
    if not asked.is_contrast:
        return False
    held = tuple(asked.hold)
    cut = asked.graph.cut_incoming((*asked.treatments, *held))
    given = [name for name in asked.query.given if name not in asked.query.do]
    return (
        are_separated(cut, x, (asked.on,), (*given, *held, *(n for n in asked.treatments if n not in x))) if x else True
    )


def nothing(asked: Asked, names: Sequence[str] = ()) -> Answer:
    """Exactly 0, whatever the data."""
    assert asked.sample is not None
    labels = [label for label, _ in asked.outcomes()] or [""]
    text = [
        ", ".join(part for part in (group, label) if part) for group, _ in groups.levels_of(asked) for label in labels
    ]
    amounts = tuple(exact(name, 0.0, label) for name in names or [asked.part] for label in text)
    n, n_clusters = size_of(asked.sample)
    reason = f"{NO_PATH} leads from {joined(asked.treatments)} to {asked.on}"
    if asked.hold:
        reason += f" once {joined(sorted(asked.hold))} is held"
    return Answer(
        "identified", amounts, "exact: by the graph", "0", "Exactly 0, whatever the data.", "unrelated",
        association=crude(asked), reason=f"{reason}.", n=n, n_clusters=n_clusters,
    )  # fmt: skip


def _answer(asked: Asked) -> tuple[Answer, list[Way], Part]:
    x, given = sorted_names((*asked.treatments, *asked.hold)), sorted_names(asked.query.given)
    found = identify(asked.graph, (asked.on,), x, given)
    sets = _sets(asked, x, given)
    parts = groups.parts_of(asked, asked.part)
    chosen = selected(asked)
    terms = _terms(asked, found, sets, x, chosen)
    if isinstance(found, Hedge) or not terms:
        return _not_identified(asked, found, sets, chosen), [], parts[0]
    used = terms[0][1]
    if not can_plug_in(asked, used) or wants_line(asked):
        if chosen is not None:  # only sets that the kept rows give, and no condition beside them
            listed = tuple(one for _, _, one in terms if one is not None)
            if not listed or given:
                return selection_refused(asked, chosen), [], parts[0]
            sets = AdjustmentSets(listed, True)
        return continuous(asked, found, sets), [], parts[0]
    ways = [Way(by, term, groups.arms_of(asked, term), set_used) for by, term, set_used in terms]
    warnings = () if sets is None or sets.are_all else (f"Not all adjustment sets were listed (limit {MOST_SETS}).",)
    if chosen is not None:
        warnings = (*warnings, f"Rows were kept by {joined(chosen.names)}; the answer is for all units.")
    warnings = (*warnings, *_after(asked))
    facts = {
        "pattern": "backdoor" if sets is not None and sets.sets and sets.sets[0] else pattern_of(found),
        "adjustment_sets": sets, "warnings": warnings,
    }  # fmt: skip
    return answered(asked, ways, parts, **facts), ways, parts[0]


def wants_line(asked: Asked) -> bool:
    """Whether a straight line is assumed between variables that are all numbers."""
    sample = asked.sample
    assert sample is not None
    return asked.is_assumed("linear") and all(
        is_number(sample, name) for name in (*asked.treatments, *asked.query.hold, asked.on)
    )


def _after(asked: Asked) -> tuple[str, ...]:
    late = sorted_names(set(asked.query.given) & set(asked.graph.descendants(asked.treatments)))
    if not late:
        return ()
    return (f"{joined(late)} comes after {joined(asked.treatments)}: the groups are those that the change makes.",)


def _sets(asked: Asked, x: Names, given: Names) -> AdjustmentSets | None:
    """Minimal adjustment sets; the auditor's own alone where there is one. Under a condition none are listed."""
    if given:
        return None
    found = adjustment_sets(asked.graph, x, (asked.on,))
    if asked.query.adjust is not None:
        own = sorted_names(asked.query.adjust)
        return AdjustmentSets((own, *(one for one in found.sets if one != own)), found.are_all)
    if found.sets or found.are_all:
        return found
    return AdjustmentSets(tuple(_likely_sets(asked, x)), False)


def _likely_sets(asked: Asked, x: Names) -> list[Names]:
    """Where the search was cut: the treatments' parents, then a separator; only what is checked."""
    tried = [asked.graph.parents(x)]
    if len(x) == 1:
        tried.append(separator(asked.graph.cut_outgoing(x), x[0], asked.on) or ())
    return [one for one in tried if check_adjustment(asked.graph, x, (asked.on,), one) is None][:1]


def _terms(
    asked: Asked, found: Identified | Hedge, sets: AdjustmentSets | None, x: Names, chosen: Selected | None
) -> list[tuple[str, Term, Names | None]]:
    """Every estimand of the question with its name: by each valid set, else by the identification formula."""
    if isinstance(found, Hedge):
        return []
    terms: list[tuple[str, Term, Names | None]] = []
    if sets is not None:
        terms = [(f"{{{', '.join(one)}}}", adjustment(asked.on, x, one), one) for one in sets.sets]
        own = asked.query.adjust
        if own is not None and check_adjustment(asked.graph, x, (asked.on,), own) is not None:
            return []
    terms = terms or [("identification formula", found.term, None)]
    if chosen is None:
        return terms
    kept = [one for one in terms if chosen.has_law_of(one[1])]
    if not kept and not asked.query.given:
        recovered = chosen.recovered(asked.on, x)
        kept = [] if recovered is None else [("adjustment among kept rows", recovered, None)]
    return kept


def continuous(asked: Asked, found: Identified | Hedge, sets: AdjustmentSets | None) -> Answer:
    """The answer where a variable has no levels, or a line is assumed."""
    from xai_audit.causal.estimation.continuous import answer_continuous

    is_hedge = isinstance(found, Hedge)
    made = answer_continuous(asked, None if is_hedge else found, sets or AdjustmentSets((), True))
    facts: dict[str, Any] = {"adjustment_sets": made.adjustment_sets or sets}
    if isinstance(found, Hedge):
        facts["hedge"] = found
        if made.outcome == "refused" and not made.reason:
            facts["reason"] = hedge_reason(asked, found)
    else:
        facts |= {
            "estimand_latex": made.estimand_latex or latex(found.term),
            "estimand_text": made.estimand_text or sentence(asked, found.term),
            "pattern": made.pattern or pattern_of(found),
        }
    return replace(made, **facts, association=made.association or crude(asked))


def _not_identified(
    asked: Asked, found: Identified | Hedge, sets: AdjustmentSets | None, chosen: Selected | None
) -> Answer:
    own = asked.query.adjust
    if own is not None and check_adjustment(asked.graph, (*asked.query.do, *asked.hold), (asked.on,), own) is not None:
        reason = f"{{{', '.join(own)}}} is not an adjustment set for this question."
        return refused(reason, "Name another set, or none.", **measured_facts(asked))
    if chosen is not None:
        return selection_refused(asked, chosen)
    assert isinstance(found, Hedge)
    if asked.query.bins or wants_line(asked):
        return continuous(asked, found, sets)
    local = local_effect(asked, found)
    if asked.query.if_not_identified == "bounds":
        bounded = bounds_of(asked, found)
        if local is not None and bounded.outcome == local.outcome == "identified":
            return local
        if local is not None and bounded.amounts and local.amounts:
            return replace(bounded, amounts=(*bounded.amounts, *local.amounts))
        return bounded
    if local is not None:
        return local
    return refused_with(asked, found, more=_ways_out(asked), adjustment_sets=sets, **measured_facts(asked))


def measured_facts(asked: Asked) -> dict[str, Any]:
    """What stands beside an answer whatever it is."""
    assert asked.sample is not None
    n, n_clusters = size_of(asked.sample)
    details = structure_of(asked)
    broken = [
        one["instrument"] for one in details.get("instrumental_inequality", ()) if one["is_violated_beyond_error"]
    ]
    warnings = tuple(f"The instrumental inequality of {z} fails: the data speak against the graph." for z in broken)
    return {"association": crude(asked), "n": n, "n_clusters": n_clusters, "details": details,
            "excluded": dict(asked.sample.dropped), "warnings": warnings}  # fmt: skip


def _ways_out(asked: Asked) -> str:
    steps = "Or ask for bounds with if_not_identified: bounds."
    named = structure_of(asked).get("instruments", [])
    if named:
        z, x = named[0]["name"], asked.treatments[0]
        steps += (
            f" {z} is an instrument: declare `monotone: {z} -> {x}` for a local effect, if nobody does the reverse."
        )
    return steps


def selection_refused(asked: Asked, chosen: Selected) -> Answer:
    """Rows were kept by a rule on which the answer depends."""
    by = joined(chosen.names)
    reason = (
        f"Rows were kept by {by}, on which the answer for all units depends: what setting {joined(asked.treatments)} "
        f"does to {asked.on} cannot be told from the rest."
    )
    if asked.query.if_not_identified == "bounds":
        reason += " Which share of the units was kept is not known, so the data exclude no value."
    step = f"Collect rows that were not kept by {by}, or measure what decides it in all units."
    return refused(reason, step, **measured_facts(asked))
