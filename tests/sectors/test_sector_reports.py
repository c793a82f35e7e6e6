"""The annexes of medicine and finance: what reviewers look for is there, in their order, and gaps are loud."""

from __future__ import annotations

from dataclasses import replace

import pytest
from leftover_english import left_in_english, marked_as_english
from ruamel.yaml import YAML
from sector_audits import FINANCE

from xai_audit.clauses.packs import vocabulary
from xai_audit.report.build import OUTLINE, build_report
from xai_audit.report.catalogue import load_catalogue
from xai_audit.report.context import Context, plain
from xai_audit.report.document import Group, Missing, Prose, Report, Section, Signatures, Span, Table
from xai_audit.report.numbers import Numbers
from xai_audit.report.sections import china, comparison
from xai_audit.report.sections.sector_index import SECTIONS
from xai_audit.report.trace import untraced
from xai_audit.report.walk import anchors_of, instances, sentences_of
from xai_audit.run import Outcome
from xai_audit.spec.schema import Slice
from xai_audit.spec.sector_finance import Finance
from xai_audit.spec.sector_medical import Medical


def _read(part: object) -> str:
    """What a reader reads: sentences one after the other, with plain blanks."""
    said = (
        [plain(part)]
        if isinstance(part, tuple) and part and isinstance(part[0], Span)
        else [plain(sentence) for sentence in sentences_of(part)]
    )
    return " ".join(said).replace("\u00a0", " ").replace("\u202f", " ")


def _annex(report: Report) -> Section:
    (found,) = [section for section in report.sections if section.place == "A"]
    return found


def _report(outcome: Outcome, language: str = "en", **changes: object) -> Report:
    spec = _spec(outcome)
    domain = changes.pop("domain", "medical")
    spec = spec.model_copy(update={"audit": spec.audit.model_copy(update={"domain": domain}), **changes})
    return build_report(outcome.run, spec, outcome.findings, language)


def _spec(outcome: Outcome):
    from xai_audit.spec.load import load_text

    return load_text(outcome.run.spec_text, outcome.run.folder / "audit.yaml").spec


def _finance() -> Finance:
    tree = YAML(typ="safe").load(FINANCE)["finance"]
    return Finance.model_validate(_tuples(tree))


def _tuples(value: object) -> object:
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _titles(section: Section) -> list[str]:
    return [block.title for block in section.blocks if isinstance(block, Group)]


def _tables(section: Section) -> dict[str, Table]:
    return {table.anchor: table for table in instances(section.blocks, Table)}


@pytest.fixture(scope="module")
def medical(loans: Outcome) -> Report:
    return _report(loans)


@pytest.fixture(scope="module")
def finance(loans: Outcome) -> Report:
    return _report(loans, domain="finance", medical=None, finance=_finance())


def test_sections_are_named_in_the_order_of_the_outline() -> None:
    assert (*(part.key for part in OUTLINE), "annex") == SECTIONS


def test_the_medical_order_is_the_trades(medical: Report) -> None:
    rows = [_read(row[0]) for row in _tables(_annex(medical))["medical-fda-caption"].rows]
    assert rows == [
        "Device description", "User interface and labelling", "Risk assessment", "Data management",
        "Model description and development", "Validation", "Performance monitoring", "Cybersecurity",
        "Public summary",
    ]  # fmt: skip
    assert "medical-eu-caption" in _tables(_annex(medical))
    assert "medical-cn-caption" not in _tables(_annex(medical))


def test_every_link_of_the_index_leads_somewhere(medical: Report, finance: Report) -> None:
    for report in (medical, finance):
        known = anchors_of(report)
        links = {span.href for table in _tables(_annex(report)).values() for row in table.rows for cell in row
                 for span in cell.content if span.href}  # fmt: skip
        assert links and {link.lstrip("#") for link in links} <= set(known)


def test_calls_stand_with_their_interval_and_prevalence(loans: Outcome, medical: Report) -> None:
    tables = _tables(_annex(medical))
    calls = _read(tables["operating-point-slices"])
    record = next(r for r in loans.run.records if r.kind == "operating_point" and r.slice == "all")
    value = next(v for v in record.values if v.name == "sensitivity")
    assert f"{value.estimate * 100:.1f} % ({value.low * 100:.1f} to {value.high * 100:.1f})" in calls
    shares = [_read(row[0]) for row in tables["predictive-values"].rows]
    assert shares == ["1 %", "20 %"]
    assert "B. Chooser, clinical lead, 2 March 2026" in _read(_annex(medical))


def test_groups_have_a_row_a_slice_with_its_count(medical: Report) -> None:
    table = _tables(_annex(medical))["medical-group-1"]
    assert [_read(row[0]) for row in table.rows] == ["women", "men"]
    assert sum(int(_read(row[1])) for row in table.rows) == 120


def test_independence_is_said_by_a_person_and_measured(medical: Report) -> None:
    said = _read(_annex(medical))
    assert "None trained." in said and "C. Data, data manager" in said
    assert "Of 120 audited cases, 116 have no copy, look-alike or unit in the training data." in said


def test_a_planned_change_shows_the_verdicts_of_its_criteria(medical: Report) -> None:
    (row,) = _tables(_annex(medical))["planned-changes"].rows
    assert _read(row[2]) == "D1: Met, D2: Not met"


def test_what_the_owner_left_out_is_loud(loans: Outcome) -> None:
    boxes = list(instances(_annex(_report(loans, medical=None)).blocks, Missing))
    said = " ".join(_read(box) for box in boxes)
    for words in ("No operating point", "No groups of slices", "No reference standard", "No planned change",
                  "Nobody has stated that the audited data are independent", "No standard is applied"):  # fmt: skip
        assert words in said
    empty = _read(_annex(_report(loans, domain="finance", medical=None, finance=Finance())))
    assert "Nobody has declared that the validator is independent" in empty and "No condition of use" in empty


def test_the_rating_is_empty_and_the_validators(finance: Report) -> None:
    first = next(block for block in _annex(finance).blocks if isinstance(block, Group))
    assert first.title == "Opinion and rating"
    (box,) = next(instances(first.blocks, Signatures)).boxes
    assert [blank.label for blank in box.blanks][:2] == ["Opinion", "Rating"] and box.decisions == ()


def test_the_finance_order_is_the_trades(finance: Report) -> None:
    rows = [_read(row[0]) for row in _tables(_annex(finance))["finance-caption"].rows]
    assert rows[0] == "Opinion and rating" and rows[-1] == "Approvals" and len(rows) == 12
    assert "Conceptual soundness" in _titles(_annex(finance)) and "Overlays" in _titles(_annex(finance))


def test_finance_says_how_far_the_model_leads(loans: Outcome, finance: Report) -> None:
    said = _read(_annex(finance))
    assert "On all cases the model leads the challenger majority by" in said
    record = next(
        r for r in loans.run.records if r.kind == "challenger" and r.slice == "all" and r.method == "majority"
    )
    lead = next(value for value in record.values if value.name == "challenger")
    assert f"{lead.estimate * 100:.1f}".replace("-", "−") in said
    seven = next(section for section in finance.sections if section.key == "performance")
    tables = _tables(seven)
    assert {"challenger-majority", "challenger-scorecard"} <= set(tables)


def _without_whole(loans: Outcome, language: str = "en") -> Context:
    """The loans as if the spec had no slice of all cases."""
    spec = _spec(loans)
    spec = spec.model_copy(update={"slices": tuple(part for part in spec.slices if part.where)})
    known = {part.name for part in spec.slices}
    data = loans.run.manifest["data"]
    slices = {part: entry for part, entry in data["slices"].items() if part in known}
    run = replace(
        loans.run, manifest={**loans.run.manifest, "data": {**data, "slices": slices}},
        records=tuple(record for record in loans.run.records if record.slice in known),
    )  # fmt: skip
    words = load_catalogue(language)
    return Context(run, spec, (), language, words, Numbers(words, 5))


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_without_a_slice_of_all_cases_nothing_is_said_of_all_and_the_gap_is(loans: Outcome, language: str) -> None:
    context = _without_whole(loans, language)
    leads, found = comparison.leads(context), comparison.independence(context)
    for against, sentence in zip(("majority", "scorecard"), leads, strict=True):
        assert against in _read(sentence)
    gap = {"en": "No slice of this audit holds all cases", "zh-CN": "没有包含全部样本的数据切片"}[language]
    assert len(found) == 1 and all(gap in _read(sentence) for sentence in (*leads, *found))
    assert list(untraced((Prose((*leads, *found)),))) == []
    lines = next(instances(china.stages(context, None, None), Table)).rows
    slices = context.run.manifest["data"]["slices"]
    assert [plain(row[2].content) for row in lines[: len(slices)]] == [entry["digest"] for entry in slices.values()]
    assert all(part in plain(row[1].content) for part, row in zip(slices, lines, strict=False))
    assert len(lines) == len(slices) + 2


def test_with_a_slice_of_all_cases_its_digest_alone_is_traced_whatever_its_name(loans: Outcome) -> None:
    context = _without_whole(loans)
    named = context.spec.model_copy(update={"slices": (*context.spec.slices, Slice(name="everything"))})
    data = loans.run.manifest["data"]
    slices = {**data["slices"], "everything": data["slices"]["all"]}
    run = replace(loans.run, manifest={**loans.run.manifest, "data": {**data, "slices": slices}})
    lines = next(instances(china.stages(replace(context, run=run, spec=named), None, None), Table)).rows
    assert len(lines) == 3 and plain(lines[0][2].content) == data["slices"]["all"]["digest"]


def test_a_step_that_failed_shows_as_error(loans: Outcome) -> None:
    """Every operating point, challenger and tie failed: nothing is left out, and no number stands."""
    from xai_audit.evidence.records import Failure

    kinds = ("operating_point", "challenger", "split_integrity")
    records = tuple(
        replace(r, status="failed", values=(), details={}, failure=Failure("StepError", "It broke."))
        if r.kind in kinds else r
        for r in loans.run.records
    )  # fmt: skip
    broken = replace(loans, run=replace(loans.run, records=records))
    report = _report(broken)
    assert _read(report).count("It broke.") >= 3
    rows = _tables(_annex(report))["medical-fda-caption"].rows
    assert "without an answer" in _read(rows[5][2])


@pytest.mark.parametrize("domain", ["medical", "finance"])
def test_in_chinese_the_three_stages_and_an_empty_seal_stand_there(loans: Outcome, domain: str) -> None:
    parts = {"medical": {}, "finance": {"medical": None, "finance": _finance()}}[domain]
    annex = _annex(_report(loans, "zh-CN", domain=domain, **parts))
    assert f"{domain}-cn-caption" in _tables(annex) and "three-stages" in _tables(annex)
    seals = [box for block in instances(annex.blocks, Signatures) for box in block.boxes if box.key == "seal"]
    assert len(seals) == 1 and not seals[0].decisions
    said = _read(annex)
    assert not [word for word in vocabulary()["vocabulary"]["forbidden_words"]["zh-CN"] if word in said]


@pytest.mark.parametrize("domain", ["medical", "finance"])
def test_no_english_is_left_in_a_chinese_sector_report(loans: Outcome, domain: str) -> None:
    parts = {"medical": {}, "finance": {"medical": None, "finance": _finance()}}[domain]
    report = _report(loans, "zh-CN", domain=domain, **parts)
    assert left_in_english(report) == []
    assert marked_as_english(report) == set()


def test_no_annex_says_that_a_law_is_met(medical: Report, finance: Report) -> None:
    for report in (medical, finance):
        said = _read(_annex(report)).lower()
        assert not [word for word in vocabulary()["vocabulary"]["forbidden_words"]["en"] if word.lower() in said]


def test_small_groups_stay_hidden(loans: Outcome) -> None:
    spec = _spec(loans)
    show = spec.data.show.model_copy(update={"minimum_cell": 60})
    data = spec.data.model_copy(update={"show": show})
    record = next(r for r in loans.run.records if r.kind == "operating_point" and r.slice == "women")
    annex = _annex(_report(loans, data=data, medical=spec.medical or Medical()))
    table = _tables(annex)["medical-group-1"]
    assert "< 60" in _read(table.rows[0]) and str(record.details["n"]) not in _read(table.rows[0][1])
    assert "too few cases to show" in _read(_tables(annex)["operating-point-slices"].rows[1])
