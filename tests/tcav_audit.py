"""A whole audit of coloured pictures: one class is answered from red, and slices say which pictures are red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NET = """
import torch
from torch import nn


class Net(nn.Module):
    \"\"\"Units 0 to 2 are the colours, 3 to 5 mixtures; the score of `warm` rises with red, ever less.\"\"\"

    def __init__(self, outputs):
        super().__init__()
        self.features = nn.Conv2d(3, 6, 1)
        self.mix = nn.Linear(6, 3)
        self.head = nn.Linear(3, outputs)
        with torch.no_grad():
            rows = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.5, 0], [0, 0.6, 0.6], [0.1, 0, 0.8]]
            self.features.weight.copy_(torch.tensor(rows)[:, :, None, None])
            self.features.bias.zero_()
            self.mix.weight.copy_(torch.tensor([[3.0, 0, 0, 0, 0, 0], [0, 2, 0, 0, 1, 0], [0, 0, 2, 0, 0, 1]]))
            self.mix.bias.copy_(torch.tensor([-1.0, -0.5, -0.5]))
            self.head.weight.copy_(torch.tensor([[-2.0, 0.1, 0.1], [2.0, 0.1, -0.2]])[-outputs:])
            self.head.bias.zero_()

    def forward(self, x):
        return LAST(self.head(torch.tanh(self.mix(self.features(x).mean((2, 3))))))


def build():
    return Net(OUTPUTS)
"""
SPEC = """version: 1
audit: {{id: coloured, title: Coloured pictures, owner: {{name: A. Tester, role: owner}}, seed: {seed}}}
model:
  factory: net.py:build
  task: {task}
  {names}
  input: {{size: [6, 6], channels: 3}}
  layers: {{last: features}}
data:
  source: {{kind: image_table, table: index.csv, image: file, label: {label}, id: case}}
slices:
  - {{name: all}}
  - {{name: red, where: {{is_red: 1}}}}
  - {{name: coin, where: {{coin: 1}}}}
  - {{name: rare, where: {{rare: 1}}}}
  - {{name: common, where: {{rare: 0}}}}
{concepts}methods:
{methods}measures: [{measure}]
"""
TASKS = {
    "single_label": ("classes: [cold, warm]", "label", "accuracy", 2, "lambda z: z"),
    "probability": ("classes: [cold, warm]\n  scores_are: probability", "label", "accuracy", 2, "torch.nn.Softmax(1)"),
    "binary_logit": ("classes: [cold, warm]", "label", "accuracy", 1, "lambda z: z"),
    "multi_label": ("classes: [cold, warm]", "[cold, warm]", "accuracy", 2, "lambda z: z"),
    "regression": ("outputs: [warmth]", "warmth", "mean_absolute_error", 1, "lambda z: z"),
}
"""Names, label, measure, number of outputs and what is done to the scores last."""
DEFAULT = "  - {use: tcav, layer: last, concepts: [red, coin], null_sets: 999}\n"
"""So many sets that the p of a planted concept stays below .05 / 4 whichever sets are drawn."""


def write_audit(
    folder: Path,
    *,
    cases: int = 90,
    task: str = "single_label",
    methods: str = DEFAULT,
    concepts: str = "",
    seed: int = 3,
) -> Path:
    """Write spec, net, table and pictures into a folder; the path of the spec."""
    names, label, measure, outputs, last = TASKS[task]
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["case,file,label,cold,warm,warmth,is_red,coin,rare"]
    for number in range(cases):
        is_red, coin = number % 5 < 2, rng.random() < 0.4
        save_picture(folder / "images" / f"{number}.png", rng, is_red=is_red)
        warm = is_red != (rng.random() < 0.2)
        lines.append(
            f"c{number:03d},images/{number}.png,{('cold', 'warm')[warm]},{int(not warm)},{int(warm)},{int(warm)},"
            f"{int(is_red)},{int(coin)},{int(number < 12)}"
        )
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    (folder / "net.py").write_text(NET.replace("OUTPUTS", str(outputs)).replace("LAST", f"({last})"))
    spec = folder / "coloured.yaml"
    text = SPEC.format(
        seed=seed, task="single_label" if task == "probability" else task, names=names, label=label, concepts=concepts,
        methods=methods, measure=measure,
    )  # fmt: skip
    spec.write_text(text)
    return spec


def save_picture(path: Path, rng: np.random.Generator, *, is_red: bool) -> None:
    """A noisy picture of one colour."""
    picture = rng.uniform(0.2, 0.7, 3) * rng.uniform(0.6, 1.2, (6, 6, 3))
    if is_red:
        picture[..., 0] += 0.35
    Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8)).save(path)
