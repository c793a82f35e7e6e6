"""Scores along concept vectors: closed forms, a second implementation in float64, and captum's TCAV."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.concept import TCAV, Concept
from captum.concept._utils.classifier import Classifier
from sklearn.linear_model import RidgeClassifier
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from xai_audit.concepts.permutation import draw_sets
from xai_audit.concepts.vectors import Settings, concept_vectors, tcav_score
from xai_audit.evidence.seeds import generator

FEW = Settings(10, 19)


def planted(units: int = 6, size: int = 40, pool: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Activations whose first `size` images differ from the rest in one direction only, and that direction."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(units)
    v /= np.linalg.norm(v)
    images = rng.standard_normal((size + pool, units))
    images -= np.outer(images @ v, v)  # nothing else along v
    images[:size] += 8 * v
    return images + 0.01 * rng.standard_normal(images.shape), v


def test_a_score_that_is_the_product_with_the_vector_has_score_one_and_slope_one() -> None:
    """METHODS 4: y = <A, v>, |v| = 1: score 1 for v, 0 for -v, S = 1 everywhere."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((120, 6))
    found = concept_vectors(images, 40, [np.zeros((1, 6))], FEW, generator(0, "a"))
    for number, v in enumerate(found.normals):
        along = concept_vectors(images, 40, [np.tile(v, (30, 1)), np.tile(-v, (30, 1))], FEW, generator(0, "a"))
        up, down = along.answers
        assert up.scores[number] == 1
        assert down.scores[number] == 0
        assert abs(up.slopes[number] - 1) < 1e-12
        assert abs(down.slopes[number] + 1) < 1e-12
        assert up.rises[number].all()
        assert down.falls[number].all()


def test_the_vector_of_a_concept_is_the_direction_in_which_it_differs() -> None:
    images, v = planted()
    found = concept_vectors(images, 40, [np.tile(v, (30, 1))], FEW, generator(0, "a"))
    assert (found.normals @ v > 0.97).all()
    assert (found.right == found.trials).all()
    assert tcav_score(found.answers[0].rises, np.ones(10, dtype=bool)) == 1
    assert float(found.mean(np.ones(10, dtype=bool)) @ v) > 0.99
    assert abs(np.linalg.norm(found.mean(np.ones(10, dtype=bool))) - 1) < 1e-12
    assert (found.mean(np.zeros(10, dtype=bool)) == 0).all()


def test_all_numbers_are_those_of_a_plain_loop() -> None:
    """Second implementation: scikit-learn fits, one set at a time, from the sets that were drawn."""
    rng = np.random.default_rng(3)
    images, g = rng.gamma(1.0, 1.0, (90, 9)), rng.standard_normal((25, 9))
    images[:35, 2] += 0.7
    found = concept_vectors(images, 35, [g], Settings(10, 29), generator(5, "sets"))
    scale = images.std(0)
    z = (images - images.mean(0)) / scale
    shares, balances, slopes, firsts = [], [], [], []
    for chosen in draw_sets(35, 90, 10, 29, generator(5, "sets")):
        along = []
        for rows in chosen:
            w = RidgeClassifier(alpha=1.0, solver="svd").fit(z[rows], np.repeat([1, 0], 35)).coef_.ravel() / scale
            along.append(g @ (w / np.linalg.norm(w)))
        s = np.array(along)
        shares.append((s > 0).mean(1))
        balances.append((s > 0).mean() - 0.5)
        slopes.append(s.mean())
        firsts.append((s[0] > 0).mean())
    (answers,) = found.answers
    np.testing.assert_allclose(answers.scores, shares[0], atol=1e-12)
    np.testing.assert_allclose(answers.comparison.balance, balances[0], atol=1e-12)
    np.testing.assert_allclose(answers.comparison.slope, slopes[0], atol=1e-12)
    np.testing.assert_allclose(answers.null_balances, balances[1:], atol=1e-12)
    np.testing.assert_allclose(answers.null_slopes, slopes[1:], atol=1e-12)
    np.testing.assert_allclose(answers.null_scores, firsts[1:], atol=1e-12)
    far = sum(abs(b) > abs(balances[0]) + 1e-9 for b in balances[1:])
    tied = sum(
        abs(abs(b) - abs(balances[0])) <= 1e-9 and abs(s) >= abs(slopes[0])
        for b, s in zip(balances[1:], slopes[1:], strict=True)
    )
    assert answers.p == (1 + far + tied) / 30


def test_a_case_whose_slope_is_exactly_zero_does_not_rise_and_pulls_to_neither_side() -> None:
    """Half of the cases have no gradient: the score of a concept that all others rise along is 0.5, and that is as
    far from chance as can be."""
    images, v = planted()
    g = np.concatenate([np.tile(v, (15, 1)), np.zeros((15, 6))])
    (answers,) = concept_vectors(images, 40, [g], Settings(10, 199), generator(0, "a")).answers
    assert (answers.scores == 0.5).all()
    assert (~(answers.rises | answers.falls)).sum() == 10 * 15
    assert answers.comparison.balance == 0.25
    assert answers.p <= 0.05
    whole = concept_vectors(images, 40, [g[:15]], Settings(10, 199), generator(0, "a")).answers[0]
    assert answers.p == whole.p  # cases without a gradient change nothing


def test_null_sets_in_groups_are_those_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    images, g = rng.standard_normal((90, 40)), rng.standard_normal((25, 40))
    together = concept_vectors(images, 35, [g], FEW, generator(5, "sets")).answers[0]
    monkeypatch.setattr("xai_audit.concepts.vectors._FITS", 1)
    alone = concept_vectors(images, 35, [g], FEW, generator(5, "sets")).answers[0]
    np.testing.assert_allclose(alone.null_slopes, together.null_slopes, rtol=0, atol=1e-12)
    assert (alone.null_balances == together.null_balances).all()


class Net(nn.Module):
    """A smooth head on a convolution."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.features = nn.Conv2d(3, 5, 3)
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(5 * 6 * 6, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Given(Classifier):
    """Gives captum a vector that is there already."""

    vector: Tensor

    def __init__(self) -> None:
        super().__init__()

    def train_and_eval(self, dataloader: DataLoader, **kwargs: object) -> dict:
        return {}

    def weights(self) -> Tensor:
        return torch.stack([self.vector, -self.vector])

    def classes(self) -> list[int]:
        return [0, 1]


def captums(net: Net, x: Tensor, vector: np.ndarray, folder: Path) -> tuple[float, float]:
    """What captum calls sign_count and magnitude of class 1 along a vector of every place."""
    giver = Given()
    giver.vector = torch.from_numpy(vector).float()
    pictures = [
        Concept(k, f"c{k}", DataLoader(TensorDataset(x[:2]), collate_fn=lambda b: b[0][0][None])) for k in (0, 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tcav = TCAV(net, "features", classifier=giver, save_path=str(folder))
        found = tcav.interpret(x, [pictures], target=1)["0-1"]["features"]
    return float(found["sign_count"][0]), float(found["magnitude"][0])


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_scores_are_captums_on_the_same_vector(pool: str, tmp_path: Path) -> None:
    """Captum knows vectors of every place only: ours of a unit's mean is one whose places have equal weights. What it
    calls magnitude is the mean of S; its documentation says a sum of positive shares. It has no test of either."""
    net = Net()
    pictures = torch.rand((150, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    activation = net.features(pictures).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net.head(activation)[:, 1].sum(), activation)
    of_layer, of_score = activation.detach().mean((2, 3)), gradient.sum((2, 3))
    if pool == "none":
        of_layer, of_score = activation.detach().flatten(1), gradient.flatten(1)
    found = concept_vectors(of_layer.numpy(), 40, [of_score[:60].numpy()], FEW, generator(0, "a"))
    (answers,) = found.answers
    for number, vector in enumerate(found.normals[:3]):
        flat = vector if pool == "none" else np.repeat(vector, 36)
        share, magnitude = captums(net, pictures[:60], flat, tmp_path / str(number))
        assert share == pytest.approx(answers.scores[number], abs=1e-6)
        assert magnitude == pytest.approx(answers.slopes[number], abs=1e-5)
    assert 0 < answers.scores.mean() < 1
