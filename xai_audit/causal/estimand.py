"""An estimand for readers: as LaTeX, and as a sentence from templates (CAUSAL.md section 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xai_audit.causal.terms import Probability, Product, Ratio, Term

Label = Callable[[str], str]


def latex(term: Term) -> str:
    """The estimand in LaTeX; a sum inside another of the same variable writes it with a prime."""
    return _latex(term, {})


def _latex(term: Term, primes: Mapping[str, int]) -> str:
    if isinstance(term, Probability):
        given = rf" \mid {_names(term.given, primes)}" if term.given else ""
        return f"P({_names(term.of, primes)}{given})"
    if isinstance(term, Product):
        return " \\, ".join(_latex(part, primes) for part in term.terms) or "1"
    if isinstance(term, Ratio):
        return rf"\frac{{{_latex(term.numerator, primes)}}}{{{_latex(term.denominator, primes)}}}"
    inner = {**primes, **{name: primes.get(name, -1) + 1 for name in term.over}}
    return rf"\sum_{{{_names(term.over, inner)}}} {_latex(term.term, inner)}"


def _names(names: tuple[str, ...], primes: Mapping[str, int]) -> str:
    return ", ".join(rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}" + "'" * primes.get(name, 0) for name in names)
