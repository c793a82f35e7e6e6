"""The four methods of concepts on each kind of net, as a whole audit asks them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

EXPLAIN = Path(__file__).parent / "explain"
sys.path.insert(0, str(EXPLAIN))

from kinds import KINDS, Kind  # noqa: E402

from xai_audit.engines.progress import Silent  # noqa: E402
from xai_audit.evidence.records import Evidence  # noqa: E402
from xai_audit.run import Options, Outcome, run_audit  # noqa: E402
from xai_audit.spec.load import load_spec  # noqa: E402

CASES = 80
FACTORY = """
import sys
sys.path[:0] = [{tests!r}, {explain!r}]
import nets
from kinds import KINDS


def build():
    kind = KINDS[{name!r}]
    return nets.seeded(kind.make, kind.seed).train(kind.training)
"""
METHODS = ("activation_maps", "network_dissection", "tcav", "activation_maximisation", "concept_effect")


def write_kind(folder: Path, name: str) -> Path:
    """Spec, factory and arrays of an audit of one kind; the path of the spec."""
    kind = KINDS[name]
    tests = Path(__file__).parent
    (folder / "net.py").write_text(FACTORY.format(tests=str(tests), explain=str(EXPLAIN), name=name))
    np.savez(folder / "cases.npz", **_arrays(kind))
    spec = {
        "version": 1,
        "audit": {"id": "kind", "title": kind.words, "owner": {"name": "A. Tester", "role": "owner"}, "seed": 2},
        "model": _model(kind),
        "data": {
            "source": {"kind": "arrays", "file": "cases.npz", "image": "images", "label": "labels"},
            "masks": {"spot": "spot"},
        },
        "slices": [{"name": "all"}, {"name": "bright", "where": {"bright": 1}}],
        "concepts": ["spot", "bright"],
        "methods": _methods(kind),
    }
    path = folder / "kind.yaml"
    path.write_text(json.dumps(spec))
    return path


def _model(kind: Kind) -> dict[str, Any]:
    given = kind.model_spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**given, "factory": "net.py:build"}


def _methods(kind: Kind) -> list[dict[str, Any]]:
    layer: dict[str, Any] = {} if kind.layer is None else {"layer": kind.layer}
    layer |= {} if kind.layout is None else {"layout": kind.layout}
    model = kind.model_spec
    first = (model.classes or model.outputs or ("value",))[0]
    classes = {} if model.task == "detection" else {"classes": [first]}
    return [
        {"use": "activation_maps", **layer, "top": 2},
        {"use": "network_dissection", **layer, "concepts": ["spot"], "quantile": 0.02, "shuffles": 19},
        {"use": "tcav", **layer, "concepts": ["bright"], "runs": 10, "null_sets": 19},
        {"use": "activation_maximisation", **layer, "units": [0, 1], **classes, "steps": 2},
    ]


def _arrays(kind: Kind) -> dict[str, np.ndarray]:
    """Noise, half of it bright, with a spot that is brighter still in half of the cases."""
    given, rng = kind.model_spec.input, np.random.default_rng(3)
    height, width = given.size
    bright, spotted = np.arange(CASES) % 2, np.arange(CASES) // 2 % 2
    images = rng.uniform(0, 0.4, (CASES, height, width, given.channels)) + 0.2 * bright[:, None, None, None]
    spot = np.zeros((CASES, height, width), np.uint8)
    spot[spotted == 1, height // 4 : height // 2, width // 4 : width // 2] = 1
    images += 0.4 * spot[..., None]
    return {"images": images.astype(np.float32), "spot": spot, "bright": bright, "labels": _labels(kind, rng)}


def _labels(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    model = kind.model_spec
    if model.task == "regression":
        return rng.normal(size=(CASES, len(model.outputs or ())))
    classes = len(model.classes or ())
    if model.task in ("multi_label", "segmentation", "detection"):
        return rng.integers(0, 2, (CASES, classes))
    return np.arange(CASES) // 4 % classes


def run_kind(folder: Path, name: str, **options: Any) -> Outcome:
    """A whole audit of a kind."""
    return run_audit(load_spec(write_kind(folder, name)), Options(out=folder / "reports", **options), Silent())


def found(outcome: Outcome) -> Mapping[str, Evidence]:
    """The records of the methods, by name."""
    named = {
        record.kind if record.kind == "concept_effect" else record.subject: record for record in outcome.run.records
    }
    return {name: named[name] for name in METHODS if name in named}
