"""Side by side with captum and grad-cam after matching their documented settings; and their known deviations, shown."""

from __future__ import annotations

import warnings
from typing import Any

import nets
import numpy as np
import pytest
import torch

from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explain import Batch, Explained, explain_by_pass, explain_by_queries, method_layers
from xai_audit.spec.schema import GradCam, Occlusion, Saliency

IMAGES = nets.pixels(3)
CHOSEN = 2


def captum(name: str) -> Any:
    return getattr(pytest.importorskip("captum.attr"), name)


def ours(module: torch.nn.Module, method: dict[str, Any]) -> np.ndarray:
    """Raw maps of class 2."""
    kinds: dict[str, Any] = {"grad_cam": GradCam, "saliency": Saliency, "occlusion": Occlusion}
    one = kinds[method["use"]].model_validate({**method, "target": {"class": CHOSEN}})
    model, batches = nets.audit(module), [Batch((0, 1, 2), IMAGES)]
    if method["use"] == "occlusion":
        found = explain_by_queries(model, [one], batches, FillSources()).outcomes
    else:
        found = explain_by_pass(model, [one], batches, method_layers([one], model, nets.model_spec())).outcomes
    outcome = found[method["use"]]
    assert isinstance(outcome, Explained)
    return outcome.raw


@pytest.mark.parametrize(
    ("net", "path"),
    [(nets.GapNet, "conv"), (nets.FlatNet, "conv"), (nets.SmoothNet, "body.2"), (nets.SmoothNet, "body.3")],
)
def test_grad_cam_equals_captum(net: type[torch.nn.Module], path: str) -> None:
    module = nets.seeded(net)
    theirs = captum("LayerGradCam")(module, module.get_submodule(path))
    wanted = theirs.attribute(torch.from_numpy(IMAGES), target=CHOSEN, relu_attributions=False)[:, 0]
    np.testing.assert_allclose(
        ours(module, {"use": "grad_cam", "layer": path}), wanted.detach().numpy(), rtol=0, atol=1e-5
    )


def test_grad_cam_equals_the_package_grad_cam_before_its_scaling() -> None:
    """grad-cam returns maps after ReLU, min-max and resizing only: compare with what it makes before."""
    package = pytest.importorskip("pytorch_grad_cam")
    target = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget(CHOSEN)
    module = nets.seeded(nets.SmoothNet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with package.GradCAM(module, [module.body[2]]) as theirs:
            images = torch.from_numpy(IMAGES)
            theirs(images, [target] * 3)
            kept = theirs.activations_and_grads
            activations, gradients = kept.activations[0].detach().numpy(), kept.gradients[0].detach().numpy()
            raw = theirs.get_cam_image(images, module.body[2], [target] * 3, activations, gradients)
    np.testing.assert_allclose(ours(module, {"use": "grad_cam", "layer": "body.2"}), raw, rtol=0, atol=1e-5)


def test_a_constant_positive_map_is_lost_by_the_package_grad_cam() -> None:
    """Deviation (METHODS 1.3): it subtracts the minimum after ReLU, so a constant positive map reads as no evidence."""
    image = pytest.importorskip("pytorch_grad_cam.utils.image")
    constant = np.full((1, 4, 4), 2.0, np.float32)
    assert not image.scale_cam_image(constant, (4, 4)).any()


def test_saliency_equals_captum_but_for_the_sign_that_it_drops() -> None:
    module = nets.seeded(nets.SmoothNet)
    images = torch.from_numpy(IMAGES).requires_grad_()
    attribute = captum("Saliency")(module).attribute
    found = ours(module, {"use": "saliency"})
    np.testing.assert_allclose(found, attribute(images, target=CHOSEN, abs=False).detach().numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.abs(found), attribute(images, target=CHOSEN).detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (8, 4), (6, 5)])
def test_occlusion_equals_captum_where_windows_end_at_the_border(window: int, stride: int) -> None:
    assert (16 - window) % stride == 0
    module = nets.seeded(nets.SmoothNet)
    theirs = captum("Occlusion")(module).attribute(
        torch.from_numpy(IMAGES), (3, window, window), (3, stride, stride), baselines=0.5, target=CHOSEN
    )
    found = ours(module, {"use": "occlusion", "window": window, "stride": stride, "baseline": "grey"})
    np.testing.assert_allclose(found, theirs[:, 0].detach().numpy(), rtol=0, atol=1e-5)


def test_captum_cuts_the_last_window_at_the_border() -> None:
    """Deviation (METHODS 3): length 5, window 2, stride 2 on w = (1..5): captum 3, 3, 7, 7, 5; ours 3, 3, 7, 8, 9."""
    theirs = captum("Occlusion")(lambda x: (x * torch.arange(1.0, 6.0)).sum(1)).attribute(torch.ones(1, 5), (2,), 2)
    assert theirs.tolist() == [[3, 3, 7, 7, 5]]
