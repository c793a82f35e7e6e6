"""Counterfactual fairness by re-render against the same units of the world, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from operated_audit import queries_of, run

from xai_audit.synthetic.document import document
from xai_audit.synthetic.truth import contrast

NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """Logit = 8 mean(line of the name) + 4 mean(whole page) - 8."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(8.0, dtype=torch.float64))

    def forward(self, x):
        return (self.weight * x[:, :, 6:13, 5:38].mean((1, 2, 3)) + 4 * x.mean((1, 2, 3)) - 8)[:, None]


def build():
    return Net()
'''
FORMS = """version: 1
audit: {id: forms, title: Forms, owner: {name: A. Tester, role: owner}, seed: 3}
model: {factory: "net.py:build", task: binary_logit, classes: [genuine, forged], input: {size: [64, 64], channels: 1}}
data: {source: {kind: generator, name: document, count: 24, label: fraud, seed: 5}}
causal:
  variables:
    script: {role: protected, domain: {levels: [0, 1, 2]}, source: {column: script}}
    branch: {role: context, domain: {levels: [0, 1, 2, 3]}, source: {column: branch}}
    channel: {role: shortcut, domain: {levels: [0, 1]}, source: {column: channel}}
    image: {role: medium}
    score: {role: model_output, source: {model: {class: forged, output: logit}}}
  edges: [script -> branch, script -> image, branch -> image, branch -> channel, channel -> image, image -> score]
  operators:
    set_channel: {call: render, sets: channel, grade: A}
  queries:
    - {id: fair, ask: counterfactual_fairness, do: {script: [0, 2]}, on: score, answer_by: operator, tolerance: 0.05,
       unfair_paths: ["script -> image -> score"]}
"""
DO = ({"script": 0}, {"script": 2})


def score(batch):
    scope: dict = {}
    exec(NET, scope)
    with torch.no_grad():
        return scope["build"]()(torch.from_numpy(batch).double().reshape(-1, 1, 64, 64)).numpy()[:, 0]


def test_changes_of_units_are_those_of_the_same_units_rendered_again(tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    spec = tmp_path / "forms.yaml"
    spec.write_text(FORMS)
    record = queries_of(run(spec))["fair"]
    assert record.status == "measured", record.failure
    world, numbers = document(), range(24)
    answered = record.details["answered"]
    whole = {one["name"]: one for one in answered if not one.get("label")}
    total, unfair = whole["total"], whole["unfair_paths"]
    assert total["estimate"] == pytest.approx(contrast(world, score, 5, numbers, *DO).estimate, abs=1e-6)
    direct = contrast(world, score, 5, numbers, *DO, hold=("branch", "channel")).estimate
    assert unfair["estimate"] == pytest.approx(direct, abs=1e-6), "along the arrow alone, the branch as it is"
    own = record.details["details"]
    groups = {one["label"] for one in answered if one["name"] == "total"}
    assert groups == {"", "script 0", "script 1", "script 2"}
    assert own["beyond_tolerance"]["of"] == 24
    assert unfair["estimate"] != pytest.approx(total["estimate"], abs=1e-3)


def test_a_path_that_is_none_and_two_paths_are_refused(tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    spec = tmp_path / "forms.yaml"
    two = '"script -> image -> score", "script -> branch -> image -> score"'
    spec.write_text(FORMS.replace('"script -> image -> score"', two))
    record = queries_of(run(spec))["fair"]
    assert (record.details["outcome"], record.details["reason"]) == (
        "refused",
        "Several unfair paths at once are not re-rendered.",
    )
