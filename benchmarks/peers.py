"""Other libraries on the same work, with their documented defaults unless the row's name says otherwise.

Every function gives maps of image size by method label, as far as the library makes them. What a library only tells
afterwards (progress bars) is kept from the terminal.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.subject import Subject
from benchmarks.works import CAMS, LAST

Found = dict[str, np.ndarray]
"""Maps (images, height, width) by method label; signed maps of pixels as (images, channels, height, width)."""
PeerRun = Callable[[Subject, Mapping[str, Any]], Found]


@dataclass(frozen=True)
class Peer:
    """A library, and how it does a work."""

    label: str
    """As the table calls it."""
    packages: tuple[str, ...]
    run: PeerRun

    @property
    def version(self) -> str:
        """Versions of the packages, in the order of the label."""
        return " + ".join(version(package) for package in self.packages)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def gradcam_and_captum(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """Six CAMs of grad-cam, then saliency and input x gradient of captum: each makes its own passes."""
    from captum.attr import InputXGradient, Saliency

    found = {use: _cam(use, subject, LAST) for use in CAMS}
    inputs = subject.inputs.detach().clone().requires_grad_()
    saliency = Saliency(subject.module).attribute(inputs, target=subject.classes, abs=False)
    product = InputXGradient(subject.module).attribute(inputs, target=subject.classes)
    return found | {"saliency": _array(saliency), "input_x_gradient": _array(product)}


def _cam(use: str, subject: Subject, layer: str, **more: Any) -> np.ndarray:
    import pytorch_grad_cam as library

    names = {
        "grad_cam": "GradCAM",
        "grad_cam_pp": "GradCAMPlusPlus",
        "xgrad_cam": "XGradCAM",
        "layer_cam": "LayerCAM",
        "hires_cam": "HiResCAM",
        "eigen_cam": "EigenCAM",
        "score_cam": "ScoreCAM",
        "ablation_cam": "AblationCAM",
    }
    with _quiet(), getattr(library, names[use])(subject.module, [subject.module.get_submodule(layer)], **more) as cam:
        return np.asarray(cam(subject.inputs, targets=_targets(subject)))


def _targets(subject: Subject) -> list[Any]:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return [ClassifierOutputTarget(number) for number in subject.classes.tolist()]


def gradcam_score_cam(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """ScoreCAM of grad-cam, batches of 16."""
    return {"score_cam": _cam("score_cam", subject, arguments["layer"])}


def gradcam_ablation_cam(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """AblationCAM of grad-cam, batches of 32, every channel."""
    return {"ablation_cam": _cam("ablation_cam", subject, arguments["layer"])}


def torchcam_score_cam(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """ScoreCAM of torchcam, batches of 32, one image after the other."""
    from torchcam.methods import ScoreCAM

    maps = []
    with ScoreCAM(subject.module, arguments["layer"]) as cam, torch.no_grad():
        for number in range(len(subject.inputs)):
            scores = subject.module(subject.inputs[number : number + 1])
            maps.append(cam(int(subject.classes[number]), scores)[0])
    return {"score_cam": _array(torch.cat(maps))}


def captum_occlusion(subject: Subject, arguments: Mapping[str, Any], rows: int = 1) -> Found:
    """Occlusion of captum; `rows` windows a pass, one by default."""
    from captum.attr import Occlusion

    window, stride = (3, arguments["window"], arguments["window"]), (3, arguments["stride"], arguments["stride"])
    with torch.no_grad():
        maps = Occlusion(subject.module).attribute(
            subject.inputs, window, stride, baselines=0, target=subject.classes, perturbations_per_eval=rows
        )
    return {"occlusion": _array(maps.mean(1))}


def captum_occlusion_batched(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """The same with as many windows a pass as fill a batch."""
    return captum_occlusion(subject, arguments, max(1, arguments["rows"] // len(subject.inputs)))


def captum_integrated_gradients(subject: Subject, arguments: Mapping[str, Any], rows: int | None = None) -> Found:
    """IntegratedGradients of captum, 50 steps of the midpoint rule, in one batch by default."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(subject.module)
    maps = method.attribute(
        subject.inputs, target=subject.classes, n_steps=50, method="riemann_middle", internal_batch_size=rows
    )
    return {"integrated_gradients": _array(maps)}


def captum_noise_tunnel(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """NoiseTunnel of captum over Saliency: 50 samples, noise as wide as ours, 8 samples a batch."""
    from captum.attr import NoiseTunnel, Saliency

    inputs = subject.inputs.detach().clone().requires_grad_()
    maps = NoiseTunnel(Saliency(subject.module)).attribute(
        inputs, nt_samples=50, nt_samples_batch_size=8, stdevs=0.65, target=subject.classes, abs=False
    )
    return {"smooth_grad": _array(maps)}


def _array(maps: Tensor) -> np.ndarray:
    return maps.detach().float().cpu().numpy()


PEERS: Mapping[str, Peer] = {
    "gradcam_and_captum": Peer("grad-cam and captum", ("grad-cam", "captum"), gradcam_and_captum),
    "gradcam_score_cam": Peer("grad-cam", ("grad-cam",), gradcam_score_cam),
    "gradcam_ablation_cam": Peer("grad-cam", ("grad-cam",), gradcam_ablation_cam),
    "torchcam_score_cam": Peer("torchcam", ("torchcam",), torchcam_score_cam),
    "captum_occlusion": Peer("captum", ("captum",), captum_occlusion),
    "captum_occlusion_batched": Peer("captum, full batches", ("captum",), captum_occlusion_batched),
    "captum_integrated_gradients": Peer("captum, one batch", ("captum",), captum_integrated_gradients),
    "captum_integrated_gradients_batched": Peer(
        "captum, batches of 8", ("captum",), partial(captum_integrated_gradients, rows=8)
    ),
    "captum_noise_tunnel": Peer("captum", ("captum",), captum_noise_tunnel),
}
