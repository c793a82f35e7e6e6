"""The works that are timed: which methods on how many images, the raw passes that they need, and what to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from xai_audit.evidence.records import Passes

Kind = Literal["cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]

LAST, MIDDLE = "layer4.1", "layer4.0"
"""Layers of ResNet-18 with 512 channels each."""
CAMS = ("grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam", "hires_cam", "eigen_cam")
SHARED = (
    *({"use": use, "layer": LAST} for use in CAMS),
    {"use": "saliency"},
    {"use": "input_x_gradient", "baseline": "mean_colour"},  # what captum compares with: 0 after normalisation
)
MANY_PASSES, FEW_ROUNDS = 100, 3


@dataclass(frozen=True)
class Work:
    """One row of the table for each of its peers."""

    name: str
    methods: tuple[Mapping[str, Any], ...]
    """As the `methods` of a spec."""
    images: int
    raw: Passes
    """Passes of one image that a plain loop over the net would make."""
    target: float | None
    """Most that ours may cost, as a multiple of the raw passes."""
    peers: tuple[str, ...] = ()
    """Keys of `benchmarks.peers.PEERS`."""
    precision: Precision = "float32"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What peers need to do the same work."""

    def rounds(self, repeats: int) -> int:
        """Rounds of which the median is taken: no more than three where a run makes hundreds of passes."""
        return min(repeats, FEW_ROUNDS) if self.raw.forwards * self.images > MANY_PASSES else repeats


def _shared(images: int, target: float, precision: Precision = "float32", peers: tuple[str, ...] = ()) -> Work:
    width = "" if precision == "float32" else f"; {precision}"
    name = f"6 CAMs, saliency, input x gradient; {_images(images)}{width}"
    return Work(name, SHARED, images, Passes(1, 1), target, peers, precision)


def _occlusion(window: int, stride: int, images: int, target: float, rows: int) -> Work:
    windows = (-(-(224 - window) // stride) + 1) ** 2
    method = {"use": "occlusion", "window": window, "stride": stride}
    arguments = {"window": window, "stride": stride, "rows": rows}
    peers = ("captum_occlusion", "captum_occlusion_batched")
    name = f"occlusion {window}/{stride}, {windows} windows; {_images(images)}"
    return Work(name, (method,), images, Passes(windows + 1), target, peers, arguments=arguments)


def _ablation(layer: str, where: str, images: int, target: float) -> Work:
    name = f"ablation_cam, {where} layer, 512 channels; {_images(images)}"
    method = {"use": "ablation_cam", "layer": layer}
    return Work(name, (method,), images, Passes(514), target, ("gradcam_ablation_cam",), arguments={"layer": layer})


def _score(images: int, target: float) -> Work:
    peers = ("gradcam_score_cam", "torchcam_score_cam")
    method = {"use": "score_cam", "layer": LAST}
    name = f"score_cam, 512 channels; {_images(images)}"
    return Work(name, (method,), images, Passes(513), target, peers, arguments={"layer": LAST})


def _integrated(images: int, target: float) -> Work:
    method = {"use": "integrated_gradients", "n_steps": 50, "max_steps": 50}
    peers = ("captum_integrated_gradients", "captum_integrated_gradients_batched")
    return Work(f"integrated_gradients, 50 steps; {_images(images)}", (method,), images, Passes(52, 50), target, peers)


def _smooth(images: int, target: float) -> Work:
    method = {"use": "smooth_grad", "samples": 50}
    return Work(
        f"smooth_grad, 50 samples; {_images(images)}",
        (method,),
        images,
        Passes(50, 50),
        target,
        ("captum_noise_tunnel",),
    )


def _lime(images: int, target: float, rows: int) -> Work:
    """1000 queries over a grid of 49 superpixels, in the mean colour of each: by our preset, and as published."""
    method = {"use": "lime", "segments": {"grid": (7, 7)}}
    peers = ("lime_package", "captum_lime", "captum_lime_batched")
    arguments = {"samples": 1000, "rows": rows}
    return Work(
        f"lime, 1000 queries; {_images(images)}", (method,), images, Passes(1000), target, peers, arguments=arguments
    )


def _shap(images: int, target: float, rows: int) -> Work:
    """1000 queries over a grid of 49 players in the mean colour, all of them asked."""
    method = {"use": "shap", "players": {"grid": (7, 7)}, "evaluations": 1000, "tolerance": 0}
    peers = ("shap_kernel", "captum_kernel_shap", "captum_kernel_shap_batched")
    arguments = {"samples": 1000, "rows": rows}
    return Work(
        f"shap, 1000 queries; {_images(images)}", (method,), images, Passes(1000), target, peers, arguments=arguments
    )


def _images(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


BOTH = ("gradcam_and_captum",)
CPU = (
    _shared(1, 1.25, peers=BOTH),
    _shared(8, 1.1, peers=BOTH),
    _ablation(LAST, "last", 1, 0.005),
    _ablation(MIDDLE, "a middle", 1, 0.2),
    _score(1, 1.08),
    _occlusion(32, 16, 1, 0.45, 16),
    _occlusion(16, 8, 1, 0.35, 16),
    _integrated(1, 1.05),
    _smooth(1, 1.05),
)
CUDA = (
    _shared(64, 2.0, peers=BOTH),
    _shared(64, 2.0, precision="bfloat16"),
    _ablation(LAST, "last", 32, 0.1),
    _ablation(MIDDLE, "a middle", 32, 0.1),
    _score(4, 1.3),
    _occlusion(32, 8, 4, 1.2, 64),
    _integrated(16, 1.05),
    _smooth(16, 1.05),
)
WORKS: Mapping[Kind, tuple[Work, ...]] = {"cpu": CPU, "cuda": CUDA}
LONG: Mapping[Kind, tuple[Work, ...]] = {
    "cpu": (_lime(1, 1.08, 16), _lime(8, 1.08, 16), _shap(1, 1.08, 16), _shap(8, 1.08, 16)),
    "cuda": (_lime(1, 1.3, 64), _lime(8, 1.3, 64), _shap(1, 1.3, 64), _shap(8, 1.3, 64)),
}
"""Works of thousands of forwards a run: measured where `--work` names them, printed and not stored."""
ROWS: Mapping[Kind, int] = {"cpu": 16, "cuda": 64}
"""Rows of a batch of raw passes: what our engine takes, too."""
