"""Known answers of the checks that explanations are put to, and of the measures of where they point."""

from __future__ import annotations

import numpy as np

from xai_audit.data.imputation import impute
from xai_audit.measures import curves
from xai_audit.measures.agreement import kendall_w
from xai_audit.measures.completeness import completeness
from xai_audit.measures.controls import sobel
from xai_audit.measures.infidelity import infidelity
from xai_audit.measures.localisation import hit_of_map, mass_of_map, rank_of_map, within
from xai_audit.measures.randomisation import rank_correlation
from xai_audit.measures.sensitivity import sensitivity
from xai_audit.measures.stability import mean_pairwise_rank_correlation
from xai_audit.selftest.known import FLOAT64, KnownAnswer

WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def _curve(relevance: np.ndarray) -> np.ndarray:
    """What is left of sum w x, x = 1, as places are taken away in the order of a map, one a step."""
    step = curves.buckets(relevance, 4, np.random.default_rng(0))
    return np.array([WEIGHTS[step >= taken].sum() for taken in range(5)])


def _imputed() -> list[float]:
    """One hole inside with neighbours N and NW of 1; a hole in a corner with one edge neighbour of 1."""
    inside, corner = np.zeros((1, 3, 3)), np.zeros((1, 3, 3))
    inside[0, 0, 0] = inside[0, 0, 1] = corner[0, 0, 1] = 1
    holes = np.zeros((2, 3, 3), bool)
    holes[0, 1, 1] = holes[1, 0, 0] = True
    return [impute(inside, holes[0])[0, 1, 1], impute(corner, holes[1])[0, 0, 0]]


def _ramp() -> np.ndarray:
    """A linear ramp with a hole inside is restored exactly."""
    ramp = np.add.outer(np.arange(6.0), 2 * np.arange(6.0))[None]
    hole = np.zeros((6, 6), bool)
    hole[2:4, 2:4] = True
    return np.asarray(impute(np.where(hole, 9.0, ramp), hole)[0][hole] - ramp[0][hole])


def _infidelity(factor: float) -> float:
    """Of the map `factor * w` of a linear net, whose noise I changes it by I w."""
    change = np.random.default_rng(1).normal(size=(64, 4)) @ WEIGHTS
    return infidelity(factor * change, change).plain


def _pointing() -> list[float]:
    """A peak inside a mask, 15 pixels away, and 16 pixels away."""
    mask = np.zeros((40, 40), bool)
    mask[20, :20] = True
    near, found = within(mask, 15), []
    for column in (19, 34, 35):
        relevance = np.zeros((40, 40))
        relevance[20, column] = 1
        found.append(hit_of_map(relevance, near))
    return found


def _relevance() -> list[float]:
    """Four pixels of value 2 in the mask, twelve others of 1."""
    relevance, mask = np.ones((4, 4)), np.zeros((4, 4), bool)
    relevance[:2, :2], mask[:2, :2] = 2, True
    return [mass_of_map(relevance, mask), rank_of_map(relevance, mask)]


def _unrelated() -> float:
    """Size of the rank correlation of two independent maps of 10,000 places: below .05."""
    one, other = np.random.default_rng(2).normal(size=(2, 10_000))
    return float(abs(rank_correlation(one, other)) < 0.05)


def _same_edges() -> float:
    """A map that does not look at the net is the same whatever the net's weights."""
    image = np.random.default_rng(3).random((3, 8, 8))
    return rank_correlation(sobel(image), sobel(image.copy()))


def _sensitivity() -> list[float]:
    """A map that noise leaves alone; and one of length 5 that moves by 3 at most, with noise of length 2."""
    still, moved = np.full((1, 4), 2.0), np.array([[3.0, 4.0]])
    copies = [moved + np.array(step) for step in ([3.0, 0.0], [0.0, 1.0])]
    noises = [np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]])]
    one, other = sensitivity(still, [still], [np.ones((1, 4))]), sensitivity(moved, copies, noises)
    return [float(part[0]) for part in (one.plain, one.relative, other.plain, other.relative)]


def _stable() -> list[float]:
    """Three runs alike, and two that rank three places the other way round."""
    up = np.array([1.0, 2.0, 3.0])
    return [mean_pairwise_rank_correlation([up, up, up]), mean_pairwise_rank_correlation([up, -up])]


ANSWERS = (
    KnownAnswer("deletion.best_first", "deletion", "Weights .4, .3, .2, .1 taken away best first: .375.", [0.375],
                lambda: curves.deletion(_curve(WEIGHTS)), FLOAT64),
    KnownAnswer("deletion.worst_first", "deletion", "Worst first: .625.", [0.625],
                lambda: curves.deletion(_curve(-WEIGHTS)), FLOAT64),
    KnownAnswer("insertion.best_first", "insertion", "Put back best first: .625.", [0.625],
                lambda: curves.insertion(1 - _curve(WEIGHTS)), FLOAT64),
    KnownAnswer("road.holes", "road", "Holes filled from their neighbours: .25 and .4.", [0.25, 0.4], _imputed,
                FLOAT64),
    KnownAnswer("road.ramp", "road", "A ramp is restored exactly.", [0.0] * 4, _ramp, FLOAT64),
    KnownAnswer("infidelity.linear", "infidelity", "The gradient of a linear net foretells all noise: 0.", [0.0],
                lambda: _infidelity(1.0), FLOAT64),
    KnownAnswer("infidelity.zero", "infidelity", "A map of zeros: 1.", [1.0], lambda: _infidelity(0.0), FLOAT64),
    KnownAnswer("completeness.exact", "completeness", "A map that adds up, and one short by a tenth.", [0.0, 0.1],
                lambda: [completeness(3.0, 3.5, 0.5), completeness(2.7, 3.5, 0.5)], FLOAT64),
    KnownAnswer("pointing_game.tolerance", "pointing_game", "Inside, 15 and 16 pixels away: 1, 1, 0.", [1.0, 1.0, 0.0],
                _pointing, FLOAT64),
    KnownAnswer("relevance_mass.four", "relevance_mass", "Four pixels of 2 among twelve of 1: .4 inside.", [0.4],
                lambda: _relevance()[:1], FLOAT64),
    KnownAnswer("relevance_rank.four", "relevance_rank", "The four highest are inside: 1.", [1.0],
                lambda: _relevance()[1:], FLOAT64),
    KnownAnswer("parameter_randomisation.unrelated", "parameter_randomisation",
                "Maps that have nothing to do with each other: |rho| below .05.", [1.0], _unrelated),
    KnownAnswer("parameter_randomisation.edges", "parameter_randomisation", "Edges of the image never change: rho = 1.",
                [1.0], _same_edges, FLOAT64),
    KnownAnswer("max_sensitivity.largest", "max_sensitivity", "The largest change under noise, plain and as a share.",
                [0.0, 0.0, 3.0, 0.6], _sensitivity, FLOAT64),
    KnownAnswer("stability.seeds", "stability", "Runs alike: 1; runs turned round: -1.", [1.0, -1.0], _stable, FLOAT64),
    KnownAnswer("agreement.kendall", "agreement", "Rankings 123, 123, 321: W = 1/9; three alike: 1.", [1 / 9, 1.0],
                lambda: [kendall_w(np.array([[1, 2, 3], [1, 2, 3], [3, 2, 1]])), kendall_w(np.array([[1, 2, 3]] * 3))],
                FLOAT64),
)  # fmt: skip
"""METHODS 6."""
