"""A stand-in tree that speaks in concepts: it asks for scores that a method of concepts kept, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coloured
import numpy as np
import pytest
from coloured import images, record_of, run, value, write_coloured

from xai_audit.engines import scanning
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Evidence
from xai_audit.run import Outcome

TASK = "task: single_label\n  classes: [a, b]"
RED = "{concept: red, method: network_dissection}"
BLUE = "{concept: blue, method: network_dissection}"
CASES = 240


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scanning._BEGIN, "dissection", "coloured:begin")


def grown(folder: Path, features: str, *, tree: str = "", more: str = "") -> Outcome:
    methods = f"- {{use: decision_tree, features: [{features}]{tree}}}"
    return run(write_coloured(folder, "lit", TASK, label="two", cases=CASES, methods=methods, more=more))


def surrogate(outcome: Outcome) -> Evidence:
    return record_of(outcome, "surrogate")


def test_a_net_that_answers_by_a_concept_is_found_again_in_its_words(tmp_path: Path) -> None:
    outcome = grown(tmp_path, f"{RED}, {BLUE}")
    record = surrogate(outcome)
    assert value(record, "fidelity").estimate == 1.0
    assert record.details["valid"]
    features = record.details["features"]
    assert [feature["name"] for feature in features] == ["red (network_dissection)", "blue (network_dissection)"]
    assert features[0]["source"] == {"kind": "concept", "concept": "red", "method": "network_dissection"}
    root = record.details["tree"]
    assert root["feature"] == 0
    red = images(CASES)[..., 0].reshape(CASES, -1).max(axis=1) / 255  # the unit's largest activation
    below, above = red[red <= 0.8].max(), red[red > 0.8].min()
    assert below <= root["test"]["threshold"] <= above
    assert record.parents == (record_of(outcome, "predictions").id, record_of(outcome, "dissection").id)


def test_concepts_stand_beside_columns_and_regions(tmp_path: Path) -> None:
    record = surrogate(grown(tmp_path, f"unit, {RED}, {{region: image}}"))
    names = [feature["name"] for feature in record.details["features"]]
    assert names[:2] == ["unit", "red (network_dissection)"]
    assert len(names) == 3
    assert value(record, "fidelity").estimate == 1.0


def test_scores_of_a_concept_that_the_net_does_not_use_stand_for_nothing(tmp_path: Path) -> None:
    record = surrogate(grown(tmp_path, BLUE))
    assert not record.details["valid"]


def refusal(outcome: Outcome) -> str:
    record = surrogate(outcome)
    assert record.status == "not_applicable"
    assert record.failure is not None
    return record.failure.message


def test_a_concept_without_a_detector_is_refused(tmp_path: Path) -> None:
    said = refusal(grown(tmp_path, "{concept: green, method: network_dissection}"))
    assert 'methods.decision_tree.features[0]: found "green", of which network_dissection has no scores' in said
    assert "expected a concept that was found (blue, red)" in said


def test_a_tree_on_the_cases_that_the_method_read_is_grown(tmp_path: Path) -> None:
    fits = grown(tmp_path, RED, tree=", slice: most", more=", slice: most")
    assert value(surrogate(fits), "fidelity").estimate == 1.0
    assert surrogate(fits).details["split"]["cases"] == 210


@pytest.mark.parametrize(
    ("error", "status"), [(Refusal("here", "no masks", "masks", ""), "not_applicable"), (ValueError("no"), "failed")]
)
def test_without_the_method_there_is_no_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    def begin(*_: Any) -> None:
        raise error

    monkeypatch.setattr(coloured, "begin", begin)
    record = surrogate(grown(tmp_path, RED))
    assert record.status == status
    assert "network_dissection" in record.failure.message  # type: ignore[union-attr]


def test_the_tree_is_the_same_at_every_batch_size(tmp_path: Path) -> None:
    methods = f"- {{use: decision_tree, features: [{RED}, {BLUE}]}}"
    spec = write_coloured(tmp_path, "lit", TASK, label="two", cases=CASES, methods=methods)
    one, other = (surrogate(run(spec, str(size), size)) for size in (16, 64))
    assert one.details["tree"] == other.details["tree"]
    assert np.allclose([v.estimate or 0 for v in one.values], [v.estimate or 0 for v in other.values])
