"""A withheld id never becomes the name of a case."""

from pathlib import Path

from tiny import write_audit

from xai_audit.data.sources import open_dataset
from xai_audit.spec.load import load_spec


def test_cases_are_named_by_rows_when_their_id_is_withheld(tmp_path: Path) -> None:
    spec = write_audit(tmp_path / "a", cases=8)
    shown = load_spec(spec)
    assert open_dataset(shown.spec, shown.folder).ids[:2] == ("c00", "c01")
    spec.write_text(spec.read_text().replace("show: {images: true}", "show: {images: true, withhold: [case]}"))
    withheld = load_spec(spec)
    assert open_dataset(withheld.spec, withheld.folder).ids[:2] == ("line 2", "line 3")
