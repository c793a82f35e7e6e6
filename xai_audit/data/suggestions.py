"""Did you mean: the known name nearest to the one found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 12


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """`Did you mean "cat"? ` with a space at its end, or nothing if no known name is near."""
    names = list(dict.fromkeys(known))
    folded = {"".join(name.split()).casefold(): name for name in reversed(names)}
    key = "".join(found.split()).casefold()
    near = [folded[key]] if key in folded else [folded[name] for name in difflib.get_close_matches(key, folded, n=1)]
    return f'Did you mean "{near[0]}"? ' if near else ""


def one_of(names: Sequence[str]) -> str:
    """`one of: a, b, c`, shortened when there are many."""
    if len(names) == 1:
        return f'"{names[0]}"'
    rest = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return f"one of: {', '.join(names[:SHOWN])}{rest}"
