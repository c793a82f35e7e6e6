"""Which earlier run is taken, what is kept of it, and what the report says of it: page two, limits, model, findings."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from fixture_past import FIRST, LAST, made_again, make_past
from fixture_run import Made

from xai_audit.cli import main
from xai_audit.compare import compare_runs, comparison_lines
from xai_audit.errors import EvidenceError
from xai_audit.evidence.events import append_event, read_events
from xai_audit.evidence.manifest import verify
from xai_audit.evidence.store import read_run
from xai_audit.history import keep_comparison
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, marks_of, plain
from xai_audit.report.document import Block, Bullets, Group, Missing, Prose, Table
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections import since, summary
from xai_audit.report.trace import untraced
from xai_audit.report.walk import instances
from xai_audit.verdict.history import NAME, History


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Made]:
    """An audit that was judged, and again with moved limits, other weights and a crashed explainer."""
    out = tmp_path_factory.mktemp("past")
    return make_past(out, FIRST), make_past(out, LAST)


@pytest.fixture
def out(runs: tuple[Made, Made], tmp_path: Path) -> Path:
    return shutil.copytree(runs[0].folder.parent, tmp_path / "out" / "solar-cells")


def kept(folder: Path, **how: bool) -> History:
    history = keep_comparison(folder, **how)
    assert history is not None
    return history


def context_of(made: Made, folder: Path, language: str = "en") -> Context:
    words = load_catalogue(language)
    numbers = Numbers(words, made.spec.data.show.minimum_cell).with_marks(marks_of(made.findings))
    return Context(read_run(folder), made.spec, made.findings, language, words, numbers)


def text_of(blocks: tuple[Block, ...]) -> str:
    parts = []
    for block in blocks:
        if isinstance(block, Prose):
            parts += [plain(sentence) for sentence in block.sentences]
        if isinstance(block, Table):
            parts += [plain(cell.content) for row in block.rows for cell in row]
        if isinstance(block, Group):
            parts.append(text_of(block.blocks))
    return "\n".join(parts)


def test_first_run_has_nothing_to_be_compared_with(out: Path) -> None:
    assert keep_comparison(out / FIRST.run) is None
    assert not (out / FIRST.run / NAME).exists()


def test_last_judged_run_is_taken_where_none_is_signed_and_a_signed_one_goes_before_it(out: Path) -> None:
    between = made_again(out / FIRST.run, "bbbbbbbbbbbb", "2026-02-01T00:00:00Z")
    assert (kept(out / LAST.run).earlier.run, kept(out / LAST.run).earlier.chosen) == ("bbbbbbbbbbbb", "judged")
    append_event(out / FIRST.run, "signed", {})
    found = kept(out / LAST.run)
    assert (found.earlier.run, found.earlier.chosen, found.earlier.is_signed) == (FIRST.run, "signed", True)
    assert {seen.run for seen in found.first_seen} == {FIRST.run}
    assert keep_comparison(out / LAST.run, between, choose_again=False) != found
    assert kept(out / LAST.run).earlier.chosen == "named"


def test_a_run_judged_again_after_it_was_signed_is_not_signed(out: Path) -> None:
    append_event(out / FIRST.run, "signed", {})
    append_event(out / FIRST.run, "judged", read_events(out / FIRST.run)[1].data)
    assert not kept(out / LAST.run).earlier.is_signed


def test_comparison_is_kept_once_and_verified(out: Path) -> None:
    folder = out / LAST.run
    first = kept(folder)
    data, events = (folder / NAME).read_bytes(), len(read_events(folder))
    assert kept(folder) == first
    assert ((folder / NAME).read_bytes(), len(read_events(folder))) == (data, events)
    assert verify(folder) == ()
    (folder / NAME).write_bytes(data.replace(b'"fail"', b'"pass"'))
    assert [(fault.file, fault.problem) for fault in verify(folder)] == [(NAME, "changed")]
    with pytest.raises(EvidenceError, match="changed or missing"):
        keep_comparison(folder, choose_again=False)
    assert kept(folder) == first
    assert verify(folder) == ()


def test_comparison_stays_when_the_earlier_run_is_no_longer_there(out: Path) -> None:
    first = kept(out / LAST.run)
    shutil.rmtree(out / FIRST.run)
    assert kept(out / LAST.run) == first


def test_changed_earlier_run_is_left_out_and_named(out: Path) -> None:
    made_again(out / FIRST.run, "bbbbbbbbbbbb", "2026-02-01T00:00:00Z")
    findings = out / "bbbbbbbbbbbb" / "findings.json"
    findings.write_text(findings.read_text().replace('"verdict":"fail"', '"verdict":"pass"'))
    found = kept(out / LAST.run)
    assert (found.earlier.run, found.left_out) == (FIRST.run, ("bbbbbbbbbbbb",))


def test_changed_later_run_is_none_of_the_earlier_ones_unless_its_date_was_changed_too(out: Path) -> None:
    later = made_again(out / FIRST.run, "ffffffffffff", "2027-02-01T00:00:00Z")
    (later / "findings.json").write_text((later / "findings.json").read_text().replace("fail", "pass"))
    assert kept(out / LAST.run).left_out == ()
    manifest = (later / "manifest.json").read_text()
    (later / "manifest.json").write_text(manifest.replace("2027-02-01", "2027-02-02"))
    assert kept(out / LAST.run).left_out == ("ffffffffffff",)


@pytest.mark.parametrize("wrong", ["itself", "later", "other audit", "changed", "not judged", "nowhere"])
def test_named_run_must_be_an_earlier_judged_unchanged_run_of_the_same_audit(out: Path, wrong: str) -> None:
    named = out / LAST.run
    if wrong == "later":
        named = made_again(out / FIRST.run, "dddddddddddd", "2026-12-01T00:00:00Z")
    if wrong == "other audit":
        named = made_again(out / FIRST.run, "dddddddddddd", "2026-01-01T00:00:00Z", "another")
    if wrong == "changed":
        named = out / FIRST.run
        (named / "evidence.jsonl").write_bytes((named / "evidence.jsonl").read_bytes() + b"\n")
    if wrong == "not judged":
        named = out / FIRST.run
        (named / "findings.json").unlink()
    if wrong == "nowhere":
        named = out / "nowhere"
    with pytest.raises(EvidenceError):
        keep_comparison(out / LAST.run, named)


def test_page_two_says_which_run_what_became_of_each_finding_and_what_changed(
    runs: tuple[Made, Made], out: Path
) -> None:
    kept(out / LAST.run)
    context = context_of(runs[1], out / LAST.run)
    page = since.page(context)
    said = text_of(page)
    assert "Compared with run aaaaaaaaaaaa of 9 January 2026" in said
    assert "No signed report of it was found." in said
    tables = {block.anchor: block for block in page if isinstance(block, Table)}
    counts = {plain(row[0].content): plain(row[1].content) for row in tables["since-counts"].rows}
    assert counts["Regressed"] == "3"
    assert sum(map(int, counts.values())) == len(context.finding_states)
    rows = {plain(row[0].content): [plain(cell.content) for cell in row] for row in tables["since-findings"].rows}
    assert rows["C2"][1:4] == ["Regressed", "Met (100.0\u00a0%)", "Cannot tell yet (100.0\u00a0%)"]
    assert rows["Occlusion"][1:] == ["Regressed", "gave a result", "Error: no answer", "this report"]
    assert rows["C6"][1] == "Persisting"
    assert rows["C6"][4] == "9 January 2026, run aaaaaaaaaaaa"
    changes = [[plain(cell.content) for cell in row] for row in tables["since-changes"].rows]
    assert ["Spec", "criteria[C2].at_least", "0.5", "0.93"] in changes
    assert [row[:2] for row in changes][-1] == ["Model", "weights"]
    assert "2 settings of criteria were changed" in said
    assert not list(untraced(page))


def test_the_signatory_is_told_of_limits_that_were_moved(runs: tuple[Made, Made], out: Path) -> None:
    told = "After the results of run aaaaaaaaaaaa were known, 2 settings of criteria were changed."

    def points() -> list[str]:
        page = summary.section(context_of(runs[1], out / LAST.run))
        assert not list(untraced(page))
        return [plain(item) for block in instances(page, Bullets) for item in block.items]

    assert told not in points()
    kept(out / LAST.run)
    assert told in points()


def test_sections_4_5_and_15_say_what_moved_what_changed_and_since_when(runs: tuple[Made, Made], out: Path) -> None:
    kept(out / LAST.run)
    context = context_of(runs[1], out / LAST.run)
    (limits,) = since.limits(context)
    assert isinstance(limits, Group)
    table = limits.blocks[1]
    assert isinstance(table, Table)
    moved = [[plain(cell.content) for cell in row] for row in table.rows]
    assert moved == [["C2", "at_least", "0.5", "0.93", "Met"], ["C3", "at_least", "0.1", "0.8", "Cannot tell yet"]]
    assert "weights of the model changed since run aaaaaaaaaaaa" in text_of((since.model_history(context),))
    everything = since.states(context)
    assert {finding.id for finding in runs[1].findings if finding.kind == "criterion"} <= set(
        text_of((everything,)).split("\n")
    )
    assert not list(untraced((limits, everything, since.model_history(context))))


def test_both_languages_hold_the_same_digits(runs: tuple[Made, Made], out: Path) -> None:
    kept(out / LAST.run)
    pages = [text_of(since.page(context_of(runs[1], out / LAST.run, language))) for language in ("en", "zh-CN")]
    numbers = [sorted(re.findall(r"\d+\.\d+|[0-9a-f]{12,}", page)) for page in pages]
    assert numbers[0] == numbers[1]
    assert "恶化" in pages[1]
    assert "Regressed" not in pages[1]


def test_without_an_earlier_run_there_is_no_page_two_and_section_15_says_so(runs: tuple[Made, Made]) -> None:
    context = context_of(runs[0], runs[0].folder)
    assert since.page(context) == since.limits(context) == ()
    assert isinstance(since.model_history(context), Missing)
    group = since.states(context)
    assert isinstance(group.blocks[0], Missing)
    assert "New" in text_of((group,))


def test_number_of_a_group_too_small_to_show_stays_hidden(runs: tuple[Made, Made], out: Path) -> None:
    kept(out / LAST.run)
    path = out / LAST.run / NAME
    whole = json.loads(path.read_bytes())
    for told in whole["told"]:
        told["n"] = 3
    path.write_text(json.dumps(whole))
    rows = [block for block in since.page(context_of(runs[1], out / LAST.run)) if isinstance(block, Table)][1].rows
    assert [plain(row[2].content) for row in rows if plain(row[0].content) == "C2"] == ["Met"]


def command(*words: str | Path) -> int:
    """What a command ends with."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_judge_compares_and_export_writes_from_the_command_line(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("judge", out / LAST.run) == 1
    assert read_run(out / LAST.run).comparison
    assert command("judge", out / LAST.run, "--since", out / "nowhere") == 2
    assert command("judge", out / LAST.run, "--since", out / FIRST.run) == 1
    assert b'"chosen":"named"' in read_run(out / LAST.run).comparison
    for name in ("oscal", "junit", "in-toto", "model-card"):
        assert command("export", out / LAST.run, "--as", name, "--out", tmp_path / name) == 0
        assert (tmp_path / name).stat().st_size > 1000
    assert command("export", out / LAST.run, "--as", "csv", "--out", tmp_path / "sheets") == 0
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == [
        "clauses.csv", "criteria.csv", "findings.csv"
    ]  # fmt: skip
    assert command("export", out / LAST.run, "--as", "oscal", "--out", out / LAST.run / "x.json") == 2
    capsys.readouterr()


def test_compare_tells_the_state_of_each_finding(out: Path) -> None:
    found = compare_runs(out / FIRST.run, out / LAST.run)
    states = {change.id: (change.state, change.before, change.after) for change in found.findings}
    assert states["C2"] == ("regressed", "pass", "inconclusive")
    assert states["C5"] == ("persisting", "fail", "error")
    lines = list(comparison_lines(found))
    assert "Findings: 3 regressed, 0 new, 0 gone, 9 persisting, 0 fixed" in lines
    assert {change["what"] for change in found.to_json()["inputs"]} == {
        "spec criteria[C2].at_least", "spec criteria[C3].at_least", "model digest"
    }  # fmt: skip
    assert compare_runs(out / LAST.run, out / LAST.run).inputs == ()
