"""A small plain net for colour pictures of single blood cells.

`build()` gives the untrained net; its weights lie in `weights/blood-cells.safetensors`, made by `train_blood_cells.py`.
`relu5` is the last layer with places: 16 x 16 of them for a picture of 64 x 64, each of which sees 33 x 33 of its
pixels, about one red cell. `norm5` holds the same 48 units before the ReLU.
"""

from collections import OrderedDict

from torch import nn

WIDTHS = (24, 32, 48, 48, 48)
HEAD_PLACES = 16
"""The head sees 4 x 4 means of 4 x 4 places, so that it can tell the cell in the middle from its neighbours."""


def build(classes: int = 3) -> nn.Module:
    """The net with fresh weights: (cases, 3, 64, 64) in, logits (cases, classes) out."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for place, width in enumerate(WIDTHS, start=1):
        parts[f"conv{place}"] = nn.Conv2d(before, width, 3, stride=2 if place == 1 else 1, padding=1, bias=False)
        parts[f"norm{place}"] = nn.BatchNorm2d(width)
        parts[f"relu{place}"] = nn.ReLU()
        if place == 2:
            parts["pool"] = nn.MaxPool2d(2)
        before = width
    parts |= {"mean": nn.AvgPool2d(4), "flatten": nn.Flatten(), "dropout": nn.Dropout(0.2)}
    parts["head"] = nn.Linear(before * HEAD_PLACES, classes)
    return nn.Sequential(parts)
