"""The table of ratings: read in one order, and every fault of it named with its row."""

import numpy as np
import pytest

from xai_audit.data.appraisers import appraisers_digest, read_ratings
from xai_audit.errors import DataError
from xai_audit.spec.schema import Appraisers

IDS, CLASSES = ("p1", "p2", "p3"), ("good", "bad")
WITH_TRIALS = Appraisers(table="r.csv", case="part", appraiser="who", rating="class", trial="trial")
ONCE = Appraisers(table="r.csv", case="part", appraiser="who", rating="class")
HEADER = "part,who,trial,class\n"


def read(folder, text, declared=WITH_TRIALS, left_out=()):
    (folder / "r.csv").write_text(text)
    return read_ratings(declared, folder, IDS, CLASSES, left_out)


def test_ratings_come_in_the_order_of_case_person_and_trial(tmp_path):
    text = HEADER + "p2,Bo,2,bad\np2,Bo,1,good\np1,Ann,7,bad\np2,Ann,1,good\n"
    found = read(tmp_path, text)
    assert found.names == ("Ann", "Bo")
    assert found.cases.tolist() == [0, 1, 1, 1]
    assert found.appraisers.tolist() == [0, 0, 1, 1]
    assert found.classes.tolist() == [1, 0, 0, 1]
    assert found.trials.tolist() == [0, 0, 0, 1]


def test_the_order_of_rows_changes_nothing(tmp_path):
    rows = ["p2,Bo,2,bad", "p2,Bo,1,good", "p1,Ann,7,bad", "p2,Ann,1,good"]
    first = read(tmp_path, HEADER + "\n".join(rows) + "\n")
    second = read(tmp_path, HEADER + "\n".join(reversed(rows)) + "\n")
    for name in ("cases", "appraisers", "classes", "trials"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("p9,Ann,1,bad", r'r\.csv line 2.*"p9", which is no case of the audit'),
        ("p1,Ann,1,baad", r'"baad", which is no class.*Did you mean "bad"'),
        ("p1,Ann,x,bad", 'trial "x"'),
        ("p1,,1,bad", 'an empty cell in "who"'),
        ("p1,Ann,1,bad\np1,Ann,1,good", r"r\.csv line 3.*a second rating of the same case"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, found):
    with pytest.raises(DataError, match=found):
        read(tmp_path, HEADER + row + "\n")


def test_without_a_trial_nobody_rates_a_case_twice(tmp_path):
    with pytest.raises(DataError, match=r"data\.appraisers\.trial"):
        read(tmp_path, "part,who,class\np1,Ann,good\np1,Ann,good\n", ONCE)


def test_ratings_of_unreadable_cases_are_left_out(tmp_path):
    found = read(tmp_path, HEADER + "p8,Ann,1,bad\np1,Ann,1,bad\n", left_out=("p8",))
    assert found.cases.tolist() == [0]


def test_a_missing_column_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(DataError, match='no column "who"'):
        read(tmp_path, "part,trial,class\np1,1,bad\n")
    with pytest.raises(DataError, match="no such file"):
        appraisers_digest(Appraisers(table="gone.csv", case="a", appraiser="b", rating="c"), tmp_path)


def test_the_digest_is_of_the_file(tmp_path):
    read(tmp_path, HEADER + "p1,Ann,1,bad\n")
    before = appraisers_digest(WITH_TRIALS, tmp_path)
    read(tmp_path, HEADER + "p1,Ann,1,good\n")
    assert appraisers_digest(WITH_TRIALS, tmp_path) != before
