"""A small net that reads a mortgage application: numbers in, the log odds of a denial out.

`build()` gives the untrained net; its weights lie in `weights/mortgage.safetensors`, made by `train_mortgage.py`.
"""

from collections import OrderedDict

from torch import nn

WIDTHS = (24, 12)
FURTHEST = 4.0
"""A number further than this many standard deviations from the mean counts as that far away."""


def build(features: int) -> nn.Module:
    """The net with fresh weights: (cases, features) in, log odds (cases, 1) out."""
    first, second = WIDTHS
    return nn.Sequential(
        OrderedDict(
            limit=nn.Hardtanh(-FURTHEST, FURTHEST),
            hidden1=nn.Linear(features, first),
            act1=nn.Tanh(),
            hidden2=nn.Linear(first, second),
            act2=nn.Tanh(),
            head=nn.Linear(second, 1),
        )
    )
