"""A whole audit whose net is linear in a patch and its background, with operators that tell the truth and that lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import load_spec

SIDE, BOX = 24, (slice(2, 8), slice(2, 8))
PATCH_WEIGHT, BACKGROUND_WEIGHT = 2.0, 0.5
CODE = '''
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """Logit = a mean(patch) + b mean(background) - 1; a rotated copy beside it only to have parameters."""

    def __init__(self, a, b):
        super().__init__()
        weight = torch.full((1, 1, 24, 24), b / (24 * 24 - 36))
        weight[:, :, 2:8, 2:8] = a / 36
        self.weight = nn.Parameter(weight.double())

    def forward(self, x):
        return (x * self.weight).sum((1, 2, 3))[:, None] - 1


def build():
    return Net(2.0, 0.5)


def patch_only():
    return Net(2.0, 0.0)


def patch_grey(image, masks):
    return image[2:8, 2:8].mean()


def rest_grey(image, masks):
    inside = np.zeros(image.shape[:2], bool)
    inside[2:8, 2:8] = True
    return float(image[~inside].mean())


def set_rest(image, masks, row, value, rng):
    made = image.copy()
    made += value - rest_grey(image, masks)
    made[2:8, 2:8] = image[2:8, 2:8]
    return made


def lying(image, masks, row, value, rng):
    """Sets the background, and lifts the patch as well."""
    made = set_rest(image, masks, row, value, rng)
    made[2:8, 2:8] += 0.3 * (value - rest_grey(image, masks))
    return made


def halfway(image, masks, row, value, rng):
    """Gets half of the way only."""
    return set_rest(image, masks, row, (value + rest_grey(image, masks)) / 2, rng)


def sometimes(image, masks, row, value, rng):
    """Fails on one case in fifty."""
    chosen = halfway if row["number"] % 50 == 7 else set_rest
    return chosen(image, masks, row, value, rng)


def shifting(image, masks, row, value, rng):
    """Reaches the value, but moves the picture even where it has it already."""
    return set_rest(image, masks, row, value, rng) + _wave(image)


def _wave(image):
    wave = np.zeros_like(image)
    wave[10:22, 10:22] = 0.1 * np.sign(np.arange(12) % 2 - 0.5)[:, None, None]
    return wave


def broken(image, masks, row, value, rng):
    raise RuntimeError("no such colour")


def shapeless(image, masks, row, value, rng):
    return image[:3]
'''
VARIABLES = """
    site: {role: context, domain: {levels: [0, 1]}, source: {column: site}}
    kind: {role: cause, domain: {levels: [0, 1]}, source: {column: kind}}
    patch: {role: shortcut, domain: {range: [0, 1]}, unit: grey, source: {measure: "code.py:patch_grey"}}
    bg: {role: shortcut, domain: {range: [0, 1]}, unit: grey, source: {measure: "code.py:rest_grey"}}
    haze: {role: shortcut, domain: {range: [0, 1]}, source: {operator: set_haze}, neutral: 0}
    image: {role: medium}
    score: {role: model_output, source: {model: {class: "yes", output: logit}}}
"""
OPERATORS = """
    set_patch: {call: recolour_inside, sets: patch, range: [0, 1], tolerance: 0.001, parameters: {mask: square},
      placebo: random_region}
    set_bg: {call: "code.py:set_rest", sets: bg, range: [0, 1], tolerance: 0.001, placebo: random_recolour}
    set_haze: {call: fog, sets: haze, range: [0, 1], tolerance: 0.001, parameters: {level: 0.8}}
"""
SPEC = """version: 1
audit: {{id: operated, title: Operators, owner: {{name: A. Tester, role: owner}}, seed: 3}}
model:
  factory: code.py:{build}
  task: binary_logit
  classes: ["no", "yes"]
  input: {{size: [24, 24], channels: 1}}
data:
  source: {{kind: arrays, file: cases.npz, image: images, label: labels}}
  masks: {{square: square}}
  show: {{images: true}}
  {data}
slices:
  - {{name: all}}
  - {{name: one, where: {{site: 1}}}}
  - {{name: zero, where: {{site: 0}}}}
causal:
  author: {{name: A. Tester, role: owner}}
  variables:{variables}
  edges: [site -> patch, site -> bg, site -> kind, kind -> image, patch -> image, bg -> image, haze -> image,
    image -> score]
  operators:{operators}
  queries:
{queries}
{more}
"""


def pictures(cases: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of a data set: a patch whose grey follows the site, on a background of texture."""
    rng = np.random.default_rng(seed)
    site, kind = rng.integers(0, 2, cases), rng.integers(0, 2, cases)
    images = 0.35 + 0.1 * rng.random((cases, SIDE, SIDE)) + 0.02 * rng.standard_normal((cases, 1, 1))
    level = 0.3 + 0.2 * site + 0.05 * rng.random(cases)
    images[:, *BOX] = level[:, None, None] + 0.02 * rng.standard_normal((cases, 6, 6))
    square = np.zeros((cases, SIDE, SIDE), np.uint8)
    square[:, *BOX] = 1
    return {
        "images": images.astype(np.float32), "labels": kind, "site": site, "kind": kind, "square": square,
        "number": np.arange(cases), "group": np.arange(cases) // 2,
    }  # fmt: skip


def write_operated(
    folder: Path, queries: str, *, cases: int = 60, operators: str = "", build: str = "build",
    variables: str = VARIABLES, data: str = "", more: str = "",
) -> Path:  # fmt: skip
    """Write code, arrays and spec into a folder; the path of the spec."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "code.py").write_text(CODE)
    np.savez(folder / "cases.npz", **pictures(cases))
    lines = "\n".join(f"    - {line}" for line in queries.strip().splitlines())
    parts = {"build": build, "operators": OPERATORS + operators, "queries": lines, "variables": variables}
    path = folder / "operated.yaml"
    path.write_text(SPEC.format(**parts, data=data, more=more))
    return path


def run(spec: Path) -> Outcome:
    """The audit carried out."""
    return run_audit(load_spec(spec), Options(out=spec.parent / "out"), Silent())


def queries_of(outcome: Outcome) -> dict[str, Evidence]:
    """Records of the queries, by id."""
    return {record.subject: record for record in outcome.run.records if record.kind == "causal_query"}


def parts(record: Evidence) -> dict[str, Any]:
    """Numbers of a query by name."""
    return {entry["name"]: entry for entry in record.details["answered"]}
