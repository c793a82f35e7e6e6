"""Another answer for a picture: the token is found for every one, verified, beside an attack and a patchwork."""

from __future__ import annotations

from pathlib import Path

import pytest
from token_audit import write_token

from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

FLIP = "[{id: flip, ask: image_counterfactual, on: score, target: {at_least: 0.5}}]"


def answer_of(folder: Path, queries: str, **more: float) -> Evidence:
    path = write_token(folder, queries=queries, **more)  # type: ignore[arg-type]
    outcome = run_audit(load_spec(path), Options(out=folder / "out"), Silent())
    return next(one for one in outcome.run.records if one.kind == "causal_query")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return answer_of(tmp_path_factory.mktemp("flip"), FLIP)


def test_setting_the_token_flips_every_picture_without_one(found: Evidence) -> None:
    assert found.details["outcome"] == "identified"
    items = found.details["items"]
    assert items
    for item in items:
        assert item["start"] < 0.5
        assert [one["setting"] for one in item["found"]] == [{"token": 1.0}]
        assert all(one["verified"] and one["value"] >= 0.5 for one in item["found"])
    share = next(value for value in found.values if value.name == "share_changed")
    assert (share.estimate, share.successes, share.trials) == (1.0, len(items), len(items))
    assert share.low is not None and share.low < 1.0


def test_pictures_that_have_the_answer_already_are_counted_and_not_asked(found: Evidence) -> None:
    inner = found.details["details"]
    assert inner["already"] + len(found.details["items"]) + inner["left_out"] == 60


def test_an_attack_of_the_same_size_and_one_cell_of_another_picture_do_it_too(found: Evidence) -> None:
    for item in found.details["items"]:
        assert item["attack"]["reaches"]
        assert item["patchwork"]["cells"] == [[0, 0]]


def test_pictures_before_and_after_are_kept_by_cost(found: Evidence) -> None:
    shown = found.details["details"]["shown"]
    names = {array.name: array.shape for array in found.arrays}
    assert names["pictures:before"] == names["pictures:after"] == (len(shown), 64, 64, 1)


def test_a_net_that_reads_nothing_is_not_flipped_and_failures_stay_in_the_denominator(tmp_path: Path) -> None:
    record = answer_of(tmp_path, FLIP.replace("0.5", "0.9"), weight=0.001)
    share = next(value for value in record.values if value.name == "share_changed")
    assert (share.estimate, share.trials) == (0.0, len(record.details["items"]))


def test_a_goal_that_all_reach_leaves_nothing_to_ask(tmp_path: Path) -> None:
    record = answer_of(tmp_path, FLIP.replace("0.5", "0.0"))
    assert record.details["outcome"] == "unsupported"
    assert "already" in record.details["reason"]
    assert not record.values
