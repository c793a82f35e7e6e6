"""Pictures that a net finds classes in are measured as multi_label: a row of scores a case, a 0/1 column a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Passes
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

NETS = '''
import torch
from torch import nn


class Segmenter(nn.Module):
    """Scores of a place: a half for the background, 2 * grey for the object."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return {"out": torch.cat([torch.full_like(x, 0.5), self.weight * x], 1), "aux": x}


class Detector(nn.Module):
    """One box over the whole picture, labelled 1, where its brightest place is above a half: that is its score."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        return [self.found(self.weight * image.amax(), image.shape) for image in images]

    def found(self, best, shape):
        count = int(best > 0.5)
        return {
            "boxes": best.new_tensor([[0.0, 0.0, shape[2], shape[1]]])[:count],
            "labels": torch.ones(count, dtype=torch.int64),
            "scores": best[None][:count],
        }
'''

SPEC = """version: 1
audit: {{id: found, title: Found, owner: {{name: A. Tester, role: owner}}}}
model:
  factory: net.py:{factory}
  task: {task}
  classes: [background, spot]
  input: {{size: [8, 8], channels: 1}}
data:
  source: {{kind: image_table, table: index.csv, image: file, label: [has_background, has_spot]}}
measures: [accuracy]
"""
BEST = (0.2, 0.4, 0.8, 1.0)


def written(folder: Path, factory: str, task: str) -> Path:
    lines = ["file,has_background,has_spot"]
    for number, best in enumerate(BEST):
        picture = np.zeros((8, 8), np.uint8)
        picture[2, 3] = round(255 * best)
        Image.fromarray(picture).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{int(task == 'segmentation')},{int(best > 0.5)}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    (folder / "net.py").write_text(NETS)
    (folder / "found.yaml").write_text(SPEC.format(factory=factory, task=task))
    return folder / "found.yaml"


@pytest.mark.parametrize(("factory", "task"), [("Segmenter", "segmentation"), ("Detector", "detection")])
def test_a_picture_has_the_classes_that_are_found_in_it(tmp_path: Path, factory: str, task: str) -> None:
    finished = run_audit(load_spec(written(tmp_path, factory, task)), Options(out=tmp_path / "out"), Silent()).run
    rows = finished.rows()
    best = np.round(255 * np.asarray(BEST)) / 255
    if task == "segmentation":
        spot = 1 / (1 + np.exp(0.5 - 2 * best))  # softmax of (0.5, 2 best) at the brightest place
        background = np.full(4, 1 / (1 + np.exp(-0.5)))  # at a dark one
    else:
        spot, background = np.where(best > 0.5, best, 0), np.zeros(4)
    np.testing.assert_allclose(rows["probability:spot"], spot, atol=1e-6)
    np.testing.assert_allclose(rows["probability:background"], background, atol=1e-6)
    accuracy = next(record for record in finished.records if record.subject == "accuracy")
    labels = np.asarray(BEST) > 0.5
    assert accuracy.values[0].estimate == ((spot >= 0.5) == labels).mean() == (1.0 if task == "detection" else 0.75)
    assert sum((record.passes for record in finished.records), Passes()) == Passes(forwards=4)
