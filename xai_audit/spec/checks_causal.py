"""What the causal part of a spec must say: one line a mistake, `error[code]`, as in CAUSAL.md section 2.1."""

from __future__ import annotations

from collections.abc import Iterator

from xai_audit.spec.messages import Mistake
from xai_audit.spec.sections import Sections


def check(sections: Sections) -> Iterator[Mistake]:
    """Every mistake of the causal part and of the criteria about it, beyond mere form."""
    from xai_audit.spec import checks_causal_criteria, checks_causal_table

    yield from checks_causal_criteria.check(sections)
    yield from checks_causal_table.check(sections)
    if sections.causal is None:
        return
    from xai_audit.spec import (
        checks_causal_graph,
        checks_causal_mechanisms,
        checks_causal_operators,
        checks_causal_paths,
        checks_causal_queries,
        checks_causal_reasons,
        checks_causal_variables,
        checks_causal_ways,
    )

    parts = sections.causal
    yield from checks_causal_variables.check(sections, parts)
    yield from checks_causal_graph.check(parts)
    yield from checks_causal_mechanisms.check(sections, parts)
    yield from checks_causal_operators.check(sections, parts)
    yield from checks_causal_queries.check(sections, parts)
    yield from checks_causal_paths.check(parts)
    yield from checks_causal_ways.check(sections, parts)
    yield from checks_causal_reasons.check(parts)
