"""Names of estimands that people know; for the reader only (CAUSAL.md section 4)."""

from __future__ import annotations

from xai_audit.graphs.identify import Identified
from xai_audit.graphs.sentences import joined
from xai_audit.graphs.terms import Probability, Product, Ratio, Sum, Term


def pattern_of(found: Identified) -> str:
    """unrelated, unadjusted, backdoor, front-door, napkin or general: the pattern that an estimand follows."""
    term = joined(found.term)
    x = set(found.treatments)
    if isinstance(term, Probability):
        return "unadjusted" if x & set(term.given) else "unrelated"
    if isinstance(term, Ratio):
        return "napkin" if _is_napkin(term, x) else "general"
    if isinstance(term, Sum):
        if _is_backdoor(term, x):
            return "backdoor"
        return "front-door" if _is_front_door(term, x) else "general"
    return "general"


def _parts(term: Term) -> tuple[Term, ...]:
    return term.terms if isinstance(term, Product) else (term,)


def _is_backdoor(term: Sum, x: set[str]) -> bool:
    """Sums over z of P(y | x, z) P(z): what is summed over is averaged with a law that does not hold the treatment."""
    parts = _parts(term.term)
    if not all(isinstance(part, Probability) for part in parts) or x & set(term.over):
        return False
    laws = [part for part in parts if isinstance(part, Probability) and set(part.of) <= set(term.over)]
    values = [part for part in parts if part not in laws]
    covered = sorted(name for law in laws for name in law.of)
    return covered == sorted(term.over) and len(values) == 1 and not any(x & set(law.free) for law in laws)


def _is_front_door(term: Sum, x: set[str]) -> bool:
    """Sums over m of P(m | x) sum over x' of P(y | m, x') P(x')."""
    parts = _parts(term.term)
    inner = [part for part in parts if isinstance(part, Sum)]
    outer = [part for part in parts if isinstance(part, Probability)]
    if len(inner) != 1 or len(outer) != len(parts) - 1:
        return False
    return bool(x & set(inner[0].over)) and not x & set(term.over) and any(x & set(law.given) for law in outer)


def _is_napkin(term: Ratio, x: set[str]) -> bool:
    """Sums over w of P(x, y | r, w) P(w), over sum over w of P(x | r, w) P(w)."""
    above, below = term.numerator, term.denominator
    if not (isinstance(above, Sum) and isinstance(below, Sum)) or x & set(above.over):
        return False
    return above.over == below.over and any(
        isinstance(part, Probability) and x & set(part.of) for part in _parts(below.term)
    )
