"""Values that look like a code for "missing", such as 666 or -1, among the numbers of a column.

The rule. A value is suspected when all three hold:
1. it is of a form that people choose for codes: repeated nines (99, 999, and 998 to 996 beside it), one digit three
   times or more (666), one of these with a minus sign, -1 to -9 among numbers that are otherwise 0 or more, a power of
   ten from 1000 on, or the end of a range of whole numbers in a computer (2147483647);
2. it stands at least twice;
3. it lies outside all values of other forms, and far: by half their range for digits repeated, by ten times their range
   (of five values or more) for a power of ten; a negative number needs five values or more beside it and no far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_audit.data.column_types import kind_of

LEAST_COUNT = 2
FAR = {"repeated digits": 0.5, "a power of ten": 10.0, "the end of a computer's range": 0.5}
"""How far outside the rest a value of a form lies at least, in ranges of the rest."""
LEAST_DISTINCT = 5
_ENDS = (32767, 32768, 65535, 2147483647, 2147483648, 4294967295)


@dataclass(frozen=True)
class Suspect:
    """A value that may stand for "missing", how often it stands, and why it is suspected."""

    value: float
    count: int
    why: str


def suspected_codes(column: pd.Series[Any]) -> tuple[Suspect, ...]:
    """Suspected codes of a column, ascending; none in a column that is not of numbers."""
    if kind_of(column) != "number":
        return ()
    values = column.to_numpy(dtype=np.float64)
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    forms = [_form(value) for value in distinct.tolist()]
    rest = distinct[[form == "" for form in forms]]
    if not len(rest):
        return ()
    negative = distinct[(distinct < 0) & np.asarray([form == "" for form in forms], dtype=np.bool_)]
    found = []
    for value, count, form in zip(distinct.tolist(), counts.tolist(), forms, strict=True):
        why = _why(value, form, rest, negatives=len(negative)) if count >= LEAST_COUNT else ""
        if why:
            found.append(Suspect(value, count, why))
    return tuple(found)


def _form(value: float) -> str:
    """Which form of code a value has; empty for an ordinary number."""
    if not float(value).is_integer():
        return ""
    size = int(abs(value))
    digits = str(size)
    nines = any(set(str(size + more)) == {"9"} and len(str(size + more)) >= 3 for more in (0, 1, 2, 3))
    if nines or (set(digits) == {"9"} and len(digits) >= 2) or (len(set(digits)) == 1 and len(digits) >= 3):
        return "repeated digits"
    if size in _ENDS:
        return "the end of a computer's range"
    if size >= 1000 and digits.strip("0") == "1":
        return "a power of ten"
    return "a negative number" if -9 <= value <= -1 else ""


def _why(value: float, form: str, rest: NDArray[np.float64], *, negatives: int) -> str:
    low, high = float(rest.min()), float(rest.max())
    gap = max(low - value, value - high)
    if not form or gap <= 0:
        return ""
    outside = f"outside {low:g} to {high:g}, where all other values lie"
    if value < 0 and low >= 0 and not negatives and len(rest) >= LEAST_DISTINCT:
        return f"the only negative number, {outside}"
    if form == "a negative number" or (form == "a power of ten" and len(rest) < LEAST_DISTINCT):
        return ""
    return f"{form}, far {outside}" if gap >= FAR[form] * max(high - low, 1.0) else ""


def suspects_of(frame: pd.DataFrame, columns: Sequence[str], withheld: Sequence[str]) -> list[dict[str, Any]]:
    """One JSON entry a suspected code: column, value (null where values of the column never appear), count, why."""
    return [
        {
            "column": name,
            "value": None if name in withheld else suspect.value,
            "count": suspect.count,
            "why": "" if name in withheld else suspect.why,
        }
        for name in columns
        for suspect in suspected_codes(frame[name])
    ]
