"""A small residual net for grey electroluminescence pictures of solar cells.

`build()` gives the untrained net; its weights lie in `weights/solar-cells.safetensors`, made by `train_solar_cells.py`.
The last spatial stage is `stage3` (10 x 10 places for a picture of 160 x 160), so `stage3.1` is the layer for Grad-CAM.
"""

from collections import OrderedDict

from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = shortcut(channels_in, channels_out, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.norm1(self.conv1(x)))
        return self.relu2(self.norm2(self.conv2(out)) + self.shortcut(x))


def shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """The identity, or a 1 x 1 convolution where the shapes differ."""
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


def stage(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """Two blocks, the first of which changes width and stride."""
    first = ResidualBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, ResidualBlock(channels_out, channels_out, 1))


def build(classes: int = 2) -> nn.Module:
    """The net with fresh weights: (cases, 1, height, width) in, logits (cases, classes) out."""
    first, second, third = WIDTHS
    stem = nn.Sequential(nn.Conv2d(1, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(
        OrderedDict(
            stem=stem,
            stage1=stage(first, first, 1),
            stage2=stage(first, second, 2),
            stage3=stage(second, third, 2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.1),
            head=nn.Linear(third, classes),
        )
    )
