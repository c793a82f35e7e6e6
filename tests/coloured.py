"""Whole audits of nets whose units are known by hand, with a dissection that names the detectors it is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xai_audit.concepts.reading import Read, Seen
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import NO_PASSES, Evidence, Value
from xai_audit.evidence.store import Rows
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

NETS = '''
import torch
from torch import nn


class Coloured(nn.Module):
    """A_k = kernel_k x + shift, rectified or not, y_c = sum_k W_ck mean(A_k) + b_c; float64."""

    def __init__(self, kernel, weight, rectified=True, shift=0.0):
        super().__init__()
        kernel, weight = torch.tensor(kernel, dtype=torch.float64), torch.tensor(weight, dtype=torch.float64)
        self.conv = nn.Conv2d(kernel.shape[1], len(kernel), 1)
        self.act = nn.ReLU() if rectified else nn.Identity()
        self.head = nn.Linear(weight.shape[1], len(weight))
        self.double()
        with torch.no_grad():
            self.conv.weight.copy_(kernel[:, :, None, None])
            self.conv.bias.fill_(shift)
            self.head.weight.copy_(weight)
            self.head.bias.fill_(0.25)

    def forward(self, x):
        return self.head(self.act(self.conv(x)).mean((2, 3)))


KERNEL = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.3, 0.3, 0.3]]
WEIGHT = [[3, 0, 0, 0.2, 0.1, 0], [0, 3, 0, 0.1, 0.2, 0], [0.5, 0.5, 0, 0, 0, 1]]


def rectified():
    return Coloured(KERNEL, WEIGHT)


def single():
    return rectified().float()


def plain():
    return Coloured(KERNEL, WEIGHT, rectified=False, shift=-0.4)


def unspoilt():
    """The same without the weights of red."""
    return Coloured(KERNEL, [[0, *row[1:]] for row in WEIGHT])


def one():
    return Coloured(KERNEL, WEIGHT[:1])


def narrow():
    return Coloured(KERNEL[:3], [row[:3] for row in WEIGHT])


class Deep(nn.Module):
    """Two convolutions after the layer; `steps` asks the picture before it goes on, so that no tail can be recorded."""

    def __init__(self, steps=False):
        super().__init__()
        self.steps = steps
        self.conv1, self.act = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.conv2, self.norm, self.conv3 = nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, 1, 1)
        self.head = nn.Linear(8, 3)
        self.double()

    def forward(self, x):
        y = self.act(self.conv1(x))
        if self.steps and float(y.mean()) < -1:
            y = y * 2
        z = torch.relu(self.norm(self.conv2(y)))
        return self.head(torch.relu(self.conv3(z)).mean((2, 3)))


def deep():
    return Deep()


def stepping():
    return Deep(steps=True)


class Lit(nn.Module):
    """Class b where the largest activation of unit 0 exceeds a level, whatever the others do; a and b alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 6, 1), nn.ReLU()
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor(KERNEL, dtype=torch.float32)[:, :, None, None])
            self.conv.bias.zero_()

    def forward(self, x):
        red = self.act(self.conv(x)).amax((2, 3))[:, 0]
        return torch.stack([0 * red, 20 * (red - 0.8)], 1)


def lit():
    return Lit()


def probabilities():
    return nn.Sequential(rectified(), nn.Softmax(1))
'''
SPEC = """version: 1
audit: {{id: coloured, title: Colours, owner: {{name: A. Tester, role: owner}}, seed: 4}}
model:
  factory: nets.py:{net}
  {task}
  input: {{size: [8, 8], channels: 3}}
data:
  source: {{kind: arrays, file: cases.npz, image: images, label: {label}}}
  masks: {{red: red, green: green, blue: blue}}
  {cluster}
slices: [{{name: all}}, {{name: most, where: {{unit: {{below: 70}}}}}}]
concepts: [{{name: red, spurious: true}}, {{name: blue, spurious: true}}, green]
methods:
  - {{use: network_dissection, layer: {layer}, concepts: [red, blue, green]{more}}}
  {methods}
criteria: {criteria}
"""
SINGLE = "{task: single_label, classes: [a, b, c]}"
LAYER = "act"
DETECTORS = {"red": (0,), "blue": (2,)}


def images(cases: int, seed: int = 0) -> np.ndarray:
    """(cases, 8, 8, 3) uint8: in each picture a colour is faint, never above .6, or strong, above .9 somewhere."""
    rng = np.random.default_rng(seed)
    faint = rng.random((cases, 1, 1, 3)) < 0.5
    tint = np.where(faint, 0.4, 1.0) + 0.2 * rng.random((cases, 1, 1, 3))
    return np.rint(255 * np.clip(rng.random((cases, 8, 8, 3)) * tint, 0, 1)).astype(np.uint8)


def labels_of(cases: int, seed: int = 0) -> np.ndarray:
    """A class a case, (cases,)."""
    return np.random.default_rng([seed, 1]).integers(0, 3, cases)


def write_coloured(
    folder: Path,
    net: str = "rectified",
    task: str = "task: single_label\n  classes: [a, b, c]",
    *,
    cases: int = 60,
    label: str = "labels",
    cluster: str = "",
    methods: str = "",
    criteria: str = "[]",
    layer: str = LAYER,
    more: str = "",
) -> Path:
    """Spec, nets and arrays in a folder; the path of the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nets.py").write_text(NETS)
    rng, masks = np.random.default_rng(5), {}
    for name in ("red", "green", "blue"):
        masks[name] = (rng.random((cases, 8, 8)) < 0.3).astype(np.uint8)
    labels = labels_of(cases)
    several = (rng.random((cases, 3)) < 0.5).astype(np.int64)
    numbers = rng.random(cases)
    np.savez(
        folder / "cases.npz", images=images(cases), labels=labels, several=several, numbers=numbers,
        two=labels % 2, unit=np.arange(cases) // 3, **masks,
    )  # fmt: skip
    path = folder / "coloured.yaml"
    text = SPEC.format(
        net=net, task=task, label=label, cluster=cluster, methods=methods, criteria=criteria, layer=layer, more=more
    )
    path.write_text(text)
    return path


def run(spec: Path, name: str = "out", batch_size: int | None = None) -> Outcome:
    """A whole run."""
    return run_audit(load_spec(spec), Options(out=spec.parent / name, batch_size=batch_size), Silent())


def record_of(outcome: Outcome, kind: str) -> Evidence:
    """The record of a kind, of which there is one."""
    (found,) = [record for record in outcome.run.records if record.kind == kind]
    return found


def value(record: Evidence, name: str, label: str = "") -> Value:
    """The value of a name and label."""
    return next(each for each in record.values if each.name == name and each.label == label)


class Told:
    """A dissection by hand: concepts and their detectors as told, beside each unit's own mean and smallest value."""

    looks = 1
    targets = ()
    passes = NO_PASSES

    def __init__(self, ids: Sequence[str], concepts: Sequence[Any], detectors: dict[str, tuple[int, ...]]) -> None:
        self.ids, self.concepts, self.detectors = ids, concepts, detectors
        self.seen: list[np.ndarray] = []

    def take(self, seen: Seen) -> None:
        self.seen.append(seen.activation.double().cpu().numpy())

    def between(self) -> None:
        pass

    def finish(self) -> Read:
        maps = np.concatenate(self.seen)
        of_unit = {unit: name for name, units in self.detectors.items() for unit in units}
        units = [
            {
                "unit": k, "state": "scored" if maps[:, k].any() else "silent", "concept": of_unit.get(k, "green"),
                "is_detector": k in of_unit,
            }
            for k in range(maps.shape[1])
        ]  # fmt: skip
        concepts = [{"name": one.name, "spurious": bool(one.spurious), "ceiling": 0.1} for one in self.concepts]
        largest = maps.max(axis=(2, 3))
        columns = {
            f"concept:network_dissection:{name}": largest[:, units[0]].tolist()
            for name, units in self.detectors.items()
            if units
        }
        arrays = {"unit_means": maps.mean(axis=(0, 2, 3)), "unit_minima": maps.min(axis=(0, 2, 3))}
        details = {"concepts": concepts, "units": units, "parameters": {"layer": "act"}}
        return Read(details, (), arrays, Rows(tuple(self.ids), columns))


def begin(context: Any, step: Any, method: Any, layer: Any, cases: np.ndarray) -> Told:
    """As engines/dissecting.begin, with the detectors of DETECTORS."""
    from xai_audit.spec.concepts import concepts_of

    ids = [context.dataset.ids[int(index)] for index in cases]
    return Told(ids, concepts_of(method, context.spec), dict(DETECTORS))
