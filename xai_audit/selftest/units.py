"""Known answers of what is read off the units of a layer over a slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from xai_audit.concepts.activity import Activity, units_of
from xai_audit.explain.passes import Needs, PassCounter, PassResult, Request, run_pass
from xai_audit.model.guard import left_as_found
from xai_audit.model.layers import SpatialLayer, resolve_layers
from xai_audit.selftest.asking import model_of
from xai_audit.selftest.known import KnownAnswer
from xai_audit.spec.methods import ActivationMaps
from xai_audit.spec.schema import Layer
from xai_audit.synthetic import nets

F = np.float32
IMAGES = np.random.default_rng(4).random((4, 3, 4, 4)).astype(F)
ORDER = (2, 0, 1)


def _activity(module: nn.Module, pixels: np.ndarray, path: str = "conv", **more: object) -> Activity:
    """The activity of a layer's units over some images, read as a scan reads them."""
    model, _ = model_of(module, pixels)
    layer = resolve_layers(model, {path: Layer(path=path)})[path]
    assert isinstance(layer, SpatialLayer)
    method = ActivationMaps.model_validate({"use": "activation_maps", **more})
    cases = np.arange(len(pixels))
    activity = Activity(method, units_of(method, layer.channels), tuple(map(str, cases)), {"all": cases})
    with left_as_found(model.module):
        requests = [Request(None, needs=Needs((path,)))]
        (passed,) = run_pass(model, torch.from_numpy(pixels), requests, PassCounter(), activity.ids)
    assert isinstance(passed, PassResult)
    activity.take(cases, passed.activation(layer))
    return activity


def _pooled(order: Sequence[int] = (0, 1, 2)) -> nets.MeanPooled:
    return nets.MeanPooled(nets.identity_kernel(3)[list(order)], torch.ones(1, 3), torch.zeros(1))


def _maps(order: Sequence[int] = (0, 1, 2)) -> np.ndarray:
    """The maps kept of one image, (units, height, width)."""
    return np.asarray(_activity(_pooled(order), IMAGES[:1]).top.maps[:, 0])


def _strongest() -> list[float]:
    """Number of the image in which each channel is brightest, and the row and column of that pixel."""
    top = _activity(_pooled(), IMAGES).top
    return [*top.cases[:, 0].tolist(), *top.places[:, 0].ravel().tolist()]


def _brightest() -> list[float]:
    found = [np.unravel_index(int(IMAGES[:, unit].argmax()), (4, 4, 4)) for unit in range(3)]
    return [*(float(case) for case, _, _ in found), *(float(n) for _, *place in found for n in place)]


def _states() -> list[float]:
    """Dead, then saturated, unit by unit."""
    conv = _pooled().conv
    with torch.no_grad():
        conv.weight.mul_(torch.tensor([-1.0, 1e4, 1.0])[:, None, None, None])
    net = nn.Sequential(nn.Sequential(conv, nn.ReLU6()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    facts = _activity(net, IMAGES, "0").facts()
    return [float(state) for one in facts for state in (one.is_dead, one.is_saturated)]


ANSWERS = (
    KnownAnswer("activation_maps.identity", "activation_maps", "An identity convolution gives the image back.",
                IMAGES[0].ravel().tolist(), _maps),
    KnownAnswer("activation_maps.permuted", "activation_maps", "Permuting the channels permutes the units.",
                IMAGES[0, list(ORDER)].ravel().tolist(), lambda: _maps(ORDER)),
    KnownAnswer("activation_maps.strongest", "activation_maps",
                "A unit that copies a channel is strongest in the image and at the place of its brightest pixel.",
                _brightest(), _strongest),
    KnownAnswer("activation_maps.states", "activation_maps",
                "Of units that give 0, 6 by ReLU6 and the image, one is dead and one saturated.",
                [1, 0, 0, 1, 0, 0], _states),
)  # fmt: skip
