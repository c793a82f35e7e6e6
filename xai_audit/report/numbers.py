"""How numbers are written: one rule a measure, the same digits in text, table and alt text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from xai_audit.report.catalogue import Catalogue

SMALL_COUNT = 20
"""With fewer trials than this a share is written as a count (3 of 8): a percentage would promise more than it holds."""

MOST_EXTRA_DECIMALS = 4
SMALL = -1
"""Stands for a count that is too small to show."""
WITHHELD = -2
"""Stands for a count that would tell its neighbour by subtraction."""

Form = Literal["percent", "points", "unit", "value", "count"]
_FORMS: dict[str, Form] = {
    "auroc": "unit",
    "f1": "unit",
    "r2": "value",
    "brier": "unit",
    "relevance_rank": "percent",
    "confusion_matrix": "count",
    "parameter_randomisation": "unit",
    "stability": "unit",
    "rank_correlation": "unit",
    "kendall_w": "unit",
    "beats_control": "unit",
    "skill": "unit",
    "completeness": "percent",
    "kappa": "unit",
    "appraisers": "unit",
    "reference_kappa": "unit",
    "model_kappa": "unit",
    "concept_iou": "unit",
    "tcav_score": "unit",
    "concept_effect": "value",
    "split_stability": "unit",
    "auroc_difference": "unit",
}
_FORM_OF_UNIT: dict[str, Form] = {
    "share": "percent",
    "score": "unit",
    "cases": "count",
    "maps": "count",
    "value": "value",
    "ratio": "value",
    "difference": "points",
}
_DECIMALS: dict[Form, int] = {"percent": 1, "points": 1, "unit": 3, "value": 3, "count": 0}


def form_of(measure: str, unit: str) -> Form:
    """How a measure is written; by its unit where it has no rule of its own."""
    return _FORMS.get(measure) or _FORM_OF_UNIT.get(unit, "value")


@dataclass(frozen=True)
class Mark:
    """A number beside a limit: both must look different where they are."""

    measure: str
    unit: str
    number: float
    limit: float


@dataclass(frozen=True)
class Numbers:
    """The number formats of one report."""

    catalogue: Catalogue
    minimum_cell: int
    decimals: Mapping[str, int] = field(default_factory=dict)
    """Measures that need more decimals than usual, because a rounded number would look equal to its limit."""

    def _digits(self, number: Decimal | float, decimals: int) -> str:
        text = f"{number:,.{decimals}f}"
        if set(text) <= set("-0.,"):
            text = text.lstrip("-")
        marks = {",": self.catalogue.text("numbers.group"), ".": self.catalogue.text("numbers.decimal"), "-": "−"}
        return "".join(marks.get(sign, sign) for sign in text)

    def sign_of(self, form: Form) -> str:
        """What follows a number of this form."""
        return self.catalogue.text(f"numbers.{form}").format(number="") if form in ("percent", "points") else ""

    def _percent(self, text: str) -> str:
        return self.catalogue.text("numbers.percent").format(number=text)

    def _finished(self, form: Form, text: str) -> str:
        if form == "points":
            return self.catalogue.text("numbers.points").format(number=text)
        return self._percent(text) if form == "percent" else text

    def value(self, measure: str, number: float, unit: str) -> str:
        """A measured number. A share that rounds to none or all, without being so, says less than or more than."""
        form = form_of(measure, unit)
        decimals = self.decimals.get(measure, _DECIMALS[form])
        if form == "value":
            return self.plain(number)
        if form == "points":
            return self._finished(form, self._digits(number * 100, decimals))
        scaled, full = (number * 100, 100.0) if form == "percent" else (number, 1.0)
        if form == "count":
            return self.count(round(number))
        step = 10.0**-decimals
        if 0 < scaled < full and round(scaled, decimals) >= full:
            return "> " + self._finished(form, self._digits(full - step, decimals))
        if 0 < scaled < full and round(scaled, decimals) <= 0:
            return "< " + self._finished(form, self._digits(step, decimals))
        return self._finished(form, self._digits(scaled, decimals))

    def limit(self, measure: str, number: float, unit: str) -> str:
        """A limit as it was declared: never rounded."""
        form = form_of(measure, unit)
        exact = Decimal(repr(float(number))) * (100 if form in ("percent", "points") else 1)
        decimals = max(0, -int(exact.normalize().as_tuple().exponent))
        return self._finished(form, self._digits(exact, decimals))

    def confidence(self, level: float) -> str:
        """A confidence level."""
        exact = (Decimal(repr(level)) * 100).normalize()
        return self._percent(self._digits(exact, max(0, -int(exact.as_tuple().exponent))))

    def probability(self, number: float) -> str:
        """A probability stated by the model."""
        return self.value("probability", number, "score")

    def count(self, number: int) -> str:
        """A count that tells nothing of a person: steps, bins, criteria, wrong answers."""
        return self._digits(number, 0)

    def group(self, number: int) -> str:
        """The size of a group of cases; one that is too small to show is written as less than the smallest shown."""
        return self.count(number) if self.may_show(number) else f"< {self.count(self.minimum_cell)}"

    def shown(self, number: int) -> str:
        """A count that may be hidden."""
        if number == SMALL:
            return f"< {self.count(self.minimum_cell)}"
        return self.catalogue.text("numbers.withheld") if number == WITHHELD else self.count(number)

    def may_show(self, number: int) -> bool:
        """Whether a group is large enough to show, or empty."""
        return number == 0 or number >= self.minimum_cell

    def plain(self, number: float, significant: int = 3) -> str:
        """A number without a rule of its own, to a few significant digits."""
        if not math.isfinite(number):
            return str(number)
        if number == 0:
            return "0"
        place = math.floor(math.log10(abs(number)))
        if place < -4 or place > 6:
            mantissa = self._digits(number / 10.0**place, significant - 1)
            return f"{mantissa} × 10^{self._digits(place, 0)}"
        return self._digits(number, max(0, significant - 1 - place))

    def fixed(self, number: float, decimals: int) -> str:
        """A number with so many decimals."""
        return self._digits(number, decimals)

    def tick(self, number: float, *, is_percent: bool) -> str:
        """A number at an axis, without digits that say nothing."""
        exact = Decimal(repr(round(float(number), 6)))
        text = self._digits(exact, max(0, -int(exact.normalize().as_tuple().exponent)))
        return self._percent(text) if is_percent else text

    def of(self, part: int, whole: int) -> str:
        """A count out of the size of a group of cases."""
        return self.catalogue.text("numbers.of").format(part=self.count(part), whole=self.group(whole))

    def of_count(self, part: int, whole: int) -> str:
        """A count out of a count that tells nothing of a person."""
        return self.catalogue.text("numbers.of").format(part=self.count(part), whole=self.count(whole))

    def with_marks(self, marks: Iterable[Mark]) -> Numbers:
        """The same formats, with as many more decimals as keep every number apart from its limit."""
        more: dict[str, int] = {}
        for mark in marks:
            more[mark.measure] = max(more.get(mark.measure, 0), self._needed(mark))
        return Numbers(self.catalogue, self.minimum_cell, more)

    def _needed(self, mark: Mark) -> int:
        form = form_of(mark.measure, mark.unit)
        scale = 100 if form in ("percent", "points") else 1
        first = _DECIMALS[form]
        if mark.number == mark.limit:
            return first
        for decimals in range(first, first + MOST_EXTRA_DECIMALS):
            if round(mark.number * scale, decimals) != round(mark.limit * scale, decimals):
                return decimals
        return first + MOST_EXTRA_DECIMALS
