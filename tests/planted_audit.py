"""A whole audit of a net that is trained, or left random, on planted patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from xai_audit.synthetic.planted import planted

NET = """
from torch import nn

WIDTHS = ((16, 1), (16, 1), (32, 2), (32, 1), (32, 2), (32, 1))


def build():
    layers, width = [], 1
    for out, stride in WIDTHS:
        layers += [nn.Conv2d(width, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU()]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))
"""
SPEC = """version: 1
audit: {{id: planted, title: Planted patches, owner: {{name: A. Tester, role: owner}}, seed: 3}}
model:
  factory: net.py:build
  weights: {{file: net.safetensors}}
  task: single_label
  classes: [dark, bright]
  input: {{size: [32, 32], channels: 1}}
data:
  source: {{kind: arrays, file: cases.npz, image: images, label: labels}}
  masks: {{patch: patch}}
cases: {{explain: {explain}, choose: [random]}}
methods: {methods}
measures: {measures}
criteria: {criteria}
"""


def write_planted(
    folder: Path,
    *,
    trained: bool,
    methods: str,
    measures: str,
    criteria: str = "[]",
    cases: int = 96,
    explain: int = 24,
) -> Path:
    """Spec, net, weights and arrays in a folder; the path of the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET)
    scope: dict[str, object] = {}
    exec(NET, scope)
    data = planted(cases + 96, channels=1, agreement=0.5, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = scope["build"]()  # type: ignore[operator]
        if trained:
            fit(net, torch.from_numpy(data.pixels[cases:]), torch.from_numpy(data.labels[cases:]))
    save_file(net.state_dict(), folder / "net.safetensors")
    images = np.rint(data.pixels[:cases].transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    masks = np.broadcast_to(data.patch, (cases, 32, 32)).astype(np.uint8)
    np.savez(folder / "cases.npz", images=images, labels=data.labels[:cases], patch=masks)
    path = folder / "planted.yaml"
    path.write_text(SPEC.format(explain=explain, methods=methods, measures=measures, criteria=criteria))
    return path


def fit(net: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, epochs: int = 12) -> None:
    """Train in place with a fixed order of cases."""
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    net.train()
    for _ in range(epochs):
        for start in range(0, len(pixels), 32):
            optimiser.zero_grad()
            part = slice(start, start + 32)
            nn.functional.cross_entropy(net(pixels[part]), labels[part]).backward()
            optimiser.step()
    net.eval()
