"""Images that look alike: pairs of difference hashes that differ in few bits, found without comparing all with all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DISTANCE = 3
"""Bits in which two of the 64 may differ: then at least one of four bands of 16 bits is equal."""
BUDGET = 200_000_000
"""Comparisons at most; what is left undone is counted."""
MOST_PAIRS = 200_000
"""Pairs kept at most; the same."""


@dataclass(frozen=True)
class Pair:
    """Two hashes by their place, and the number of bits in which they differ."""

    first: int
    second: int
    distance: int


@dataclass(frozen=True)
class LookAlikes:
    """All pairs up to DISTANCE bits apart, but for what was not looked at."""

    pairs: tuple[Pair, ...]
    """Sorted. Of several equal hashes the first stands for all in pairs with others; they are paired with it."""
    flat: int
    """Hashes of all zeros, left out: a flat image has no difference to compare."""
    uncompared: int
    """Hashes in groups too large for the budget."""


def look_alikes(hashes: Sequence[str], budget: int = BUDGET) -> LookAlikes:
    """Pairs among one set of hashes."""
    first = _first_places(hashes)
    pairs = [Pair(first[text], place, 0) for place, text in enumerate(hashes) if text in first and first[text] != place]
    codes, places = _codes(first)
    found, uncompared = _close(codes, 0, budget)
    for left, right, distance in found:
        pairs.append(Pair(places[left], places[right], distance))
    return LookAlikes(tuple(sorted(set(pairs), key=_key)), _flat(hashes), uncompared)


def look_alikes_between(hashes: Sequence[str], others: Sequence[str], budget: int = BUDGET) -> LookAlikes:
    """For each of `hashes` the nearest of `others`: `first` is a place in hashes, `second` the first such in others."""
    here, there = _first_places(hashes), _first_places(others)
    if not here:
        return LookAlikes((), _flat(hashes), 0)
    other_codes, other_places = _codes(there)
    codes = np.concatenate([_codes(here)[0], other_codes])
    found, uncompared = _close(codes, len(here), budget)
    nearest: dict[str, tuple[int, int]] = {}
    texts = list(here)
    for left, right, distance in found:
        candidate = (distance, other_places[right - len(here)])
        nearest[texts[left]] = min(nearest.get(texts[left], candidate), candidate)
    pairs = [Pair(place, nearest[text][1], nearest[text][0]) for place, text in enumerate(hashes) if text in nearest]
    return LookAlikes(tuple(pairs), _flat(hashes), uncompared)


def _first_places(hashes: Sequence[str]) -> dict[str, int]:
    first: dict[str, int] = {}
    for place, text in enumerate(hashes):
        if int(text, 16):
            first.setdefault(text, place)
    return first


def _codes(first: dict[str, int]) -> tuple[NDArray[np.uint64], list[int]]:
    return np.asarray([int(text, 16) for text in first], dtype=np.uint64), list(first.values())


def _flat(hashes: Sequence[str]) -> int:
    return sum(int(text, 16) == 0 for text in hashes)


def _close(codes: NDArray[np.uint64], ours: int, budget: int) -> tuple[set[tuple[int, int, int]], int]:
    """(left, right, distance) of codes up to DISTANCE apart, left < right, and how many were not compared with all.

    With `ours` > 0 only pairs of one of the first `ours` codes with one of the others count.
    """
    found: set[tuple[int, int, int]] = set()
    uncompared = np.zeros(len(codes), dtype=np.bool_)
    for band in range(4):
        values = (codes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(values, kind="stable")
        ranked = values[order]
        lag, open_places = 1, np.arange(len(codes))
        while True:
            # Each code with the one `lag` places on, while both have the same band: groups end one after another.
            open_places = open_places[open_places + lag < len(codes)]
            open_places = open_places[ranked[open_places] == ranked[open_places + lag]]
            budget -= len(open_places)
            if not len(open_places):
                break
            if budget < 0 or len(found) > MOST_PAIRS:
                uncompared |= np.isin(values, ranked[open_places])
                break
            found.update(_compare(codes, order[open_places], order[open_places + lag], ours))
            lag += 1
    return found, int(uncompared.sum())


def _compare(
    codes: NDArray[np.uint64], some: NDArray[np.int64], others: NDArray[np.int64], ours: int
) -> list[tuple[int, int, int]]:
    left, right = np.minimum(some, others), np.maximum(some, others)
    distances = np.bitwise_count(codes[left] ^ codes[right])
    kept = distances <= DISTANCE
    if ours:
        kept &= (left < ours) & (right >= ours)
    return list(zip(left[kept].tolist(), right[kept].tolist(), distances[kept].tolist(), strict=True))


def _key(pair: Pair) -> tuple[int, int, int]:
    return pair.first, pair.second, pair.distance
