"""A whole audit of concepts: pictures with planted patches of colour, and nets made by hand whose units are colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLOURS = ("red", "green", "blue", "yellow", "cyan", "magenta")
RGB = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=np.float64)
SIDE, PATCH = 32, 4
CASES = 250
"""So that half a percent of all places is a whole number of them: then a unit can reach its ceiling."""

NET = '''
import torch
from torch import nn

WEIGHTS = torch.tensor({weights})
TURN = torch.tensor({turn})


class Net(nn.Module):
    """A unit a colour, 0 wherever a pixel has another; red and blue speak for class 0, green for class 1."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Sequential(nn.Conv2d(3, {units}, 1), nn.ReLU())
        self.turned = nn.Conv2d({units}, {units}, 1, bias=False)
        self.head = nn.Linear({units}, 2)
        with torch.no_grad():
            self.colours[0].weight.copy_(WEIGHTS[:, :3, None, None])
            self.colours[0].bias.copy_(WEIGHTS[:, 3])
            self.turned.weight.copy_(TURN[:, :, None, None])
            self.head.weight.copy_(torch.tensor({head}) @ TURN.T)
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(self.turned(self.colours(x)).mean((2, 3)))


def build():
    return Net()
'''
SPEC = """version: 1
audit: {{id: colours, title: Patches of colour, owner: {{name: A. Tester, role: owner}}, seed: 5}}
model:
  factory: net.py:build
  task: single_label
  classes: [warm, cold]
  input: {{size: [32, 32], channels: 3}}
  layers: {{units: {layer}}}
data:
  source: {{kind: arrays, file: cases.npz, image: images, label: labels}}
  masks:
    red: red
    green: green
    blue: blue
    yellow: yellow
    cyan: cyan
    magenta: magenta
    rest: {{outside: red}}
    frame: {{border: 0.1}}
  show: {{images: {show}}}
slices:
  - {{name: all}}
  - {{name: tagged, where: {{tag: 1}}}}
  - {{name: plain, where: {{tag: 0}}}}
concepts:
  - {{name: red, category: colour}}
  - {{name: green, category: colour}}
  - {{name: blue, category: colour, spurious: true}}
  - {{name: yellow, category: colour}}
  - {{name: cyan, category: colour}}
  - {{name: magenta, category: colour}}
  - {{name: rest, category: scene}}
  - {{name: frame, category: scene}}
  - {{name: tagged, category: tag, spurious: true}}
methods:
{methods}measures: [accuracy]
criteria: {criteria}
"""
METHODS = {
    "units": "  - {use: activation_maps, layer: units, slice: tagged, top: 3}\n",
    "dissection": "  - {use: network_dissection, layer: units, shuffles: 99, concepts: "
    "[red, green, blue, yellow, cyan, magenta, rest, frame]}\n",
    "tcav": "  - {use: tcav, layer: units, concepts: [tagged], runs: 10, null_sets: 999}\n",
    "pictures": "  - {use: activation_maximisation, layer: units, units: [0, 1], classes: [warm], steps: 8, "
    "directions: [{concept: tagged, method: tcav}, {name: both, units: [0, 2], weights: [1, 1]}]}\n",
    "tree": "  - {use: decision_tree, features: [{concept: red, method: network_dissection}, "
    "{concept: green, method: network_dissection}, {concept: tagged, method: tcav}]}\n",
}
CRITERIA = """
  - {id: C1, measure: concept_iou, concept: red, at_least: 0.04, because: agreed}
  - {id: C2, measure: concept_iou, concept: rest, at_least: 0.04, because: agreed}
  - {id: C3, measure: tcav_score, concept: tagged, class: warm, at_most: 0.6, because: agreed}
  - {id: C4, measure: concept_effect, concept: red, class: warm, at_least: 0.1, because: agreed}
  - {id: C5, measure: concept_effect, concept: blue, class: warm, at_most: 0, because: agreed}
"""


def write_colours(
    folder: Path,
    *,
    cases: int = CASES,
    order: Sequence[int] = range(6),
    turn: np.ndarray | None = None,
    methods: Sequence[str] = tuple(METHODS),
    criteria: str | None = None,
    show: bool = True,
    scores_tag: bool = True,
    extra: str = "",
) -> Path:
    """Spec, net and arrays in a folder; the path of the spec. Unit k answers to colour `order[k]`, turned by `turn`.

    scores_tag: the net leans on blue, the tag that most red pictures carry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(net_source(order, turn, scores_tag=scores_tag))
    np.savez(folder / "cases.npz", **pictures(cases))
    text = "".join(METHODS[name] for name in methods)
    limits = criteria if criteria is not None else (CRITERIA if {"dissection", "tcav"} <= set(methods) else "[]")
    layer = "colours" if turn is None else "turned"
    path = folder / "colours.yaml"
    spec = SPEC.format(methods=text, criteria=limits, layer=layer, show=str(show).lower())
    path.write_text((spec if "tcav" in methods else _without_tag(spec)) + extra)
    return path


def _without_tag(text: str) -> str:
    return text.replace("  - {name: tagged, category: tag, spurious: true}\n", "")


def net_source(order: Sequence[int], turn: np.ndarray | None, *, scores_tag: bool = True) -> str:
    """The file of a net. A colour is told by its channels less the others, above what other colours and grey give."""
    own = RGB[list(order)]
    weights = own - (1 - own) * own.sum(1, keepdims=True)
    bias = np.where(own.sum(1) > 1, -1.2, -0.3)
    head = np.zeros((2, len(own)))
    for unit, colour in enumerate(order):
        head[0, unit] = 40.0 * (colour == 0 or (scores_tag and colour == 2))
        head[1, unit] = 40.0 * (colour == 1)
    turned = np.eye(len(own)) if turn is None else turn
    return NET.format(
        weights=np.column_stack([weights, bias]).tolist(), turn=turned.tolist(), head=head.tolist(), units=len(own)
    )


def pictures(cases: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Grey noise with patches: red (label 0) or green (1) in each, blue in most red ones, others by chance."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0.4, 0.6, (cases, SIDE, SIDE, 3))
    masks = {name: np.zeros((cases, SIDE, SIDE), bool) for name in COLOURS}
    labels = np.arange(cases) % 2
    tag = rng.random(cases) < np.where(labels == 0, 0.8, 0.2)
    chances = rng.random((cases, 3)) < 0.5
    for case in range(cases):
        shown = [labels[case], *([2] if tag[case] else []), *(3 + np.flatnonzero(chances[case]))]
        cells = rng.choice((SIDE // PATCH) ** 2, len(shown), replace=False)
        for colour, cell in zip(shown, cells, strict=True):
            rows, columns = (slice(k * PATCH, (k + 1) * PATCH) for k in divmod(int(cell), SIDE // PATCH))
            noise = rng.uniform(0, 0.08, (PATCH, PATCH, 3))
            images[case, rows, columns] = np.where(RGB[colour] > 0, 1 - noise, noise)
            masks[COLOURS[colour]][case, rows, columns] = True
    kept = {name: mask.astype(np.uint8) for name, mask in masks.items()}
    return {"images": images.astype(np.float32), "labels": labels, "tag": tag.astype(np.int64), **kept}
