"""Forwards of queries by operators and of operators at rising strength, as far as they are known beforehand."""

from __future__ import annotations

from xai_audit.evidence.records import Passes
from xai_audit.explain.cost import Cost
from xai_audit.spec.causal import Causal, Levels, Query, Severity
from xai_audit.spec.operators import RENDER
from xai_audit.spec.schema import AuditSpec
from xai_audit.spec.tables import TableInput

NO_COST = Cost()
_EQUAL = "a picture that a setting leaves as it is is asked about once"
_ASKS = ("interventional", "ate", "att", "cate", "cde", "counterfactual", "path_effect", "counterfactual_fairness")
_LAW_VALUES = 10
"""Values that a variable with a range is set to: five quantiles under each of two settings."""
_MOST_JOINT = 36


def query_cost(spec: AuditSpec, causal: Causal, query: Query, cases: int) -> Cost:
    """Forwards of one query: units times settings, once more for placebos; none where no operator is used."""
    if spec.model is None or isinstance(spec.model.input, TableInput) or query.ask not in _ASKS:
        return NO_COST
    from xai_audit.causal.asked import scope_of, way_of  # brings scipy, which a plan without such a query can spare

    scope, way = scope_of(causal, query), way_of(causal, query, spec.has_cases)
    if scope == "mixed" and causal.operators and query.answer_by in (None, "operator"):
        return Cost(Passes(cases * _mixed_settings(causal)), "at_most", _EQUAL)
    if scope != "model" or way != "operator":
        return NO_COST
    units = 1 if query.ask == "counterfactual" else cases
    settings = 2 if any(isinstance(one, tuple) for one in query.do.values()) else 1
    has_placebo = any(_operator_of(causal, query, name) for name in {*query.do, *query.hold})
    return Cost(Passes(units * settings * (2 if has_placebo else 1)), "at_most", _EQUAL)


def severity_cost(spec: AuditSpec, entry: Severity, cases: int) -> Cost:
    """Forwards of one operator at every level; maps that are made again come on top."""
    if spec.model is None:
        return NO_COST
    rows = Passes(cases * len(entry.levels))
    if entry.methods:
        return Cost(rows, "at_least", "maps that are made again at every level come on top")
    return Cost(rows, "at_most", _EQUAL)


def _operator_of(causal: Causal, query: Query, variable: str) -> bool:
    """Whether the operator that may set a variable declares a placebo."""
    if query.via is not None and causal.operators[query.via].sets == variable:
        return causal.operators[query.via].placebo is not None
    return any(one.placebo is not None for one in causal.operators.values() if one.sets == variable)


def _mixed_settings(causal: Causal) -> int:
    """Settings of one unit at most: every path and all of them together."""
    targets = {one.sets for one in causal.operators.values()}
    if any(one.call == RENDER for one in causal.operators.values()):
        return 2 * (2 + len(targets) + 1)
    counts = [_values(causal, name) for name in sorted(targets)]
    joint = 1
    for count in counts:
        joint = min(_MOST_JOINT, joint * count)
    return sum(counts) + joint


def _values(causal: Causal, name: str) -> int:
    domain = causal.variables[name].domain
    return len(domain.levels) if isinstance(domain, Levels) else _LAW_VALUES
