"""Occlusion: known answers of METHODS 3, and a second plain implementation by loops in float64."""

from __future__ import annotations

from collections.abc import Callable

import answering
import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.errors import Refusal
from xai_audit.explain.baselines import FillSources
from xai_audit.explain.by_queries import explain_by_queries
from xai_audit.explain.explained import Batch, Explained, Limits
from xai_audit.explain.maps import Maps
from xai_audit.explain.occlusion import occlusion
from xai_audit.spec.methods import Occlusion, TargetSpec


def explained(
    image: np.ndarray, f: Callable[[np.ndarray], float], sources: FillSources | None = None, **spec: object
) -> Maps:
    """The maps of one image (channels, height, width) for a function of pixels, without any net."""
    g = lambda rows: torch.tensor([f(row) for row in rows.numpy()], dtype=torch.float64)  # noqa: E731
    return answering.explained(occlusion, Occlusion(use="occlusion", **spec), image, g, sources)


def test_last_window_is_shifted_inwards() -> None:
    """METHODS 3: length 5, window 2, stride 2 on w = (1..5) gives 3, 3, 7, 8, 9 (captum: 3, 3, 7, 7, 5)."""
    weights = np.arange(1.0, 6.0)
    wide = np.repeat(weights[None], 2, 0) / 2  # two equal rows: one row of windows
    found = explained(np.ones((1, 2, 5)), lambda x: float((x[0] * wide).sum()), window=2, stride=2, baseline="black")
    np.testing.assert_allclose(found.raw[0], [[3, 3, 7, 8, 9]] * 2, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.extras["windows"][0], [[3, 7, 9]], rtol=0, atol=1e-10)


@pytest.mark.parametrize("baseline", ["black", "grey", "mean_colour"])
def test_windows_of_a_linear_function_are_sums_of_weight_times_change(baseline: str) -> None:
    rng = np.random.default_rng(0)
    image, weights = rng.random((3, 7, 9)), rng.normal(size=(3, 7, 9))
    sources = FillSources(mean_colour=(0.1, 0.4, 0.7))
    cover = {"black": np.zeros(3), "grey": np.full(3, 0.5), "mean_colour": np.array([0.1, 0.4, 0.7])}[baseline]
    found = explained(image, lambda x: float((x * weights).sum()), sources, window=3, stride=2, baseline=baseline)
    change = weights * (image - cover.reshape(3, 1, 1))
    wanted = [[change[:, r : r + 3, c : c + 3].sum() for c in (0, 2, 4, 6)] for r in (0, 2, 4)]
    np.testing.assert_allclose(found.extras["windows"][0], wanted, rtol=0, atol=1e-10)


def test_only_windows_that_meet_the_region_move_its_mean() -> None:
    image = np.ones((1, 12, 12))
    found = explained(image, lambda x: float(x[0, 3:5, 6:9].mean()), window=2, stride=2, baseline="black")
    moved = np.zeros((6, 6), bool)
    moved[1:3, 3:5] = True
    np.testing.assert_array_equal(found.extras["windows"][0] != 0, moved)


def test_disjoint_windows_add_up_for_an_additive_function() -> None:
    rng = np.random.default_rng(1)
    image, weights = rng.random((3, 8, 12)), rng.normal(size=(3, 8, 12))
    f = lambda x: float((x * weights).sum())  # noqa: E731
    found = explained(image, f, window=4, stride=4, baseline="black")
    assert found.extras["windows"].sum() == pytest.approx(f(image) - f(np.zeros_like(image)), abs=1e-10)


def plain(
    image: np.ndarray, f: Callable[[np.ndarray], float], window: int, stride: int, cover: np.ndarray
) -> np.ndarray:
    """Loops over windows and pixels."""
    _, height, width = image.shape
    total, count = np.zeros((height, width)), np.zeros((height, width))
    tops = sorted({min(t, height - window) for t in range(0, height + stride, stride)})
    lefts = sorted({min(c, width - window) for c in range(0, width + stride, stride)})
    for top in tops:
        for left in lefts:
            masked = image.copy()
            masked[:, top : top + window, left : left + window] = cover[:, top : top + window, left : left + window]
            total[top : top + window, left : left + window] += f(image) - f(masked)
            count[top : top + window, left : left + window] += 1
    assert count.min() >= 1
    return total / count


@pytest.mark.parametrize(
    ("size", "window", "stride"), [((16, 16), 4, 2), ((16, 16), 5, 3), ((11, 17), 4, 4), ((7, 7), 7, 1), ((9, 6), 1, 1)]
)
def test_equal_to_a_plain_implementation(size: tuple[int, int], window: int, stride: int) -> None:
    net = nets.seeded(nets.SmoothNet).double()

    @torch.no_grad()
    def f(x: np.ndarray) -> float:
        return float(net(torch.from_numpy(x)[None])[0, 1])

    image = nets.pixels(1, size=size)[0].astype(np.float64)
    found = explained(image, f, window=window, stride=stride, baseline="grey")
    np.testing.assert_allclose(
        found.raw[0], plain(image, f, window, stride, np.full_like(image, 0.5)), rtol=0, atol=1e-10
    )
    assert found.parameters == {"window": window, "stride": stride, "baseline": {"kind": "grey", "value": 0.5}}


def test_default_is_a_fourteenth_of_the_shorter_side_and_half_of_that() -> None:
    found = explained(np.zeros((1, 28, 42)), lambda x: 0.0, baseline="black")
    assert (found.parameters["window"], found.parameters["stride"]) == (2, 1)


@pytest.mark.parametrize(
    ("spec", "told"), [({"stride": 3}, "stride 3, larger than window 1"), ({"window": 17}, "at most 16")]
)
def test_windows_that_do_not_fit_are_refused(spec: dict[str, int], told: str) -> None:
    with pytest.raises(Refusal, match=told):
        explained(np.zeros((1, 16, 16)), lambda x: 0.0, baseline="black", **spec)


def test_target_stays_on_the_class_of_the_unperturbed_image() -> None:
    """A window that flips the prediction lowers the frozen class; a map of the new class would show 0 here."""

    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            corner = x[:, 0, :4, :4].mean((1, 2))
            return torch.stack([corner, 1 - corner], 1)

    method = Occlusion(use="occlusion", window=4, stride=4, baseline="black")
    images = np.ones((1, 3, 16, 16), np.float32)
    found = explain_by_queries(
        nets.audit(Corner(), width=2), [method], [Batch((0,), ("a",), images)], {}, FillSources(), 0, Limits(16, 512)
    )
    outcome = found.outcomes["occlusion"]
    assert isinstance(outcome, Explained)
    assert outcome.raw[0, 0, 0] == 1
    assert outcome.raw[0, 8, 8] == 0
    assert outcome.explained == ("class0",)
    assert outcome.target == TargetSpec().model_dump(exclude_none=True, include={"kind"}) | {"class": "predicted"}
