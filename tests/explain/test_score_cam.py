"""Score-CAM: known answers of METHODS 2, flat channels, warnings, and a second plain implementation."""

from __future__ import annotations

import answering
import nets
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from xai_audit.errors import Refusal, StepError
from xai_audit.explain.maps import Maps
from xai_audit.explain.questions import Case, Question, SoftMasks
from xai_audit.explain.score_cam import score_cam
from xai_audit.spec.methods import Saliency, ScoreCam


def explained(
    image: np.ndarray,
    f: answering.Function,
    activation: np.ndarray,
    asked: list[Question] | None = None,
    **spec: object,
) -> Maps:
    method = ScoreCam(use="score_cam", layer="layer", **spec)
    return answering.explained(score_cam, method, image, f, activation=activation, asked=asked)


def quadrants() -> np.ndarray:
    """(4, 4, 4): masks of the quadrants of a 4 x 4 image."""
    masks = np.zeros((4, 4, 4))
    masks[0, :2, :2] = masks[1, :2, 2:] = masks[2, 2:, :2] = masks[3, 2:, 2:] = 1
    return masks


def top_left(x: torch.Tensor) -> torch.Tensor:
    return x[:, :, :2, :2].sum((1, 2, 3))


WHITE = np.ones((1, 4, 4))


def told(found: Maps) -> dict[str, int]:
    """The counts that are not 0, by a word of their sentence."""
    words = ("make no mask", "saturated", "almost their mean", "no channel makes")
    return {word: n for text, n in found.counts.items() for word in words if n and word in text}


def test_quadrants() -> None:
    """Scores (4, 0, 0, 0), weights e^4 / (e^4 + 3) = .947915 and 1 / (e^4 + 3) = .017362, three times."""
    found = explained(WHITE, top_left, quadrants())
    np.testing.assert_allclose(found.extras["scores"][0], [4, 0, 0, 0], rtol=0, atol=1e-10)
    a = np.exp([4, 0, 0, 0]) / (np.exp(4) + 3)
    np.testing.assert_allclose(a, [0.947915, *[0.017362] * 3], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.extras["weights"][0], a, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.raw[0], np.tensordot(a, quadrants(), 1), rtol=0, atol=1e-10)
    assert found.extras["effective_channels"][0] == pytest.approx(1 / (a**2).sum())
    assert told(found) == {"saturated": 1}


def test_without_norm_weights_are_scores() -> None:
    found = explained(WHITE, top_left, quadrants(), channel_norm="none")
    np.testing.assert_allclose(found.raw[0], 4 * quadrants()[0], rtol=0, atol=1e-10)
    assert found.extras["effective_channels"][0] == 0
    assert told(found) == {}


def test_scores_are_taken_from_the_fill() -> None:
    """With grey where a mask hides, s loses the constant y(grey) = 2: f sees 4 of the mask, or 2 of the fill."""
    found = explained(WHITE, top_left, quadrants(), baseline="grey")
    np.testing.assert_allclose(found.extras["scores"][0], [2, 0, 0, 0], rtol=0, atol=1e-10)


def test_weights_all_alike_are_told() -> None:
    found = explained(WHITE, lambda x: x.sum((1, 2, 3)), quadrants())
    np.testing.assert_allclose(found.extras["weights"][0], 0.25, rtol=0, atol=1e-10)
    assert found.extras["effective_channels"][0] == pytest.approx(4)
    assert told(found) == {"almost their mean": 1}


@pytest.mark.parametrize(("scale", "wanted"), [(0.1, "almost their mean"), (2.0, "saturated")])
def test_of_two_channels_one_thing_is_said(scale: float, wanted: str) -> None:
    """Two channels have an effective number of 1 to 2: always below 2, and above half of the channels."""
    found = explained(WHITE, lambda x: scale * top_left(x), quadrants()[:2])
    assert told(found) == {wanted: 1}


def test_flat_channels_are_counted_and_get_no_weight() -> None:
    asked: list[Question] = []
    activation = np.concatenate([quadrants(), np.full((2, 4, 4), 3.0)])
    found = explained(WHITE, top_left, activation, asked)
    assert told(found)["make no mask"] == 2
    np.testing.assert_array_equal(found.extras["weights"][0, 4:], 0)
    np.testing.assert_allclose(found.raw, explained(WHITE, top_left, quadrants()).raw, rtol=0, atol=1e-10)
    assert [question.channels.tolist() for question in asked if isinstance(question, SoftMasks)] == [[0, 1, 2, 3]]


@pytest.mark.parametrize("norm", ["softmax", "none"])
def test_only_flat_channels_give_zeros_and_a_sentence(norm: str) -> None:
    found = explained(WHITE, top_left, np.ones((3, 2, 2)), channel_norm=norm)
    np.testing.assert_array_equal(found.raw, np.zeros((1, 2, 2)))
    assert told(found) == {"make no mask": 3, "no channel makes": 1}


def test_top_k_takes_channels_of_largest_variance_and_is_a_deviation() -> None:
    asked: list[Question] = []
    activation = quadrants() * np.array([1, 3, 0.5, 2])[:, None, None]
    found = explained(WHITE, top_left, activation, asked, top_k=2)
    assert [question.channels.tolist() for question in asked if isinstance(question, SoftMasks)] == [[1, 3]]
    np.testing.assert_allclose(found.extras["weights"][0], [0, 0.5, 0, 0.5], rtol=0, atol=1e-10)
    assert found.warnings == (
        "Only 2 of 4 channels were asked, those of largest variance: a deviation from the method as published.",
    )
    assert found.parameters["top_k"] == 2
    assert explained(WHITE, top_left, activation, top_k=4).warnings == ()


def test_masks_are_upsampled_before_they_are_scaled() -> None:
    """2 x 2 to 6 x 6: the largest value lies at the corner, and the other order would give another mask."""
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.normal(size=(3, 7, 7)))
    question = SoftMasks(maps, np.array([2, 0]), np.zeros((1, 20, 20)))
    rows = question.compose(torch.ones(1, 20, 20, dtype=torch.float64), torch.tensor([0, 1]))[:, 0]
    up = F.interpolate(maps[None], (20, 20), mode="bilinear", align_corners=False)[0]
    for row, channel in zip(rows, (2, 0), strict=True):
        wanted = (up[channel] - up[channel].min()) / (up[channel].max() - up[channel].min())
        torch.testing.assert_close(row, wanted, rtol=0, atol=1e-12)
    other = F.interpolate(((maps - maps.amin((1, 2), True)) / (maps.amax((1, 2), True) - maps.amin((1, 2), True)))[None], (20, 20), mode="bilinear")[0]  # fmt: skip  # noqa: E501
    assert (rows[0] - other[2]).abs().max() > 1e-4


def plain(image: np.ndarray, f: answering.Function, activation: np.ndarray) -> np.ndarray:
    """A loop over channels, in float64 and with the subtracted constant left out."""
    scores = []
    for channel in activation:
        mask = F.interpolate(torch.from_numpy(channel)[None, None], image.shape[1:], mode="bilinear")[0, 0]
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        scores.append(f(torch.from_numpy(image)[None] * mask)[0].item())
    weights = np.exp(scores) / np.exp(scores).sum()
    return sum(w * channel for w, channel in zip(weights, activation, strict=True))


def test_equal_to_a_plain_implementation() -> None:
    net = nets.seeded(nets.SmoothNet).double().requires_grad_(False)
    image = nets.pixels(1)[0].astype(np.float64)
    activation = np.random.default_rng(1).normal(size=(5, 4, 3))
    f = lambda x: net(x)[:, 1] * 20  # noqa: E731
    found = explained(image, f, activation)
    np.testing.assert_allclose(found.raw[0], plain(image, f, activation), rtol=0, atol=1e-10)


def test_other_methods_missing_layers_and_nan_are_told() -> None:
    with pytest.raises(Refusal, match="use saliency"):
        next(score_cam(Case(WHITE, 0.0), Saliency(use="saliency")))
    with pytest.raises(StepError, match="no layer"):
        next(score_cam(Case(WHITE, 0.0), ScoreCam(use="score_cam")))
    with pytest.raises(StepError, match="1 NaN or infinite activations of 'layer'"):
        explained(WHITE, top_left, np.where(np.arange(64).reshape(4, 4, 4) == 7, np.nan, 1))
