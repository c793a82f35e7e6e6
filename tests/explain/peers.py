"""The peers' own raw maps: captum, grad-cam, torchcam and zennit, called on a net as their documentation says."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import captum.attr
import numpy as np
import pytorch_grad_cam
import torch
import torchcam.methods
import zennit.attribution
import zennit.composites
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

Forward = Callable[[Tensor], Tensor]
VERSIONS = {"captum": "0.9.0", "grad-cam": "1.5.7", "torchcam": "0.5.0", "zennit": "0.5.1"}
"""The versions that the table speaks of, as in constraints.txt."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the peers' warnings and progress bars, and with torch's random state as before afterwards."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield


def array(tensor: Tensor) -> np.ndarray:
    """A tensor as an array."""
    return tensor.detach().numpy()


def captum_layer(name: str, module: nn.Module, path: str, images: Tensor, **settings: Any) -> np.ndarray:
    """A captum method of a layer, such as LayerGradCam."""
    made = getattr(captum.attr, name)(module, module.get_submodule(path))
    return array(made.attribute(images, **settings))


def captum_pixels(name: str, forward: Forward, images: Tensor, **settings: Any) -> np.ndarray:
    """A captum method of pixels, such as Saliency."""
    with quiet():
        made = getattr(captum.attr, name)(forward)
        return array(made.attribute(images.clone().requires_grad_(), **settings))


def captum_noise_tunnel(forward: Forward, images: Tensor, chosen: int, **settings: Any) -> np.ndarray:
    """Captum's SmoothGrad: NoiseTunnel around its signed Saliency."""
    with quiet():
        made = captum.attr.NoiseTunnel(captum.attr.Saliency(forward))
        return array(made.attribute(images.clone(), nt_type="smoothgrad", abs=False, target=chosen, **settings))


def grad_cam_raw(
    name: str,
    module: nn.Module,
    path: str,
    images: Tensor,
    chosen: int,
    reshape: Forward | None = None,
    targets: int = 0,
) -> np.ndarray:
    """The map of the package grad-cam before its ReLU, min-max and resizing, which it does unasked.

    `targets` is how many targets it is handed; 0 is one an image.
    """
    with quiet(), getattr(pytorch_grad_cam, name)(module, [module.get_submodule(path)], reshape) as cam:
        kept: list[np.ndarray] = []
        made = cam.get_cam_image
        cam.get_cam_image = lambda *given: kept.append(made(*given)) or kept[-1]
        cam(images, [ClassifierOutputTarget(chosen)] * (targets or len(images)))
    return kept[0]


def grad_cam_shown(name: str, module: nn.Module, path: str, images: Tensor, chosen: int) -> np.ndarray:
    """The map of the package grad-cam as it is returned."""
    with quiet(), getattr(pytorch_grad_cam, name)(module, [module.get_submodule(path)]) as cam:
        return np.asarray(cam(images, [ClassifierOutputTarget(chosen)] * len(images)))


def grad_cam_guided(module: nn.Module, images: Tensor, chosen: int) -> np.ndarray:
    """Guided backpropagation of the package grad-cam, which takes one image at a time."""
    model = pytorch_grad_cam.GuidedBackpropReLUModel(module, "cpu")
    return np.stack([model(image[None].clone(), chosen).transpose(2, 0, 1) for image in images])


def torchcam_map(
    name: str, module: nn.Module, path: str, images: Tensor, chosen: int, reshape: Forward | None = None
) -> np.ndarray:
    """A torchcam map before its ReLU and min-max."""
    made = getattr(torchcam.methods, name)
    with quiet(), made(module, path, input_shape=tuple(images.shape[1:]), reshape_transform=reshape) as cam:
        cam._relu = False
        return array(cam(chosen, module(images), normalized=False)[0])


def zennit_map(
    name: str, module: nn.Module, images: Tensor, chosen: int, composite: str | None = None, **settings: Any
) -> np.ndarray:
    """A zennit attribution of one score, under a composite such as GuidedBackprop."""
    rules = getattr(zennit.composites, composite)() if composite else None

    def one_score(output: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full((len(output),), chosen), output.shape[1]) * output.detach() ** 0

    def score(output: Tensor) -> Tensor:
        return one_score(output) * output

    made = getattr(zennit.attribution, name)(module, rules, **settings)
    with quiet(), made as attributor:
        return array(attributor(images.clone(), score if name == "Occlusion" else one_score)[1])
