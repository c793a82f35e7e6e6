"""Every export against its public schema, and that none says more than the findings do."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixture_exports import TITLE
from fixture_run import Made
from huggingface_hub import ModelCard
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from lxml import etree
from oscal_bindings.v1.parser import OscalParseError, parse_oscal

from xai_audit.cli import main
from xai_audit.errors import EvidenceError
from xai_audit.evidence.canonical import file_sha256
from xai_audit.evidence.manifest import verify
from xai_audit.exports import FORMATS, Audited, export, read_audited
from xai_audit.exports.intoto import statement
from xai_audit.exports.junit import test_results as junit_of
from xai_audit.exports.modelcard import model_card
from xai_audit.exports.oscal import assessment_results
from xai_audit.exports.sheets import sheets
from xai_audit.verdict import Finding
from xai_audit.verdict.waivers import require_lasting

VERDICTS = ("pass", "fail", "inconclusive", "not_run", "error", "waived")


@pytest.fixture(scope="session")
def audited(exported: Made) -> Audited:
    return read_audited(exported.folder)


def with_verdict(audited: Audited, verdict: str) -> Audited:
    """The same audit with one criterion, C1, of this verdict."""
    found = tuple(replace(each, verdict=verdict) if each.id == "C1" else each for each in audited.findings)
    return Audited(audited.run, audited.spec, found, audited.events)


def oscal(audited: Audited) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(assessment_results(audited))["assessment-results"]
    return whole


def test_oscal_fits_the_schema_of_nist_and_a_broken_one_does_not(audited: Audited) -> None:
    data = assessment_results(audited)
    parse_oscal(data)
    for old, new in ((b'"uuid"', b'"uid"'), (b'"not-satisfied"', b'"unknown"'), (b'"oscal-version"', b'"version-of"')):
        assert old in data
        with pytest.raises(OscalParseError):
            parse_oscal(data.replace(old, new, 1))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_oscal_calls_nothing_satisfied_but_a_pass(audited: Audited, verdict: str) -> None:
    (result,) = oscal(with_verdict(audited, verdict))["results"]
    status = {each["target"]["target-id"]: each["target"]["status"] for each in result["findings"]}["C1"]
    assert status["state"] == ("satisfied" if verdict == "pass" else "not-satisfied")
    assert status["reason"] == {"pass": "pass", "fail": "fail"}.get(verdict, "other")


def test_oscal_tells_every_finding_and_every_clause_and_gives_no_clause_a_state(audited: Audited) -> None:
    (result,) = oscal(audited)["results"]
    seen = {each["title"] for each in result["observations"]}
    assert {f"{each.kind} {each.id}" for each in audited.findings} <= seen
    assert {f"clause {one.clause.id}" for one in audited.mapping.standings} <= seen
    assert audited.mapping.standings
    assert {each["title"] for each in result["findings"]} == {
        f"Criterion {each.id}" for each in audited.findings if each.kind == "criterion"
    }
    uuids = [each["uuid"] for each in (*result["observations"], *result["findings"])]
    assert len(uuids) == len(set(uuids))


def test_oscal_names_the_digest_of_every_file_that_it_rests_on(audited: Audited) -> None:
    for resource in oscal(audited)["back-matter"]["resources"]:
        (link,) = resource["rlinks"]
        assert link["hashes"][0]["value"] == file_sha256(audited.run.folder / link["href"])


@pytest.fixture(scope="session")
def junit_schema() -> Any:
    return etree.XMLSchema(etree.parse(str(Path(__file__).with_name("junit-10.xsd"))))


def cases(data: bytes) -> dict[str, ET.Element]:
    return {case.get("name", "").split(":")[0]: case for case in ET.fromstring(data).iter("testcase")}


def test_junit_fits_its_schema_and_a_broken_one_does_not(audited: Audited, junit_schema: Any) -> None:
    data = junit_of(audited)
    junit_schema.assertValid(etree.fromstring(data))
    assert not junit_schema.validate(etree.fromstring(data.replace(b"<testcase classname", b"<testcase klass", 1)))


@pytest.mark.parametrize(
    ("verdict", "element"),
    [("pass", None), ("fail", "failure"), ("inconclusive", "failure"), ("not_run", "error"), ("error", "error"),
     ("waived", "skipped")],
)  # fmt: skip
def test_junit_has_an_element_for_every_verdict_but_a_pass(
    audited: Audited, junit_schema: Any, verdict: str, element: str | None
) -> None:
    data = junit_of(with_verdict(audited, verdict))
    junit_schema.assertValid(etree.fromstring(data))
    assert [child.tag for child in cases(data)["C1"]] == ([element] if element else [])


def test_junit_refuses_a_verdict_that_it_does_not_know(audited: Audited) -> None:
    with pytest.raises(KeyError):
        junit_of(with_verdict(audited, "splendid"))


def test_junit_counts_agree_with_the_findings_and_steps_without_a_result_are_errors(audited: Audited) -> None:
    root = ET.fromstring(junit_of(audited))
    judged = [each for each in audited.findings if each.verdict is not None]
    assert int(root.get("tests", "")) == len(judged)
    assert int(root.get("errors", "")) == sum(each.verdict in ("not_run", "error") for each in judged) > 1
    assert int(root.get("failures", "")) == sum(each.verdict in ("fail", "inconclusive") for each in judged)
    for finding in audited.findings:
        if finding.verdict is None:
            assert finding.id in (root.findtext(".//system-out") or "")


def test_audit_without_criteria_is_no_empty_suite_that_looks_green(audited: Audited, junit_schema: Any) -> None:
    spec = audited.spec.model_copy(update={"criteria": ()})
    found = tuple(each for each in audited.findings if each.kind != "criterion")
    bare = Audited(audited.run, spec, found, audited.events)
    data = junit_of(bare)
    junit_schema.assertValid(etree.fromstring(data))
    assert [child.tag for child in cases(data)["no criteria set"]] == ["skipped"]
    parse_oscal(assessment_results(bare))
    assert "nothing that could pass" in model_card(bare).decode()


def test_junit_drops_characters_that_xml_cannot_hold(audited: Audited, junit_schema: Any) -> None:
    found = tuple(replace(each, detail="a\x00b\x1b\ud800c") if each.id == "C2" else each for each in audited.findings)
    data = junit_of(Audited(audited.run, audited.spec, found, audited.events))
    junit_schema.assertValid(etree.fromstring(data))
    assert cases(data)["C2"][0].get("message") == "a\ufffdb\ufffd\ufffdc"


def rows(audited: Audited, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheets(audited)[name].decode("utf-8-sig"))))


def test_sheets_hold_every_finding_criterion_and_clause(audited: Audited) -> None:
    assert [row["id"] for row in rows(audited, "findings.csv")] == [each.id for each in audited.findings]
    assert [row["verdict"] for row in rows(audited, "findings.csv")] == [
        each.verdict or "" for each in audited.findings
    ]
    assert [row["id"] for row in rows(audited, "criteria.csv")] == [each.id for each in audited.spec.criteria]
    clauses = rows(audited, "clauses.csv")
    assert [(row["clause"], row["status"]) for row in clauses] == [
        (one.clause.id, one.status) for one in audited.mapping.standings
    ]
    (waived,) = (row for row in rows(audited, "findings.csv") if row["verdict"] == "waived")
    assert (waived["waived_until"], waived["verdict_without_waiver"]) == ("2027-06-30", "fail")


def test_sheets_keep_numbers_whole_hide_small_groups_and_hold_no_formula(audited: Audited) -> None:
    found = [
        replace(audited.findings[0], detail="=1+1", estimate=-0.12345678901234567, low=-0.5, high=0.25, n=100),
        replace(audited.findings[1], n=4, estimate=0.75, detail="3 of 4"),
    ]
    short = Audited(audited.run, audited.spec, (*found, *audited.findings[2:]), audited.events)
    first, small, *_ = rows(short, "findings.csv")
    assert float(first["estimate"]) == -0.12345678901234567
    assert first["detail"] == "'=1+1"
    assert (small["n"], small["estimate"]) == ("< 5", "")
    assert "3 of 4" not in sheets(short)["findings.csv"].decode()
    assert "3 of 4" not in assessment_results(short).decode()
    assert "3 of 4" not in junit_of(short).decode()


def test_statement_is_one_of_in_toto_over_the_digests_as_they_are(audited: Audited) -> None:
    whole = json.loads(statement(audited))
    made = [ResourceDescriptor(name=each["name"], digest=each["digest"]).pb for each in whole["subject"]]
    Statement(made, whole["predicateType"], whole["predicate"]).validate()
    assert whole["_type"] == "https://in-toto.io/Statement/v1"
    assert [each["digest"]["sha256"] for each in whole["subject"]] == [
        file_sha256(audited.run.folder / name) for name in ("manifest.json", "findings.json")
    ]
    result = whole["predicate"]["result"]
    assert (result["allPass"], result["exitCode"]) == (False, 1)
    assert sum(result["criteria"].values()) == len(audited.spec.criteria)
    with pytest.raises(ValueError, match="subject"):
        Statement([], whole["predicateType"], whole["predicate"]).validate()


def test_model_card_is_read_by_the_hub_and_its_numbers_are_those_of_the_evidence(audited: Audited) -> None:
    card = ModelCard(model_card(audited).decode())
    assert card.data.model_name == TITLE
    records = {(record.subject, record.slice): record for record in audited.run.records}
    assert card.data.eval_results
    for each in card.data.eval_results:
        values = records[each.metric_type, each.dataset_name].values
        assert each.metric_value in [value.estimate for value in values]
        assert not each.verified
    assert card.data.to_dict()["xai_audit"]["run"] == audited.manifest["run"]


def test_model_card_shows_verdicts_gaps_and_no_markup_of_a_name(audited: Audited) -> None:
    text = model_card(audited).decode()
    for finding in audited.findings:
        assert finding.id in text
    assert "Steps without a result: 2." in text
    assert "| waived |" in text
    assert "Waived by M. Lindqvist (product owner) until 2027-06-30." in text
    assert "<b>" not in text.split("---", 2)[2]
    assert "# =HYPERLINK(1)\\|\\<b\\>\\&\\[x\\](y)" in text


def test_no_export_says_that_a_law_is_met(audited: Audited, tmp_path: Path) -> None:
    from xai_audit.clauses.packs import vocabulary

    forbidden = [word for words in vocabulary()["vocabulary"]["forbidden_words"].values() for word in words]
    assert forbidden
    for entry in FORMATS:
        for path in export(audited.run.folder, entry.name, tmp_path / entry.name):
            text = path.read_text(encoding="utf-8-sig").lower()
            titles = [one.clause.title.lower() for one in audited.mapping.standings]
            for title in sorted(titles, key=len, reverse=True):
                text = text.replace(title, "")
            assert [word for word in forbidden if word.lower() in text] == [], entry.name


def test_the_command_knows_every_format_and_no_other() -> None:
    (choice,) = (each.type for each in main.commands["export"].params if each.name == "name")
    assert tuple(choice.choices) == tuple(each.name for each in FORMATS)


def test_ids_that_are_withheld_appear_in_no_export(audited: Audited) -> None:
    source = audited.spec.data.source.model_copy(update={"id": "cell"})
    show = audited.spec.data.show.model_copy(update={"withhold": ("cell",)})
    data = audited.spec.data.model_copy(update={"source": source, "show": show})
    hidden = Audited(audited.run, audited.spec.model_copy(update={"data": data}), audited.findings, audited.events)

    def written(of: Audited) -> bytes:
        return b"".join([assessment_results(of), junit_of(of), *sheets(of).values(), statement(of), model_card(of)])

    assert b"cell-9001" in written(audited)
    assert b"cell-9001" not in written(hidden)


def test_same_folder_gives_the_same_bytes_in_another_process(audited: Audited, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from xai_audit.exports import FORMATS, export\n"
        "for each in FORMATS: export(Path(sys.argv[1]), each.name, Path(sys.argv[2]) / each.name)\n"
        "print([name for name in ('torch', 'weasyprint') if name in sys.modules])\n"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Shanghai"}
    command = [sys.executable, "-c", code, str(audited.run.folder), str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
    for entry in FORMATS:
        for path in export(audited.run.folder, entry.name, tmp_path / "a" / entry.name):
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes(), path
    assert [fault for fault in verify(audited.run.folder) if fault.problem == "added"] == []


def test_nothing_is_exported_from_a_changed_folder_or_into_a_run_folder(audited: Audited, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="inside the run folder"):
        export(audited.run.folder, "junit", audited.run.folder / "junit.xml")
    folder = shutil.copytree(audited.run.folder, tmp_path / "run")
    text = (folder / "findings.json").read_text()
    (folder / "findings.json").write_text(text.replace('"verdict":"error"', '"verdict":"pass"'))
    with pytest.raises(EvidenceError, match=r"findings\.json changed"):
        export(folder, "junit", tmp_path / "junit.xml")
    (folder / "findings.json").unlink()
    with pytest.raises(EvidenceError, match=r"no findings\.json"):
        export(folder, "junit", tmp_path / "junit.xml")
    assert not (tmp_path / "junit.xml").exists()


def test_a_waiver_that_ran_out_after_judging_is_refused_and_one_that_was_judged_so_is_told_nowhere_as_valid(
    audited: Audited,
) -> None:
    (waived,) = (each for each in audited.findings if each.verdict == "waived")
    assert waived.waiver is not None
    last_day = datetime.date.fromisoformat(waived.waiver.expires)
    require_lasting(audited.run.folder, audited.findings, last_day)
    with pytest.raises(EvidenceError, match=rf"{waived.id} until {last_day}.*xai-audit judge"):
        require_lasting(audited.run.folder, audited.findings, last_day + datetime.timedelta(1))
    over = replace(waived, verdict="fail", reason="waiver_expired")
    late = replace(audited, findings=tuple(over if each is waived else each for each in audited.findings))
    assert "Waived by" not in model_card(late).decode()
    assert {row["waived_until"] for row in rows(late, "findings.csv")} == {""}
    assert b"waived by" not in junit_of(late)


def test_a_criterion_without_a_finding_is_refused(audited: Audited, tmp_path: Path) -> None:
    from xai_audit.evidence.manifest import record_outputs
    from xai_audit.verdict import findings_text

    folder = shutil.copytree(audited.run.folder, tmp_path / "run")
    less: tuple[Finding, ...] = audited.findings[1:]
    (folder / "findings.json").write_text(findings_text(less))
    record_outputs(folder, "judged", ["findings.json"])
    with pytest.raises(EvidenceError, match="no finding for C1"):
        read_audited(folder)
