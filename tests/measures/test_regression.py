import numpy as np
import pytest
import sklearn.metrics as peers
from slices_made import measured, numbers

from xai_audit.measures.predictions import Predictions
from xai_audit.measures.regression import mean_absolute_error, r2, root_mean_squared_error

EXACT = 1e-12
PEERS = {
    mean_absolute_error: peers.mean_absolute_error,
    root_mean_squared_error: peers.root_mean_squared_error,
    r2: peers.r2_score,
}


def outputs(n, names, seed=0, clusters=None, shift=0.0):
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=(n, len(names))) + shift
    groups = None if clusters is None else rng.integers(0, clusters, size=n)
    return Predictions("regression", names, labels, labels + rng.normal(size=labels.shape) / 2, None, groups)


@pytest.mark.parametrize("measure", PEERS)
@pytest.mark.parametrize("clusters", [None, 30])
def test_outputs_equal_scikit_learn(measure, clusters):
    one, two = outputs(200, ("age",), clusters=clusters), outputs(200, ("age", "mass"), clusters=clusters)
    assert numbers(measured(measure, one)) == {"age": pytest.approx(PEERS[measure](one.labels, one.scores), abs=EXACT)}
    each = PEERS[measure](two.labels, two.scores, multioutput="raw_values")
    found = numbers(measured(measure, two))
    assert [found["age"], found["mass"]] == pytest.approx(list(each), abs=EXACT)
    assert found[""] == pytest.approx(PEERS[measure](two.labels, two.scores), abs=EXACT)


def test_known_answers():
    """Errors 3 and 4: mean 3.5, root of 12.5; labels 0 and 10: 1 - 25 / 50."""
    predictions = Predictions("regression", ("y",), np.array([[0.0], [10.0]]), np.array([[3.0], [6.0]]), None)
    expected = {mean_absolute_error: 3.5, root_mean_squared_error: 12.5**0.5, r2: 0.5}
    for measure, number in expected.items():
        assert numbers(measured(measure, predictions))["y"] == pytest.approx(number, abs=1e-15)


def test_r2_keeps_its_digits_far_from_zero():
    predictions = outputs(200, ("y",), shift=1e6)
    expected = peers.r2_score(predictions.labels, predictions.scores)
    assert numbers(measured(r2, predictions))["y"] == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("label", [0.0, 0.1, 7.3])
def test_r2_of_constant_labels_is_undefined(label):
    predictions = Predictions("regression", ("y",), np.full((30, 1), label), np.zeros((30, 1)), None)
    (value,) = measured(r2, predictions).values
    assert (value.status, value.reason) == ("undefined", "All labels are the same.")


@pytest.mark.parametrize("measure", PEERS)
def test_intervals_hold_the_estimate_and_their_draws(measure):
    found = measured(measure, outputs(100, ("age", "mass"), clusters=25))
    for value in found.values:
        assert value.interval == "bootstrap" and value.low < value.estimate < value.high
        assert found.arrays[value.draws].shape == (2000,)


def test_draws_equal_copying_the_cases():
    predictions = outputs(60, ("y",), clusters=12)
    found = measured(r2, predictions, seed=3).arrays["draws:r2:y"]
    chosen = np.random.default_rng(3).integers(0, 12, size=(2000, 12), dtype=np.int32)
    for draw, clusters in zip(found[:20], chosen[:20], strict=True):
        cases = np.concatenate([np.flatnonzero(predictions.clusters == cluster) for cluster in clusters])
        assert draw == pytest.approx(peers.r2_score(predictions.labels[cases], predictions.scores[cases]), abs=EXACT)
