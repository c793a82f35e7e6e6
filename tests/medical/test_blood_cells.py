"""The blood-cell audit: cells are cut out as the data say, no picture trains that is audited, and its concepts hold."""

from __future__ import annotations

import csv
import hashlib
import importlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from xai_audit.data.sources import Dataset, open_dataset
from xai_audit.engines.progress import Silent
from xai_audit.evidence.records import Evidence
from xai_audit.run import Options, Outcome, run_audit
from xai_audit.spec.load import LoadedSpec, load_spec

AUDIT = Path(__file__).resolve().parents[2] / "audits" / "medical"


@pytest.fixture(scope="module", autouse=True)
def source(shared: Path) -> Iterator[Path]:
    """The folder of the pictures, named as the audit wants it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAI_AUDIT_BLOOD_CELLS", str(shared / "blood_cells"))
        yield shared / "blood_cells"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(AUDIT))
    yield importlib.import_module("train_blood_cells")
    sys.path.remove(str(AUDIT))


@pytest.fixture(scope="module")
def loaded(source: Path) -> LoadedSpec:
    return load_spec(AUDIT / "blood-cells.yaml")


@pytest.fixture(scope="module")
def cells(loaded: LoadedSpec) -> Dataset:
    return open_dataset(loaded.spec, loaded.folder)


@pytest.fixture(scope="module")
def boxes(source: Path) -> list[dict[str, str]]:
    with (source / "boxes.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def audited(loaded: LoadedSpec) -> set[str]:
    return {str(name) for name in loaded.spec.data.where["file"].in_ or ()}


# --- The files beside the spec --------------------------------------------------------------------------------------


def test_audited_pictures_are_the_middle_third_and_none_of_them_trains(script: ModuleType, loaded: LoadedSpec) -> None:
    names, training = script.pictures(loaded.spec), script.training_pictures(loaded.spec)
    assert (len(names), len(training)) == (273, 182)
    assert audited(loaded) == set(names[91:182]) == set(names) - set(training)


def test_deep_stain_is_the_pictures_that_the_index_says(loaded: LoadedSpec, source: Path) -> None:
    with (source / "index.csv").open(newline="", encoding="utf-8") as file:
        green = {row["file"]: float(row["mean_g"]) for row in csv.DictReader(file)}
    part = next(part for part in loaded.spec.slices if part.name == "deep-stain")
    assert set(part.where["file"].in_ or ()) == {name for name in audited(loaded) if green[name] < 175}


def test_digests_are_those_of_the_training_cells(script: ModuleType, loaded: LoadedSpec, tmp_path: Path) -> None:
    """2,663 of 2,664 boxes: one has no area."""
    training = script.cells_of(loaded.spec, script.training_pictures(loaded.spec))
    script.write_digests(training, tmp_path / "digests.txt")
    listed = (AUDIT / "blood-cells-train.digests.txt").read_bytes()
    assert (tmp_path / "digests.txt").read_bytes() == listed
    assert listed.count(b"\n") == len(training.ids) == 2663
    assert [case.id for case in training.bad] == ["images/BloodImage_00343.jpg [90.5 164.5 90.5 164.5]"]


def test_weights_are_those_that_the_spec_names(loaded: LoadedSpec) -> None:
    weights = loaded.spec.model.weights
    content = (AUDIT / weights.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights.sha256
    assert len(content) < 1_000_000


def test_every_kind_is_drawn_equally_often(script: ModuleType) -> None:
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 5)
    drawn = torch.cat(list(script.batches(labels, torch.Generator().manual_seed(0))))
    assert torch.bincount(labels[drawn]).tolist() == [script.DRAWN] * 3


def test_training_is_repeatable(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "EPOCHS", 2)
    monkeypatch.setattr(script, "DRAWN", 16)
    pictures, labels = torch.rand(24, 3, 64, 64, generator=torch.Generator().manual_seed(1)), torch.arange(24) % 3
    script.make_repeatable()
    try:
        first, second = (script.train(pictures, labels).state_dict() for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- Cells ----------------------------------------------------------------------------------------------------------


def test_every_boxed_cell_of_the_audited_pictures_is_a_case(
    cells: Dataset, loaded: LoadedSpec, boxes: list[dict[str, str]]
) -> None:
    inside = [row for row in boxes if row["file"] in audited(loaded)]
    assert len(cells.ids) == len(inside) == 1016
    assert Counter(cells.labels.tolist()) == {0: 852, 1: 92, 2: 72}
    assert len(set(cells.clusters.tolist())) == 91
    assert cells.bad == ()
    row = inside[0]
    edges = " ".join(f"{float(row[edge]):g}" for edge in ("xmin", "ymin", "xmax", "ymax"))
    assert cells.ids[0] == f"{row['file']} [{edges}]"


def test_the_cell_that_is_to_be_named_lies_in_its_square(cells: Dataset) -> None:
    """Its box, as far as it is no larger than the square; a white cell of over 96 pixels is cut."""
    frame = cells.frame
    for index in range(0, len(cells.ids), 50):
        width, height = (float(frame[f"{axis}max"][index] - frame[f"{axis}min"][index]) for axis in ("x", "y"))
        mask = cells.mask(index, "own-cell")
        assert cells.image(index).shape == (96, 96, 3)
        assert mask.any(axis=0).sum() == pytest.approx(min(width, 96), abs=1)
        assert mask.any(axis=1).sum() == pytest.approx(min(height, 96), abs=1)
        middle = np.argwhere(mask).mean(axis=0)
        touches = min(frame[f"{axis}min"][index] for axis in ("x", "y")) < 50
        if not touches and frame["xmax"][index] < 270 and frame["ymax"][index] < 190:
            assert np.abs(middle - 47.5).max() <= 1


def test_concepts_are_marked_in_every_square_and_absent_where_no_box_is(cells: Dataset) -> None:
    """Every picture was boxed, so that every case is annotated; its own kind is in it, the others may not be."""
    of_kind = ("red-cell", "white-cell", "platelet")
    absent = Counter[str]()
    for index in range(0, len(cells.ids), 10):
        masks = {concept: cells.mask(index, concept) for concept in of_kind}
        assert all(cells.has_mask(index, concept) for concept in (*of_kind, "frame"))
        own = masks[of_kind[cells.labels[index]]]
        assert (own | ~cells.mask(index, "own-cell")).all(), "the cell's own box is one of the boxes of its kind"
        absent.update(concept for concept, mask in masks.items() if not mask.any())
    assert absent["platelet"] > absent["white-cell"] > absent["red-cell"]


# --- A small run ----------------------------------------------------------------------------------------------------

PICTURES = 24
"""Of the 91: enough for the 200 cells that the tree wants."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, loaded: LoadedSpec) -> Outcome:
    """The audit on some of its pictures, with few cases and short searches."""
    folder = tmp_path_factory.mktemp("blood") / "audit"
    shutil.copytree(AUDIT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "blood-cells.yaml"
    text = path.read_text(encoding="utf-8")
    deep = sorted(
        audited(loaded) & set(next(p for p in loaded.spec.slices if p.name == "deep-stain").where["file"].in_)
    )
    pale = sorted(audited(loaded) - set(deep))
    kept = [*deep[: PICTURES // 2], *pale[: PICTURES // 2]]
    for start in ("    file:\n      in: [\n", "      file:\n        in: [\n"):
        begin = text.index(start)
        end = text.index("]", begin)
        names = kept if start.startswith("    file") else deep
        text = text[:begin] + start + "        " + ", ".join(names) + text[end:]
    for old, new in CHANGES:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return run_audit(load_spec(path), Options(out=folder / "reports"), Silent())


CHANGES = (
    ("cases: {explain: 96,", "cases: {explain: 3,"),
    ("steps: 96}", "steps: 4}"),
    ("minimum_cases: 30\n", "minimum_cases: 3\n"),
    ("tcav, layer: middle, concepts: [deep-stain, left-edge]}", "tcav, layer: middle, concepts: [deep-stain]}"),
    ("  - {name: left-edge, category: place, spurious: true}\n", ""),
)


def of_kind(outcome: Outcome, kind: str) -> list[Evidence]:
    return [record for record in outcome.run.records if record.kind == kind]


def test_no_step_of_the_audit_fails(small: Outcome) -> None:
    assert [(r.kind, r.subject, r.failure) for r in small.run.records if r.status == "failed"] == []
    kinds = {record.kind for record in small.run.records if record.status == "measured"}
    assert {"scan", "units", "dissection", "tcav", "maximisation", "concept_effect", "surrogate"} <= kinds


def test_no_audited_cell_was_trained_on(small: Outcome) -> None:
    profile = of_kind(small, "data_profile")[0]
    assert profile.details["training"]["images"] == 2663
    assert profile.details["training"]["exact"] == []
    assert {mask["concept"]: mask["without"] for mask in profile.details["masks"]} == dict.fromkeys(
        ("own-cell", "red-cell", "white-cell", "platelet", "frame"), 0
    )


def test_units_answer_to_white_cells(small: Outcome) -> None:
    """The commonest finding of any net on stained smears: the nucleus is the only violet thing of its size."""
    record = of_kind(small, "dissection")[0]
    found = {unit["concept"] for unit in record.details["units"] if unit["state"] == "scored" and unit["is_detector"]}
    assert "white-cell" in found
    concepts = {concept["name"]: concept for concept in record.details["concepts"]}
    assert concepts["frame"]["spurious"] and not concepts["white-cell"]["spurious"]
    border = 1 - (52 / 64) ** 2
    assert concepts["frame"]["prevalence"] == pytest.approx(border, abs=1e-9), "6 pixels of 64 on every side"


def test_intervals_rest_on_pictures(small: Outcome) -> None:
    record = next(r for r in of_kind(small, "performance") if r.subject == "balanced_accuracy" and r.slice == "all")
    assert record.details["clusters"] == PICTURES


def test_net_tells_most_cells_apart(small: Outcome) -> None:
    record = next(r for r in of_kind(small, "performance") if r.subject == "balanced_accuracy" and r.slice == "all")
    assert record.values[0].estimate > 0.8
