"""The causal benchmark times two ways to the same numbers, and its page tells what is stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.causal import asked_of, ours, plain_loop
from benchmarks.causal_peer import EDGES, WEIGHTS, columns
from benchmarks.page import page
from xai_audit.causal.estimation.continuous import answer_continuous


def test_ours_and_the_plain_loop_give_each_row_the_same_other_world(monkeypatch):
    monkeypatch.setattr("benchmarks.causal.ROWS", 3_000)
    data = columns(3_000)
    by_us, by_hand = ours(data, np.random.default_rng(0)), plain_loop(data, np.random.default_rng(1))
    assert by_us[1] == pytest.approx(by_hand[1], abs=1e-9)
    assert by_us[0] == pytest.approx(by_hand[0], abs=4 * 3 * np.sqrt(2 / 3_000))


def test_the_timed_query_has_the_weights_of_the_model():
    found = answer_continuous(asked_of(columns(20_000), 20_000, 10), None, None)
    weight = dict(zip(EDGES, WEIGHTS, strict=True))
    (one,) = found.amounts
    assert abs(one.estimate - weight["d", "e"] * weight["e", "f"]) < 4 * one.standard_error
    assert found.refuters[0]["draws"] == 10


def test_the_page_says_whether_a_limit_was_reached(tmp_path, monkeypatch):
    row = {"work": "w", "ours_seconds": 2.0, "against": "a loop", "against_seconds": 1.0, "target_ratio": 3.0,
           "peer": "dowhy 0.14", "peer_ratio": 7.0}  # fmt: skip
    stored = tmp_path / "cpu.json"
    monkeypatch.setattr("benchmarks.page.CAUSAL", stored)
    for ratio, reached in ((2.0, "yes"), (3.5, "no")):
        stored.write_text(json.dumps({"machine": {"cores": 2, "repeats": 3}, "rows": [row | {"ratio": ratio}]}))
        assert f"| {ratio:g} | 3 | {reached} | dowhy 0.14 | 7 |" in page([])
