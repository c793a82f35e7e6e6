"""Bounds: the enrolment of CAUSAL.md 2.2 B, Manski's closed form, and the truth of random models inside."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from laws import law, mechanisms

from xai_audit.causal.bounds import Refuted, Target, bounds
from xai_audit.causal.factors import Factor
from xai_audit.graphs.graph import Graph

INSTRUMENT = Graph.of("xyz", [("z", "x"), ("x", "y")], [("x", "y")])
BOW = Graph.of("xy", [("x", "y")], [("x", "y")])
ATE = [Target({"x": 1}, "y", (0, 1)), Target({"x": 0}, "y", (0, -1))]
COUNTS = {  # letter, enrolled, default
    (0, 0, 0): 300, (0, 0, 1): 600, (0, 1, 0): 70, (0, 1, 1): 30,
    (1, 0, 0): 90, (1, 0, 1): 160, (1, 1, 0): 540, (1, 1, 1): 210,
}  # fmt: skip


def enrolment():
    values = np.zeros((2, 2, 2))
    for (z, x, y), count in COUNTS.items():
        values[x, y, z] = count / 2000
    return Factor(("x", "y", "z"), values)


def test_enrolment_has_the_bounds_of_the_reference():
    found = bounds(INSTRUMENT, enrolment(), ATE)
    assert (found.low, found.high) == (pytest.approx(-0.49, abs=1e-6), pytest.approx(-0.14, abs=1e-6))
    without = bounds(BOW, enrolment().total(("z",)), ATE)
    assert (without.low, without.high) == (pytest.approx(-0.685, abs=1e-6), pytest.approx(0.315, abs=1e-6))


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_lies_inside_and_manski_is_the_closed_form(seed):
    rng = np.random.default_rng(seed)
    tables = mechanisms(rng, INSTRUMENT)
    seen = law(INSTRUMENT, tables)
    truth = sum(
        sign * law(INSTRUMENT, tables, {"x": level}).total(("x", "z")).values[1] for level, sign in ((1, 1), (0, -1))
    )
    found = bounds(INSTRUMENT, seen, ATE)
    assert found.low - 1e-9 <= truth <= found.high + 1e-9
    joint = seen.total(("z",))
    alone = bounds(BOW, joint, [Target({"x": 1}, "y", (0, 1))])
    low = joint.values[1, 1]
    assert (alone.low, alone.high) == (pytest.approx(low), pytest.approx(low + joint.values[0].sum()))
    assert alone.low <= law(INSTRUMENT, tables, {"x": 1}).total(("x", "z")).values[1] <= alone.high


def test_a_law_that_breaks_the_instrumental_inequality_refutes_the_graph():
    values = np.zeros((2, 2, 2))
    values[1, 0, 0] = values[1, 1, 1] = 0.5  # always treated, and the outcome follows the instrument
    with pytest.raises(Refuted):
        bounds(INSTRUMENT, Factor(("x", "y", "z"), values), ATE)


def test_monotone_answers_narrow_the_bounds():
    keeps = lambda name, response: name != "x" or response[1] >= response[0]  # noqa: E731
    found, wide = bounds(INSTRUMENT, enrolment(), ATE, keeps), bounds(INSTRUMENT, enrolment(), ATE)
    assert wide.low - 1e-9 <= found.low <= found.high <= wide.high + 1e-9
