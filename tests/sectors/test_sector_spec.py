"""The grammar of the sectors: each slip is told at its place, and a whole part passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from sector_audits import FINANCE, MEDICAL, write_loans

from xai_audit.errors import SpecErrors
from xai_audit.spec.load import load_spec, load_text
from xai_audit.spec.schema import AuditSpec

SLIPS = [
    ("  domain: medical\n", "  domain: finance\n", "`medical` in an audit of domain finance"),
    ("slices: [women, men]", "slices: [woman, men]", 'Did you mean "women"?'),
    ("criteria: [D1, D2]", "criteria: [D1, D9]", 'found "D9"'),
    (", zh-CN: 读取材料的辅助工具。}", "}", "no text in zh-CN"),
    ("{en: Major and minor., zh-CN: 主版本号与次版本号。}", "' '", "an empty text"),
    ("point:\n    positive: paid\n", "point:\n    positive: payed\n", 'Did you mean "paid"?'),
    ("prevalences: [0.01, 0.2]", "prevalences: [0.01, 20]", "medical.operating_point.prevalences[1]"),
    ("    threshold: 0.4\n", "    treshold: 0.4\n", "medical.operating_point.treshold"),
    ("    because: {en: It was agreed., zh-CN: 经商定。}\n", "", "medical.operating_point.because"),
    ("against: {name: scorecard,", "against: {name: majority,", '"majority" a second time'),
    (", id: case, score: p", ", score: p", "`table` without `id`"),
    ("score: p, threshold: 0.4}", "score: p, answer: q}", "exactly one of rule, answer, score"),
    ("score: p, threshold: 0.4}", "rule: majority}", "a table beside a rule"),
    ("method: majority, at_least", "method: minority, at_least", 'Did you mean "majority"?'),
    ("challenger, method: majority, at_least", "challenger, at_least", "no `method` for challenger"),
    ("positive: paid\n  - split", "positive: pay\n  - split", 'found "pay"; expected one of: late, paid'),
    ("at_most: 0.0", "at_most: 2.0", "training_copies is a share"),
    ("  - split_integrity\n", "  - {use: split_integrity, bins: 3}\n", "`bins` for split_integrity"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_loans(tmp_path_factory.mktemp("spec"))


def test_the_whole_spec_passes(whole: Path) -> None:
    medical = load_spec(whole).spec.medical
    assert medical is not None and medical.groups[0].kind == "demographic"


@pytest.mark.parametrize(("old", "new", "told"), SLIPS)
def test_a_slip_is_told(whole: Path, old: str, new: str, told: str) -> None:
    text = whole.read_text()
    assert old in text
    with pytest.raises(SpecErrors) as caught:
        load_text(text.replace(old, new, 1).encode(), whole)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 1 and told in said[0], said


def test_finance_is_read_and_has_no_place_for_a_rating(tmp_path: Path) -> None:
    spec = write_loans(tmp_path, FINANCE, "finance")
    assert load_spec(spec).spec.finance.inventory_id == "M-17"
    spec.write_text(spec.read_text().replace("inventory_id: M-17", "inventory_id: M-17\n  rating: satisfactory"))
    with pytest.raises(SpecErrors, match="rating"):
        load_spec(spec)


def test_a_sector_part_may_be_left_out(whole: Path) -> None:
    text = whole.read_text().replace(MEDICAL, "")
    assert load_text(text.encode(), whole).spec.medical is None


def test_every_field_of_the_sectors_is_documented() -> None:
    import ast

    folder = Path(__file__).parents[2] / "xai_audit" / "spec"
    for name in ("sector_medical", "sector_finance", "challenger"):
        for node in ast.parse((folder / f"{name}.py").read_text()).body:
            body = node.body if isinstance(node, ast.ClassDef) else []
            for place, line in enumerate(body):
                if isinstance(line, ast.AnnAssign):
                    follows = body[place + 1] if place + 1 < len(body) else None
                    assert isinstance(follows, ast.Expr) and isinstance(follows.value, ast.Constant), ast.unparse(line)
    assert {"medical", "finance"} <= set(AuditSpec.model_fields)
