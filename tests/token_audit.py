"""An audit of pictures of the radiograph world whose net in closed form reads the token's corner and nothing else."""

from __future__ import annotations

from pathlib import Path

NET = """
import torch
from torch import nn


class Corner(nn.Module):
    '''logit of class 1: 12 (mean brightness of the corner - 0.76), of class 0: 0'''

    def __init__(self, weight):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, 1.0)
        self.weight = weight

    def forward(self, x):
        corner = self.conv(x)[:, 0, ROWS, COLUMNS].mean((1, 2))
        return torch.stack([torch.zeros_like(corner), self.weight * (corner - 0.76)], 1)


ROWS, COLUMNS = slice({top}, {bottom}), slice({left}, {right})


def build(weight=12.0):
    return Corner(weight)
"""
SPEC = """version: 1
audit: {{id: token, title: A token, owner: {{name: A. Tester, role: owner}}, seed: 3}}
model:
  factory: net.py:build
  arguments: {{weight: {weight}}}
  task: single_label
  classes: [healthy, ill]
  input: {{size: [64, 64], channels: 1}}
data:
  source: {{kind: generator, name: radiograph, count: {count}, label: disease, seed: 5}}
  masks: {{token: token, opacity: opacity}}
  show: {{images: true}}
cases: {{explain: {explain}, choose: [random]}}
methods: [{{use: input_x_gradient}}]
causal:
  variables:
    site: {{role: context, domain: {{levels: [0, 1]}}, source: {{column: site}}}}
    disease: {{role: cause, domain: {{levels: [0, 1]}}, source: {{column: disease}}, actionable: false}}
    token: {{role: {role}, domain: {{levels: [0, 1]}}, source: {{column: token}}, actionable: true}}
    image: {{role: medium}}
    score: {{role: model_output, source: {{model: {{class: ill, output: probability}}}}}}
  edges: [site -> token, site -> disease, token -> image, disease -> image, image -> score]
  operators:
    set_token: {{call: render, sets: token, grade: A}}
  queries: {queries}
"""


def write_token(
    folder: Path,
    *,
    queries: str = "[]",
    role: str = "shortcut",
    weight: float = 12.0,
    count: int = 60,
    explain: int = 40,
) -> Path:
    """Spec and net in a folder; the path of the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET.format(top=3, bottom=9, left=3, right=13))
    path = folder / "token.yaml"
    path.write_text(SPEC.format(queries=queries, role=role, weight=weight, count=count, explain=explain))
    return path
