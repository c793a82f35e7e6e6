"""The audits of made-up pictures, cut down to a few units and queries so that they run in seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ruamel.yaml import YAML

from xai_audit.data.generated import GeneratedPixels
from xai_audit.data.preprocess import prepare
from xai_audit.data.sources import open_dataset
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.model.load import load_model
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import LoadedSpec, load_spec
from xai_audit.synthetic.units import World

AUDITS = Path(__file__).resolve().parents[1] / "audits"
NAMES = (
    "medical/chest-token", "medical/chest-token-only", "automotive/traffic-signs", "finance/document-tampering",
    "industrial/metal-surface",
)  # fmt: skip


def cut_down(name: str, folder: Path, queries: Collection[str], count: int, **more: Any) -> LoadedSpec:
    """An audit with `count` units, these queries, and nothing else asked."""
    tree = YAML(typ="safe").load((AUDITS / f"{name}.yaml").read_text(encoding="utf-8"))
    tree["data"]["source"]["count"] = count
    tree["model"]["weights"].pop("made_by", None)
    for part in ("methods", "cases", "criteria", "medical", "automotive", "finance", "industrial", "statements"):
        tree.pop(part, None)
    tree["data"].pop("appraisers", None)
    tree["measures"], tree["slices"] = ["accuracy"], [{"name": "all"}]
    causal = tree["causal"]
    causal.pop("severity", None)
    causal["queries"] = [{**query, "slice": "all"} for query in causal["queries"] if query["id"] in queries]
    assert len(causal["queries"]) == len(queries)
    causal.update(more)
    (folder / "weights").mkdir(parents=True)
    weights = tree["model"]["weights"]["file"]
    shutil.copy((AUDITS / name).parent / weights, folder / weights)
    YAML(typ="safe").dump(tree, folder / "audit.yaml")
    return load_spec(folder / "audit.yaml")


def answers(loaded: LoadedSpec, out: Path) -> dict[str, Evidence]:
    """The record of each query, by its id."""
    records = run_audit(loaded, Options(out=out), Silent()).run.records
    return {str(one.details["id"]): one for one in records if one.kind == "causal_query" and one.status == "measured"}


def amount(record: Evidence, name: str) -> float:
    """One of a record's numbers."""
    (found,) = [value.estimate for value in record.values if value.name == name]
    assert found is not None
    return found


def world_of_audit(loaded: LoadedSpec) -> World:
    """The world that an audit's units are of."""
    pixels = open_dataset(loaded.spec, loaded.folder).pixels
    assert isinstance(pixels, GeneratedPixels)
    return pixels.world


def score_of_audit(loaded: LoadedSpec) -> Callable[[np.ndarray], np.ndarray]:
    """The number of the model that the audit calls score, of pictures as the world makes them."""
    spec = loaded.spec
    assert spec.model is not None and spec.causal is not None
    model = load_model(spec.model, loaded.folder, "cpu", 0)
    source: Any = spec.causal.variables["score"].source
    place = spec.classes.index(source.model.class_)

    def score(pictures: np.ndarray) -> np.ndarray:
        planes = pictures[..., None] if pictures.ndim == 3 else pictures
        given: Any = spec.model.input  # type: ignore[union-attr]
        seen = torch.from_numpy(np.stack([prepare(one, given) for one in planes]))
        mean, std = (torch.tensor(numbers).reshape(1, -1, 1, 1) for numbers in (given.mean, given.std))
        with torch.inference_mode():
            return model.module((seen - mean) / std).double().softmax(1)[:, place].numpy()

    return score
