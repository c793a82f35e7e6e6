"""Benchmarks: the form of the stored results, the page made of them, and the parts that numbers rest on; no times."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import dissection
from benchmarks.agreement import correlation
from benchmarks.page import PAGE, page
from benchmarks.raw import Raw, batches
from benchmarks.results import RESULTS, Machine, Memory, Results, Row, Setup, Wall, read, row_keys, with_newer, write
from benchmarks.subject import Subject, audited_model, pictures
from benchmarks.timing import in_turn
from benchmarks.works import WORKS
from xai_audit import registry
from xai_audit.evidence.records import Passes

KEYS = [
    *("work", "device", "precision", "ours_seconds", "raw_seconds", "ours_ratio", "target_ratio"),
    *("peer", "peer_version", "peer_seconds", "peer_ratio", "agreement"),
]
FILES = sorted(RESULTS.glob("*.json"))


@pytest.fixture
def results() -> Results:
    row = Row("work", "cpu", "float32", 0.5, 2.0, 0.25, 0.3, "captum", "0.9.0", 3.0, 1.5, 0.99)
    alone = replace(row, peer=None, peer_version=None, peer_seconds=None, peer_ratio=None, agreement=None)
    wall = Wall("work", "captum", 0.5, 2.0, 3.0)
    machine = Machine("a CPU", 2, 2, "2.14", 5, "a note")
    memory = (Memory("saliency", 100.0, 36.8, 512),)
    return Results(machine, (row, alone), (wall, wall), (), (Setup("work", 0.1),), memory)


def test_a_row_has_exactly_the_keys_of_the_issue() -> None:
    assert list(row_keys()) == KEYS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stored_rows_have_these_keys_and_ratios_that_are_quotients(file: Path) -> None:
    rows = json.loads(file.read_text())["rows"]
    assert rows
    for row in rows:
        assert list(row) == KEYS
        assert row["device"] == file.stem
        assert row["ours_ratio"] == pytest.approx(row["ours_seconds"] / row["raw_seconds"], rel=2e-3)
        if row["peer"] is not None:
            assert row["peer_ratio"] == pytest.approx(row["peer_seconds"] / row["raw_seconds"], rel=2e-3)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stored_rows_are_those_of_the_works(file: Path) -> None:
    works = WORKS[file.stem]  # type: ignore[index]
    expected = [(work.name, work.target, work.precision) for work in works for _ in work.peers or (None,)]
    assert [(row.work, row.target_ratio, row.precision) for row in read(file).rows] == expected


def test_docs_page_is_made_of_the_stored_results() -> None:
    assert PAGE.read_text() == page(FILES)


def test_a_changed_number_makes_the_page_stale(results: Results, tmp_path: Path) -> None:
    write(results, tmp_path / "cpu.json")
    before = page([tmp_path / "cpu.json"])
    slower = replace(results.rows[0], ours_ratio=0.31)
    write(replace(results, rows=(slower, *results.rows[1:])), tmp_path / "cpu.json")
    after = page([tmp_path / "cpu.json"])
    assert "| work | 0.25 | 0.3 | yes | captum 0.9.0 | 1.5 | 6 | 0.9900 |" in before
    assert "| work | 0.31 | 0.3 | no |" in after


def test_results_are_read_as_written(results: Results, tmp_path: Path) -> None:
    write(results, tmp_path / "cpu.json")
    assert asdict(read(tmp_path / "cpu.json")) == asdict(results)


@pytest.mark.parametrize("change", [{"speed": 1}, {"work": None}])
def test_a_row_with_another_key_is_refused(results: Results, tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "cpu.json"
    write(results, path)
    kept = json.loads(path.read_text())
    row = kept["rows"][0]
    row.update(change)
    kept["rows"][0] = {key: value for key, value in row.items() if value is not None}
    path.write_text(json.dumps(kept))
    with pytest.raises(TypeError):
        read(path)


def test_works_name_methods_that_exist() -> None:
    known = {entry.name for entry in registry.METHODS}
    named = {method["use"] for works in WORKS.values() for work in works for method in work.methods}
    assert named <= known
    assert all(len({work.name for work in works}) == len(works) for works in WORKS.values())


class _Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 3)
        self.forwards: list[int] = []
        self.backwards: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forwards.append(len(x))
        if x.requires_grad:
            x.register_hook(lambda gradient: self.backwards.append(len(gradient)))
        return self.head(x.flatten(1))


def test_raw_makes_the_passes_that_it_is_told_in_full_batches() -> None:
    subject = Subject(_Counting(), torch.rand(2, 3, 2, 2), torch.zeros(2, dtype=torch.int64))
    raw = Raw.of(subject, Passes(forwards=6, backwards=3), rows=4)
    raw.run()
    assert raw.module.backwards == [4, 2]
    assert raw.module.forwards == [4, 2, 4, 2]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in raw.module.parameters())
    assert all(parameter.requires_grad for parameter in subject.module.parameters())


def test_batches_are_full_but_for_the_last() -> None:
    assert batches(33, 16) == [16, 16, 1]
    assert batches(32, 16) == [16, 16]
    assert batches(0, 16) == []


def test_runs_take_turns_in_changing_order() -> None:
    ran: list[str] = []
    spent = in_turn({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, "cpu", repeats=2)
    assert ran == ["a", "b", "b", "a"]
    assert set(spent) == {"a", "b"}


def test_correlation_is_of_the_picture_that_both_show() -> None:
    raw = np.array([[[1.0, -3.0], [0.0, 2.0]]])
    shown = np.kron(np.maximum(raw, 0), np.ones((1, 4, 4)))
    assert correlation(raw, 5 * np.maximum(raw, 0), is_picture=True) == pytest.approx(1)
    assert correlation(raw, shown, is_picture=True) < 0.999  # nearest in place of bilinear
    assert correlation(raw, -raw, is_picture=False) == pytest.approx(-1)
    assert correlation(raw, 2 * raw + 3, is_picture=False) == pytest.approx(1)


def test_correlation_of_constant_maps() -> None:
    flat, other = np.zeros((1, 4, 4)), np.eye(4)[None]
    assert correlation(flat, flat, is_picture=False) == 1
    assert correlation(flat, other, is_picture=False) == 0


def test_correlation_is_the_worst_over_images() -> None:
    good = np.eye(4)
    assert correlation(np.stack([good, good]), np.stack([good, -good]), is_picture=False) == pytest.approx(-1)


def test_pictures_are_the_same_each_time_and_in_range() -> None:
    first, second = pictures(2, 32), pictures(2, 32)
    assert np.array_equal(first, second)
    assert first.min() >= 0 and first.max() <= 1
    assert not np.array_equal(first[0], first[1])


def test_works_measured_anew_take_the_place_of_the_stored_ones(results: Results) -> None:
    row = results.rows[0]
    later = replace(row, work="later", ours_seconds=9.0)
    newer = replace(results, rows=(later,), wall=(Wall("later", "captum", 9.0, 2.0, 3.0),), setup=(Setup("later", 2),))
    both = with_newer(results, newer, ["later", "work"])
    assert [(entry.work, entry.ours_seconds) for entry in both.rows] == [("later", 9.0), ("work", 0.5), ("work", 0.5)]
    assert [entry.work for entry in both.wall] == ["later", "work", "work"]
    again = with_newer(both, replace(newer, rows=(replace(later, ours_seconds=8.0),)), ["later", "work"])
    assert [entry.ours_seconds for entry in again.rows] == [8.0, 0.5, 0.5]
    assert again.memory == results.memory
    elsewhere = replace(newer, machine=replace(newer.machine, cores=16))
    with pytest.raises(ValueError, match="measure all works together"):
        with_newer(results, elsewhere, ["later", "work"])


def test_a_dissection_that_is_timed_reads_every_picture_and_finds_its_masks(tmp_path: Path) -> None:
    details = dissection.dissect(audited_model("cpu"), tmp_path / "few.npz", 3, "layer4")()
    assert (details["cases"], details["parameters"]["grid"]) == (3, [7, 7])
    assert [concept["name"] for concept in details["concepts"]] == ["large", "middle", "small"]
    shares = [side**2 / 224**2 for side in dissection.SIDES]
    assert [concept["prevalence"] for concept in details["concepts"]] == pytest.approx(shares)


def test_the_page_tells_a_stored_dissection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dissection.Entry("layer4", 2000, 3, 200, "a CPU", 2, "2.14", 3, 90.0, 60.0, 1.5, 2.2, 1, 0)
    monkeypatch.setattr("benchmarks.page.DISSECTION", tmp_path / "cpu.json")
    (tmp_path / "cpu.json").write_text(json.dumps(asdict(found)))
    assert "| layer4 | 90 | 60 | 1.5 | 2.2 | yes |" in page([])
    (tmp_path / "cpu.json").write_text(json.dumps(asdict(replace(found, ratio=2.3))))
    assert "| 2.3 | 2.2 | no |" in page([])
