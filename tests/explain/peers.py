"""The peers' own raw maps: captum, grad-cam, lime, shap, torchcam and zennit, called as their documentation says."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import captum.attr
import lime.lime_image
import lime.wrappers.scikit_image
import numpy as np
import pytorch_grad_cam
import torch
import torchcam.methods
import zennit.attribution
import zennit.composites
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

Forward = Callable[[Tensor], Tensor]
VERSIONS = {
    "captum": "0.9.0",
    "grad-cam": "1.5.7",
    "lime": "0.2.0.1",
    "shap": "0.51.0",
    "torchcam": "0.5.0",
    "zennit": "0.5.1",
}
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


def lime_package(
    module: nn.Module, image: np.ndarray, chosen: int, labels: np.ndarray, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """The lime package's coefficients of a class's probability by number, and the rows that it drew with seed 0."""
    rows: list[np.ndarray] = []

    def classifier(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return array(module(torch.from_numpy(np.moveaxis(images, 3, 1).copy())).softmax(1))

    explainer = lime.lime_image.LimeImageExplainer(random_state=0)
    explainer.data_labels = lambda *a, **k: rows.append((found := type(explainer).data_labels(explainer, *a, **k))[0]) or found  # fmt: skip  # noqa: E501
    with quiet():
        explained = explainer.explain_instance(
            np.moveaxis(image, 0, 2), classifier, (chosen,), top_labels=None, num_samples=samples,
            segmentation_fn=lambda _: labels,
        )  # fmt: skip
    return np.array([value for _, value in sorted(explained.local_exp[chosen])]), rows[0].astype(bool)


def lime_quickshift(image: np.ndarray, **settings: Any) -> np.ndarray:
    """Superpixels as the lime package finds them, (height, width)."""
    found = lime.wrappers.scikit_image.SegmentationAlgorithm("quickshift", **settings)(np.moveaxis(image, 0, 2))
    return np.asarray(found, np.float64)


def captum_lime(
    module: nn.Module,
    images: Tensor,
    chosen: int,
    covers: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    **settings: Any,
) -> np.ndarray:
    """Captum's Lime with given fills, superpixels and rows, (images, height, width)."""

    def given(_: Tensor, **__: Any) -> Iterator[Tensor]:
        for row in rows:
            yield torch.from_numpy(row)[None].long()

    mask, maps = torch.from_numpy(labels)[None, None], []
    with quiet():
        for image, cover in zip(images, covers, strict=True):
            made = captum.attr.Lime(module, perturb_func=given, **settings)
            found = made.attribute(
                image[None], target=chosen, baselines=torch.from_numpy(cover)[None], feature_mask=mask,
                n_samples=len(rows),
            )  # fmt: skip
            maps.append(array(found)[0, 0])
    return np.stack(maps)


def shap_kernel(game: Callable[[np.ndarray], np.ndarray], players: int, samples: int, **settings: Any) -> np.ndarray:
    """Values by KernelExplainer of a function of rows of 0 and 1."""
    with quiet():
        import shap

        explainer = shap.KernelExplainer(game, np.zeros((1, players)))
        found = explainer.shap_values(np.ones((1, players)), nsamples=samples, silent=True, **settings)
    return np.asarray(found[0], np.float64)


def shap_partition(game: Callable[[np.ndarray], np.ndarray], tree: np.ndarray) -> np.ndarray:
    """Values by PartitionExplainer of a function of rows of 0 and 1, the whole of a linkage opened."""
    players = len(tree) + 1
    with quiet():
        import shap

        masker = shap.maskers.Partition(np.zeros((1, players)), clustering=tree)
        explainer = shap.explainers.Partition(game, masker)
        found = explainer(np.ones((1, players)), max_evals=100_000, silent=True)
    return np.asarray(found.values[0], np.float64)


def captum_kernel_shap(
    module: nn.Module,
    images: Tensor,
    chosen: int,
    cover: np.ndarray,
    labels: np.ndarray,
    samples: int = 25,
    rows: np.ndarray | None = None,
    similarity: Callable[..., float] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Captum's KernelShap with a given fill and superpixels, (images, height, width), and the rows asked of each."""
    mask, maps, asked = torch.from_numpy(labels)[None, None], [], []

    def kept(draw: Callable[..., Iterator[Tensor]], into: list[np.ndarray]) -> Callable[..., Iterator[Tensor]]:
        def drawn(*given: Any, **more: Any) -> Iterator[Tensor]:
            found = draw(*given, **more) if rows is None else (torch.from_numpy(row)[None].long() for row in rows)
            for row in found:
                into.append(array(row)[0])
                yield row

        return drawn

    with quiet():
        for image in images:
            made = captum.attr.KernelShap(module)
            made.similarity_func = similarity or made.similarity_func
            made.perturb_func = kept(made.perturb_func, into := [])
            found = made.attribute(
                image[None], target=chosen, baselines=torch.from_numpy(cover).expand_as(image)[None],
                feature_mask=mask, n_samples=samples if rows is None else len(rows),
            )  # fmt: skip
            maps.append(array(found)[0, 0])
            asked.append(np.stack(into))
    return np.stack(maps), asked
