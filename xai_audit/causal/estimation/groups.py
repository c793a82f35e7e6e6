"""Arms and parts of a question by group; the effect among the treated by its own rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as combinations_of

from xai_audit.causal.answer import Answer, refused
from xai_audit.causal.asked import Asked
from xai_audit.causal.estimation.plug_in import Arm, can_plug_in
from xai_audit.causal.estimation.points import Part, Way, answered
from xai_audit.graphs.adjustment import AdjustmentSets, adjustment_sets, check_adjustment
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.identify import Hedge, identify
from xai_audit.graphs.terms import At, Probability, Ratio, Term, product, total


def levels_of(asked: Asked) -> list[tuple[str, dict[str, int]]]:
    """(name, levels) of each group that is answered: every level of what cate lists, else the one that is given."""
    given = asked.query.given
    if isinstance(given, dict):
        return [("", {name: int(level) for name, level in asked.given.items()})]
    levels = [range(len(asked.levels[name])) for name in given]
    made = []
    for places in combinations_of(*levels):
        at = dict(zip(given, places, strict=True))
        made.append((", ".join(f"{name} {asked.levels[name][level]}" for name, level in at.items()), at))
    return made


def arms_of(asked: Asked, term: Term) -> tuple[Arm, ...]:
    """For each group the alternative, then, of a contrast, the reference."""
    sides = [asked.alternative, asked.reference] if asked.is_contrast else [asked.alternative]
    held = {name: int(level) for name, level in asked.hold.items()}
    return tuple(
        Arm(term, {**{name: int(level) for name, level in side.items()}, **held, **at})
        for _, at in levels_of(asked)
        for side in sides
    )


def parts_of(asked: Asked, name: str) -> list[Part]:
    """One number a group: alternative less reference, or the value itself."""
    own = (1.0, -1.0) if asked.is_contrast else (1.0,)
    named = levels_of(asked)
    return [
        Part(name, tuple(w if place == which else 0.0 for which in range(len(named)) for w in own), group)
        for place, (group, _) in enumerate(named)
    ]


def among_treated(asked: Asked) -> Answer:
    """The effect among those who have the alternative (Shpitser and Pearl, UAI 2009).

    What they would have had at the reference is the law of a graph in which the treatment keeps its own value and its
    effects see the reference: one term a district, each identified by itself. No answer where a district holds the
    treatment and one of its effects.
    """
    from xai_audit.causal.estimation.bounded import att_bounds
    from xai_audit.causal.estimation.identified import continuous, measured_facts, selection_refused, wants_line
    from xai_audit.causal.estimation.refusals import refused_with
    from xai_audit.causal.estimation.selection import selected
    from xai_audit.causal.estimation.tested import with_tests

    if len(asked.treatments) != 1 or asked.query.given:
        return refused("att with several treatments or a condition is not supported.", "Ask for one treatment.")
    (x,) = asked.treatments
    found = treated_term(asked.graph, x, asked.on)
    chosen = selected(asked)
    if isinstance(found, Hedge):
        what = f"what {x} does to {asked.on} among those who have the alternative"
        if asked.query.if_not_identified == "bounds" and chosen is None:
            return att_bounds(asked, found, what)
        return refused_with(asked, found, what, "Or ask for bounds.", **measured_facts(asked))
    observed = Probability((asked.on,), (x,))
    if chosen is not None and not (chosen.has_law_of(found) and chosen.has_law_of(observed)):
        return selection_refused(asked, chosen)
    if chosen is None and (not can_plug_in(asked, found) or wants_line(asked)):
        identified = identify(asked.graph, (asked.on,), (x,))
        return continuous(asked, identified, adjustment_sets(asked.graph, (x,), (asked.on,)))
    if not can_plug_in(asked, found):
        return refused("att of a range among kept rows is not supported.", "Cut the range into levels.")
    alt, ref = int(asked.alternative[x]), int(asked.reference[x])
    sets = _treated_sets(asked, x) if chosen is None else AdjustmentSets((), True)
    terms: list[tuple[str, Term, Names | None]] = [
        (f"{{{', '.join(one)}}}", _adjusted(asked.on, x, one), one) for one in sets.sets
    ]
    ways = [
        Way(by, term, (Arm(observed, {x: alt}), Arm(term, {x: alt}, {(x, "ref"): ref})), used)
        for by, term, used in terms or [("rule for the treated", found, None)]
    ]
    made = answered(asked, ways, [Part("total_among_treated", (1.0, -1.0))], adjustment_sets=sets, pattern="treated")
    return with_tests(asked, made, None)


def _treated_sets(asked: Asked, x: str) -> AdjustmentSets:
    """Adjustment sets of variables that the treatment does not move: given one, what would have been at the reference
    does not depend on the treatment. The auditor's own alone where there is one."""
    listed = adjustment_sets(asked.graph, (x,), (asked.on,))
    later = set(asked.graph.descendants((x,)))
    own = asked.query.adjust
    if own is not None and check_adjustment(asked.graph, (x,), (asked.on,), own) is None:
        listed = AdjustmentSets((sorted_names(own), *(one for one in listed.sets if one != sorted_names(own))), True)
    return AdjustmentSets(tuple(one for one in listed.sets if not later & set(one)), listed.are_all)


def _adjusted(y: str, x: str, given: Names) -> Term:
    """Sum over the set of P(y | x = ref, set) P(set | x)."""
    conditional = At(Probability((y,), sorted_names((x, *given))), x, "ref")
    return total(given, product((conditional, Probability(given, (x,))))) if given else conditional


def treated_term(graph: Graph, x: str, y: str) -> Term | Hedge:
    """P(y at the reference | x): a function of x, which keeps its own value, and of the setting (x, ref)."""
    split = graph.cut_outgoing((x,))
    relevant = graph.induced(split.ancestors((x, y)))
    terms: list[Term] = []
    for district in relevant.districts:
        changed = [name for name in district if x in graph.parents_of(name)]
        if x in district and changed:
            return Hedge(district, tuple(changed), _arcs(graph, district), (x,), (y,))
        rest = set(graph.variables) - set(district)
        found = identify(graph, district, rest)
        if isinstance(found, Hedge):
            return found
        terms.append(found.term if x in district else At(found.term, x, "ref"))
    joint = total(set(relevant.variables) - {x, y}, product(terms))
    return Ratio(joint, Probability((x,)))


def _arcs(graph: Graph, district: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return graph.induced(sorted_names(district)).bidirected
