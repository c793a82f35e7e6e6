"""Other libraries on the same work, with their documented defaults unless the row's name says otherwise.

Every function gives maps of image size by method label, as far as the library makes them. What a library only tells
afterwards (progress bars) is kept from the terminal.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.subject import Subject, memory_format
from benchmarks.works import CAMS, LAST
from xai_audit.data.superpixels import label_map
from xai_audit.explain.baselines import superpixel_means
from xai_audit.spec.methods import Grid

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


def lime_package(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """LimeImageExplainer of lime on our superpixels, batches of 10, the probability of the predicted class."""
    from lime.lime_image import LimeImageExplainer

    cells = _cells(subject)

    def classifier(images: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.moveaxis(images, 3, 1)).to(subject.inputs.device)
        return _array(subject.module(given.contiguous(memory_format=memory_format(subject.module))).softmax(1))

    explainer, maps = LimeImageExplainer(random_state=0), []
    for image, chosen in zip(subject.inputs, subject.classes.tolist(), strict=True):
        with _quiet(), torch.no_grad():
            found = explainer.explain_instance(
                np.moveaxis(_array(image), 0, 2).astype(np.float32), classifier, (chosen,), top_labels=None,
                num_samples=arguments["samples"], segmentation_fn=lambda _: cells,
            )  # fmt: skip
        values = np.array([value for _, value in sorted(found.local_exp[chosen])])
        maps.append(values[cells])
    return {"lime": np.stack(maps)}


def captum_lime(subject: Subject, arguments: Mapping[str, Any], rows: int = 1) -> Found:
    """Lime of captum on our superpixels and fills; `rows` copies a pass, one by default."""
    from captum.attr import Lime

    cells, maps = _cells(subject), []
    for image, chosen in zip(subject.inputs, subject.classes.tolist(), strict=True):
        cover = torch.from_numpy(superpixel_means(_array(image), cells)).to(image.device)
        with torch.no_grad():
            made = Lime(subject.module).attribute(
                image[None], target=chosen, baselines=cover[None], n_samples=arguments["samples"],
                feature_mask=torch.from_numpy(cells).to(image.device)[None, None], perturbations_per_eval=rows,
            )  # fmt: skip
        maps.append(_array(made)[0, 0])
    return {"lime": np.stack(maps)}


def captum_lime_batched(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """The same with as many copies a pass as fill a batch."""
    return captum_lime(subject, arguments, arguments["rows"])


def shap_kernel(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """KernelExplainer of shap on our players and fills through a function of masks, no player left out; our batches."""
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages' future
        from shap import KernelExplainer

    cells, maps = torch.from_numpy(_cells(subject)).to(subject.inputs.device), []
    players = int(cells.max()) + 1
    for image, chosen in zip(subject.inputs, subject.classes.tolist(), strict=True):

        def worth(masks: np.ndarray, image: Tensor = image, chosen: int = chosen) -> np.ndarray:
            shown = torch.from_numpy(np.asarray(masks, np.float32)).to(image.device).split(arguments["rows"])
            copies = (_in_format(rows[:, cells][:, None] * image, subject) for rows in shown)
            return _array(torch.cat([subject.module(batch)[:, chosen] for batch in copies])).astype(np.float64)

        with _quiet(), torch.no_grad():
            explainer = KernelExplainer(worth, np.zeros((1, players)))
            values = explainer.shap_values(
                np.ones((1, players)), nsamples=arguments["samples"], l1_reg=False, silent=True
            )
        maps.append(np.asarray(values)[0][_cells(subject)])
    return {"shap": np.stack(maps)}


def captum_kernel_shap(subject: Subject, arguments: Mapping[str, Any], rows: int = 1) -> Found:
    """KernelShap of captum on our players and fills; `rows` copies a pass, one by default."""
    from captum.attr import KernelShap

    cells, maps = torch.from_numpy(_cells(subject)).to(subject.inputs.device), []
    for image, chosen in zip(subject.inputs, subject.classes.tolist(), strict=True):
        with torch.no_grad():
            made = KernelShap(subject.module).attribute(
                image[None], target=chosen, baselines=0, n_samples=arguments["samples"],
                feature_mask=cells[None, None], perturbations_per_eval=rows,
            )  # fmt: skip
        maps.append(_array(made)[0, 0])
    return {"shap": np.stack(maps)}


def captum_kernel_shap_batched(subject: Subject, arguments: Mapping[str, Any]) -> Found:
    """The same with as many copies a pass as fill a batch."""
    return captum_kernel_shap(subject, arguments, arguments["rows"])


def _in_format(images: Tensor, subject: Subject) -> Tensor:
    return images.contiguous(memory_format=memory_format(subject.module))


def _cells(subject: Subject) -> np.ndarray:
    """The 7 x 7 cells of our work."""
    return label_map(Grid(), np.zeros(subject.inputs.shape[1:], np.float32), "benchmark")


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
    "lime_package": Peer("lime", ("lime",), lime_package),
    "captum_lime": Peer("captum", ("captum",), captum_lime),
    "captum_lime_batched": Peer("captum, full batches", ("captum",), captum_lime_batched),
    "shap_kernel": Peer("shap, l1_reg=False", ("shap",), shap_kernel),
    "captum_kernel_shap": Peer("captum", ("captum",), captum_kernel_shap),
    "captum_kernel_shap_batched": Peer("captum, full batches", ("captum",), captum_kernel_shap_batched),
    "captum_noise_tunnel": Peer("captum", ("captum",), captum_noise_tunnel),
}
