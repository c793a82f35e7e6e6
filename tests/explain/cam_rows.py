"""Rows of the conformance table for class activation maps and activation maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import nets
import numpy as np
import peers
import torch
import torch.nn.functional as F
from compared import (
    CHOSEN,
    CNNS,
    FULL_SIZE,
    GAP,
    NAMES,
    NORMALISED,
    RECTIFIED,
    RESNET,
    SMOOTH,
    VIT,
    Array,
    Balanced,
    Constant,
    Louder,
    Negative,
    Net,
    Pair,
    Rectified,
    Row,
    dyadic,
    layer_pass,
    named,
    ours,
    positive,
    weighed,
)
from torch import Tensor, nn

from xai_audit.concepts.activity import Activity
from xai_audit.spec.methods import ActivationMaps


def cam_rows(use: str, peer: str, part: str, found: Sequence[Net], settings: str) -> Row:
    """A CAM that agrees on several nets."""
    return Row(use, peer, part, named(found), settings, agrees=lambda: cam_pairs(use, peer, part, found))


def cam_pairs(use: str, peer: str, part: str, found: Sequence[Net]) -> Iterator[Pair]:
    """Our raw map and theirs."""
    for net in found:
        yield ours(net, use), THEIRS[peer](part, net)


def their_captum_cam(part: str, net: Net) -> Array:
    """Captum's layer CAM without its ReLU."""
    return peers.captum_layer(part, net.module, net.layer, net.tensor, target=CHOSEN, relu_attributions=False)[:, 0]


def their_grad_cam(part: str, net: Net) -> Array:
    """The package grad-cam's raw map."""
    return peers.grad_cam_raw(part, net.module, net.layer, net.tensor, CHOSEN, net.reshape)


def their_torchcam(part: str, net: Net) -> Array:
    """Torchcam's map before its ReLU and min-max."""
    return peers.torchcam_map(part, net.module, net.layer, net.tensor, CHOSEN, net.reshape)


THEIRS = {"captum": their_captum_cam, "grad-cam": their_grad_cam, "torchcam": their_torchcam}
PLAIN = "relu_attributions=False, no resizing"
RAW, UNSCALED = "the map before its ReLU, min-max and resizing", "normalized=False, its ReLU switched off"


def grad_cam_rows() -> Iterator[Row]:
    yield cam_rows("grad_cam", "captum", "LayerGradCam", CNNS, PLAIN)
    yield cam_rows("grad_cam", "grad-cam", "GradCAM", (*CNNS, VIT), RAW)
    yield cam_rows("grad_cam", "torchcam", "GradCAM", (*CNNS, VIT), UNSCALED)
    yield Row(
        "grad_cam",
        "grad-cam",
        "GradCAM",
        "a layer that is positive and the same everywhere",
        "as it is returned",
        deviates=lost_constant,
        apart=0.9,
        cause="It takes the minimum away after its ReLU, so a constant positive map is returned as all zero; ours "
        "keeps raw values and scales only what pictures show.",
        shown=kept_constant,
        shown_by="its map before that step is the same constant as ours",
    )
    yield Row(
        "grad_cam",
        "grad-cam",
        "GradCAM",
        NAMES[GAP],
        "three images and two targets",
        deviates=partial(short_targets, 2),
        apart=0.5,
        cause="Targets are laid beside images by zip, which stops at the shorter list: an image without a target gets "
        "no gradient and a map of zeros, in silence. Ours holds one frozen target for each image.",
        shown=partial(short_targets, 3),
        shown_by="with a target for each image the maps agree",
    )


CONSTANT = Net(Constant, "layer")


def lost_constant() -> Iterator[Pair]:
    shown = peers.grad_cam_shown("GradCAM", CONSTANT.module, "layer", CONSTANT.tensor, CHOSEN)
    yield ours(CONSTANT, "grad_cam"), shown


def kept_constant() -> Iterator[Pair]:
    yield ours(CONSTANT, "grad_cam"), their_grad_cam("GradCAM", CONSTANT)


def short_targets(targets: int) -> Iterator[Pair]:
    theirs = peers.grad_cam_raw("GradCAM", GAP.module, "conv", GAP.tensor, CHOSEN, targets=targets)
    yield ours(GAP, "grad_cam"), theirs


def overwritten_rows() -> Iterator[Row]:
    yield Row(
        "grad_cam",
        "captum",
        "LayerGradCam",
        "batch norm before an in-place ReLU",
        PLAIN,
        agrees=partial(overwritten, "captum", "LayerGradCam", False),
    )
    for peer, settings in (("grad-cam", RAW), ("torchcam", UNSCALED)):
        yield Row(
            "grad_cam",
            peer,
            "GradCAM",
            "batch norm before an in-place ReLU",
            settings,
            deviates=partial(overwritten, peer, "GradCAM", False),
            cause="The tensor that its hook keeps is overwritten by the in-place ReLU after the layer. Ours hands on a "
            "copy.",
            shown=partial(overwritten, peer, "GradCAM", True),
            shown_by="with a ReLU that is not in place the maps agree",
        )


def overwritten(peer: str, part: str, is_mended: bool) -> Iterator[Pair]:
    net = Net(partial(residual_net, not is_mended), "norm1")
    yield ours(net, "grad_cam"), THEIRS[peer](part, net)


def residual_net(is_in_place: bool) -> nn.Module:
    net = nets.ResidualNet()
    net.relu.inplace = is_in_place
    return net


def grad_cam_pp_rows() -> Iterator[Row]:
    loud = [Net(partial(Louder, net.make, 1e5), f"net.{net.layer}", net.size) for net in (RECTIFIED, RESNET)]
    yield Row(
        "grad_cam_pp",
        "grad-cam",
        "GradCAMPlusPlus",
        f"{named((RECTIFIED, RESNET))}, scores times 100,000",
        RAW,
        agrees=lambda: cam_pairs("grad_cam_pp", "grad-cam", "GradCAMPlusPlus", loud),
    )
    yield Row(
        "grad_cam_pp",
        "grad-cam",
        "GradCAMPlusPlus",
        NAMES[RESNET],
        RAW,
        deviates=lambda: cam_pairs("grad_cam_pp", "grad-cam", "GradCAMPlusPlus", [RESNET]),
        cause="It adds 1e-6 to a denominator of the order of g^2, which is no larger itself in a trained or deep net: "
        "weights come out too small.",
        shown=lambda: plus_plus_made("grad-cam"),
        shown_by="our formula with that 1e-6 gives its map",
    )
    yield Row(
        "grad_cam_pp",
        "torchcam",
        "GradCAMpp",
        named((RECTIFIED, RESNET)),
        UNSCALED,
        deviates=lambda: cam_pairs("grad_cam_pp", "torchcam", "GradCAMpp", [RECTIFIED, RESNET]),
        cause="Its division is done in place on a copy that boolean indexing makes, and is lost: the weights are "
        "sum of g^2 ReLU(g).",
        shown=lambda: plus_plus_made("torchcam"),
        shown_by="weights of sum g^2 ReLU(g) give its map",
    )


def plus_plus_made(peer: str) -> Iterator[Pair]:
    """Their Grad-CAM++ and what the cause gives, by a formula of its own."""
    for net in (RECTIFIED, RESNET):
        a, g = (array.astype(np.float64) for array in layer_pass(net))
        total = a.sum((2, 3), keepdims=True)
        if peer == "grad-cam":
            alpha = np.where(g != 0, g**2 / (2 * g**2 + g**3 * total + 1e-6), 0)
            yield their_grad_cam("GradCAMPlusPlus", net), weighed((alpha * positive(g)).sum((2, 3)), a)
        else:
            yield their_torchcam("GradCAMpp", net), weighed((g**2 * positive(g)).sum((2, 3)), a)


BALANCED = Net(Balanced, "twins", (8, 8), images=dyadic())


def xgrad_cam_rows() -> Iterator[Row]:
    found = (RECTIFIED, FULL_SIZE, RESNET)
    for peer, settings, epsilon in (("grad-cam", RAW, 1e-7), ("torchcam", UNSCALED, 1e-8)):
        yield cam_rows("xgrad_cam", peer, "XGradCAM", found, settings)
        yield Row(
            "xgrad_cam",
            peer,
            "XGradCAM",
            "a layer whose channels sum to 0",
            settings,
            apart=100,
            deviates=lambda peer=peer: cam_pairs("xgrad_cam", peer, "XGradCAM", [BALANCED]),
            cause=f"It divides by the channel's sum + {epsilon:g}, so a channel whose sum is 0 gets a weight without "
            "bound. Ours takes Grad-CAM's weight for such a channel and says how many there were.",
            shown=partial(balanced_made, peer, epsilon),
            shown_by="that division gives its map, and Grad-CAM's weights give ours",
        )


def balanced_made(peer: str, epsilon: float) -> Iterator[Pair]:
    a, g = (array.astype(np.float64) for array in layer_pass(BALANCED))
    made = weighed((g * a).sum((2, 3)) / (a.sum((2, 3)) + epsilon), a)
    yield THEIRS[peer]("XGradCAM", BALANCED), made
    yield ours(BALANCED, "xgrad_cam"), ours(BALANCED, "grad_cam")


def other_cam_rows() -> Iterator[Row]:
    yield cam_rows("layer_cam", "grad-cam", "LayerCAM", (*CNNS, VIT), RAW)
    yield cam_rows("layer_cam", "torchcam", "LayerCAM", (*CNNS, VIT), UNSCALED)
    yield cam_rows("hires_cam", "grad-cam", "HiResCAM", (*CNNS, VIT), RAW)
    yield Row(
        "eigen_cam",
        "grad-cam",
        "EigenCAM",
        "a layer whose channels have mean 0",
        f"{RAW}; up to its sign",
        agrees=lambda: eigen_pairs(BALANCED),
    )
    yield Row(
        "eigen_cam",
        "grad-cam",
        "EigenCAM",
        named((RECTIFIED, RESNET)),
        f"{RAW}; up to its sign",
        deviates=lambda: (pair for net in (RECTIFIED, RESNET) for pair in eigen_pairs(net)),
        cause="It takes each channel's mean away first, which the paper does not, and leaves the sign to the linear "
        "algebra library. Ours is the first singular vector of the layer itself, its sum not below 0.",
        shown=centred_made,
        shown_by="the first singular vector of the centred layer gives its map, up to the sign",
    )


def signed_alike(first: Array, second: Array) -> Array:
    """The second map of each case with the sign that fits the first."""
    return np.stack([two * (1 if (one * two).sum() >= 0 else -1) for one, two in zip(first, second, strict=True)])


def eigen_pairs(net: Net) -> Iterator[Pair]:
    mine = ours(net, "eigen_cam")
    yield mine, signed_alike(mine, their_grad_cam("EigenCAM", net))


def centred_made() -> Iterator[Pair]:
    for net in (RECTIFIED, RESNET):
        theirs = their_grad_cam("EigenCAM", net)
        a = layer_pass(net)[0].astype(np.float64)
        flat = a.reshape(*a.shape[:2], -1).transpose(0, 2, 1)
        flat -= flat.mean(1, keepdims=True)
        u, s, _ = np.linalg.svd(flat, full_matrices=False)
        yield theirs, signed_alike(theirs, (u[:, :, 0] * s[:, :1]).reshape(theirs.shape))


def score_cam_rows() -> Iterator[Row]:
    yield cam_rows("score_cam", "grad-cam", "ScoreCAM", (GAP, FULL_SIZE), f"{RAW}; the layer has the image's size")
    yield cam_rows("score_cam", "torchcam", "ScoreCAM", (GAP, FULL_SIZE), f"{UNSCALED}; the layer has the image's size")
    causes = {
        "grad-cam": "It enlarges the layer with align_corners=True, which stretches it to the image's corners; ours, "
        "like the display, with align_corners=False.",
        "torchcam": "It scales a channel to [0, 1] before enlarging it; the paper, and ours, after.",
    }
    for peer, cause in causes.items():
        yield Row(
            "score_cam",
            peer,
            "ScoreCAM",
            "SiLU and GELU, layer of half the image's size, scores times 100",
            RAW if peer == "grad-cam" else UNSCALED,
            apart=1e-3,
            deviates=lambda peer=peer: cam_pairs("score_cam", peer, "ScoreCAM", [ENLARGED]),
            cause=cause,
            shown=partial(score_cam_made, peer, ENLARGED),
            shown_by="our formula with that step gives its map",
        )
        yield Row(
            "score_cam",
            peer,
            "ScoreCAM",
            "a layer with a dead channel, scores times 100",
            RAW if peer == "grad-cam" else UNSCALED,
            apart=1e-3,
            deviates=lambda peer=peer: cam_pairs("score_cam", peer, "ScoreCAM", [DEAD_CHANNEL]),
            cause="A channel that is the same everywhere has no mask; an added 1e-8 makes it a mask of zeros, which "
            "takes a share of the softmax from the others. Ours leaves such channels out and says how many there were.",
            shown=partial(score_cam_made, peer, DEAD_CHANNEL),
            shown_by="our formula with a mask of zeros gives its map",
        )
    for peer, part in (("grad-cam", "ScoreCAM"), ("torchcam", "ScoreCAM")):
        yield Row(
            "score_cam",
            peer,
            part,
            NAMES[NORMALISED],
            RAW if peer == "grad-cam" else UNSCALED,
            apart=1e-3,
            deviates=partial(normalised_score_cam, peer, "black"),
            cause="It multiplies the normalised image, so what a mask hides becomes the mean colour; ours hides in "
            "pixel space, with black unless another baseline is declared.",
            shown=partial(normalised_score_cam, peer, "mean_colour"),
            shown_by="with `baseline: mean_colour` at the normalising mean the maps agree",
        )


def dead_channel() -> nn.Module:
    net = Rectified()
    nn.init.constant_(net.conv1.bias[:1], -10.0)
    return net


ENLARGED = Net(partial(Louder, nets.SmoothNet, 100.0), "net.body.3")
DEAD_CHANNEL = Net(partial(Louder, dead_channel, 100.0), "net.relu1")


def score_cam_made(peer: str, net: Net) -> Iterator[Pair]:
    """Score-CAM in a plain loop, with the peer's own way of making masks."""
    module, images = net.module, net.tensor
    activations = torch.from_numpy(layer_pass(net)[0])
    maps = []
    for image, layer in zip(images, activations, strict=True):
        masks = layer[:, None] if peer == "grad-cam" else unit(layer[:, None])
        masks = F.interpolate(masks, images.shape[2:], mode="bilinear", align_corners=peer == "grad-cam")
        masks = unit(masks) if peer == "grad-cam" else masks
        with torch.no_grad():
            weights = module(image * masks)[:, CHOSEN].softmax(0)
        maps.append((weights[:, None, None] * layer).sum(0).numpy())
    yield THEIRS[peer]("ScoreCAM", net), np.stack(maps)


def unit(masks: Tensor) -> Tensor:
    """Each mask from 0 to 1."""
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    return (masks - low) / (high - low + 1e-8)


def normalised_score_cam(peer: str, baseline: str) -> Iterator[Pair]:
    yield ours(NORMALISED, "score_cam", baseline=baseline), THEIRS[peer]("ScoreCAM", NORMALISED)


NEGATIVE = Net(Negative, "relu2")


def ablation_rows() -> Iterator[Row]:
    yield cam_rows(
        "ablation_cam", "grad-cam", "AblationCAM", (RECTIFIED,), f"{RAW}; smallest activation 0, score above 0"
    )
    yield Row(
        "ablation_cam",
        "grad-cam",
        "AblationCAM",
        "two convs with ReLU, score below 0",
        RAW,
        deviates=lambda: cam_pairs("ablation_cam", "grad-cam", "AblationCAM", [NEGATIVE]),
        apart=0.5,
        cause="It divides by the score itself, as the paper does: below 0 every weight changes its sign. Ours "
        "divides by its size.",
        shown=lambda: (
            (mine, -theirs) for mine, theirs in cam_pairs("ablation_cam", "grad-cam", "AblationCAM", [NEGATIVE])
        ),
        shown_by="its map with the sign turned round is ours",
    )
    yield Row(
        "ablation_cam",
        "grad-cam",
        "AblationCAM",
        NAMES[SMOOTH],
        RAW,
        apart=100,
        deviates=lambda: cam_pairs("ablation_cam", "grad-cam", "AblationCAM", [SMOOTH]),
        cause="Where the smallest activation is not 0 it writes that minimum - 1e7 in place of 0, and takes the "
        "minimum anew from the array that it is changing: -1e7, -2e7, ... It is no reference after SiLU, GELU or "
        "a norm.",
        shown=ablation_made,
        shown_by="those values, written into the layer by hand, give its map",
    )


def ablation_made() -> Iterator[Pair]:
    """Its ablation on the GELU net, whose tail is a mean and a linear layer."""
    theirs = their_grad_cam("AblationCAM", SMOOTH)
    module, (activations, _) = SMOOTH.module, layer_pass(SMOOTH)
    maps = []
    for layer in torch.from_numpy(activations):
        score = module.head(layer.mean((1, 2)))[CHOSEN]
        edited = layer.repeat(len(layer), 1, 1, 1)
        for k in range(len(layer)):
            edited[k, k] = edited.min() - 1e7
        without = module.head(edited.mean((2, 3)))[:, CHOSEN]
        maps.append(((score - without) / score)[:, None, None].mul(layer).sum(0).detach().numpy())
    yield theirs, np.stack(maps)


def unit_maps(net: Net) -> Array:
    """Every map that activation_maps keeps where all cases are among the strongest, (cases, units, rows, columns)."""
    cases = np.arange(len(net.pixels))
    method = ActivationMaps(use="activation_maps", top=len(cases))
    activation = torch.from_numpy(layer_pass(net)[0])
    activity = Activity(method, range(activation.shape[1]), tuple(map(str, cases)), {"all": cases})
    for case in cases:
        activity.take(cases[case : case + 1], activation[case : case + 1])
    order = activity.top.cases.argsort(1)
    return np.take_along_axis(activity.top.maps, order[:, :, None, None], 1).swapaxes(0, 1)


def activation_rows() -> Iterator[Row]:
    found = (GAP, SMOOTH, RECTIFIED, RESNET)
    yield Row(
        "activation_maps",
        "captum",
        "LayerActivation",
        named(found),
        "as it is",
        agrees=lambda: (
            (unit_maps(net), peers.captum_layer("LayerActivation", net.module, net.layer, net.tensor)) for net in found
        ),
    )


ROWS: tuple[Row, ...] = (
    *grad_cam_rows(),
    *overwritten_rows(),
    *grad_cam_pp_rows(),
    *xgrad_cam_rows(),
    *other_cam_rows(),
    *score_cam_rows(),
    *ablation_rows(),
    *activation_rows(),
)
