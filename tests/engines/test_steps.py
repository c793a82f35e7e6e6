"""What the steps write down agrees with what the measures count."""

from pathlib import Path

from xai_audit.engines.progress import Silent
from xai_audit.run import Options, run_audit
from xai_audit.spec.load import load_spec

SPEC = """version: 1
audit: {id: ties, title: Scores in the middle, owner: {name: A. Tester, role: owner}}
data:
  source: {kind: predictions, table: scores.csv, label: label, scores: [p], classes: [no, yes]}
measures: [accuracy]
"""


def test_a_probability_of_one_half_is_called_alike_in_rows_and_in_accuracy(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("label,p\nyes,0.5\nyes,0.5\nno,0.2\nno,0.5\n")
    (tmp_path / "ties.yaml").write_text(SPEC)
    finished = run_audit(load_spec(tmp_path / "ties.yaml"), Options(out=tmp_path / "out"), Silent()).run
    rows = finished.rows()
    assert rows["predicted"].tolist() == ["yes", "yes", "no", "yes"]
    accuracy = next(record for record in finished.records if record.subject == "accuracy")
    assert accuracy.values[0].estimate == (rows["predicted"] == rows["label"]).mean() == 0.75
