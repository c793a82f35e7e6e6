"""activation_maps in a run: what its step leaves, from the pictures on disk to the record."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny import write_audit

from xai_audit.engines.progress import Silent
from xai_audit.evidence.store import step_arrays
from xai_audit.model.load import load_model
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec


def ran(folder, methods, *, shows=True, **options):
    path = write_audit(folder)
    text = path.read_text().replace("show: {images: true}", f"show: {{images: {str(shows).lower()}}}")
    path.write_text(f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n")
    return run_audit(load_spec(path), Options(out=folder / "reports", **options), Silent()).run


def of(run, label="activation_maps"):
    record = next(record for record in run.records if record.subject == label)
    return record, step_arrays(run.folder, record.id)


def activations(folder):
    """The layer's output for the pictures on disk, by the net itself."""
    model = load_model(load_spec(folder / "tiny.yaml").spec.model, folder, "cpu", 3)
    pictures = np.stack([np.asarray(Image.open(folder / "images" / f"{k}.png")) for k in range(48)])
    with torch.no_grad():
        return pictures, model.module.features(torch.tensor(pictures, dtype=torch.float32)[:, None] / 255).numpy()


def test_the_step_against_the_net_and_the_pictures(tmp_path):
    run = ran(tmp_path, "  - {use: activation_maps, layer: last, slice: dim, top: 4, rank: mean}\n")
    record, arrays = of(run)
    _, A = activations(tmp_path)
    frame = [line.split(",") for line in (tmp_path / "index.csv").read_text().splitlines()[1:]]
    dim = [row for row, line in enumerate(frame) if float(line[4]) < 0.6]
    ids = [line[id_column(tmp_path)] for line in frame]
    summary = record.details["summary"]
    assert record.status == "measured" and record.kind == "units" and record.slice == "dim"
    assert record.details["cases"] == len(dim) and record.passes.rows == 0
    assert record.details["parameters"] == {
        "layer": "features", "layout": "nchw", "grid": [24, 24], "units": "all", "rank": "mean", "top": 4,
    }  # fmt: skip
    assert record.details["receptive"] == {"size": [3, 3], "stride": [1, 1], "start": [0, 0], "how": "graph", "why": ""}
    for unit, entry in enumerate(summary["units"]):
        of_case = A[dim, unit].astype(np.float64).mean((1, 2))
        strongest = np.argsort(-of_case, kind="stable")[:4]
        assert [one["case"] for one in entry["top"]] == [ids[dim[row]] for row in strongest]
        assert np.allclose([one["value"] for one in entry["top"]], of_case[strongest], atol=1e-6)
        assert np.allclose(arrays["top_maps"][unit], A[dim][strongest, unit], atol=1e-6)
        for one, found in zip(entry["top"], arrays["top_maps"][unit], strict=True):
            row, column = np.unravel_index(int(found.argmax()), (24, 24))
            assert one["place"] == [row, column]
            assert one["box"] == [max(row - 1, 0), max(column - 1, 0), min(row + 2, 24), min(column + 2, 24)]
        assert entry["min"] == pytest.approx(A[dim, unit].min(), abs=1e-6)
        assert entry["max"] == pytest.approx(A[dim, unit].max(), abs=1e-6)
        assert entry["mean"] == pytest.approx(A[dim, unit].mean(dtype=np.float64), abs=1e-6)
        assert entry["is_dead"] is bool(A[dim, unit].max() <= 0)
    means = A[dim].mean((0, 2, 3))
    assert summary["order"] == np.argsort(-means).tolist() and summary["is_rectified"] is True


def id_column(folder):
    return (folder / "index.csv").read_text().splitlines()[0].split(",").index("case")


def test_histograms_of_each_slice(tmp_path):
    run = ran(tmp_path, "  - {use: activation_maps, layer: last}\n")
    record, arrays = of(run)
    assert record.details["slices"] == ["all", "site-a", "dim"] and record.details["bins"] == 64
    sizes = record.details["slice_cases"]
    assert sizes["all"] == 48
    assert arrays["edges"].shape == (2, 65)
    for name in record.details["slices"]:
        counts = arrays[f"histogram:{name}"]
        assert counts.dtype == np.int64 and counts.sum(1).tolist() == [sizes[name] * 576] * 2
    _, A = activations(tmp_path)
    edges = arrays["edges"]
    for unit in range(2):
        wanted = np.histogram(A[:, unit].astype(np.float64), edges[unit])[0]
        assert np.abs(arrays["histogram:all"][unit] - wanted).sum() <= 4  # values on an edge may round either way


def test_a_slice_with_none_of_its_cases_has_no_histogram(tmp_path):
    path = write_audit(tmp_path)
    text = path.read_text()
    methods = "  - {use: activation_maps, layer: last, slice: site-a}\n"
    text = text.replace("slices:\n", "slices:\n  - {name: site-b, where: {site: b}}\n")
    path.write_text(f"{text[: text.index('methods:')]}methods:\n{methods}measures:\n  - accuracy\n")
    run = run_audit(load_spec(path), Options(out=tmp_path / "reports"), Silent()).run
    record, arrays = of(run)
    assert "site-b" not in record.details["slices"] and "histogram:site-b" not in arrays
    assert record.details["slice_cases"]["all"] == record.details["slice_cases"]["site-a"] == record.details["cases"]


def test_pictures_are_those_of_the_cases_that_are_shown(tmp_path):
    run = ran(tmp_path, "  - {use: activation_maps, layer: last, top: 1}\n")
    record, arrays = of(run)
    pictures, _ = activations(tmp_path)
    strongest = record.details["summary"]["order"][0]
    shown = {one["case"] for entry in record.details["summary"]["units"] if entry["unit"] == strongest
             for one in entry["top"]}  # fmt: skip
    assert record.details["pictures"] == sorted(shown) and len(shown) == 1
    ids = [line.split(",")[id_column(tmp_path)] for line in (tmp_path / "index.csv").read_text().splitlines()[1:]]
    assert np.array_equal(
        arrays["pictures"][..., 0], pictures[[ids.index(case) for case in record.details["pictures"]]]
    )


def test_no_picture_is_kept_where_none_may_be_shown(tmp_path):
    record, arrays = of(ran(tmp_path, "  - {use: activation_maps, layer: last}\n", shows=False))
    assert record.details["pictures"] == [] and arrays["pictures"].shape == (0, 24, 24, 1)


@pytest.mark.parametrize("batch", [1, 7])
def test_any_batch_size_leaves_the_same(tmp_path, batch):
    methods = "  - {use: activation_maps, layer: last, top: 3}\n"
    one = of(ran(tmp_path / "one", methods, batch_size=48))
    other = of(ran(tmp_path / "other", methods, batch_size=batch))
    assert one[0].details["pictures"] == other[0].details["pictures"]
    for mine, theirs in zip(*(r.details["summary"]["units"] for r, _ in (one, other)), strict=True):
        assert [top["case"] for top in mine["top"]] == [top["case"] for top in theirs["top"]]
        assert mine["mean"] == pytest.approx(theirs["mean"], abs=1e-6)
    assert np.allclose(one[1]["top_maps"], other[1]["top_maps"], atol=1e-6)


def test_what_does_not_fit_the_layer_is_refused(tmp_path):
    methods = "  - {use: activation_maps, layer: last, units: [1, 2]}\n"
    record, _ = of(ran(tmp_path, methods))
    assert record.status == "not_applicable"
    assert "unit 2; expected 0 to 1: the layer has 2 units" in record.failure.message
