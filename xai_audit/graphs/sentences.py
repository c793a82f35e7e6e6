"""An estimand as a sentence, from the term tree (CAUSAL.md section 4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from xai_audit.graphs.graph import Names, sorted_names
from xai_audit.graphs.separation import Independence
from xai_audit.graphs.terms import At, Probability, Product, Ratio, Sum, Term, product, ratio, total

SETTINGS = {"ref": "reference", "alt": "alternative"}


def estimand_text(term: Term, labels: Mapping[str, str], means: Collection[str] = ()) -> str:
    """The estimand as one sentence; `labels` by variable, `means` are variables whose mean is asked, not their rate."""
    whole, words = joined(term), _Words(labels, frozenset(means))
    return _begun((words.average(whole) if isinstance(whole, Sum) else words.value(whole)) + ".")


def independence_text(statement: Independence, labels: Mapping[str, str]) -> str:
    """What an independence says: once some variables are known, one tells nothing more about another."""
    words = _Words(labels, frozenset())
    a, b = words.label(statement.a), words.label(statement.b)
    if not statement.given:
        return f"{_begun(a)} tells nothing about {b}."
    known = f"{words.listed(statement.given)} {'is' if len(statement.given) == 1 else 'are'} known"
    return f"Once {known}, {a} tells nothing more about {b}."


def joined(term: Term) -> Term:
    """The same number with conditional probabilities put together where that is shorter: P(a | b) P(b) is P(a, b)."""
    if isinstance(term, Sum):
        return total(term.over, joined(term.term))
    if isinstance(term, Ratio):
        return ratio(joined(term.numerator), joined(term.denominator))
    if isinstance(term, At):
        return At(joined(term.term), term.name, term.setting)
    if isinstance(term, Product):
        return product(_chained([joined(part) for part in term.terms]))
    return term


def _chained(terms: Sequence[Term]) -> list[Term]:
    parts = list(terms)
    for first in parts:
        for second in parts:
            if not (isinstance(first, Probability) and isinstance(second, Probability)) or first is second:
                continue
            if set(first.given) == {*second.of, *second.given}:
                rest = [part for part in parts if part is not first and part is not second]
                both = Probability(sorted_names((*first.of, *second.of)), second.given)
                return _chained([*rest, both])
    return parts


@dataclass(frozen=True)
class _Words:
    """Phrases of one estimand."""

    labels: Mapping[str, str]
    means: frozenset[str]

    def label(self, name: str) -> str:
        return self.labels.get(name, name)

    def listed(self, names: Sequence[str]) -> str:
        texts = [self.label(name) for name in names]
        return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"

    def value(self, term: Term) -> str:
        """A number, as a noun."""
        if isinstance(term, Probability):
            return f"{self.rate(term.of)} {self.among(term.given)}"
        if isinstance(term, At):
            return f"{self.value(term.term)}, at the {_setting(term)} {self.label(term.name)}"
        if isinstance(term, Ratio):
            return f"the ratio of [{self.value(term.numerator)}] to [{self.value(term.denominator)}]"
        if isinstance(term, Product):
            return " times ".join(f"[{self.value(part)}]" for part in term.terms) or "1"
        return f"the {self.average(term)}"

    def rate(self, names: Names) -> str:
        if len(names) > 1:
            return f"the share of each mix of {self.listed(names)}"
        return f"the mean {self.label(names[0])}" if names[0] in self.means else f"the {self.label(names[0])} rate"

    def among(self, given: Sequence[str]) -> str:
        return f"among units with that {self.listed(given)}" if given else "of all units"

    def average(self, term: Sum) -> str:
        """A sum: an average where some of its factors are the law of what it runs over."""
        parts = term.term.terms if isinstance(term.term, Product) else (term.term,)
        weights, values = _weights(term.over, parts)
        if not weights or not values:
            return f"sum, over every {self.listed(term.over)}, of {self.value(term.term)}"
        mixes = " and ".join(self.mix(weight) for weight in weights)
        inner = values[0]
        if len(values) == 1 and isinstance(inner, Probability):
            given = (*(n for n in term.over if n in inner.given), *(n for n in inner.given if n not in term.over))
            return f"average, over {mixes}, {self.rate(inner.of)} {self.among(given)}"
        inside = self.value(inner) if len(values) == 1 else self.value(Product(tuple(values)))
        return f"average, over {mixes}, [{inside}]"

    def mix(self, weight: Term) -> str:
        """A law that is averaged over."""
        if isinstance(weight, At):
            return f"{self.mix(weight.term)}, at the {_setting(weight)} {self.label(weight.name)}"
        assert isinstance(weight, Probability)
        return f"the {self.listed(weight.of)} mix {self.among(weight.given)}"


def _weights(over: Names, parts: Sequence[Term]) -> tuple[list[Term], list[Term]]:
    """The factors that are the law of what is summed over, and the others; no weights where they are not its law."""
    weights = [part for part in parts if _law_of(part) and set(_law_of(part)) <= set(over)]
    covered = [name for part in weights for name in _law_of(part)]
    if sorted(covered) != sorted(over):
        return [], list(parts)
    return weights, [part for part in parts if part not in weights]


def _law_of(part: Term) -> Names:
    if isinstance(part, At):
        return _law_of(part.term)
    return part.of if isinstance(part, Probability) else ()


def _setting(term: At) -> str:
    return SETTINGS.get(term.setting, term.setting)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]
