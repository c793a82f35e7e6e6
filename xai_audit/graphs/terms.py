"""Estimands as values: probabilities of the observed law, put together by sums, products and ratios."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from xai_audit.graphs.graph import Names, sorted_names


@dataclass(frozen=True)
class Probability:
    """P(of | given) of the observed law."""

    of: Names
    given: Names = ()

    @cached_property
    def free(self) -> Names:
        """Variables that it is a function of."""
        return sorted_names((*self.of, *self.given))


@dataclass(frozen=True)
class Product:
    """The product of some terms."""

    terms: tuple[Term, ...]

    @cached_property
    def free(self) -> Names:
        """Variables that it is a function of."""
        return sorted_names(name for term in self.terms for name in term.free)


@dataclass(frozen=True)
class Sum:
    """The sum of a term over all levels of some variables."""

    over: Names
    term: Term

    @cached_property
    def free(self) -> Names:
        """Variables that it is a function of."""
        return sorted_names(set(self.term.free) - set(self.over))


@dataclass(frozen=True)
class Ratio:
    """One term over another."""

    numerator: Term
    denominator: Term

    @cached_property
    def free(self) -> Names:
        """Variables that it is a function of."""
        return sorted_names((*self.numerator.free, *self.denominator.free))


@dataclass(frozen=True)
class At:
    """A term with one variable at a named setting, such as the reference or the alternative of a contrast."""

    term: Term
    name: str
    setting: str

    @cached_property
    def free(self) -> Names:
        """Variables that it is a function of."""
        return sorted_names(set(self.term.free) - {self.name})


Term = Probability | Product | Sum | Ratio | At
ONE = Product(())


def total(over: Iterable[str], term: Term) -> Term:
    """The sum over some variables; over those that the term does not hold there is nothing to sum.

    Probabilities are summed in closed form: a sum of P(a, b | c) over a is P(b | c).
    """
    names = sorted_names(set(over) & set(term.free))
    if not names:
        return term
    if isinstance(term, Probability) and set(names) <= set(term.of):
        left = sorted_names(set(term.of) - set(names))
        return Probability(left, term.given) if left else ONE
    if isinstance(term, Sum):
        return total((*names, *term.over), term.term)
    if isinstance(term, Product):
        return _total_of_product(names, term)
    return Sum(names, term)


def _total_of_product(names: Names, term: Product) -> Term:
    """Factors that do not hold a variable are taken out of its sum, and a factor that alone holds it is summed."""
    for name in names:
        holding = [part for part in term.terms if name in part.free]
        only = holding[0] if len(holding) == 1 else None
        if isinstance(only, Probability) and name in only.of:
            rest = tuple(part for part in term.terms if part is not only)
            left = sorted_names(set(names) - {name})
            return total(left, product((*rest, total((name,), only))))
    inside = tuple(part for part in term.terms if set(names) & set(part.free))
    outside = tuple(part for part in term.terms if not set(names) & set(part.free))
    summed = Sum(names, product(inside))
    return product((*outside, summed)) if outside else summed


def product(terms: Iterable[Term]) -> Term:
    """The product, flat, without ones, in a settled order."""
    flat: list[Term] = []
    for term in terms:
        flat += term.terms if isinstance(term, Product) else (term,)
    if len(flat) == 1:
        return flat[0]
    return Product(tuple(sorted(flat, key=repr)))


def ratio(numerator: Term, denominator: Term) -> Term:
    """The ratio; of two probabilities with the same conditions a conditional one."""
    if denominator == ONE:
        return numerator
    if (
        isinstance(numerator, Probability)
        and isinstance(denominator, Probability)
        and numerator.given == denominator.given
        and set(denominator.of) < set(numerator.of)
    ):
        left = sorted_names(set(numerator.of) - set(denominator.of))
        return Probability(left, sorted_names((*numerator.given, *denominator.of)))
    return Ratio(numerator, denominator)
