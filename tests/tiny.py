"""A whole audit small enough for a test: pictures of a bright square on noise, and a net made by hand that finds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NET = '''
import torch
from torch import nn


class Net(nn.Module):
    """Scores `bright` by the mean of a smoothed picture."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(inplace=True))
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.features[0].weight.fill_(1 / 9)
            self.features[0].weight[1].mul_(-1)
            self.features[0].bias.copy_(torch.tensor([0.0, 0.6]))
            self.head.weight.copy_(torch.tensor([[0.0, 8.0], [8.0, 0.0]]))
            self.head.bias.copy_(torch.tensor([0.0, 0.5]))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def build():
    return Net()
'''

SPEC = """version: 1
audit:
  id: tiny
  title: Bright squares
  owner: {{name: A. Tester, role: owner}}
  seed: 3
model:
  factory: net.py:build
  task: single_label
  classes: [plain, bright]
  input: {{size: [24, 24], channels: 1}}
  layers: {{last: features}}
data:
  source: {{kind: image_table, table: index.csv, image: file, label: label, id: case}}
  masks: {{square: mask}}
  show: {{images: true}}
  on_bad_case: {policy}
slices:
  - {{name: all}}
  - {{name: site-a, where: {{site: a}}}}
  - {{name: dim, where: {{level: {{below: 0.6}}}}}}
cases: {{explain: 9, choose: [random, worst, typical]}}
methods:
  - {{use: grad_cam, layer: last}}
  - {{use: saliency}}
  - {{use: occlusion, window: 6, stride: 3}}
measures:
  - accuracy
  - balanced_accuracy
  - {{use: auroc, positive: bright}}
  - {{use: sensitivity, positive: bright, threshold: 0.5}}
  - confusion_matrix
  - calibration
  - relevance_mass
criteria:
  - {{id: C1, measure: accuracy, at_least: 0.5, because: agreed, minimum_cases: 10}}
  - {{id: C2, measure: accuracy, slice: site-a, at_least: 0.999, because: agreed, minimum_cases: 10}}
  - {{id: C3, measure: relevance_mass, method: grad_cam, at_least: 0.01, because: agreed, minimum_cases: 5}}
  - {{id: C4, measure: relevance_mass, method: occlusion, at_least: 0.01, because: agreed, minimum_cases: 5}}
"""


def write_audit(folder: Path, *, cases: int = 48, policy: str = "fail", extra: str = "") -> Path:
    """Write spec, net, table, pictures and masks into a folder; the path of the spec."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["case,file,label,site,level,mask"]
    for number in range(cases):
        bright = number % 2
        level = 0.3 + 0.6 * rng.random()
        picture = 0.2 + 0.1 * rng.random((24, 24))
        row, column = rng.integers(0, 14, 2)
        if bright:
            picture[row : row + 10, column : column + 10] = level
        mask = np.zeros((24, 24), np.uint8)
        mask[row : row + 10, column : column + 10] = 255
        Image.fromarray((picture * 255).astype(np.uint8)).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).convert("1").save(folder / "images" / f"{number}-mask.png")
        site = "ab"[number // 2 % 2]
        label, image = ("plain", "bright")[bright], f"images/{number}"
        lines.append(f"c{number:02d},{image}.png,{label},{site},{level:.3f},{image}-mask.png")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    (folder / "net.py").write_text(NET)
    spec = folder / "tiny.yaml"
    spec.write_text(SPEC.format(policy=policy) + extra)
    return spec
