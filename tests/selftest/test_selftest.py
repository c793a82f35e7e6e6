"""The self-test: every answer right as installed, a planted fault found, and a record that reports may trust."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xai_audit import __version__, registry
from xai_audit.cli import main
from xai_audit.errors import EvidenceError
from xai_audit.evidence.qualification import Answer, asked_of, qualification, read_record, record_path, write_record
from xai_audit.explain import cam
from xai_audit.selftest import maps
from xai_audit.selftest.every import ANSWERS, ask_all
from xai_audit.selftest.known import KnownAnswer


@pytest.mark.parametrize("known", ANSWERS, ids=lambda known: known.id)
def test_the_installed_version_gives_every_known_answer(known: KnownAnswer) -> None:
    answer = known.asked()
    assert answer.passed, f"{answer.error} expected {answer.expected[:5]}, found {answer.found[:5]}"


def test_every_method_and_check_has_a_known_answer() -> None:
    subjects = {known.subject for known in ANSWERS}
    assert asked_of() <= subjects
    assert {entry.name for entry in registry.METHODS} < asked_of()


def test_ids_are_unique_and_no_answer_is_empty() -> None:
    assert len({known.id for known in ANSWERS}) == len(ANSWERS)
    assert all(len(known.expected) for known in ANSWERS)


def test_a_fault_in_a_method_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = cam.grad_cam

    def wrong(*arguments):
        made = right(*arguments)
        return type(made)(**{**made.__dict__, "raw": made.raw * 1.01})

    monkeypatch.setattr(cam, "grad_cam", wrong)
    failed = {answer.id for answer in ask_all() if not answer.passed}
    assert {"grad_cam.sum", "grad_cam.weights"} <= failed
    assert all(name.startswith("grad_cam.") for name in failed)


@pytest.mark.parametrize("fault", ["a leak elsewhere", "a weaker net"])
def test_occlusion_that_marks_another_place_or_size_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    right = maps.explained

    def wrong(*arguments: object, **more: object) -> object:
        made = right(*arguments, **more)  # type: ignore[arg-type]
        raw = made.raw * (1 - 1e-4) if fault == "a weaker net" else made.raw.copy()
        if fault == "a leak elsewhere":
            raw[:, -1, -1] += 1e-4
        return type(made)(**{**made.__dict__, "raw": raw})

    (known,) = (each for each in ANSWERS if each.id == "occlusion.shortcut")
    assert known.asked().passed
    monkeypatch.setattr(maps, "explained", wrong)
    assert not known.asked().passed


@pytest.mark.parametrize(
    ("found", "passed"),
    [([1.0, 2.0], True), ([1.0, 2.0 + 3e-5], False), ([1.0], False), ([1.0, np.nan], False), ([1.0, 2.00001], True)],
)
def test_an_answer_passes_only_within_its_tolerance(found: list[float], passed: bool) -> None:
    assert KnownAnswer("a", "b", "c", [1.0, 2.0], lambda: found).asked().passed is passed


def test_an_answer_that_raises_fails_alone_and_says_why() -> None:
    def broken():
        raise ValueError("no such luck")

    answer = KnownAnswer("a", "b", "c", [1.0], broken).asked()
    assert not answer.passed and answer.error == "ValueError: no such luck" and answer.found == ()


def _answers(*passed: bool) -> list[Answer]:
    """An answer of each of these verdicts, and right ones of every method and check beside them."""
    told = [
        Answer(f"a{n}", "grad_cam", "says", (1.0,), (1.0 if good else 2.0,), 1e-5, good)
        for n, good in enumerate(passed)
    ]
    return [*told, *(Answer(name, name, "says", (1.0,), (1.0,), 1e-5, True) for name in sorted(asked_of()))]


def test_the_record_is_read_back_and_cited(tmp_path: Path) -> None:
    path = write_record(tmp_path, _answers(True, False, True), "2026-03-02")
    assert path == record_path(tmp_path) and path.name == f"selftest-{__version__}.json"
    cited = qualification(tmp_path)
    assert cited is not None
    assert (cited["passed"], cited["failed"], cited["failed_answers"], cited["date"]) == (
        2 + len(asked_of()),
        1,
        ["a1"],
        "2026-03-02",
    )
    assert cited["same_versions"] is True and cited["version"] == __version__
    again = path.read_bytes()
    write_record(tmp_path, _answers(True, False, True), "2026-03-02")
    assert path.read_bytes() == again


def test_a_record_of_other_packages_says_so(tmp_path: Path) -> None:
    path = write_record(tmp_path, _answers(True), "2026-03-02")
    record = json.loads(path.read_text())
    record["versions"]["torch"] = "0.0.1"
    path.write_text(json.dumps(record))
    cited = qualification(tmp_path)
    assert cited is not None and cited["same_versions"] is False


def test_without_a_record_there_is_nothing_to_cite(tmp_path: Path) -> None:
    assert qualification(tmp_path) is None


def test_a_verdict_that_does_not_follow_is_found(tmp_path: Path) -> None:
    path = write_record(tmp_path, _answers(True), "2026-03-02")
    record = json.loads(path.read_text())
    record["answers"][0]["found"] = [999.0]
    path.write_text(json.dumps(record))
    with pytest.raises(EvidenceError, match="does not follow"):
        qualification(tmp_path)


def test_a_record_of_fewer_answers_is_no_record(tmp_path: Path) -> None:
    path = write_record(tmp_path, [answer for answer in _answers() if answer.subject != "shap"], "2026-03-02")
    with pytest.raises(EvidenceError, match="no answer of shap"):
        read_record(path)


@pytest.mark.parametrize(
    "change",
    [
        {"passed": 7},
        {"answers": []},
        {"format": 2},
        {"answers": [{"id": "a"}]},
        {"package": {"name": "xai-audit", "version": "9.9"}},
    ],
)
def test_a_changed_record_is_no_record(tmp_path: Path, change: dict) -> None:
    path = write_record(tmp_path, _answers(True, False), "2026-03-02")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(EvidenceError):
        read_record(path)


def test_the_command_writes_the_record_and_ends_with_0(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["selftest", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0
    record = json.loads(result.output)
    assert record["failed"] == 0 and record["passed"] == len(ANSWERS)
    assert read_record(record_path(tmp_path)) == record


def test_the_command_ends_with_1_where_an_answer_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = [KnownAnswer(name, name, "One is one.", [1.0], lambda: [1.0]) for name in sorted(asked_of())]
    wrong = KnownAnswer("a", "grad_cam", "One is two.", [2.0], lambda: [1.0])
    monkeypatch.setattr("xai_audit.selftest.every.ANSWERS", (wrong, *right))
    result = CliRunner().invoke(main, ["selftest", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert (
        "WRONG" in result.output
        and f"{len(asked_of())} of {len(asked_of()) + 1} known answers are right" in result.output
    )
    assert result.output.splitlines()[-1].startswith(f"Runs made with the same --out ({tmp_path}) cite this record")
    cited = qualification(tmp_path)
    assert cited is not None and cited["failed_answers"] == ["a"]
