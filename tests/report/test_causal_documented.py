"""The audit of docs/how-to/ask-about-cause.md, its questions and its states."""

from __future__ import annotations

import re
from inspect import isfunction
from pathlib import Path
from typing import get_args

import pytest

from xai_audit.causal.operators import measures
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.causal_told import STATES
from xai_audit.spec.causal import Ask
from xai_audit.spec.load import load_text
from xai_audit.spec.operators import OPERATORS, PLACEBOS, RENDER

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "ask-about-cause.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_audit_of_the_page_loads_and_gives_the_numbers_that_it_states() -> None:
    block = re.search(r"```yaml\n(version: 1.*?)```", TEXT, re.DOTALL)
    assert block is not None
    causal = load_text(block[1].encode(), PAGE).spec.causal
    assert causal is not None
    tables = dict(causal.mechanisms)
    share = dict(zip(("day", "night"), tables["shift"].p, strict=True))  # type: ignore[union-attr]
    rows = {
        name: {tuple(row.when.values()): row.p for row in tables[name].rows}
        for name in ("humidity", "coating", "defect")
    }  # type: ignore[union-attr]
    damp = {h: sum(share[s] * rows["humidity"][(s,)][at] for s in share) for at, h in enumerate(("dry", "damp"))}
    total = sum(damp[h] * (rows["defect"][("new", h)][1] - rows["defect"][("old", h)][1]) for h in damp)
    assert total == pytest.approx(-0.064, abs=1e-12)
    crude = []
    for at, coating in enumerate(("old", "new")):
        joint = {
            (s, h): share[s] * rows["coating"][(s,)][at] * rows["humidity"][(s,)][k]
            for s in share
            for k, h in enumerate(("dry", "damp"))
        }
        crude.append(sum(p * rows["defect"][(coating, h)][1] for (_, h), p in joint.items()) / sum(joint.values()))
    assert crude[1] - crude[0] == pytest.approx(0.00176, abs=5e-6)
    assert "`crude` is +0.00176 and `total` is -0.064" in TEXT


def test_the_page_names_every_question() -> None:
    table = TEXT.split("## Which question")[1].split("## What may come back")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(get_args(Ask))


def test_the_page_names_every_operator_placebo_and_measure() -> None:
    part = TEXT.split("## About a model's score")[1].split("## Read section 10")[0]
    table, rest = part.split("A region is a `mask`")
    first_cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted([*OPERATORS, RENDER])
    found = [name for name, one in vars(measures).items() if isfunction(one) and one.__module__ == measures.__name__]
    named = set(re.findall(r"`(\w+)`", rest))
    assert {*PLACEBOS, *(name for name in found if not name.startswith("_"))} <= named


def test_the_page_names_every_state() -> None:
    table = TEXT.split("## What may come back")[1].split("A refusal is a result")[0]
    words = load_catalogue("en")
    named = re.findall(r"^\| (\w[\w ]*) \|", table, re.MULTILINE)[1:]
    assert named == [words.text(f"causal.state.{state}") for state in STATES]
