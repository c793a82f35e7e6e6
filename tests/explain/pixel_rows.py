"""Rows of the conformance table for gradient maps and perturbation maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import peers
import torch
from compared import (
    CHOSEN,
    FLAT,
    GAP,
    NAMES,
    NORMALISED,
    RECTIFIED,
    RESNET,
    SMOOTH,
    STD,
    VIT,
    Array,
    CalledRelu,
    Kinked,
    Net,
    Pair,
    Quadratic,
    Row,
    named,
    ours,
)
from torch import Tensor, nn


def gradient_rows() -> Iterator[Row]:
    found = (GAP, FLAT, SMOOTH, RECTIFIED, RESNET, VIT)
    yield Row(
        "saliency",
        "captum",
        "Saliency",
        named(found),
        "abs=False",
        agrees=lambda: ((ours(net, "saliency"), their_captum("Saliency", net, abs=False)) for net in found),
    )
    yield Row(
        "saliency",
        "zennit",
        "Gradient",
        named(found),
        "no composite",
        agrees=lambda: (
            (ours(net, "saliency"), peers.zennit_map("Gradient", net.module, net.tensor, CHOSEN)) for net in found
        ),
    )
    yield Row(
        "saliency",
        "captum",
        "Saliency",
        NAMES[RECTIFIED],
        "as it is",
        deviates=lambda: iter([(ours(RECTIFIED, "saliency"), their_captum("Saliency", RECTIFIED))]),
        cause="It returns the size of the gradient, channel by channel. Ours keeps the sign; the largest size over "
        "channels is what pictures show.",
        shown=lambda: iter([(np.abs(ours(RECTIFIED, "saliency")), their_captum("Saliency", RECTIFIED))]),
        shown_by="our sizes are its map",
    )
    yield Row(
        "saliency",
        "captum",
        "Saliency",
        NAMES[NORMALISED],
        "abs=False",
        deviates=lambda: iter([normalised_saliency(1.0)]),
        cause="Gradients are per unit of what it is handed, which is the normalised image; ours are per unit of pixel "
        "value in [0, 1].",
        shown=lambda: iter([normalised_saliency(np.array(STD).reshape(3, 1, 1))]),
        shown_by="divided by the standard deviation its map is ours",
    )
    yield Row(
        "input_x_gradient",
        "captum",
        "InputXGradient",
        named(found),
        "images that are not normalised",
        agrees=lambda: ((ours(net, "input_x_gradient"), their_captum("InputXGradient", net)) for net in found),
    )
    yield Row(
        "input_x_gradient",
        "captum",
        "InputXGradient",
        NAMES[NORMALISED],
        "as it is",
        deviates=lambda: iter([normalised_product("black")]),
        cause="It multiplies by the normalised image, so its baseline is the mean colour; ours is black unless another "
        "one is declared.",
        shown=lambda: iter([normalised_product("mean_colour")]),
        shown_by="with `baseline: mean_colour` at the normalising mean the maps agree",
    )


def their_captum(part: str, net: Net, **settings: Any) -> Array:
    """A captum method of pixels for the chosen class."""
    return peers.captum_pixels(part, net.module, net.tensor, target=CHOSEN, **settings)


def normalised_saliency(std: Any) -> Pair:
    return ours(NORMALISED, "saliency"), their_captum("Saliency", NORMALISED, abs=False) / std


def normalised_product(baseline: str) -> Pair:
    return ours(NORMALISED, "input_x_gradient", baseline=baseline), their_captum("InputXGradient", NORMALISED)


KINKED, QUADRATIC = Net(Kinked, size=(8, 8)), Net(Quadratic, size=(8, 8))


def integrated(net: Net, steps: int = 32, **parameters: Any) -> Array:
    """Ours with a number of steps that stays."""
    return ours(net, "integrated_gradients", n_steps=steps, max_steps=steps, **{"baseline": "black", **parameters})


def integrated_rows() -> Iterator[Row]:
    found = (GAP, SMOOTH, RECTIFIED, VIT)
    middle = {"method": "riemann_middle", "n_steps": 32}
    yield Row(
        "integrated_gradients",
        "captum",
        "IntegratedGradients",
        named(found),
        "method='riemann_middle', n_steps=32; ours with 32 steps, none added",
        agrees=lambda: ((integrated(net), their_captum("IntegratedGradients", net, **middle)) for net in found),
    )
    yield Row(
        "integrated_gradients",
        "captum",
        "IntegratedGradients",
        NAMES[NORMALISED],
        "as above; ours with `baseline: mean_colour`, its 0 after normalising",
        agrees=lambda: iter(
            [
                (
                    integrated(NORMALISED, baseline="mean_colour"),
                    their_captum("IntegratedGradients", NORMALISED, **middle),
                )
            ]
        ),
    )
    yield Row(
        "integrated_gradients",
        "captum",
        "IntegratedGradients",
        "squares of pixels",
        "as it is: 50 Gauss-Legendre steps",
        agrees=lambda: iter([(integrated(QUADRATIC), their_captum("IntegratedGradients", QUADRATIC))]),
    )
    yield Row(
        "integrated_gradients",
        "captum",
        "IntegratedGradients",
        "a kink on the path",
        "as it is: 50 Gauss-Legendre steps",
        deviates=lambda: iter([(integrated(KINKED, 512), their_captum("IntegratedGradients", KINKED))]),
        apart=1e-3,
        cause="A rule for smooth functions meets a kink, and the completeness gap is returned only on request. Ours "
        "takes midpoints and doubles their number until the gap is below `tolerance`, and prints it.",
        shown=kink_gaps,
        shown_by="its sum misses the score's change by more than ours does",
    )
    yield Row(
        "integrated_gradients",
        "zennit",
        "IntegratedGradients",
        "squares of pixels",
        "n_iter=32",
        deviates=lambda: iter([(integrated(QUADRATIC), their_path())]),
        apart=0.01,
        cause="It takes the right end of every step, which is biased by half a step; ours the middle.",
        shown=right_ends,
        shown_by="a sum over right ends gives its map",
    )


def kink_gaps() -> Iterator[Pair]:
    """Whether its completeness gap is more than twice ours: 1 beside 1."""
    module, images = KINKED.module, KINKED.tensor
    change = (module(images) - module(torch.zeros_like(images)))[:, CHOSEN].numpy()
    mine, theirs = (
        np.abs(found.sum((1, 2, 3)) - change).max()
        for found in (integrated(KINKED, 512), their_captum("IntegratedGradients", KINKED))
    )
    yield np.ones(1), np.array([float(theirs > 2 * mine)])


def their_path() -> Array:
    return peers.zennit_map("IntegratedGradients", QUADRATIC.module, QUADRATIC.tensor, CHOSEN, n_iter=32)


def right_ends() -> Iterator[Pair]:
    images = QUADRATIC.tensor
    points = [images * (i + 1) / 32 for i in range(32)]
    total = sum(gradient(QUADRATIC, point) for point in points) / 32
    yield their_path(), total * images.numpy()


def gradient(net: Net, images: Tensor) -> Array:
    """dy/dx by autograd and nothing else."""
    images = images.clone().requires_grad_()
    (found,) = torch.autograd.grad(net.module(images)[:, CHOSEN].sum(), images)
    return found.numpy()


class Watched(nn.Module):
    """A net that keeps what it is handed."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        return self.net(x)


SAMPLES = 6


def smooth_rows() -> Iterator[Row]:
    linear = (GAP, FLAT)
    yield Row(
        "smooth_grad",
        "captum",
        "NoiseTunnel of Saliency",
        named(linear),
        "abs=False; any noise, the gradient being the same everywhere",
        agrees=lambda: ((ours(net, "smooth_grad", samples=SAMPLES), their_noise(net.module, net)) for net in linear),
    )
    yield Row(
        "smooth_grad",
        "captum",
        "Saliency",
        NAMES[SMOOTH],
        "abs=False; mean of its gradients at our own noisy copies",
        agrees=lambda: iter([at_our_copies()]),
    )
    yield Row(
        "smooth_grad",
        "captum",
        "NoiseTunnel of Saliency",
        NAMES[SMOOTH],
        "as it is: stdevs=1.0, nt_samples=5",
        deviates=lambda: iter([(ours(SMOOTH, "smooth_grad", samples=50), their_noise(SMOOTH.module, SMOOTH))]),
        cause="Its noise has a standard deviation of 1.0 whatever the image's range, and five copies; ours 0.15 of the "
        "image's range and 50.",
        shown=captum_noise,
        shown_by="its copies have that noise, and the mean of plain gradients at them is its map",
    )
    yield Row(
        "smooth_grad",
        "zennit",
        "SmoothGrad",
        NAMES[SMOOTH],
        f"noise_level=0.15, n_iter={SAMPLES}",
        apart=1e-3,
        deviates=lambda: iter([(ours(SMOOTH, "smooth_grad", samples=SAMPLES), zennit_noise(SMOOTH.module))]),
        cause="The last of its copies is the image itself, without noise; its draws come from torch's global state, "
        "ours from the audit's seed and the case.",
        shown=last_copy,
        shown_by="its last copy is the image, and the mean of plain gradients at its copies is its map",
    )


def their_noise(module: nn.Module, net: Net, **settings: Any) -> Array:
    return peers.captum_noise_tunnel(module, net.tensor, CHOSEN, **settings)


def zennit_noise(module: nn.Module) -> Array:
    return peers.zennit_map("SmoothGrad", module, SMOOTH.tensor, CHOSEN, noise_level=0.15, n_iter=SAMPLES)


def at_our_copies() -> Pair:
    """Our map, and captum's gradients at the copies that our net was handed with noise."""
    watched = Watched(SMOOTH.module)
    mine = ours(SMOOTH, "smooth_grad", samples=SAMPLES, module=watched)
    images, copies = SMOOTH.tensor, torch.cat(watched.seen)
    noise = (
        (copies[None] - images[:, None]).flatten(2).std(2)
    )  # (images, copies): a copy is of the image it is nearest to
    owner = noise.argmin(0)
    is_noisy = (noise.min(0).values > 0.05) & (noise.min(0).values < 0.25)
    theirs = []
    for index in range(len(images)):
        own = copies[is_noisy & (owner == index)]
        assert len(own) == SAMPLES, "each image has as many noisy copies as asked for"
        theirs.append(peers.captum_pixels("Saliency", SMOOTH.module, own, target=CHOSEN, abs=False).mean(0))
    return mine, np.stack(theirs)


def captum_noise() -> Iterator[Pair]:
    watched = Watched(SMOOTH.module)
    theirs = their_noise(watched, SMOOTH)
    images = SMOOTH.tensor
    copies = torch.cat(watched.seen).reshape(3, 5, *images.shape[1:])
    spread = (copies - images[:, None]).std()
    yield np.ones(1), np.array([float(0.95 < spread < 1.05)])
    made = np.stack([gradient(SMOOTH, own).mean(0) for own in copies])
    yield theirs, made


def last_copy() -> Iterator[Pair]:
    watched = Watched(SMOOTH.module)
    theirs = zennit_noise(watched)
    assert len(watched.seen) == SAMPLES
    yield SMOOTH.pixels, watched.seen[-1].numpy()
    yield theirs, np.mean([gradient(SMOOTH, copies) for copies in watched.seen], 0)


CALLED = Net(CalledRelu, "conv2")


def rectifier_rows() -> Iterator[Row]:
    found = (RECTIFIED, RESNET)
    parts = {
        "guided_backprop": (
            ("captum", "GuidedBackprop"),
            ("zennit", "GuidedBackprop"),
            ("grad-cam", "GuidedBackpropReLUModel"),
        ),
        "deconvnet": (("captum", "Deconvolution"), ("zennit", "DeconvNet")),
    }
    for use, listed in parts.items():
        for peer, part in listed:
            settings = "Gradient under this composite" if peer == "zennit" else "as it is"
            yield Row(use, peer, part, named(found), settings, agrees=partial(rectifier_pairs, use, peer, part, found))
            yield Row(
                use,
                peer,
                part,
                "two convs with F.relu",
                settings,
                deviates=partial(rectifier_pairs, use, peer, part, [CALLED]),
                cause="It changes nn.ReLU modules only: a net that calls F.relu gets its plain gradient, in silence. "
                "Ours rewrites the operation, and refuses where it saw fewer rectifiers than ran.",
                shown=partial(plain_instead, peer, part),
                shown_by="its map is the plain gradient",
            )
    yield Row(
        "guided_backprop",
        "grad-cam",
        "GuidedBackpropReLUModel",
        NAMES[RECTIFIED],
        "the net afterwards",
        apart=0.4,
        deviates=lambda: iter([relus_left(is_ours=False)]),
        cause="It puts one new ReLU module into every place where the net had one of its own, and nothing back after "
        "an error. Ours swaps no module.",
        shown=lambda: iter([relus_left(is_ours=True)]),
        shown_by="two different ReLU modules before, one and the same afterwards; after ours still the two",
    )


def their_rectified(peer: str, part: str, net: Net) -> Array:
    if peer == "captum":
        return their_captum(part, net)
    if peer == "zennit":
        return peers.zennit_map("Gradient", net.module, net.tensor, CHOSEN, composite=part)
    return peers.grad_cam_guided(net.module, net.tensor, CHOSEN)


def rectifier_pairs(use: str, peer: str, part: str, found: Sequence[Net]) -> Iterator[Pair]:
    for net in found:
        yield ours(net, use), their_rectified(peer, part, net)


def plain_instead(peer: str, part: str) -> Iterator[Pair]:
    yield ours(CALLED, "saliency"), their_rectified(peer, part, CALLED)


def relus_left(is_ours: bool) -> Pair:
    """How many different ReLU modules a net of two has, before and after."""
    module = RECTIFIED.module
    before = len({id(module.relu1), id(module.relu2)})
    if is_ours:
        ours(RECTIFIED, "guided_backprop", module=module)
    else:
        peers.grad_cam_guided(module, RECTIFIED.tensor, CHOSEN)
    return np.array([before]), np.array([len({id(module.relu1), id(module.relu2)})])


PRECISE = [Net(net.make, net.layer, is_double=True) for net in (SMOOTH, RECTIFIED)]


def occlusion_rows() -> Iterator[Row]:
    sizes = ((4, 2), (6, 5))
    yield Row(
        "occlusion",
        "captum",
        "Occlusion",
        f"{named((SMOOTH, RECTIFIED))}, in float64",
        "all channels in the window, windows that end at the border, baselines=0.5; ours grey",
        agrees=lambda: (occluded(net, window, stride) for net in PRECISE for window, stride in sizes),
    )
    yield Row(
        "occlusion",
        "captum",
        "Occlusion",
        NAMES[NORMALISED],
        "the same, its own 0; ours `baseline: mean_colour` at the normalising mean",
        agrees=lambda: iter(
            [
                (
                    ours(NORMALISED, "occlusion", window=4, stride=2, baseline="mean_colour"),
                    their_windows(NORMALISED, 4, 2),
                )
            ]
        ),
    )
    yield Row(
        "occlusion",
        "captum",
        "Occlusion",
        NAMES[RECTIFIED],
        "windows that do not end at the border",
        apart=1e-3,
        deviates=lambda: iter([occluded(RECTIFIED, 6, 4)]),
        cause="Its last window is cut off at the border and so smaller than the others; ours is moved inwards and "
        "keeps its size.",
        shown=cut_windows,
        shown_by="windows that are cut off give its map; on weights 1 to 5, window and stride 2: 3, 3, 7, 7, 5",
    )
    yield Row(
        "occlusion",
        "zennit",
        "Occlusion",
        NAMES[RECTIFIED],
        "window=stride=4, as it is",
        apart=0.5,
        deviates=lambda: iter(
            [(ours(RECTIFIED, "occlusion", window=4, stride=4, baseline="black"), their_kept()[:, 0])]
        ),
        cause="It covers everything except the window, and gives the score that is left, not the score's fall.",
        shown=kept_windows,
        shown_by="the score of the window alone, written over the window, is its map",
    )


def their_windows(net: Net, window: int, stride: int, **settings: Any) -> Array:
    return their_captum(
        "Occlusion", net, sliding_window_shapes=(3, window, window), strides=(3, stride, stride), **settings
    )[:, 0]


def occluded(net: Net, window: int, stride: int) -> Pair:
    mine = ours(net, "occlusion", window=window, stride=stride, baseline="grey")
    return mine, their_windows(net, window, stride, baselines=0.5)


def scores(net: Net, images: Tensor) -> Tensor:
    """The chosen score."""
    with torch.no_grad():
        return net.module(images)[:, CHOSEN]


def cut_windows() -> Iterator[Pair]:
    images = RECTIFIED.tensor
    total, covers = torch.zeros(3, 16, 16), torch.zeros(16, 16)
    for top in range(0, 16, 4):
        for left in range(0, 16, 4):
            if top - 4 + 6 >= 16 or left - 4 + 6 >= 16:
                continue  # the window before has reached the border already
            covered = images.clone()
            covered[:, :, top : top + 6, left : left + 6] = 0.5
            fall = scores(RECTIFIED, images) - scores(RECTIFIED, covered)
            total[:, top : top + 6, left : left + 6] += fall[:, None, None]
            covers[top : top + 6, left : left + 6] += 1
    yield their_windows(RECTIFIED, 6, 4, baselines=0.5), (total / covers).numpy()
    weights = torch.arange(1.0, 6.0)
    line = peers.captum_pixels(
        "Occlusion", lambda x: (x * weights).sum(1), torch.ones(1, 5), sliding_window_shapes=(2,), strides=(2,)
    )
    yield np.array([[3.0, 3, 7, 7, 5]]), line


def their_kept() -> Array:
    return peers.zennit_map("Occlusion", RECTIFIED.module, RECTIFIED.tensor, CHOSEN, window=(3, 4, 4), stride=(3, 4, 4))


def kept_windows() -> Iterator[Pair]:
    images, made = RECTIFIED.tensor, torch.zeros(3, 16, 16)
    for top in range(0, 16, 4):
        for left in range(0, 16, 4):
            place = (slice(None), slice(None), slice(top, top + 4), slice(left, left + 4))
            alone = torch.zeros_like(images)
            alone[place] = images[place]
            made[:, place[2], place[3]] = scores(RECTIFIED, alone)[:, None, None]
    yield their_kept()[:, 0], made.numpy()


ROWS: tuple[Row, ...] = (*gradient_rows(), *integrated_rows(), *smooth_rows(), *rectifier_rows(), *occlusion_rows())
