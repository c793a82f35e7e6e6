"""Attribution beside cause on a net that reads one corner: the planted shortcut is found, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from token_audit import write_token

from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec


def beside_of(path: Path, out: Path) -> Evidence:
    outcome = run_audit(load_spec(path), Options(out=out), Silent())
    return next(one for one in outcome.run.records if one.kind == "cause_beside_attribution")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("token")
    return beside_of(write_token(folder), folder / "out")


def region(record: Evidence, mask: str) -> dict[str, Any]:
    return next(one for one in record.details["regions"] if one["mask"] == mask)


def test_a_corner_that_moves_the_score_without_a_declared_cause_is_a_shortcut(found: Evidence) -> None:
    token = region(found, "token")
    assert token["verdict"] == "shortcut"
    assert token["by"] == "render"
    assert token["looking"] == ["input_x_gradient"]
    assert token["share"]["input_x_gradient"]["estimate"] == pytest.approx(1.0)
    assert token["change"]["estimate"] == pytest.approx(0.815, abs=0.01)  # sigmoid(12 * .19) - sigmoid(12 * -.19)
    assert token["placebo"]["estimate"] == pytest.approx(0.0, abs=1e-6)


def test_what_the_net_does_not_read_is_quiet_and_the_method_puts_both_in_order(found: Evidence) -> None:
    opacity = region(found, "opacity")
    assert opacity["verdict"] == "quiet"
    assert opacity["by"] == "inpaint"
    assert opacity["change"]["estimate"] == 0.0
    (method,) = found.details["explainers"]
    assert (method["method"], method["score"]) == ("input_x_gradient", 1.0)


def test_its_passes_are_one_a_case_and_two_a_region_that_is_there(found: Evidence) -> None:
    cases, regions = found.details["n"], found.details["regions"]
    assert found.passes.rows <= cases + 2 * sum(one["n"] for one in regions)


def test_the_same_corner_is_no_shortcut_where_the_graph_declares_it(tmp_path: Path) -> None:
    record = beside_of(write_token(tmp_path, role="cause"), tmp_path / "out")
    assert region(record, "token")["verdict"] == "agrees"


def test_a_net_that_reads_nothing_has_no_shortcut(tmp_path: Path) -> None:
    record = beside_of(write_token(tmp_path, weight=0.001), tmp_path / "out")
    assert {one["verdict"] for one in record.details["regions"]} <= {"quiet", "misleading", "undecided"}
