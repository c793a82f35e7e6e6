"""An estimand as LaTeX (CAUSAL.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping

from xai_audit.graphs.terms import At, Probability, Product, Ratio, Term


def latex(term: Term) -> str:
    """The estimand in LaTeX; what a sum runs over has a prime where its name stands for another value outside."""
    return _latex(term, dict.fromkeys(term.free, 0))


def _latex(term: Term, primes: Mapping[str, int]) -> str:
    if isinstance(term, Probability):
        given = rf" \mid {_names(term.given, primes)}" if term.given else ""
        return f"P({_names(term.of, primes)}{given})"
    if isinstance(term, Product):
        return " \\, ".join(_latex(part, primes) for part in term.terms) or "1"
    if isinstance(term, Ratio):
        return rf"\frac{{{_latex(term.numerator, primes)}}}{{{_latex(term.denominator, primes)}}}"
    if isinstance(term, At):
        where = rf"\mathrm{{{_escaped(term.name)}}} = \mathrm{{{term.setting}}}"
        return rf"\left.{_latex(term.term, primes)}\right|_{{{where}}}"
    inner = {**primes, **{name: primes.get(name, -1) + 1 for name in term.over}}
    return rf"\sum_{{{_names(term.over, inner)}}} {_latex(term.term, inner)}"


def _names(names: tuple[str, ...], primes: Mapping[str, int]) -> str:
    return ", ".join(rf"\mathrm{{{_escaped(name)}}}" + "'" * primes.get(name, 0) for name in names)


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")
