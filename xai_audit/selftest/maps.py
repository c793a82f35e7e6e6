"""Known answers of the methods that draw maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from xai_audit.selftest.asking import explained
from xai_audit.selftest.known import KnownAnswer
from xai_audit.synthetic import nets
from xai_audit.synthetic.planted import planted

F = np.float32
_GENERATOR = np.random.default_rng(3)
IMAGE = _GENERATOR.random((1, 3, 4, 4)).astype(F)
WEIGHT = _GENERATOR.normal(size=(1, 3, 4, 4))
POOLED = np.array([[1.0, 2.0, -1.0]])
"""Weights of the head of a mean-pooled net."""


def _linear() -> nets.Linear:
    return nets.Linear(torch.tensor(WEIGHT, dtype=torch.float32))


def _pooled() -> nets.MeanPooled:
    return nets.MeanPooled(nets.identity_kernel(3), torch.tensor(POOLED, dtype=torch.float32), torch.tensor([0.3]))


def _flattened() -> nets.Flattened:
    weight = torch.tensor(WEIGHT.reshape(1, -1), dtype=torch.float32)
    return nets.Flattened(nets.identity_kernel(3), weight, torch.tensor([0.3]))


def _of_pooled(use: str, **more: object) -> np.ndarray:
    return explained(_pooled(), {"use": use, "layer": "conv", **more}, IMAGE).raw


def _pixels_of(use: str, **more: object) -> np.ndarray:
    return explained(_linear(), {"use": use, **more}, IMAGE).raw


def _pooled_map() -> np.ndarray:
    """sum_k (W_k / places) A_k."""
    return np.asarray(np.tensordot(POOLED[0] / 16, IMAGE[0], 1))


def _grad_cam_pp() -> np.ndarray:
    """A = 1 at 4 places, g = c = .5 there: the weight n c / (2 + n a c) is .5, and so is the map."""
    net = nets.MeanPooled(nets.identity_kernel(1), torch.tensor([[2.0]]), torch.zeros(1))
    return explained(net, {"use": "grad_cam_pp", "layer": "conv"}, np.ones((1, 1, 2, 2), F)).raw


def _eigen_cam() -> np.ndarray:
    """A_k = u_k M with u >= 0: the map is proportional to M."""
    M = np.array([[0.1, 0.9], [0.4, 0.2]], F)
    image = np.stack([0.2 * M, 0.7 * M, 0.5 * M])[None]
    found = explained(_pooled(), {"use": "eigen_cam", "layer": "conv"}, image).raw[0]
    return np.asarray(found / found.sum() - M / M.sum())


def _score_cam() -> np.ndarray:
    image = np.ones((1, 1, 4, 4), F)
    method = {"use": "score_cam", "layer": "layer", "baseline": "black"}
    return np.asarray(explained(nets.QuarterChannels(), method, image).extras["weights"][0])


def _score_cam_weights() -> list[float]:
    """Softmax of s = (4, 0, 0, 0)."""
    e = np.exp([4.0, 0, 0, 0])
    return list(e / e.sum())


def _ablation_cam() -> np.ndarray:
    return np.asarray(explained(_pooled(), {"use": "ablation_cam", "layer": "conv"}, IMAGE).extras["weights"][0])


def _ablation_weights() -> np.ndarray:
    """Y - y without k = W_k mean(A_k), kept before its division by |y|."""
    return np.asarray(POOLED[0] * IMAGE[0].mean((1, 2)))


def _of_product(use: str) -> np.ndarray:
    net = nets.Game(lambda x: x[:, 0] * x[:, 1])
    found = explained(net, {"use": use, "baseline": "black"}, np.array([[[[2.0, 3.0]]]], F))
    return found.raw


def _rectified(use: str) -> np.ndarray:
    net = nets.Rectified(torch.tensor([[2.0, -3.0, 5.0]]))
    return explained(net, {"use": use}, np.array([[[[1.0, 2.0, -1.0]]]], F)).raw


def _occlusion() -> np.ndarray:
    method = {"use": "occlusion", "window": 2, "stride": 2, "baseline": "black"}
    return explained(_linear(), method, IMAGE).extras["windows"]


def _window_sums() -> np.ndarray:
    share = (WEIGHT[0] * IMAGE[0]).sum(0)
    return np.asarray(share.reshape(2, 2, 2, 2).sum((1, 3)).ravel())


def _inside(use: str, **more: object) -> float:
    """Share of a method's absolute relevance inside the region that the net reads, over planted images."""
    images = planted(4, 16)
    net = nets.RegionReader(torch.tensor(images.patch, dtype=torch.float32))
    found = explained(net, {"use": use, **more}, images.pixels, task="single_label", classes=("dark", "bright"))
    relevance = np.abs(found.raw).reshape(len(images.pixels), -1, 16, 16).sum(1)
    return float((relevance[:, images.patch].sum(1) / relevance.sum((1, 2))).min())


_SHORTCUT = planted(4, 16)


def _read_of_token() -> npt.NDArray[np.float64]:
    """What covering the token with grey takes from the score of each image's class: half the gain, mean less grey."""
    mean = _SHORTCUT.pixels[:, :, _SHORTCUT.token].astype(np.float64).mean((1, 2))
    return np.asarray(20.0 / 2 * np.abs(mean - 0.5))


def _on_token() -> npt.NDArray[np.float64]:
    """Relevance of the token on each image, then the largest elsewhere, of a net that took the token as a shortcut.

    Elsewhere each place is judged: a sum over them would add up what float32 rounds, which differs between processors.
    """
    images = _SHORTCUT
    net = nets.RegionReader(torch.tensor(images.token, dtype=torch.float32))
    method = {"use": "occlusion", "window": 2, "stride": 2, "baseline": "grey"}
    found = explained(net, method, images.pixels, task="single_label", classes=("dark", "bright"))
    return np.concatenate([found.raw[:, images.token].mean(1), np.abs(found.raw[:, ~images.token]).max(1)])


_SUM = float(_pooled_map().sum())

ANSWERS = (
    KnownAnswer("grad_cam.sum", "grad_cam", "On a mean-pooled net the map adds up to y - b.", [_SUM],
                lambda: _of_pooled("grad_cam").sum()),
    KnownAnswer("grad_cam.weights", "grad_cam", "On a mean-pooled net channel k weighs W_k / places.",
                _pooled_map().ravel().tolist(), lambda: _of_pooled("grad_cam")),
    KnownAnswer("hires_cam.sum", "hires_cam", "On an affine tail the map adds up to y - y(A = 0).",
                [float((WEIGHT[0] * IMAGE[0]).sum())],
                lambda: explained(_flattened(), {"use": "hires_cam", "layer": "conv"}, IMAGE).raw.sum()),
    KnownAnswer("layer_cam.positive", "layer_cam",
                "Channels with a positive gradient alone: sum_k relu(W_k / places) A_k.",
                np.tensordot(np.maximum(POOLED[0], 0) / 16, IMAGE[0], 1).ravel().tolist(),
                lambda: _of_pooled("layer_cam")),
    KnownAnswer("grad_cam_pp.weight", "grad_cam_pp", "A = 1 at 4 places, gradient .5: the weight is .5.", [0.5] * 4,
                _grad_cam_pp),
    KnownAnswer("xgrad_cam.constant", "xgrad_cam", "With one gradient a channel it equals grad_cam.",
                _pooled_map().ravel().tolist(), lambda: _of_pooled("xgrad_cam")),
    KnownAnswer("eigen_cam.rank_one", "eigen_cam", "A_k = u_k M: the map is proportional to M.", [0.0] * 4, _eigen_cam),
    KnownAnswer("score_cam.quarters", "score_cam", "Scores (4, 0, 0, 0) give softmax weights.", _score_cam_weights(),
                _score_cam),
    KnownAnswer("ablation_cam.pooled", "ablation_cam", "Without channel k a mean-pooled net loses W_k mean(A_k).",
                _ablation_weights().tolist(), _ablation_cam),
    KnownAnswer("saliency.linear", "saliency", "The gradient of w x is w.", WEIGHT.ravel().tolist(),
                lambda: _pixels_of("saliency")),
    KnownAnswer("input_x_gradient.linear", "input_x_gradient", "For w x it is w x, pixel by pixel.",
                (WEIGHT * IMAGE).ravel().tolist(), lambda: _pixels_of("input_x_gradient", baseline="black")),
    KnownAnswer("integrated_gradients.product", "integrated_gradients", "x1 x2 at (2, 3) from 0 gives 3 and 3.",
                [3.0, 3.0], lambda: _of_product("integrated_gradients")),
    KnownAnswer("smooth_grad.linear", "smooth_grad", "Of a linear net it is the gradient, whatever the noise.",
                WEIGHT.ravel().tolist(), lambda: _pixels_of("smooth_grad", samples=8)),
    KnownAnswer("guided_backprop.rectifier", "guided_backprop", "x = (1, 2, -1), weights (2, -3, 5): (2, 0, 0).",
                [2.0, 0.0, 0.0], lambda: _rectified("guided_backprop")),
    KnownAnswer("deconvnet.rectifier", "deconvnet", "x = (1, 2, -1), weights (2, -3, 5): (2, 0, 5).",
                [2.0, 0.0, 5.0], lambda: _rectified("deconvnet")),
    KnownAnswer("occlusion.linear", "occlusion", "A window takes away the sum of w x under it.",
                _window_sums().tolist(), _occlusion),
    KnownAnswer("saliency.region", "saliency", "All relevance lies in the region that the net reads.", [1.0],
                lambda: _inside("saliency")),
    KnownAnswer("integrated_gradients.region", "integrated_gradients",
                "All relevance lies in the region that the net reads.", [1.0],
                lambda: _inside("integrated_gradients", baseline="grey")),
    KnownAnswer("occlusion.shortcut", "occlusion", "A net that reads a planted token is shown to read it alone.",
                [*_read_of_token().tolist(), 0.0, 0.0, 0.0, 0.0], _on_token),
)  # fmt: skip
"""Maps of nets whose explanation follows from their weights (METHODS 2, 3)."""
