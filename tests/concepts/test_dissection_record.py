"""Dissections of whole runs: which cases count as annotated, what the record says, and refusals."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dissections import Case, drawn, pooled_iou
from PIL import Image

from xai_audit.concepts import dissection
from xai_audit.engines.dissection_record import _is_doubtful, cannot_pass
from xai_audit.engines.progress import Silent
from xai_audit.errors import Refusal
from xai_audit.evidence.records import Value
from xai_audit.evidence.store import Rows, StepResult
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

CASES, SIDE = 48, 24
NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.units = nn.Conv2d(3, 5, 1)
        with torch.no_grad():
            self.units.weight.zero_()
            self.units.weight[:3, :, 0, 0] = torch.eye(3)
            self.units.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]))

    def forward(self, x):
        return self.units(x).mean((2, 3))[:, :2]


def build():
    return Net()
"""
SPEC = """version: 1
audit: {{id: shapes, title: Shapes, owner: {{name: A. Tester, role: owner}}, seed: 3}}
model:
  factory: net.py:build
  task: single_label
  classes: [a, b]
  input: {{size: [24, 24], channels: 3}}
data:
  source: {{kind: image_table, table: index.csv, image: file, label: label, id: case}}
  masks: {{red: red, green: green, big: big}}
  show: {{images: true}}
  {cluster}
slices:
  - {{name: all}}
  - {{name: tagged, where: {{tag: "yes"}}}}
  - {{name: untold, where: {{tag: {{missing: true}}}}}}
  - {{name: marked, where: {{group: 0}}}}
  - {{name: bare, where: {{group: 3}}}}
concepts:
  - {{name: red, category: colour}}
  - {{name: green, category: colour}}
  - {{name: big, category: size}}
  - {{name: tagged, category: tag, spurious: true}}
methods:
  - {{use: network_dissection, layer: units, quantile: 0.005, shuffles: 99{method}}}
measures: [accuracy]
criteria: []
"""


@dataclass(frozen=True, eq=False)
class Audit:
    """An audit on disk, with what its table says."""

    spec: Path
    pictures: np.ndarray
    masks: np.ndarray
    """(cases, red green big tagged, height, width)."""

    @property
    def annotated(self) -> np.ndarray:
        """(cases, colour size tag)."""
        number = np.arange(CASES)
        return np.stack([number % 4 != 3, number >= 0, number % 5 != 0], axis=1)


def write(folder: Path, *, method: str = "", cluster: str = "") -> Audit:
    """Noise with a red and a green block; some cells of masks and tags are empty."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    lines, pictures = ["case,file,label,group,patient,tag,red,green,big"], []
    masks = np.zeros((CASES, 4, SIDE, SIDE), np.bool_)
    for number in range(CASES):
        picture = rng.integers(0, 120, (SIDE, SIDE, 3)).astype(np.uint8)
        for concept, size in enumerate((4, 6)):
            top, left = rng.integers(0, SIDE - 6, 2)
            masks[number, concept, top : top + size, left : left + size] = True
            picture[masks[number, concept], concept] += 120
        picture[number % SIDE, 0, 2] = 200 + number
        masks[number, 2, : SIDE // 5 * 2 + 1] = True
        masks[number, 3] = number % 3 == 0
        masks[number, 0] &= number % 4 in (1, 2)
        masks[number, 1] &= number % 4 in (0, 2)
        Image.fromarray(picture).save(folder / f"{number}.png")
        cells = [_mask(folder, number, masks[number, k], k < 2 and not masks[number, k].any()) for k in range(3)]
        tag = "" if number % 5 == 0 else "yes" if number % 3 == 0 else "no"
        row = [f"c{number:02d}", f"{number}.png", "ab"[number % 2], number % 4, f"p{number // 2}", tag, *cells]
        lines.append(",".join(map(str, row)))
        pictures.append(picture)
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    (folder / "net.py").write_text(NET)
    spec = folder / "shapes.yaml"
    spec.write_text(SPEC.format(method=method, cluster=cluster))
    return Audit(spec, np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255), masks)


def _mask(folder: Path, number: int, mask: np.ndarray, is_empty: bool) -> str:
    if is_empty:
        return ""
    name = f"{number}-{len(list(folder.glob(f'{number}-*')))}.png"
    Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(folder / name)
    return name


def run(audit: Audit, batch_size: int | None = None, name: str = "out") -> StepResult:
    """The step of the dissection."""
    options = Options(out=audit.spec.parent / name, batch_size=batch_size)
    kept = run_audit(load_spec(audit.spec), options, Silent()).run
    record = next(record for record in kept.records if record.kind == "dissection")
    rows = kept.rows()
    columns = {str(name): rows[name].tolist() for name in rows.columns if str(name).startswith("concept:")}
    return StepResult(record, kept.arrays(record.id), Rows(tuple(rows["id"]), columns))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def step(audit: Audit) -> StepResult:
    return run(audit)


def value(step: StepResult, name: str, label: str = "") -> Value:
    return next(each for each in step.record.values if (each.name, each.label) == (name, label))


def concept(step: StepResult, name: str) -> dict[str, Any]:
    return next(each for each in step.record.details["concepts"] if each["name"] == name)


def test_overlaps_are_those_of_masks_drawn_over_the_cases_annotated(audit: Audit, step: StepResult) -> None:
    case = Case(audit.pictures, audit.masks, category=(0, 0, 1, 2), annotated=audit.annotated, quantile=0.005)
    np.testing.assert_allclose(step.arrays["iou"][:3], pooled_iou(case), rtol=0, atol=1e-6)
    assert step.record.details["units"][0]["concept"] == "red"
    assert step.record.details["units"][1]["concept"] == "green"


def test_each_concept_names_the_unit_that_was_measured_and_the_highest_that_it_could_reach(step: StepResult) -> None:
    for number, entry in enumerate(step.record.details["concepts"]):
        measured = value(step, "concept_iou", entry["name"])
        assert (entry["unit"] is None) == (measured.estimate is None)
        if entry["unit"] is not None:
            overlaps = step.arrays["iou"][:, number]
            assert measured.estimate == overlaps[entry["unit"]] == np.nanmax(overlaps)
            assert entry["own_ceiling"] == step.arrays["own_ceilings"][entry["unit"], number]


def test_dead_and_constant_units_are_listed_and_not_scored(step: StepResult) -> None:
    units = step.record.details["units"]
    assert [unit["state"] for unit in units] == ["scored"] * 3 + ["silent"] * 2
    assert np.isnan(step.arrays["iou"][3:]).all()
    for unit in units[3:]:
        assert unit["concept"] is unit["iou"] is unit["p"] is unit["q"] is None
        assert not (unit["is_over"] or unit["is_significant"] or unit["is_detector"])
    assert value(step, "detectors").n == 3


def test_detectors_and_unique_concepts_are_counted_by_category(step: StepResult) -> None:
    assert [unit["is_detector"] for unit in step.record.details["units"]] == [True, True, False, False, False]
    assert value(step, "detectors").estimate == value(step, "unique_concepts").estimate == 2
    assert [value(step, "detectors", name).estimate for name in ("colour", "size", "tag")] == [2, 0, 0]
    assert [entry["units"] for entry in step.record.details["categories"]] == [2, 0, 0]
    assert [entry["annotated"] for entry in step.record.details["categories"]] == [36, 48, 38]


def test_an_empty_cell_beside_another_of_its_category_counts_as_absent_and_is_told(step: StepResult) -> None:
    assert (concept(step, "red")["absent"], concept(step, "green")["absent"]) == (12, 12)
    assert (
        "12 of 36 cases have no mark of red and another concept of the category colour"
        in concept(step, "red")["warnings"][0]
    )
    assert concept(step, "big")["absent"] == concept(step, "tagged")["absent"] == 0
    assert concept(step, "red")["annotated"] == 36
    assert concept(step, "red")["prevalence"] == pytest.approx(24 * 16 / (36 * SIDE * SIDE))


def test_a_slice_is_annotated_where_its_column_has_a_value_and_marks_whole_pictures(step: StepResult) -> None:
    tagged = concept(step, "tagged")
    number = np.arange(CASES)
    assert tagged["annotated"] == int((number % 5 != 0).sum())
    assert tagged["prevalence"] == pytest.approx(((number % 5 != 0) & (number % 3 == 0)).sum() / tagged["annotated"])
    assert (tagged["origin"], tagged["spurious"], concept(step, "red")["origin"]) == ("slice", True, "mask")


def test_a_concept_of_40_percent_can_never_pass_and_it_is_said_why(step: StepResult) -> None:
    big = concept(step, "big")
    assert big["prevalence"] == pytest.approx(9 / 24)
    assert big["ceiling"] == pytest.approx(0.005 / (9 / 24))
    assert not big["can_pass"] and concept(step, "red")["can_pass"]
    assert "says nothing against the net" in big["warnings"][0]
    assert not any("ceiling" in sentence for sentence in concept(step, "red")["warnings"])


def test_the_warning_names_ceiling_limit_and_quantile() -> None:
    (told,) = cannot_pass("head", 0.4, 0.005, 0.04)
    assert told == (
        "head marks 40 % of the annotated pixels, and a unit answers at 0.5 % of all places by definition: one that "
        "answers inside head and nowhere else covers 1.25 % of it and reaches an overlap (IoU) of 0.0125, never above "
        "the limit of 0.04. So no unit can be a detector of head; that says nothing against the net. Read the overlap "
        "beside its ceiling, or raise `quantile` above 0.016."
    )
    (rare,) = cannot_pass("eye", 0.0001, 0.005, 0.04)
    assert "50 times as many places and reaches an overlap (IoU) of 0.02" in rare
    assert rare.endswith("or lower `quantile` below 0.0025.")
    assert cannot_pass("rest", 0.39812, 0.005, 0.04)[0].endswith("or raise `quantile` above 0.016.")  # 0.0159248
    assert cannot_pass("eye", 0.00012349, 0.005, 0.04)[0].endswith("below 0.00308.")  # 0.00308725
    assert cannot_pass("none", 0, 0.005, 0.04) == [
        "none marks no pixel of any annotated case: no unit can overlap with it."
    ]


@pytest.mark.parametrize(
    ("prevalence", "passes"), [(0.1249, True), (0.1251, False), (0.000201, True), (0.000199, False), (0.005, True)]
)
def test_the_warning_comes_from_q_over_iou_and_below_iou_times_q(prevalence: float, passes: bool) -> None:
    assert (not cannot_pass("it", prevalence, 0.005, 0.04)) == passes


def test_concept_iou_is_the_best_units_with_an_interval_over_cases(audit: Audit, step: StepResult) -> None:
    red = value(step, "concept_iou", "red")
    assert red.estimate == pytest.approx(step.arrays["iou"][0, 0])
    assert (red.n, red.interval, red.unit) == (36, "bootstrap", "share")
    assert red.low is not None and red.high is not None and red.estimate is not None
    assert red.low < red.estimate < red.high
    draws = step.arrays[str(red.draws)]
    assert abs(draws.mean() - red.estimate) < 0.05 and len(draws) == 2000


def test_scores_are_each_cases_largest_activation_of_the_concepts_best_unit(audit: Audit, step: StepResult) -> None:
    assert list(step.rows.ids) == [f"c{number:02d}" for number in range(CASES)]
    assert sorted(step.rows.columns) == ["concept:network_dissection:green", "concept:network_dissection:red"]
    expected = audit.pictures[:, 0].max(axis=(1, 2))
    np.testing.assert_allclose(step.rows.columns["concept:network_dissection:red"], expected, atol=1e-6)


def test_shown_units_are_detectors_by_overlap_with_their_strongest_cases(audit: Audit, step: StepResult) -> None:
    details, units = step.record.details, step.record.details["units"]
    shown = [entry["unit"] for entry in details["shown"]]
    assert shown == sorted([0, 1], key=lambda unit: -units[unit]["iou"])
    assert step.arrays["top_maps"].shape == (2, dissection.TOP, SIDE, SIDE)
    first = details["shown"][0]["top"][0]
    values = audit.pictures[:, shown[0]]
    assert first["value"] == pytest.approx(values.max())
    assert first["box"] == [first["place"][0], first["place"][1], first["place"][0] + 1, first["place"][1] + 1]
    assert {one["case"] for entry in details["shown"] for one in entry["top"]} == set(details["pictures"])
    assert step.arrays["pictures"].shape == (len(details["pictures"]), SIDE, SIDE, 3)


def test_means_and_minima_of_units_are_kept(audit: Audit, step: StepResult) -> None:
    np.testing.assert_allclose(step.arrays["unit_means"][:3], audit.pictures.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(step.arrays["unit_minima"], [*audit.pictures.min(axis=(0, 2, 3)), 0, 1], atol=1e-7)


def test_rotation_is_shown_beside(step: StepResult) -> None:
    details = step.record.details
    assert details["rotated"]["detectors"] == value(step, "rotated_detectors").estimate
    assert details["rotated"]["unique"] == value(step, "rotated_unique").estimate
    assert step.arrays["rotated_iou"].shape == (5, 4)


def test_every_parameter_is_in_the_record(step: StepResult) -> None:
    assert step.record.details["parameters"] == {
        "layer": "units", "layout": "nchw", "grid": [24, 24], "quantile": 0.005, "iou": 0.04, "shuffles": 99,
        "level": 0.05, "anchor": "graph", "resolution": [24, 24], "coarse_grid": [8, 8],
    }  # fmt: skip


@pytest.fixture(scope="module")
def bordered(tmp_path_factory: pytest.TempPathFactory) -> StepResult:
    """Unit 2 answers in column 0 of every case and nowhere else; red is red's, and its strongest answers lie there."""
    audit = write(tmp_path_factory.mktemp("bordered"), method=", iou: 0.005, concepts: [edge, wide, all, red, inner]")
    text = audit.spec.read_text()
    for line in ("green, category: colour", "big, category: size", "tagged, category: tag, spurious: true"):
        assert f"  - {{name: {line}}}\n" in text
        text = text.replace(f"  - {{name: {line}}}\n", "")
    text = text.replace("big: big}", "big: big, edge: {border: 0.05}, wide: {border: 0.2}, inner: {border: 0.1}}")
    more = "{name: edge, category: rim}\n  - {name: wide, category: rim}\n  - {name: all, category: all}\n"
    more += "  - {name: inner, category: colour}\n"
    audit.spec.write_text(text.replace("concepts:\n", f"concepts:\n  - {more}", 1))
    return run(audit)


def test_a_border_is_found_by_the_unit_that_reads_it(bordered: StepResult) -> None:
    unit = bordered.record.details["units"][2]
    assert (unit["concept"], unit["is_detector"]) == ("edge", True)
    assert unit["inside"] == pytest.approx(1)
    assert unit["p"] == pytest.approx(1 / (1 + unit["shuffles"]))


def test_every_concept_says_what_it_is_compared_with(bordered: StepResult, step: StepResult) -> None:
    names = ("edge", "wide", "all", "red", "inner")
    assert [concept(bordered, name)["null"] for name in names] == ["moved", "moved", "none", "dealt", "none"]
    assert concept(bordered, "all")["warnings"][0].startswith("all is the same in every case and everywhere: neither")
    assert any("others of the category colour are not" in said for said in concept(bordered, "inner")["warnings"])
    assert not any("the same in every case" in said for said in concept(bordered, "edge")["warnings"])
    assert {entry["name"]: entry["null"] for entry in step.record.details["concepts"]} == {
        "red": "dealt", "green": "dealt", "big": "moved", "tagged": "dealt",
    }  # fmt: skip


def test_inside_is_the_share_of_a_units_pixels_that_lie_in_its_concept(audit: Audit, step: StepResult) -> None:
    case = Case(audit.pictures, audit.masks, category=(0, 0, 1, 2), annotated=audit.annotated, quantile=0.005)
    answers, inside = drawn(case), audit.annotated[:, 0]
    for number in (0, 1):
        both = (answers[inside, number] & audit.masks[inside, number]).sum()
        unit = step.record.details["units"][number]
        assert unit["inside"] == pytest.approx(both / answers[inside, number].sum())
    assert [unit["inside"] for unit in step.record.details["units"][3:]] == [None, None]


def test_shown_units_say_under_how_many_strongest_answers_their_concept_is_marked(
    audit: Audit, step: StepResult
) -> None:
    for entry in step.record.details["shown"]:
        unit = entry["unit"]
        known = [one for one in entry["top"] if audit.annotated[int(one["case"][1:]), 0]]
        inside = sum(bool(audit.masks[(int(one["case"][1:]), unit, *one["place"])]) for one in known)
        assert entry["marked"] == {"of": len(known), "inside": inside}
        assert step.record.details["units"][unit]["doubtful"] == (len(known) >= 3 and inside == 0)


def test_a_unit_is_doubtful_where_three_strongest_answers_and_none_inside(tmp_path: Path) -> None:
    """Five cases with a bright red spot outside the red block, which outshines the block of every other case."""
    audit = write(tmp_path / "elsewhere")
    for number in (1, 2, 5, 6, 9):
        picture = np.asarray(Image.open(audit.spec.parent / f"{number}.png")).copy()
        row, column = np.argwhere(~audit.masks[number, 0])[100]
        picture[row, column, 0] = 255
        Image.fromarray(picture).save(audit.spec.parent / f"{number}.png")
    step = run(audit)
    (red,) = [entry for entry in step.record.details["shown"] if entry["unit"] == 0]
    assert red["marked"] == {"of": 5, "inside": 0}
    assert [unit["doubtful"] for unit in step.record.details["units"]] == [True, False, False, False, False]
    assert step.record.details["units"][0]["is_detector"]
    assert [_is_doubtful(of, inside) for of, inside in ((2, 0), (3, 0), (3, 1))] == [False, True, False]


def test_batches_of_one_and_eight_give_the_same_record(audit: Audit, step: StepResult) -> None:
    for size in (1, 8):
        again = run(audit, batch_size=size, name=f"batch-{size}")
        assert again.record.details == step.record.details
        assert all(np.array_equal(again.arrays[name], kept, equal_nan=True) for name, kept in step.arrays.items())


def test_a_second_look_gives_the_same_record(audit: Audit, step: StepResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai_audit.engines.dissecting.LARGEST_KEPT", 1000)
    again = run(audit, name="two-looks")
    assert (step.record.details["looks"], again.record.details["looks"]) == (1, 2)
    assert {**again.record.details, "looks": 1} == step.record.details
    assert all(np.array_equal(again.arrays[name], kept, equal_nan=True) for name, kept in step.arrays.items())


def test_a_full_disk_fails_this_step_alone(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tempfile.TemporaryFile

    def full(**given: Any) -> Any:
        file = real(**given)

        class Full:
            def write(self, data: object) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            close = file.close

        return Full()

    monkeypatch.setattr("xai_audit.concepts.scratch.tempfile.TemporaryFile", full)
    failed = run(audit, name="full").record
    assert failed.status == "failed" and failed.failure is not None
    assert "No space left on device" in failed.failure.message and "TMPDIR" in failed.failure.message


def test_clusters_widen_intervals_and_are_warned_of(tmp_path: Path, step: StepResult) -> None:
    clustered = run(write(tmp_path / "clustered", cluster="cluster: patient"))
    assert any("cases of one cluster" in sentence for sentence in clustered.record.details["warnings"])
    assert clustered.record.details["clusters"] == CASES // 2
    assert not any("cluster" in sentence for sentence in step.record.details["warnings"])


def test_few_annotated_cases_are_warned_of(tmp_path: Path, step: StepResult) -> None:
    few = run(write(tmp_path / "few", method=", slice: marked"))
    assert any("Only 12 cases are annotated for the category colour" in said for said in few.record.details["warnings"])
    assert few.record.details["cases"] == 12
    assert not any("Only" in sentence for sentence in step.record.details["warnings"])


def test_concepts_that_no_case_marks_are_refused(tmp_path: Path) -> None:
    audit = write(tmp_path / "bare", method=", slice: bare")
    lines = audit.spec.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("  - {name: big", "  - {name: tagged, category"))]
    audit.spec.write_text("".join(kept))
    refused = run(audit).record
    assert refused.status == "not_applicable" and refused.failure is not None
    assert refused.failure.kind == Refusal.__name__
    assert "no mark of red, green in 12 cases" in refused.failure.message


def test_more_highest_values_than_memory_may_hold_are_refused(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xai_audit.engines.dissecting.MOST_MEGABYTES", -1)
    refused = run(audit, name="small-memory").record
    assert refused.status == "not_applicable" and refused.failure is not None
    assert "48 cases of 5 units at 576 places, whose highest values take 0 MB" in refused.failure.message


def test_a_concept_without_a_case_is_undefined_beside_others(tmp_path: Path) -> None:
    step = run(write(tmp_path / "some", method=", slice: bare"))
    red = concept(step, "red")
    assert red["prevalence"] is red["ceiling"] is red["chance"] is None and red["annotated"] == 0
    assert red["warnings"] == ["No case is annotated for red: it was not looked for."]
    undefined = value(step, "concept_iou", "red")
    assert (undefined.status, undefined.reason) == ("undefined", "No case is annotated for it.")
    assert value(step, "concept_iou", "big").status == "measured"
