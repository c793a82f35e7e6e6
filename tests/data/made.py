"""Specs, tables and images made by hand for the tests of data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.spec.schema import AuditSpec

AUDIT = {"id": "a", "title": "t", "owner": {"name": "n", "role": "r"}}
INPUT = {"size": (8, 8), "channels": 3}


def make_spec(
    source: dict[str, Any],
    *,
    classes: Sequence[str] | None = ("cat", "dog"),
    task: str = "single_label",
    model_input: dict[str, Any] | None = None,
    slices: Sequence[dict[str, Any]] | None = None,
    outputs: Sequence[str] | None = None,
    **data: Any,
) -> AuditSpec:
    """A spec with this source; no model for stored predictions."""
    tree: dict[str, Any] = {"version": 1, "audit": AUDIT, "data": {"source": source, **data}}
    if source["kind"] != "predictions":
        tree["model"] = {"factory": "nets.make", "task": task, "input": model_input or INPUT}
        if classes:
            tree["model"]["classes"] = tuple(classes)
        if outputs:
            tree["model"]["outputs"] = tuple(outputs)
    if slices:
        tree["slices"] = tuple(slices)
    return AuditSpec.model_validate(tree)


def write(path: Path, text: str) -> Path:
    """A text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def pixels(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    """A noisy image, (height, width, channels) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path: Path, image: np.ndarray, **options: Any) -> Path:
    """An image file; one channel is saved as grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image).save(path, **options)
    return path


def table_source(**more: Any) -> dict[str, Any]:
    """The image_table that `four_cases` writes."""
    return {"kind": "image_table", "table": "index.csv", "image": "file", "label": "species", **more}


FOUR = """file,species,site,brightness,seen,day
images/0.png,cat,A,10,true,2026-01-01
images/1.png,dog,A,60.5,false,2026-01-02
images/2.png,cat,B,90,true,2026-01-01
images/3.png,dog,007,200,true,2026-01-03
"""


def four_cases(folder: Path, table: str = FOUR) -> Path:
    """index.csv and four images of 8 x 8 pixels."""
    for place in range(4):
        save(folder / "images" / f"{place}.png", pixels(place))
    write(folder / "index.csv", table)
    return folder


def opened(folder: Path, source: dict[str, Any] | None = None, **spec: Any) -> Dataset:
    """The dataset of a spec in `folder`."""
    return open_dataset(make_spec(source or table_source(), **spec), folder)
