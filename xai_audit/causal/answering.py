"""From a query to its answer: which module answers which kind of question (CAUSAL.md sections 1 and 2)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from xai_audit.causal.answer import Answer
from xai_audit.causal.asked import Asked, way_of
from xai_audit.causal.estimation.cells import size_of
from xai_audit.causal.testing.refusal_witness import with_witness
from xai_audit.errors import Refusal

_ANY = {
    "sensitivity": "xai_audit.causal.published:published_number",
    "recourse": "xai_audit.causal.scm.recourse:recourse",
    "counterfactual": "xai_audit.causal.scm.counterfactual:unit_counterfactual",
    "counterfactual_fairness": "xai_audit.causal.scm.fairness:counterfactual_fairness",
}
"""Asks that have one way to be answered."""
_BY_MECHANISMS = "xai_audit.causal.scm.given:by_mechanisms"
"""association, interventional, ate, att, cate, cde, nde, nie, path_effect and pn_ps, all mechanisms being given."""
_FROM_DATA = {
    "association": "xai_audit.causal.estimation.association:association",
    "nde": "xai_audit.causal.estimation.mediated:natural_effects",
    "nie": "xai_audit.causal.estimation.mediated:natural_effects",
    "path_effect": "xai_audit.causal.estimation.mediated:path_effect",
    "pn_ps": "xai_audit.causal.estimation.necessity:necessity_and_sufficiency",
}
_IDENTIFIED = "xai_audit.causal.estimation.identified:by_identification"
"""interventional, ate, att, cate and cde, from data."""


def answer(asked: Asked) -> Answer:
    """The answer to a query that needs no image. A query that cannot be answered, or meets a limit on the way, is an
    answer: unsupported where the data are too few, else refused."""
    try:
        return _answer(asked)
    except Refusal as no:
        return _without_number(asked, no)


def _without_number(asked: Asked, no: Refusal) -> Answer:
    problem, sample = no.problem, asked.sample
    reason = f"This is not answered: {problem.where} found {problem.found}; expected {problem.expected}."
    n = 0 if sample is None else size_of(sample)[0]
    return Answer("unsupported" if problem.where == "data" else "refused", reason=reason, next_step=problem.fix, n=n)


def _answer(asked: Asked) -> Answer:
    ask = asked.query.ask
    if ask in _ANY:
        return _call(_ANY[ask], asked)
    if way_of(asked.causal, asked.query, asked.sample is not None) == "mechanisms":
        return _call(_BY_MECHANISMS, asked)
    return with_witness(asked, _call(_FROM_DATA.get(ask, _IDENTIFIED), asked))


def _call(where: str, asked: Asked) -> Answer:
    module, _, name = where.partition(":")
    function: Callable[[Asked], Answer] = getattr(importlib.import_module(module), name)
    return function(asked)
