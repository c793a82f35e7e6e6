import numpy as np
import pytest
from slices_made import binary, labelled, many_labels

from xai_audit.errors import Refusal, StepError
from xai_audit.measures.measured import Options
from xai_audit.measures.predictions import Predictions

THIRD = np.full((2, 3), 1 / 3)


def test_slice_holds_the_chosen_cases():
    whole = labelled(20, 3, 0, clusters=4)
    part = whole.of(np.array([3, 5]))
    assert part.n == 2
    assert (part.labels == whole.labels[[3, 5]]).all() and (part.clusters == whole.clusters[[3, 5]]).all()
    assert (part.probabilities == whole.probabilities[[3, 5]]).all()


def test_model_s_own_choice():
    assert Predictions("single_label", ("a", "b", "c"), np.array([0, 1]), THIRD, THIRD).chosen.tolist() == [0, 0]
    assert binary([0, 0, 0], [0.49, 0.5, 0.51]).chosen.tolist() == [0, 1, 1]
    chosen = many_labels(50, 3, 0).chosen
    assert (chosen == (many_labels(50, 3, 0).scores >= 0)).all()


def test_operating_point_calls_at_the_threshold_and_above():
    predictions = binary([0, 0, 0], [0.19, 0.2, 0.9])
    assert predictions.chosen_at(Options(threshold=0.2)).tolist() == [0, 1, 1]
    assert predictions.chosen_at(Options(threshold=0.2, positive="a")).tolist() == [0, 0, 1]
    assert predictions.questions(Options(threshold=0.2))[0].called.tolist() == [False, True, True]


def test_second_of_two_classes_is_positive_unless_another_is_named():
    predictions = labelled(20, 2, 0)
    assert [q.label for q in predictions.questions(Options())] == ["b"]
    assert [q.label for q in predictions.questions(Options(positive="a"))] == ["a"]
    assert [q.label for q in labelled(20, 3, 0).questions(Options())] == ["a", "b", "c"]
    assert [q.label for q in many_labels(20, 2, 0).questions(Options())] == ["a", "b"]


def test_operating_point_over_many_classes_is_refused():
    with pytest.raises(Refusal, match="two classes"):
        labelled(20, 3, 0).chosen_at(Options(threshold=0.5))


def test_unknown_positive_class_is_refused():
    with pytest.raises(Refusal, match="one of a, b"):
        labelled(20, 2, 0).questions(Options(positive="z"))


def test_threshold_without_probabilities_is_refused():
    bare = Predictions("single_label", ("a", "b"), np.array([0]), np.zeros((1, 2)), None)
    with pytest.raises(Refusal, match="without probabilities"):
        bare.questions(Options(threshold=0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]])}, "1 of 2 cases with a score that is not a finite"),
        ({"scores": np.zeros(2)}, "scores of shape"),
        ({"scores": np.zeros((3, 3))}, "scores of shape"),
        ({"labels": np.zeros((2, 3))}, "labels of shape"),
        ({"labels": np.zeros(0), "scores": np.zeros((0, 3))}, "no cases"),
        ({"probabilities": np.zeros((2, 2))}, "probabilities of shape"),
        ({"probabilities": THIRD + 0.4}, "add up to 2.2"),
        ({"probabilities": np.array([[1.2, -0.2, 0.0]] * 2)}, "outside 0 to 1"),
        ({"clusters": np.zeros(3)}, "clusters of shape"),
    ],
)
def test_numbers_that_are_no_answer_are_named(change, message):
    parts = {"labels": np.array([0, 1]), "scores": THIRD, "probabilities": THIRD, "clusters": None} | change
    with pytest.raises(StepError, match=message):
        Predictions("single_label", ("a", "b", "c"), **parts)
