"""Stored predictions: scores are checked, and no image is needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import make_spec, write

from xai_audit.data.dataset import Dataset
from xai_audit.data.slices import source_digests
from xai_audit.data.sources import open_dataset
from xai_audit.errors import DataError

SOURCE = {"kind": "predictions", "table": "p.csv", "label": "truth", "scores": ("cat", "dog")}
TABLE = "case,truth,cat,dog\n01,cat,0.75,0.25\n02,dog,0.5,0.5\n03,dog,0.1,0.9\n"


def stored(folder: Path, text: str = TABLE, policy: str = "fail", **source: Any) -> Dataset:
    write(folder / "p.csv", text)
    return open_dataset(make_spec(SOURCE | source, on_bad_case=policy), folder)


def test_scores_and_labels_are_read_without_a_model(tmp_path: Path) -> None:
    dataset = stored(tmp_path, id="case")
    assert dataset.ids == ("01", "02", "03")
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.scores is not None
    assert dataset.scores.tolist() == [[0.75, 0.25], [0.5, 0.5], [0.1, 0.9]]
    assert not dataset.has_images
    assert len(set(source_digests(dataset, lambda _: None))) == 3
    with pytest.raises(DataError, match=r'case "01": found no image'):
        dataset.image(0)


def test_without_an_id_column_a_case_is_its_line(tmp_path: Path) -> None:
    assert stored(tmp_path).ids == ("line 2", "line 3", "line 4")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (",0.5", "line 3, column cat: found no number"),
        ("nan,0.5", "line 3, column cat: found no number"),
        ("inf,0.5", 'line 3, column cat: found "inf"; expected a finite number'),
        ("high,0.5", 'line 3, column cat: found "high"'),
        ("1.5,-0.5", "line 3, column cat: found 1.5; expected a probability from 0 to 1"),
        ("0.5,0.502", "line 3, columns cat, dog: found a sum of 1.002; expected 1 to within 0.001"),
    ],
)
def test_a_score_that_is_no_probability_is_a_bad_case(tmp_path: Path, scores: str, message: str) -> None:
    text = TABLE.replace("dog,0.5,0.5", f"dog,{scores}")
    with pytest.raises(DataError) as caught:
        stored(tmp_path, text)
    assert message in str(caught.value)
    dataset = stored(tmp_path, text, "record")
    assert dataset.ids == ("line 2", "line 4")
    assert message in dataset.bad[0].problem
    assert dataset.scores is not None
    assert np.isfinite(dataset.scores).all()


def test_a_sum_within_the_tolerance_is_accepted(tmp_path: Path) -> None:
    assert len(stored(tmp_path, TABLE.replace("dog,0.5,0.5", "dog,0.5,0.5009")).ids) == 3


def test_logits_need_no_sum_but_must_be_finite(tmp_path: Path) -> None:
    text = TABLE.replace("0.5,0.5", "7,-3")
    assert stored(tmp_path, text, scores_are="logit").scores is not None
    with pytest.raises(DataError, match=r'found "-inf"; expected a finite number'):
        stored(tmp_path, text.replace("-3", "-inf"), scores_are="logit")


def test_one_column_of_the_second_class(tmp_path: Path) -> None:
    dataset = stored(tmp_path, scores=("dog",), classes=("cat", "dog"))
    assert dataset.scores is not None
    assert dataset.scores.tolist() == [[0.25], [0.5], [0.9]]


def test_a_regression_has_one_prediction_column(tmp_path: Path) -> None:
    text = "truth,guess\n1.5,1\n2,2.5\n"
    dataset = stored(tmp_path, text, task="regression", scores=("guess",))
    assert dataset.labels.tolist() == [[1.5], [2.0]]
    assert dataset.scores is not None
    assert dataset.scores.tolist() == [[1.0], [2.5]]
    with pytest.raises(DataError, match=r"data.source.scores: found 2 columns for a regression"):
        stored(tmp_path, text, task="regression", scores=("guess", "truth"))


def test_an_unknown_score_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no column "bird" \(data.source.scores\[1\]\)'):
        stored(tmp_path, scores=("cat", "bird"))
