"""JUnit XML: one test case a criterion, and one a step without a result.

| verdict | in JUnit |
|---|---|
| pass | a test case with nothing in it |
| fail, inconclusive | failure |
| not_run, error | error |
| waived | skipped, with who waived it, why and until when |

An audit without criteria has one skipped case that says so: an empty suite would look like a pass.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from xai_audit.exports.audited import FINDINGS, MANIFEST, Audited
from xai_audit.verdict import Finding

KIND = {"fail": "failure", "inconclusive": "failure", "not_run": "error", "error": "error", "waived": "skipped"}
"""Element of a verdict that is not a pass; a verdict that is not named here is refused."""
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def test_results(audited: Audited) -> bytes:
    """JUnit XML of the criteria and of the steps that gave no result."""
    criteria = [each for each in audited.findings if each.kind == "criterion"]
    steps = [each for each in audited.findings if each.kind == "step"]
    suites = [_suite(audited, "criteria", criteria), _suite(audited, "steps without a result", steps)]
    if not criteria:
        suites[0] = _no_criteria(audited)
    root = ET.Element("testsuites", {"name": audited.name})
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(audited: Audited, name: str, findings: Sequence[Finding]) -> ET.Element:
    cases = [_case(audited, finding) for finding in findings]
    counts = {tag: sum(case.find(tag) is not None for case in cases) for tag in ("failure", "error", "skipped")}
    suite = _head(audited, name, len(cases), counts["failure"], counts["error"], counts["skipped"])
    suite.extend(cases)
    if name == "criteria":
        _told(audited, suite)
    return suite


def _head(audited: Audited, name: str, tests: int, failures: int, errors: int, skipped: int) -> ET.Element:
    numbers = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    head = {"name": name, **{key: str(number) for key, number in numbers.items()}}
    suite = ET.Element("testsuite", head | {"timestamp": str(audited.manifest["ended"]).removesuffix("Z")})
    properties = ET.SubElement(suite, "properties")
    for key, value in _facts(audited).items():
        ET.SubElement(properties, "property", {"name": key, "value": _legal(value)})
    return suite


def _facts(audited: Audited) -> dict[str, str]:
    manifest = audited.manifest
    return {
        "audit": str(manifest["audit"]),
        "run": str(manifest["run"]),
        "title": audited.text(audited.spec.audit.title),
        "package": f"{manifest['package']['name']} {manifest['package']['version']}",
        "manifest_sha256": audited.digest(MANIFEST),
        "findings_sha256": audited.digest(FINDINGS),
        "all_pass": str(audited.overall.all_pass).lower(),
    }


def _case(audited: Audited, finding: Finding) -> ET.Element:
    case = ET.Element("testcase", {"classname": str(audited.manifest["audit"]), "name": _legal(_title(finding))})
    if finding.verdict == "pass":
        return case
    told = ET.SubElement(case, KIND[str(finding.verdict)], {"type": str(finding.verdict)})
    told.set("message", _legal(audited.detail(finding)))
    told.text = _legal("\n".join(_lines(audited, finding)))
    return case


def _title(finding: Finding) -> str:
    parts = [part for part in (finding.measure or finding.query, finding.part, finding.method, finding.mask) if part]
    where = f" on {finding.slice}" if finding.slice else ""
    return f"{finding.id}: {' '.join(parts)}{where}" if parts else f"{finding.id}{where}"


def _lines(audited: Audited, finding: Finding) -> list[str]:
    lines = [f"verdict: {finding.verdict}", f"severity: {finding.severity}", f"reason: {finding.reason}"]
    lines += [f"evidence: {', '.join(finding.evidence) or 'none'}"]
    if finding.waiver is not None and finding.verdict == "waived":
        waiver = finding.waiver
        lines += [
            f"waived by: {waiver.owner} ({waiver.role}) until {waiver.expires}",
            f"without it: {finding.unwaived}",
        ]
        lines += [f"because: {audited.shown(audited.text(waiver.reason))}"]
    return lines


def _told(audited: Audited, suite: ET.Element) -> None:
    """What is found without a verdict of its own is told beside the criteria."""
    others = [each for each in audited.findings if each.verdict is None]
    if others:
        lines = [f"{each.id} ({each.severity}): {audited.detail(each)}" for each in others]
        ET.SubElement(suite, "system-out").text = _legal("\n".join(lines))


def _no_criteria(audited: Audited) -> ET.Element:
    suite = _head(audited, "criteria", 1, 0, 0, 1)
    case = ET.SubElement(suite, "testcase", {"classname": str(audited.manifest["audit"]), "name": "no criteria set"})
    message = "No criteria were set, so there is nothing that could pass."
    ET.SubElement(case, "skipped", {"type": "no_criteria", "message": message})
    _told(audited, suite)
    return suite


def _legal(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
