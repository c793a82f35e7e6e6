"""m-separation in ADMGs, and the independences that a graph implies (CAUSAL.md section 3)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations, islice

from xai_audit.graphs.graph import Graph, Names

MOST_TRIED = 2_000
"""Sets that are looked at for a smaller separator of one pair."""


@dataclass(frozen=True)
class Independence:
    """Once `given` is known, a tells nothing more about b."""

    a: str
    b: str
    given: Names


def are_separated(graph: Graph, a: Collection[str], b: Collection[str], given: Collection[str] = ()) -> bool:
    """Whether every path between a and b is blocked given a set: m-separation.

    Walks as in Shachter's Bayes ball (UAI 1998), with unmeasured causes as arrows into both ends. Raises ValueError
    where a or b is given too.
    """
    if set(a) & set(b):
        return False
    known, ends = set(given), set(b)
    if known & ends or known & set(a):
        raise ValueError("what is given cannot be one of the two")
    above = set(graph.ancestors(known))
    waiting = [(name, False) for name in a]
    seen = set(waiting)
    while waiting:
        name, is_into = waiting.pop()
        if name in ends:
            return False
        steps: list[tuple[str, bool]] = []
        if name not in known:
            steps += [(after, True) for after in graph.children_of(name)]
        if name in above if is_into else name not in known:
            steps += [(before, False) for before in graph.parents_of(name)]
            steps += [(beside, True) for beside in graph.partners_of(name)]
        fresh = [step for step in steps if step not in seen]
        seen.update(fresh)
        waiting += fresh
    return True


@dataclass(frozen=True)
class Cuts:
    """The moralised graph of ancestors as bit sets: separation there is m-separation for sets of these ancestors.

    Variables that a district holds together, and their parents, are all joined (Richardson 2003, augmented graphs).
    """

    places: Mapping[str, int]
    neighbours: tuple[int, ...]
    starts: int
    ends: int

    @classmethod
    def of(cls, graph: Graph, x: Collection[str], y: Collection[str]) -> Cuts:
        """Of a graph that holds nothing but ancestors of x, y and what is given."""
        places = {name: place for place, name in enumerate(graph.variables)}
        neighbours = [0] * len(places)
        for district in graph.districts:
            joined = [places[name] for name in (*district, *graph.parents(district))]
            bits = sum(1 << place for place in joined)
            for place in joined:
                neighbours[place] |= bits & ~(1 << place)
        ends = (sum(1 << places[name] for name in set(names)) for names in (x, y))
        return cls(places, tuple(neighbours), *ends)

    def bits(self, names: Collection[str]) -> int:
        """A set of variables as a number."""
        return sum(1 << self.places[name] for name in names)

    def names(self, bits: int) -> Names:
        """The variables of a set as a number, in order."""
        return tuple(name for name, place in self.places.items() if bits >> place & 1)

    def sets(self, names: Sequence[str], size: int) -> Iterator[int]:
        """Sets of so many of some variables as numbers, in order."""
        return map(sum, combinations([1 << self.places[name] for name in names], size))

    def are_joined(self, given: Collection[str]) -> bool:
        """Whether a way leads from the treatments to the outcomes around a set."""
        return self.leads_around(self.bits(given))

    def leads_around(self, blocked: int) -> bool:
        """The same of a set as a number."""
        seen = front = self.starts & ~blocked
        while front:
            if seen & self.ends:
                return True
            after = 0
            while front:
                lowest = front & -front
                after |= self.neighbours[lowest.bit_length() - 1]
                front ^= lowest
            front = after & ~seen & ~blocked
            seen |= front
        return bool(seen & self.ends)

    def apart(self) -> list[int]:
        """Shortest ways from the treatments to the outcomes that share no variable between, as sets without their
        ends: a separating set holds a member of each."""
        blocked, found = 0, []
        while (way := self._shortest(blocked)) > 0:
            found.append(way)
            blocked |= way
        return found

    def _shortest(self, blocked: int) -> int:
        """The variables between the ends of a shortest way around a set; 0 for a direct one or none."""
        layers = [self.starts & ~blocked]
        seen = layers[0]
        while layers[-1] and not layers[-1] & self.ends:
            layers.append(self._next_to(layers[-1]) & ~seen & ~blocked)
            seen |= layers[-1]
        if not layers[-1]:
            return 0
        way, last = 0, layers[-1] & self.ends
        for layer in reversed(layers[1:-1]):
            before = self._next_to(last & -last) & layer
            last = before & -before
            way |= last
        return way

    def _next_to(self, places: int) -> int:
        found = 0
        while places:
            lowest = places & -places
            found |= self.neighbours[lowest.bit_length() - 1]
            places ^= lowest
        return found


def separator(graph: Graph, a: str, b: str) -> Names | None:
    """A small set that separates two variables; None where none does.

    Only ancestors of the two are needed. The smallest set, the first in order among equals, where no more than 2,000
    sets have to be looked at; else a set of which no part separates.
    """
    if graph.are_adjacent(a, b):
        return None
    above = graph.induced(graph.ancestors((a, b)))
    allowed = [name for name in above.variables if name not in (a, b)]
    cuts = Cuts.of(above, (a,), (b,))
    if cuts.are_joined(allowed):
        return None
    minimal, apart = _thinned(cuts, allowed), cuts.apart()
    sets = chain.from_iterable(cuts.sets(allowed, size) for size in range(len(apart), len(minimal) + 1))
    fitting = (one for one in islice(sets, MOST_TRIED) if all(one & way for way in apart))
    found = next((one for one in fitting if not cuts.leads_around(one)), None)
    return minimal if found is None else cuts.names(found)


def _thinned(cuts: Cuts, separating: list[str]) -> Names:
    """A part of a separating set of which every member is needed."""
    kept = list(separating)
    for name in separating:
        without = [other for other in kept if other != name]
        if not cuts.are_joined(without):
            kept = without
    return tuple(kept)


@lru_cache(maxsize=8)
def implied_independences(graph: Graph) -> tuple[Independence, ...]:
    """One independence for each pair that some set separates, with a smallest such set; enough to imply all others."""
    found = []
    for a, b in combinations(graph.variables, 2):
        given = separator(graph, a, b)
        if given is not None:
            found.append(Independence(a, b, given))
    return tuple(found)


def inseparable_pairs(graph: Graph) -> tuple[tuple[str, str], ...]:
    """Pairs without an edge that no set separates: an inducing path joins them."""
    return tuple(pair for pair in combinations(graph.variables, 2) if _are_inseparable(graph, *pair))


def _are_inseparable(graph: Graph, a: str, b: str) -> bool:
    """Whether all ancestors of two variables without an edge do not separate them."""
    above = graph.ancestors((a, b))
    return not graph.are_adjacent(a, b) and not are_separated(graph, (a,), (b,), set(above) - {a, b})
