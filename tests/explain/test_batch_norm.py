"""One image through batch norm and then tokens: the gradient in closed form, and the fault that it guards against."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_audit.explain.by_pass import explain_by_pass
from xai_audit.explain.explained import Batch, Explained
from xai_audit.model.batch_norm import sound_batch_norm
from xai_audit.spec.methods import Saliency


class StemNet(nn.Module):
    """conv -> batch norm -> tokens -> weights: a transformer's convolutional stem."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8)
        self.weights = nn.Parameter(torch.randn(3, 16, 8))
        with torch.no_grad():
            self.norm.weight.uniform_(0.5, 2)
            self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.conv(x)).flatten(2).transpose(1, 2)
        return torch.stack([(tokens * weights).sum((1, 2)) for weights in self.weights], 1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_one_image_is_that_of_the_formula(layout: torch.memory_format) -> None:
    net = nets.seeded(StemNet).requires_grad_(False)
    x = torch.rand(1, 8, 4, 4, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    norm, w = net.norm.double(), net.weights.double()
    with sound_batch_norm(x):
        y = (norm(x).flatten(2).transpose(1, 2) * w[0]).sum()
    (found,) = torch.autograd.grad(y, [x])
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    wanted = w[0].T.reshape(1, 8, 4, 4) * scale.view(1, -1, 1, 1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_one_image_alone_has_the_map_that_it_has_among_others() -> None:
    model, images = nets.audit(nets.seeded(StemNet)), nets.pixels(3)

    def raw(*cases: int) -> np.ndarray:
        batch = Batch(cases, tuple(map(str, cases)), images[list(cases)])
        method = Saliency.model_validate({"use": "saliency", "target": {"class": 0}})
        outcome = explain_by_pass(model, [method], [batch], {}).outcomes["saliency"]
        assert isinstance(outcome, Explained)
        return outcome.raw

    np.testing.assert_allclose(raw(0), raw(0, 1, 2)[:1], rtol=0, atol=1e-6)
