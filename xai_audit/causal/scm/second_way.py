"""The same number a second way: the identified estimand, and every adjustment set, on the law that mechanisms imply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xai_audit.causal.answer import Alternative, exact
from xai_audit.causal.asked import Asked
from xai_audit.causal.factors import Factor, evaluate
from xai_audit.causal.scm.contrasts import groups_of
from xai_audit.causal.scm.mechanisms import Linear, Table
from xai_audit.causal.scm.model import Model
from xai_audit.errors import Refusal
from xai_audit.graphs.adjustment import AdjustmentSets, adjustment_sets
from xai_audit.graphs.estimand import latex
from xai_audit.graphs.graph import Graph, Names, sorted_names
from xai_audit.graphs.identify import Hedge, Identified, identify
from xai_audit.graphs.paths import Mediation, RecantingWitness, mediation, path_specific, settings_of_paths
from xai_audit.graphs.read import read_path
from xai_audit.graphs.terms import At, Probability, Term, product, total

GAP = 1e-9
"""Two ways to one exact number may differ by this much."""
NOT_FIXED = "The observed law alone would not fix this number: it rests on the mechanisms of unmeasured variables."
NOT_DEFINED = "The observed law alone would not fix this number: it needs groups that the mechanisms never make."
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Second:
    """What the second way comes to."""

    values: tuple[float, ...] = ()
    """One for each amount of the answer; empty where it was not computed."""
    alternatives: tuple[Alternative, ...] = ()
    latex: str = ""
    text: str = ""
    sets: AdjustmentSets | None = None
    notes: tuple[str, ...] = ()
    by: str = "the identified estimand"

    @property
    def is_done(self) -> bool:
        """Whether there is a number to compare."""
        return bool(self.values or self.alternatives)


def second_way(asked: Asked, model: Model) -> Second:
    """The identified estimand on the implied law; nothing where no law in closed form is there."""
    if asked.query.ask == "association" or not {asked.on, *asked.treatments} <= set(asked.graph.variables):
        return Second()
    names = asked.graph.ancestors((asked.on, *asked.treatments, *_seen(asked)))
    needed = model.relevant(names)
    try:
        if model.are_tables(needed):
            return _on_tables(asked, asked.graph.induced(names), model.tables(needed).law(names))
        if all(isinstance(model.mechanisms[name], Linear) for name in needed):
            return _on_covariances(asked, asked.graph.induced(names), model, needed)
    except Refusal as refusal:
        return Second(notes=(f"Not computed a second way: {refusal.problem.found}.",))
    return Second()


def _seen(asked: Asked) -> tuple[str, ...]:
    given = asked.query.given
    names = [name for name in given if name != "row"] if isinstance(given, Mapping) else list(given)
    return (*names, *asked.hold)


def _on_tables(asked: Asked, graph: Graph, law: Factor) -> Second:
    found = _terms(asked, graph)
    sets = _sets(asked, graph)
    if found is None:
        return Second(sets=sets, notes=(NOT_FIXED,))
    weights = [one for _, one in asked.outcomes()]
    values = [float(w @ at) for at in _evaluated(asked, found, law) for w in weights]
    alternatives = tuple(
        Alternative("{" + ", ".join(one) + "}", exact("total", float(weights[0] @ _adjusted(asked, law, one))))
        for one in (sets.sets if sets is not None and len(weights) == 1 else ())
    )
    term = found.terms[0]
    if not np.isfinite(values).all():
        return Second(latex=latex(term), text=sentence(asked, term), sets=sets, notes=(NOT_DEFINED,))
    alternatives = tuple(one for one in alternatives if np.isfinite(one.amount.low))
    return Second(tuple(values), alternatives, latex(term), sentence(asked, term), sets)


def sentence(asked: Asked, term: Term) -> str:
    """The estimand as a sentence."""
    from xai_audit.graphs.sentences import estimand_text

    return estimand_text(term, {name: name for name in asked.causal.variables}, asked.means)


@dataclass(frozen=True)
class _Terms:
    """Estimands of the laws that the numbers are differences of."""

    terms: tuple[Term, ...]
    pairs: tuple[tuple[int, int | None], ...]
    """By number: term of what is added and, of a contrast, of what is taken away."""
    points: tuple[Mapping[str, int], ...]
    """By term: levels at which it is read."""


def _terms(asked: Asked, graph: Graph) -> _Terms | None:
    """None where the observed law does not fix the number."""
    ask = asked.query.ask
    if ask in ("nde", "nie", "path_effect"):
        return _nested(asked, graph)
    if ask == "att":
        return _among_treated(asked, graph)
    groups = [facts for _, facts in groups_of(asked)] if ask == "cate" else [asked.given]
    found = identify(graph, (asked.on,), {*asked.treatments, *asked.hold}, groups[0])
    if isinstance(found, Hedge):
        return None
    return _plain(asked, found, groups)


def _plain(asked: Asked, found: Identified, groups: list[dict[str, float]]) -> _Terms:
    points, pairs = [], []
    for facts in groups:
        for side in (asked.alternative, asked.reference):
            points.append({name: int(value) for name, value in {**asked.hold, **side, **facts}.items()})
        pairs.append((len(points) - 2, len(points) - 1 if asked.is_contrast else None))
    return _Terms((found.term,) * len(points), tuple(pairs), tuple(points))


def _among_treated(asked: Asked, graph: Graph) -> _Terms | None:
    """Sum over a set z of P(y | x, z) P(z | x = alternative)."""
    sets = adjustment_sets(graph, asked.treatments, (asked.on,)).sets
    if not sets or asked.given:
        return None
    z, x = sets[0], asked.treatments
    alternative = {name: int(value) for name, value in asked.alternative.items()}
    reference = {name: int(value) for name, value in asked.reference.items()}
    mix: Term = Probability(z, x) if z else product(())
    for name in x:
        mix = At(mix, name, "alt") if z else mix
    term = total(z, product((Probability((asked.on,), sorted_names((*x, *z))), mix)))
    return _Terms((term, term), ((0, 1),), (alternative, reference))


def _nested(asked: Asked, graph: Graph) -> _Terms | None:
    x = asked.treatments[0]
    found: tuple[Term, ...]
    if asked.given:
        return None
    if asked.query.ask == "path_effect":
        terms = []
        for kept in ([read_path(path) for path in asked.query.paths], []):
            seen = settings_of_paths(graph, x, asked.on, kept)
            term = None if isinstance(seen, RecantingWitness) else path_specific(graph, x, asked.on, seen)
            if term is None or not isinstance(term, Term):
                return None
            terms.append(term)
        return _Terms(tuple(terms), ((0, 1),), ({}, {}))
    parts = mediation(graph, x, asked.on, asked.query.through)
    if not isinstance(parts, Mediation):
        return None
    found = (parts.reference, parts.alternative, parts.direct, parts.indirect)
    each = {"total": (1, 0), "nde": (2, 0), "nie": (3, 0), "nde_reversed": (3, 1), "nie_reversed": (2, 1)}
    order = sorted(each, key=lambda name: name != asked.query.ask)
    return _Terms(found, tuple(each[name] for name in order), ({}, {}, {}, {}))


def _evaluated(asked: Asked, found: _Terms, law: Factor) -> list[Array]:
    """Each number as a difference of laws of the outcome, (levels,)."""
    settings = {(name, "ref"): int(value) for name, value in asked.reference.items()}
    settings |= {(name, "alt"): int(value) for name, value in asked.alternative.items()}
    laws = [
        _law_of(asked.on, evaluate(term, law, settings), at) for term, at in zip(found.terms, found.points, strict=True)
    ]
    return [laws[a] if b is None else laws[a] - laws[b] for a, b in found.pairs]


def _law_of(on: str, factor: Factor, at: Mapping[str, int]) -> Array:
    """The law of the outcome at some levels; what it is constant in may be read anywhere that is supported."""
    found = factor.at({name: level for name, level in at.items() if name in factor.names})
    beyond = tuple(name for name in found.names if name != on)
    if not beyond:
        return found.values
    flat = np.moveaxis(found.values, found.names.index(on), -1).reshape(-1, found.values.shape[found.names.index(on)])
    return np.asarray(flat[~np.isnan(flat).any(1)][0])


def _sets(asked: Asked, graph: Graph) -> AdjustmentSets | None:
    is_total = asked.query.ask in ("ate", "interventional") and not asked.query.given and asked.is_contrast
    return adjustment_sets(graph, asked.treatments, (asked.on,)) if is_total else None


def _adjusted(asked: Asked, law: Factor, z: Names) -> Array:
    """Sum over z of P(y | x, z) P(z), at the alternative less at the reference."""
    x = asked.treatments
    given = Probability((asked.on,), sorted_names((*x, *z)))
    found = evaluate(total(z, product((given, Probability(z)))) if z else given, law)
    after = _law_of(asked.on, found, {name: int(value) for name, value in asked.alternative.items()})
    return after - _law_of(asked.on, found, {name: int(value) for name, value in asked.reference.items()})


def _on_covariances(asked: Asked, graph: Graph, model: Model, needed: Names) -> Second:
    """Slopes of the outcome on the treatments, each adjustment set beside them, times the change."""
    sets = _sets(asked, graph)
    if sets is None:
        return Second()
    law = model.equations(needed, {}).law()
    change = np.array([asked.alternative[name] - asked.reference[name] for name in asked.treatments])
    alternatives = []
    for z in sets.sets:
        causes = [law.names.index(name) for name in (*asked.treatments, *z)]
        among = law.covariance[np.ix_(causes, causes)]
        if np.linalg.matrix_rank(among) < len(causes):
            continue
        slopes = np.linalg.solve(among, law.covariance[causes, law.names.index(asked.on)])
        by = "{" + ", ".join(z) + "}"
        alternatives.append(Alternative(by, exact("total", float(slopes[: len(change)] @ change))))
    return Second(alternatives=tuple(alternatives), sets=sets, by="the slope beside an adjustment set")


__all__ = ["GAP", "Second", "Table", "second_way", "sentence"]
