"""Class activation maps of a layer: raw, signed, before their ReLU (METHODS 2).

A is the layer's activation and g the target's gradient there, both (cases, channels, height, width); maps are (cases,
height, width) of the layer's grid, weights (cases, channels).
"""

from __future__ import annotations

import torch
from torch import Tensor

from xai_audit.explain.baselines import FillSources
from xai_audit.explain.explained import no_layer
from xai_audit.explain.passes import PassResult
from xai_audit.explain.transfer import DeviceMaps
from xai_audit.model.layers import SpatialLayer
from xai_audit.spec.methods import GradCamPp, Method

CANCELS = 1e-3
"""A channel's activations cancel out where their sum is below this share of the sum of their sizes."""
UNDETERMINED = 1e-3
"""The main pattern is not determined where the second is this close to it, as a share of its energy."""

SQUARINGS, LOOK_AFTER, SQUARINGS_A_SCALING = 18, 13, 5
"""Times that a matrix is squared to find its first eigenvector, after which the second is looked at, and after which
it is scaled: of n values that sum to 1 the largest is 1 / n or more, n^-32 after five."""
SMALL, SQUARINGS_OF_SMALL = 200, 7
"""Of so few values the largest stays above 1e-295 for seven."""

_NEGATIVE = "The formula presumes activations of 0 or more; the layer has some below 0 in {n} of {cases} cases."
_PROBABILITY = "The formula presumes a logit; the target is a probability."
_UNDETERMINED = (
    "In {n} of {cases} cases the two main patterns are equally strong: which of them is shown was decided by rounding."
)
_SILENT = "In {n} of {cases} cases every activation of the layer is 0: their maps are all zero."


def _place(layer: SpatialLayer | None, method: Method) -> SpatialLayer:
    if layer is None:
        raise no_layer(method)
    return layer


def weighted(w: Tensor, A: Tensor) -> Tensor:
    """sum_k w_k A_k."""
    return torch.einsum("nk,nkhw->nhw", w, A)


def grad_cam(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """sum_k w_k A_k, with w_k the mean of g_k (Selvaraju et al. 2017, eq. 1 and 2).

    Raises StepError without a layer.
    """
    place = _place(layer, method)
    w = result.gradient(place).mean((2, 3))
    return DeviceMaps(weighted(w, result.activation(place)), {"weights": w})


def grad_cam_pp(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """sum_k w_k A_k, with w_k = sum_ij alpha ReLU(g_k), alpha = 1 / (2 + g_k s_k), s_k = sum_ab A_kab.

    Chattopadhay et al. 2018, eq. 19 with Y = exp(y), whose factor exp(y) is dropped; places where |2 + g s| is below
    `guard` get alpha 0, and are counted where g > 0. Raises StepError without a layer.
    """
    place = _place(layer, method)
    guard = method.guard if isinstance(method, GradCamPp) else 1e-6
    A, g = result.activation(place), result.gradient(place)
    s = A.sum((2, 3), keepdim=True)
    below = 2 + g * s
    is_guarded = below.abs() < guard
    alpha = torch.where(is_guarded, 0, 1 / below)
    w = (alpha * g.relu()).sum((2, 3))
    counts = {
        _NEGATIVE: (A.amin((1, 2, 3)) < 0).sum(),
        f"{{n}} places, over {{cases}} cases and {A.shape[1]} channels, where |2 + g s| is below {guard:g} have no "
        "weight.": (is_guarded & (g > 0)).sum(),
    }
    warnings = (_PROBABILITY,) if result.target.kind in ("prob", "logprob") else ()
    return DeviceMaps(weighted(w, A), {"weights": w}, {"guard": guard}, warnings, counts)


def xgrad_cam(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """sum_k w_k A_k, with w_k = sum_ij (A_kij / s_k) g_kij, s_k = sum_ij A_kij (Fu et al. 2020, eq. 8).

    A channel whose activations cancel out, |s_k| < 1e-3 sum |A_k|, takes the mean of g_k, and is counted; so does a
    channel of zeros, which has no part in the map. Raises StepError without a layer.
    """
    place = _place(layer, method)
    A, g = result.activation(place), result.gradient(place)
    s, size = A.sum((2, 3)), A.abs().sum((2, 3))
    cancels = s.abs() < CANCELS * size
    has_share = ~cancels & (size > 0)
    share = (A * g).sum((2, 3)) / torch.where(has_share, s, 1)
    w = torch.where(has_share, share, g.mean((2, 3)))
    told = f"{{n}} channels, over {{cases}} cases and {A.shape[1]} channels, cancel out and have Grad-CAM's weight."
    return DeviceMaps(weighted(w, A), {"weights": w}, {"cancels_below": CANCELS}, counts={told: cancels.sum()})


def hires_cam(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """sum_k g_k A_k, element by element (Draelos and Carin 2020, eq. 6). Raises StepError without a layer."""
    place = _place(layer, method)
    return DeviceMaps(torch.einsum("nkhw,nkhw->nhw", result.gradient(place), result.activation(place)))


def layer_cam(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """sum_k ReLU(g_k) A_k, element by element (Jiang et al. 2021, eq. 6 and 7). Raises StepError without a layer."""
    place = _place(layer, method)
    return DeviceMaps(torch.einsum("nkhw,nkhw->nhw", result.gradient(place).relu(), result.activation(place)))


def eigen_cam(result: PassResult, method: Method, layer: SpatialLayer | None, sources: FillSources) -> DeviceMaps:
    """A v_1, with A (places x channels) = U S V^T, not centred, so turned that its sum is not below 0.

    Muhammad and Yeasin 2020, section III, by the smaller Gram matrix: sqrt(lambda_1) u_1 of A A^T, or A v_1 with v_1 of
    A^T A. energy_share (cases,) is lambda_1 / sum lambda. No class has a part in it. Raises StepError without a layer.
    """
    given = result.activation(_place(layer, method))
    A = given.flatten(2).mT.double()
    L, first, second = _main_pattern(A)
    L = torch.where(L.sum(1, keepdim=True) < 0, -L, L)
    total = A.square().sum((1, 2))
    is_silent = total == 0
    is_close = ~is_silent & (first - second < UNDETERMINED * first)
    share = first / torch.where(is_silent, 1, total)
    raw = L.reshape(len(L), *given.shape[2:]).to(given.dtype)
    counts = {_UNDETERMINED: is_close.sum(), _SILENT: is_silent.sum()}
    return DeviceMaps(raw, {"energy_share": share.to(given.dtype)}, counts=counts)


def _main_pattern(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A v_1 (cases, places), lambda_1 and lambda_2 (cases,) of A (cases, places, channels)."""
    has_fewer_places = A.shape[1] <= A.shape[2]
    gram = A @ A.mT if has_fewer_places else A.mT @ A
    vector, first, second = leading_by_squaring(gram) if A.is_cuda else _leading(gram)
    L = vector * first.sqrt()[:, None] if has_fewer_places else (A @ vector[:, :, None]).squeeze(2)
    return L, first, second


def _leading(gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First eigenvector (cases, n), first and second eigenvalue (cases,) of (cases, n, n), by LAPACK."""
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp(min=0)
    second = values[:, -2] if values.shape[1] > 1 else torch.zeros_like(values[:, -1])
    return vectors[:, :, -1], values[:, -1], second


def leading_by_squaring(gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `_leading`, by G^(2^18): some matrix products, where a GPU's eigh takes each matrix for itself.

    The second eigenvalue is right near the first, where it matters: G^(2^13) over its trace is u_1 u_1^T + r u_2 u_2^T,
    but for a factor, with r = (lambda_2 / lambda_1)^(2^13), 2.8e-4 where they are 1e-3 apart.
    """
    looked_at = _squared(_of_trace_1(gram), LOOK_AFTER)
    r = ((1 - looked_at.square().sum((1, 2))) / 2).clamp(min=0)
    power = _squared(looked_at, SQUARINGS - LOOK_AFTER)
    longest = power.diagonal(dim1=1, dim2=2).argmax(1)
    column = power.gather(2, longest[:, None, None].expand(-1, power.shape[1], 1)).squeeze(2)
    vector = column / column.norm(dim=1, keepdim=True).clamp(min=torch.finfo(gram.dtype).tiny)
    first = (vector[:, None] @ gram @ vector[:, :, None]).flatten()
    return vector, first, first * r ** (0.5**LOOK_AFTER)


def _squared(matrices: Tensor, times: int) -> Tensor:
    """Matrices of trace 1 squared so often, of trace 1 again; in between only as often as float64 needs it."""
    most = SQUARINGS_OF_SMALL if matrices.shape[1] <= SMALL else SQUARINGS_A_SCALING
    while times:
        now = min(times, most)
        matrices = _of_trace_1(torch.linalg.matrix_power(matrices, 2**now))
        times -= now
    return matrices


def _of_trace_1(matrices: Tensor) -> Tensor:
    trace = matrices.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    return matrices / trace.masked_fill(trace == 0, 1)[:, :, None]
