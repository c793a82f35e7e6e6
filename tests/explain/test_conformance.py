"""Ours beside its peers: every row of the conformance table holds, and the page says so."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import replace
from pathlib import Path

import conformance
import numpy as np
import peers
import pytest
from compared import Pair, Row, difference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("row", conformance.ROWS, ids=lambda row: row.name)
def test_row_of_the_table_holds(row: Row) -> None:
    row.check()


def test_every_method_has_a_row() -> None:
    assert {row.method for row in conformance.ROWS} == set(conformance.METHODS)


def test_every_deviation_has_a_cause_that_is_shown() -> None:
    deviations = [row for row in conformance.ROWS if row.agrees is None]
    assert len(deviations) > 10
    assert all(row.cause and row.shown and row.shown_by and row.apart > 0 for row in deviations)


def test_rows_have_names_of_their_own() -> None:
    names = [row.name for row in conformance.ROWS]
    assert len(set(names)) == len(names)


def pair(first: float, second: float) -> Pair:
    return np.array([first, 1.0]), np.array([second, 1.0])


def test_a_row_that_claims_agreement_and_has_none_is_found() -> None:
    row = Row("grad_cam", "captum", "a", "b", "c", agrees=lambda: iter([pair(1, 1), pair(1, 1.0001)]))
    with pytest.raises(AssertionError):
        row.check()
    replace(row, agrees=lambda: iter([pair(1, 1), pair(1, 1.000001)])).check()


def test_a_row_whose_deviation_or_cause_is_gone_is_found() -> None:
    row = Row(
        "grad_cam", "captum", "a", "b", "c", deviates=lambda: iter([pair(1, 2)]), shown=lambda: iter([pair(1, 1)])
    )
    row.check()
    for spoilt in (
        replace(row, deviates=lambda: iter([pair(1, 1.01)])),
        replace(row, shown=lambda: iter([pair(1, 1.01)])),
    ):
        with pytest.raises(AssertionError):
            spoilt.check()


def test_maps_of_zeros_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing is compared"):
        difference(np.zeros(3), np.zeros(3))


def test_the_peers_are_those_that_the_table_names() -> None:
    assert {name: importlib.metadata.version(name) for name in peers.VERSIONS} == peers.VERSIONS
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    assert {name: pinned.get(name) for name in peers.VERSIONS} == peers.VERSIONS


def test_docs_conformance_page_is_current() -> None:
    """`python scripts/make_reference.py` writes it."""
    text = (ROOT / "docs/reference/conformance.md").read_text(encoding="utf-8")
    assert text.partition("\n")[2] == conformance.page()
